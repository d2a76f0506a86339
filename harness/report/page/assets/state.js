"use strict";
// What the reader chose: data set, pinned variant, hidden values, memory limit, order. One place
// holds it, everything on the page follows it, and the address bar keeps it as a link.
const known = JSON.parse(document.getElementById("data").textContent);
const state = { set: 0, pin: null, hidden: [new Set(), new Set(), new Set()], limit: null,
  order: "suite", answer: null };
const AXES = ["model", "quantization", "adapter"];
const listeners = [];
const onChange = (listener) => { listeners.push(listener); };

const setOf = (element) => {
  const home = element.closest("[data-set]");
  return home ? Number(home.dataset.set) : -1;
};
// data set → its elements that belong to a variant; looked up once, since a page holds thousands
const members = new Map();
const ofVariant = new Map();
for (const element of document.querySelectorAll("[data-v]")) {
  const set = setOf(element);
  const v = Number(element.dataset.v);
  if (!members.has(set)) members.set(set, []);
  members.get(set).push(element);
  if (!ofVariant.has(v)) ofVariant.set(v, []);
  ofVariant.get(v).push(element);
}
// data set → variant → its quality and memory, as the picture's points say
const points = new Map();
for (const point of document.querySelectorAll(".plot .pt")) {
  const set = setOf(point);
  if (!points.has(set)) points.set(set, new Map());
  points.get(set).set(Number(point.dataset.v), {
    quality: Number(point.dataset.q), text: point.getAttribute("aria-label"),
    mib: "mib" in point.dataset ? Number(point.dataset.mib) : null,
  });
}
const signOf = (set) => Number(
  document.querySelector(`.picture[data-set="${set}"]`)?.dataset.sign ?? 1);
const isChosen = (v) => known.variants[v].every((value, axis) => !state.hidden[axis].has(value));
// what was not measured may not fit: it is greyed out with the rest
const fits = (v, set) => {
  if (state.limit === null) return true;
  const point = points.get(set)?.get(v);
  return point === undefined || (point.mib !== null && point.mib <= state.limit);
};

const showSets = () => {
  for (const part of document.querySelectorAll(".of-set")) {
    part.hidden = state.set !== "all" && Number(part.dataset.set) !== state.set;
  }
  for (const button of document.querySelectorAll("#sets button")) {
    button.setAttribute("aria-pressed", String(button.dataset.show === String(state.set)));
  }
  for (const card of document.querySelectorAll("[data-card]")) {
    card.classList.toggle("current", state.set === "all"
      || card.dataset.card === String(state.set));
  }
};

const showVariants = () => {
  for (const [set, elements] of members) {
    if (set >= 0 && state.set !== "all" && set !== state.set) continue;
    for (const element of elements) {
      const v = Number(element.dataset.v);
      const chosen = isChosen(v);
      const fitting = fits(v, set);
      const isPoint = element.parentElement.className === "plot";
      element.classList.toggle("over", isPoint && chosen && !fitting);
      if (chosen && (fitting || isPoint)) delete element.dataset.off;
      else element.dataset.off = "";
      element.classList.toggle("pinned", v === state.pin);
    }
  }
  for (const table of document.querySelectorAll("table:has(tbody.group)")) hideEmptyGroups(table);
  const total = known.variants.length;
  const sets = state.set === "all" ? [...points.keys()] : [state.set];
  const count = known.variants.filter((_, v) => isChosen(v)
    && (!sets.length || sets.some((set) => fits(v, set)))).length;
  const all = count === total;
  document.getElementById("shown").textContent = all ? "" : `${count} of ${total} variants shown`;
  document.getElementById("reset").hidden = all;
};

const rankOf = (set) => {
  const sign = signOf(set);
  const best = [...(points.get(set) ?? [])].sort((a, b) => sign * (b[1].quality - a[1].quality));
  return new Map(best.map(([v], place) => [v, place]));
};
// the place of each row as the suite has it, by which the order can be undone
const places = new WeakMap();
const inOrder = (parent, set) => {
  const rows = [...parent.children];
  if (!rows.some((row) => "v" in row.dataset)) return;
  rows.forEach((row, place) => { if (!places.has(row)) places.set(row, place); });
  const rank = state.order === "best" ? rankOf(set) : null;
  const key = (row) => ("v" in row.dataset ? rank.get(Number(row.dataset.v)) ?? 1e8 : 1e9);
  rows.sort((a, b) => (rank ? key(a) - key(b) : 0) || places.get(a) - places.get(b));
  parent.append(...rows);
};
// only what is in view is put in order; another data set follows when it is shown
const ordered = new WeakMap();
const showOrder = () => {
  for (const parent of document.querySelectorAll("table tbody:not(.group), .lines ol")) {
    const set = setOf(parent);
    const shown = set < 0 || state.set === "all" || set === state.set;
    if (!shown || ordered.get(parent) === state.order) continue;
    inOrder(parent, set);
    ordered.set(parent, state.order);
  }
};

