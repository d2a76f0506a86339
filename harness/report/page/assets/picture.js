"use strict";
// The picture: which cost it is drawn against, its colours, the memory limit, arrow keys.
const MOST_COLOURS = 8;

const drawAgainst = (figure, cost) => {
  for (const part of figure.querySelectorAll("[data-of]")) part.toggleAttribute("hidden", part.dataset.of !== cost);
  for (const point of figure.querySelectorAll(".pt")) {
    const x = JSON.parse(point.dataset.x)[cost];
    for (const part of [point, point.previousElementSibling]) {
      part.hidden = x === undefined;
      part.style.left = `${x}%`;
    }
  }
  placeNames(figure);
};

const colourBy = (figure, axis) => {
  const shown = [...figure.querySelectorAll(".pt")];
  const values = [...new Set(shown.map((point) => known.variants[point.dataset.v][axis]))];
  // the untouched model is grey
  const plain = values.includes("base") ? ["base", ...values.filter((v) => v !== "base")] : ["", ...values];
  // repeated colours would say that two values are one: of too many values all have the same
  const many = plain.length > MOST_COLOURS;
  const classOf = (value) => {
    const place = plain.indexOf(value);
    return `k${many ? Math.min(place, 1) : place}`;
  };
  for (const point of shown) {
    const axes = known.variants[point.dataset.v];
    for (const part of [point, point.previousElementSibling]) {
      part.className = part.className.replace(/ ?\bk\d\b/, "").trim() + ` ${classOf(axes[axis])}`;
    }
  }
  const entries = many
    ? [...plain.slice(0, 1).filter(Boolean).map((value) => [value, value]),
      [plain[1], `${plain.length - 1} values of ${AXES[axis]}: point at one for its name`]]
    : values.map((value) => [value, value]);
  figure.querySelector("[data-key]").replaceChildren(...entries.map(([value, text]) => {
    const item = document.createElement("li");
    item.className = classOf(value);
    item.append(document.createElement("i"), text);
    return item;
  }));
};

// names of the chosen and the pinned point, each where it covers no other point and no other name
const ROOM = [0, 26, -26, 44, -44, 62, -62, 80, 98]; // pixels below the point
const overlap = (a, b) => Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left))
  * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
// texts of the level lines: at the right end above their line, unless a point or another line is there
const SHIFTS = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]; // percent of the plot's width, to the left
const placeLevels = (plot) => {
  const box = plot.getBoundingClientRect();
  const rectOf = (element) => element.getBoundingClientRect();
  const taken = [...plot.querySelectorAll(".pt:not([hidden]) b, .ci:not([hidden])")].map(rectOf);
  const texts = [...plot.querySelectorAll(".level-line span")];
  const lines = [...plot.querySelectorAll(".level-line")];
  const measured = texts.map((text) => [text, rectOf(text), rectOf(text.parentElement)]);
  const strips = lines.map((line) => [line, rectOf(line)]);
  for (const [text, { width, height }, line] of measured) {
    const others = [...taken, ...strips.filter(([at]) => at !== text.parentElement).map(([, at]) => at)];
    const usual = text.parentElement.classList.contains("under");
    let best = null;
    for (const shift of SHIFTS) {
      const right = box.right - 3 - (shift / 100) * box.width;
      if (shift && right - width < box.left) break;
      for (const under of [usual, !usual]) {
        const top = under ? line.bottom + 1 : line.top - 1 - height;
        const at = { left: right - width, right, top, bottom: top + height };
        const outside = top < box.top - 4 || at.bottom > box.bottom ? 1e6 : 0;
        // a hidden point is worse than a hidden piece of a whisker or of another line
        const covered = others.reduce((sum, other) => sum + overlap(at, other) ** 1.5, outside);
        if (best === null || covered < best.covered) best = { covered, shift, under, at };
      }
      if (best.covered === 0) break;
    }
    text.style.right = `calc(${best.shift}% + 3px)`;
    text.style.bottom = best.under ? "auto" : ".05rem";
    text.style.top = best.under ? ".1rem" : "auto";
    taken.push(best.at);
  }
};
const placeNames = (figure) => {
  for (const old of figure.querySelectorAll(".name")) old.remove();
  const plot = figure.querySelector(".plot");
  const named = [plot.querySelector(".pt.pinned:not([hidden])"), plot.querySelector(".pt.chosen:not([hidden])")];
  placeLevels(plot);
  const box = plot.getBoundingClientRect();
  const taken = [...plot.querySelectorAll(".pt:not([hidden]) b, .level-line span")].map((dot) => dot.getBoundingClientRect());
  const models = new Set([...plot.querySelectorAll(".pt")].map((p) => known.variants[p.dataset.v][0]));
  for (const point of new Set(named.filter(Boolean))) {
    const [left, bottom] = [parseFloat(point.style.left), parseFloat(point.style.bottom)];
    const name = document.createElement("i");
    name.className = "name";
    // the model is left out where every point has the same
    name.textContent = known.variants[point.dataset.v].slice(models.size > 1 ? 0 : 1).join(" · ");
    name.style.left = `${left}%`;
    plot.append(name);
    const place = ({ toLeft, down }) => {
      name.classList.toggle("left", toLeft);
      name.style.bottom = `calc(${bottom}% - ${down}px)`;
    };
    let best = null;
    for (const toLeft of [left > 55, left <= 55]) {
      for (const down of ROOM) {
        place({ toLeft, down });
        const at = name.getBoundingClientRect();
        const outside = at.top < box.top - 4 || at.bottom > box.bottom || at.left < box.left
          || at.right > box.right + 4 ? 1e6 : 0;
        const covered = taken.reduce((sum, other) => sum + overlap(at, other), outside);
        if (best === null || covered < best.covered) best = { covered, down, toLeft, at };
        if (covered === 0) break;
      }
      if (best.covered === 0) break;
    }
    place(best);
    taken.push(best.at);
  }
};

