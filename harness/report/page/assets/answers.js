"use strict";
// Both answers of every example of the pinned variant: worst and sample, outcomes, search, diff.
const STEP = 8;
const MOST_CELLS = 400000; // of a word diff's table; longer answers are shown without marks
const list = document.getElementById("answer-list");
let allAnswers = null;
let limit = STEP;
const element = (name, className, ...children) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
};

// word by word: which tokens of each side are in the longest common sequence
const common = (a, b) => {
  const width = b.length + 1;
  if (a.length * b.length > MOST_CELLS) return null;
  const table = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      table[i * width + j] = a[i].text === b[j].text ? table[(i + 1) * width + j + 1] + 1
        : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    }
  }
  const shared = [new Set(), new Set()];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i].text === b[j].text) { shared[0].add(i); shared[1].add(j); i += 1; j += 1; }
    else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return shared;
};
const words = (text) => [...text.matchAll(/\S+/g)].map((m) => ({ text: m[0], start: m.index,
  end: m.index + m[0].length }));
// stretches of words on one side only
const alone = (tokens, shared) => {
  const ranges = [];
  tokens.forEach((token, k) => {
    if (!shared || shared.has(k)) return;
    const last = ranges[ranges.length - 1];
    if (last && k > 0 && !shared.has(k - 1)) last.end = token.end;
    else ranges.push({ start: token.start, end: token.end });
  });
  return ranges;
};
// `text` with <mark> for the ranges and a frame around what was read
const marked = (text, ranges, span) => {
  const cuts = [0, text.length, ...ranges.flatMap((r) => [r.start, r.end]), ...(span ?? [])];
  const order = [...new Set(cuts)].filter((c) => c <= text.length).sort((a, b) => a - b);
  const nodes = [];
  order.slice(0, -1).forEach((start, k) => {
    let node = document.createTextNode(text.slice(start, order[k + 1]));
    if (ranges.some((r) => r.start <= start && start < r.end)) node = element("mark", "", node);
    if (span && span[0] <= start && start < span[1]) node = element("span", "read", node);
    nodes.push(node);
  });
  return nodes;
};

const side = (title, className, answer, ranges) => {
  const [text, , read, span, reasoning] = answer;
  const box = element("div", className, element("h5", "", title));
  if (reasoning) {
    box.append(element("details", "", element("summary", "", `reasoning, ${reasoning.length} characters`),
      element("p", "", reasoning)));
  }
  box.append(element("p", "", ...(text ? marked(text, ranges, span) : ["(empty)"])));
  if (typeof read === "string" && !span) {
    box.append(element("p", "", "read: ", element("b", "", read || "nothing")));
  }
  return box;
};
const article = (set, place, pair, k) => {
  const example = set.examples[k];
  const [before, after] = [set.bases[pair.b][k], pair.a[k]];
  const tokens = [words(before[0]), words(after[0])];
  const shared = common(...tokens);
  const ranges = shared ? tokens.map((t, n) => alone(t, shared[n])) : [[], []];
  const outcome = pair.o[k];
  const link = element("a", "", "link");
  const wanted = new URLSearchParams({ set: known.sets[place],
    pin: known.variants[pair.v].join("/"), answer: example.i });
  link.href = `#${wanted}`;
  const made = element("article", "sample", element("h4", "",
    element("span", outcome, outcome + (pair.worst.includes(k) && pair.worst[0] === k ? ", the most" : "")),
    element("small", "", `${set.metric} ${before[1]} → ${after[1]}`),
    ...(example.c ? [element("small", "", example.c)] : []), element("small", "", link)),
  element("div", "pair", element("div", "", element("h5", "", "prompt"), element("p", "", example.p)),
    element("div", "", element("h5", "", "reference"), element("p", "", example.r)),
    side("baseline", "before", before, ranges[0]), side("fine-tuned", "after", after, ranges[1])));
  made.id = `answer-${place}-${pair.v}-${k}`;
  return made;
};