const address = () => {
  const parts = [];
  const add = (name, value) => parts.push(`${name}=${encodeURIComponent(value)}`);
  if (state.set !== 0) add("set", state.set === "all" ? "all" : known.sets[state.set]);
  if (state.pin !== null) add("pin", known.variants[state.pin].join("/"));
  if (state.limit !== null) add("gib", Number((state.limit / 1024).toPrecision(3)));
  if (state.order !== "suite") add("order", state.order);
  const hidden = state.hidden.flatMap((values, axis) => [...values].map((v) => `${AXES[axis]}/${v}`));
  for (const value of hidden) add("hide", value);
  if (state.answer !== null) add("answer", state.answer);
  return parts.length ? `#${parts.join("&")}` : "";
};

const change = (changes, { keep = false } = {}) => {
  Object.assign(state, changes);
  showSets();
  showVariants();
  if ("order" in changes || "set" in changes) showOrder();
  document.getElementById("pin").value = state.pin ?? "";
  document.getElementById("order").value = state.order;
  for (const listener of listeners) listener(changes);
  if (!keep) history.replaceState(null, "", address() || location.pathname + location.search);
};
const togglePin = (v, changes = {}) => change({ answer: null, ...changes,
  pin: state.pin === v ? null : v });

const readAddress = () => {
  const hash = location.hash.slice(1);
  if (!hash.includes("=")) return false;
  const given = new URLSearchParams(hash);
  const set = given.get("set");
  const place = set === "all" ? "all" : Math.max(0, known.sets.indexOf(set ?? known.sets[0]));
  const pin = known.variants.findIndex((axes) => axes.join("/") === given.get("pin"));
  const hidden = [new Set(), new Set(), new Set()];
  for (const text of given.getAll("hide")) {
    const [axis, ...rest] = text.split("/");
    hidden[AXES.indexOf(axis)]?.add(rest.join("/"));
  }
  change({ set: place, pin: pin < 0 ? null : pin, hidden, order: given.get("order") ?? "suite",
    limit: Number(given.get("gib")) > 0 ? Number(given.get("gib")) * 1024 : null,
    answer: given.get("answer") }, { keep: true });
  return true;
};
// a link to a part that is folded or of another data set opens it first
const reveal = () => {
  if (readAddress()) return;
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const set = setOf(target);
  if (set >= 0 && state.set !== "all" && set !== state.set) change({ set }, { keep: true });
  for (let box = target.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  target.scrollIntoView({ block: "center" });
};

const buildChips = () => {
  const box = document.querySelector("#chips > div");
  AXES.forEach((name, axis) => {
    const values = [...new Set(known.variants.map((axes) => axes[axis]))];
    if (values.length < 2) return;
    const row = document.createElement("div");
    row.className = "chips";
    const title = document.createElement("span");
    title.textContent = `${name}: `;
    row.append(title);
    for (const value of values) {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.textContent = value;
      chip.dataset.axis = axis;
      chip.addEventListener("click", () => {
        if (!state.hidden[axis].delete(value)) state.hidden[axis].add(value);
        change({});
      });
      onChange(() => chip.setAttribute("aria-pressed", String(!state.hidden[axis].has(value))));
      row.append(chip);
    }
    box.append(row);
  });
};

if (document.getElementById("pin")) {
  buildChips();
  document.getElementById("pin").addEventListener("change", (event) => change({ answer: null,
    pin: event.target.value === "" ? null : Number(event.target.value) }));
  document.getElementById("order").addEventListener("change", (event) => change({
    order: event.target.value }));
  document.getElementById("reset").addEventListener("click", () => change({ limit: null,
    hidden: [new Set(), new Set(), new Set()] }));
  document.addEventListener("click", (event) => {
    const show = event.target.closest("button[data-show]");
    if (show) {
      const set = show.dataset.show === "all" ? "all" : Number(show.dataset.show);
      change({ set, answer: null, ...("pin" in show.dataset ? { pin: Number(show.dataset.pin) } : {}) });
      return;
    }
    const drawn = event.target.closest("svg a");
    const row = drawn && document.getElementById(drawn.getAttribute("xlink:href")?.slice(1) ?? "");
    const hit = row ?? event.target.closest("[data-v]");
    if (!hit || !("v" in hit.dataset) || event.target.closest("button, select, input, label, th")) return;
    if (String(getSelection())) return; // the reader is copying text
    event.preventDefault();
    togglePin(Number(hit.dataset.v));
  });
  for (const details of document.querySelectorAll(".controls details")) {
    details.addEventListener("toggle", () => { // near the right edge it opens to the left
      const box = details.lastElementChild;
      box.style.left = "0";
      const beyond = box.getBoundingClientRect().right + 8 - document.documentElement.clientWidth;
      box.style.left = `${-Math.max(0, beyond)}px`;
    });
  }
  addEventListener("hashchange", reveal);
}