const limitOf = (box) => {
  const [low, high] = [Number(box.dataset.low) * 0.98, Number(box.dataset.high)];
  return {
    toMib: (t) => (t >= 100 ? null : low * (high / low) ** (t / 100)),
    toRange: (mib) => (mib === null ? 100
      : Math.max(0, Math.min(99, Math.round(100 * Math.log(mib / low) / Math.log(high / low))))),
  };
};
const gib = (mib) => `${Number((mib / 1024).toPrecision(3))} GiB`;
const within = (figure) => {
  if (state.limit === null) return "";
  const set = Number(figure.dataset.set);
  const all = [...(points.get(set) ?? [])].filter(([v]) => isChosen(v));
  const fitting = all.filter(([v]) => fits(v, set));
  const sign = signOf(set);
  fitting.sort((a, b) => sign * (b[1].quality - a[1].quality));
  const text = `Within ${gib(state.limit)}: ${fitting.length} of ${all.length} variants.`;
  if (!fitting.length) return text;
  const best = fitting[0];
  const point = figure.querySelector(`.pt[data-v="${best[0]}"]`);
  const tied = point.classList.contains("tied") ? "not shown to differ from the best of all"
    : "the best of all is better";
  return `${text} Best of them (${tied}): ${best[1].text}.`;
};

for (const figure of document.querySelectorAll(".picture")) {
  const costs = figure.querySelector("[data-cost]");
  costs.addEventListener("change", () => {
    drawAgainst(figure, costs.value);
    figure.querySelector(".cost-title").textContent = costs.selectedOptions[0].dataset.title;
  });
  const colours = figure.querySelector("[data-colour]");
  for (const option of [...colours.options]) {
    const axis = Number(option.value);
    if (new Set(known.variants.map((axes) => axes[axis])).size < 2) option.remove();
  }
  if (!colours.options.length) colours.parentElement.remove();
  colours.addEventListener("change", () => colourBy(figure, Number(colours.value)));
  colourBy(figure, Number(colours.value || 2));

  const box = figure.querySelector(".limit");
  if (box) {
    const scale = limitOf(box);
    const [range, number] = box.querySelectorAll("input");
    range.addEventListener("input", () => change({ limit: scale.toMib(Number(range.value)) }));
    number.addEventListener("input", () => change({
      limit: Number(number.value) > 0 ? Number(number.value) * 1024 : null }));
    onChange(() => {
      range.value = scale.toRange(state.limit);
      range.setAttribute("aria-valuetext", state.limit === null ? "any" : gib(state.limit));
      if (document.activeElement !== number) {
        number.value = state.limit === null ? "" : Number((state.limit / 1024).toPrecision(3));
      }
      box.querySelector("output").textContent = within(figure);
    });
  }
  onChange(() => { if (!figure.hidden) placeNames(figure); });
  window.addEventListener("resize", () => { if (!figure.hidden) placeNames(figure); });

  // one point is in the order of Tab; arrow keys go to the others, from left to right
  const plot = figure.querySelector(".plot");
  const inTurn = () => [...plot.querySelectorAll(".pt:not([hidden]):not([data-off])")]
    .sort((a, b) => parseFloat(a.style.left) - parseFloat(b.style.left));
  const focusable = (point) => {
    for (const other of plot.querySelectorAll(".pt")) other.tabIndex = other === point ? 0 : -1;
  };
  focusable(plot.querySelector(".pt.chosen") ?? plot.querySelector(".pt"));
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    const order = inTurn();
    const place = order.indexOf(document.activeElement);
    if (!step || place < 0) return;
    event.preventDefault();
    const next = order[(place + step + order.length) % order.length];
    focusable(next);
    next.focus();
  });
}