const currentPair = () => {
  const place = state.set === "all" ? Math.max(0, allAnswers.findIndex((s) => s.pairs.length)) : state.set;
  const set = allAnswers[place];
  const card = document.querySelector(`[data-card="${place}"] [data-pin]`);
  const of = (v) => set?.pairs.find((pair) => pair.v === v);
  const pair = (state.pin !== null && of(state.pin)) || (card && of(Number(card.dataset.pin)))
    || set?.pairs[0];
  return { place, set, pair };
};
const ORDER = { lost: 0, won: 1, equal: 2 };
const wantedOf = (pair, view) => {
  const held = [...new Set([...pair.worst, ...pair.sample])];
  if (view === "sample") {
    // the sample's part that is shown keeps every outcome's share
    const rest = sampleOf(pair).filter((k) => !pair.worst.includes(k));
    return [...pair.worst, ...rest];
  }
  const chosen = view === "all" ? held : held.filter((k) => pair.o[k] === view);
  const worst = new Map(pair.worst.map((k, place) => [k, place]));
  return chosen.sort((a, b) => ORDER[pair.o[a]] - ORDER[pair.o[b]]
    || (worst.get(a) ?? 99) - (worst.get(b) ?? 99));
};
const sampleOf = (pair) => {
  const total = pair.sample.length;
  const size = Math.min(STEP, total);
  const seen = { lost: 0, won: 0, equal: 0 };
  const share = { lost: 0, won: 0, equal: 0 };
  for (const k of pair.sample) share[pair.o[k]] += 1;
  return pair.sample.filter((k) => {
    seen[pair.o[k]] += 1;
    return seen[pair.o[k]] <= Math.round(share[pair.o[k]] * size / total);
  });
};
const NOTE = (pair, view) => {
  const total = pair.n.reduce((a, b) => a + b, 0);
  const [lost, won, equal] = pair.n;
  const name = known.variants[pair.v].join(" · ");
  const kept = pair.all ? "All are on this page." : `${new Set([...pair.worst, ...pair.sample]).size}`
    + " are on this page: those that lost most and a sample with the same shares.";
  const shown = view === "sample" ? ` Shown: the ${pair.worst.length} that lost most, then a sample in`
    + " which lost, won and equal have their share of all." : "";
  return `${name} against its baseline${pair.seeds > 1 ? `, the first of ${pair.seeds} seeds` : ""}: of ${total} ${total === 1 ? "answer" : "answers"} ${lost} lost,`
    + ` ${won} won, ${equal} equal. ${kept}${shown} Underlined: words on one side only. Framed: what`
    + " was read as the answer's number or label.";
};

const showAnswers = () => {
  allAnswers ??= JSON.parse(document.getElementById("all-answers").textContent);
  const { place, set, pair } = currentPair();
  const count = document.getElementById("answer-count");
  const note = document.getElementById("answer-note");
  if (!pair) {
    list.replaceChildren();
    note.textContent = "No answers with a baseline are stored for this data set.";
    count.textContent = "";
    return;
  }
  const view = document.getElementById("answer-view").value;
  const text = document.getElementById("answer-search").value.toLowerCase();
  const contains = (k) => !text || [set.examples[k].p, set.examples[k].r, set.bases[pair.b][k][0],
    pair.a[k][0], set.examples[k].c].some((part) => part.toLowerCase().includes(text));
  const found = wantedOf(pair, text && view === "sample" ? "all" : view).filter(contains);
  const asked = Object.keys(set.examples).find((k) => set.examples[k].i === state.answer);
  if (asked !== undefined && pair.a[asked]) {
    const rest = found.filter((k) => k !== Number(asked));
    found.splice(0, found.length, Number(asked), ...rest);
  }
  list.replaceChildren(...found.slice(0, limit).map((k) => article(set, place, pair, k)));
  note.textContent = NOTE(pair, view);
  count.textContent = `${Math.min(limit, found.length)} of ${found.length} shown`;
  document.getElementById("answer-more").hidden = found.length <= limit;
  if (asked !== undefined) list.firstElementChild?.classList.add("linked");
};

if (list) {
  // a link to an answer, from the list of what got worse: pins its variant and shows it first
  const follow = () => {
    const parts = /^#answer-(\d+)-(\d+)-(\d+)$/.exec(location.hash);
    if (!parts) return;
    const [set, v, k] = parts.slice(1).map(Number);
    allAnswers ??= JSON.parse(document.getElementById("all-answers").textContent);
    const id = allAnswers[set]?.examples[k]?.i;
    if (id === undefined) return;
    limit = STEP;
    change({ set, pin: v, answer: id });
    list.firstElementChild?.scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", follow);
  const again = () => { limit = STEP; showAnswers(); };
  document.getElementById("answer-view").addEventListener("change", again);
  document.getElementById("answer-search").addEventListener("input", again);
  document.getElementById("answer-more").addEventListener("click", () => { limit += STEP; showAnswers(); });
  const relevant = ["set", "pin", "answer"];
  onChange((changes) => { if (relevant.some((name) => name in changes)) again(); });
  addEventListener("load", () => {
    follow();
    again();
    if (state.answer !== null) list.firstElementChild?.scrollIntoView({ block: "center" });
  });
}
