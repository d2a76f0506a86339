"use strict";
// Filters and column choices of the page; every table reads well without this script.
for (const box of document.querySelectorAll("input[data-filter]")) {
  const table = document.getElementById(box.dataset.filter);
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}
for (const box of document.querySelectorAll("input[data-column]")) {
  const table = document.getElementById(box.dataset.table);
  box.addEventListener("change", () => {
    for (const row of table.rows) row.cells[Number(box.dataset.column)].hidden = !box.checked;
  });
}
const search = document.getElementById("sample-search");
if (search) {
  const kinds = document.getElementById("sample-kind");
  const count = document.getElementById("sample-count");
  const items = [...document.querySelectorAll("article.sample")];
  const show = () => {
    const text = search.value.toLowerCase();
    let seen = 0;
    for (const item of items) {
      const fits = (!kinds.value || item.dataset.kind === kinds.value)
        && item.textContent.toLowerCase().includes(text);
      item.hidden = !fits;
      seen += fits;
    }
    count.textContent = `${seen} of ${items.length}`;
  };
  search.addEventListener("input", show);
  kinds.addEventListener("change", show);
  show();
}
