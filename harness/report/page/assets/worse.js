"use strict";
// What got worse for the pinned variant, beside what the page says of the card's variant.
const worseBox = document.getElementById("worse-pinned");
const worseOf = (set, v) => {
  const name = known.variants[v].join(" · ");
  const falls = known.fell[set][v];
  const head = document.createElement("p");
  const title = document.createElement("b");
  title.textContent = known.sets[set];
  head.append(title, falls.length ? `, pinned ${name}: got worse beyond noise:`
    : `, pinned ${name}: no metric and no control got worse beyond noise.`);
  const list = document.createElement("ul");
  list.append(...falls.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  return falls.length ? [head, list] : [head];
};
if (worseBox) {
  onChange((changes) => {
    if (!("pin" in changes || "set" in changes)) return;
    const sets = state.set === "all" ? known.sets.map((_, set) => set) : [state.set];
    const found = sets.filter((set) => state.pin !== null && known.fell[set]?.[state.pin]
      && document.querySelector(`[data-card="${set}"] [data-pin]`)?.dataset.pin !== String(state.pin));
    worseBox.replaceChildren(...found.flatMap((set) => worseOf(set, state.pin)));
    worseBox.hidden = !found.length;
  });
}
