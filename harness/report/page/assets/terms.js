"use strict";
// One tooltip for terms, points and lines: by pointer, by tap and by keyboard focus, at once and
// where the browser's own would come late, or on a touch screen never.
const tip = document.createElement("div");
tip.className = "tip";
tip.id = "tip";
tip.setAttribute("role", "tooltip");
tip.hidden = true;
document.querySelector("main").append(tip);

for (const element of document.querySelectorAll("th[title], .lines li[title]")) {
  element.dataset.tip = element.title;
  element.removeAttribute("title");
}
// on a phone a doubt is in a few words until it is tapped; the last question has all of them in full
for (const doubt of document.querySelectorAll(".beside .doubt-list li:has(.brief)")) {
  doubt.addEventListener("click", () => doubt.classList.toggle("opened"));
}
const tipOf = (target) => {
  const element = target.closest?.("[data-tip], .pt, figure.svg svg a, figure.svg svg :has(> title)");
  if (!element) return null;
  // drawn charts carry their tooltips as SVG titles, which would show a second time
  const title = element.querySelector?.("title");
  if (title) {
    element.dataset.tip = title.textContent;
    element.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  const text = element.dataset.tip ?? element.getAttribute("aria-label");
  return text ? { element, text } : null;
};
const hideTip = () => { tip.hidden = true; };
const showTip = (event) => {
  const found = tipOf(event.target);
  if (!found) return hideTip();
  tip.textContent = found.text;
  tip.hidden = false;
  const box = found.element.getBoundingClientRect();
  const own = tip.getBoundingClientRect();
  const wide = document.documentElement.clientWidth;
  const left = Math.max(8, Math.min(box.left + box.width / 2 - own.width / 2, wide - own.width - 8));
  const below = box.bottom + 6;
  const top = below + own.height > innerHeight ? box.top - own.height - 6 : below;
  tip.style.left = `${left + scrollX}px`;
  tip.style.top = `${Math.max(0, top) + scrollY}px`;
  return undefined;
};
addEventListener("pointerover", showTip);
addEventListener("focusin", showTip);
addEventListener("pointerdown", showTip);
addEventListener("focusout", hideTip);
addEventListener("scroll", hideTip, { passive: true });
addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });

// everything is set up: show what the address asks for, or the first data set
if (document.getElementById("pin")) {
  if (!readAddress()) change({ order: "suite" }, { keep: true });
  reveal();
}
