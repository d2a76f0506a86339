"use strict";
// Filters, groups and chosen columns of tables; each reads well without this script.
document.documentElement.classList.add("scripted");

// the sorting library replaces a table's bodies, so they are looked up anew each time
const dataRows = (table) => [...table.tBodies].filter((body) => body.className !== "group")
  .flatMap((body) => [...body.rows]);

const hideEmptyGroups = (table) => {
  for (const head of table.querySelectorAll("tbody.group")) {
    head.hidden = [...head.nextElementSibling.rows].every((row) => row.hidden || "off" in row.dataset);
  }
};

for (const box of document.querySelectorAll("input[data-filter]")) {
  const table = document.getElementById(box.dataset.filter);
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of dataRows(table)) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    hideEmptyGroups(table);
  });
}

for (const box of document.querySelectorAll("input[data-column]")) {
  const table = document.getElementById(box.dataset.table);
  const show = () => {
    for (const row of [...table.tHead.rows, ...dataRows(table)]) {
      row.cells[Number(box.dataset.column)].hidden = !box.checked;
    }
  };
  box.addEventListener("change", show);
  if (!box.checked) show();
}

const groupHead = (table, text) => {
  const body = document.createElement("tbody");
  body.className = "group";
  const head = body.insertRow().appendChild(document.createElement("th"));
  head.colSpan = table.tHead.rows[0].cells.length;
  head.scope = "rowgroup";
  head.textContent = text;
  return body;
};

for (const select of document.querySelectorAll("select[data-group]")) {
  const table = document.getElementById(select.dataset.group);
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  select.addEventListener("change", () => {
    const place = names.indexOf(select.value);
    const groups = new Map();
    for (const row of dataRows(table)) {
      const value = place < 0 ? "" : row.cells[place].textContent;
      if (!groups.has(value)) groups.set(value, []);
      groups.get(value).push(row);
    }
    for (const body of [...table.tBodies]) body.remove();
    for (const [value, rows] of groups) {
      if (place >= 0) table.append(groupHead(table, `${select.value}: ${value} (${rows.length})`));
      table.append(document.createElement("tbody"));
      table.tBodies[table.tBodies.length - 1].append(...rows);
    }
    hideEmptyGroups(table);
  });
}

for (const box of document.querySelectorAll(".choices")) {
  const figures = [...box.querySelectorAll("figure")];
  if (figures.length < 2) continue;
  const select = document.createElement("select");
  const show = () => {
    for (const figure of figures) figure.hidden = figure.dataset.choice !== select.value;
  };
  for (const figure of figures) select.add(new Option(figure.dataset.choice));
  select.value = figures[figures.length - 1].dataset.choice;
  select.addEventListener("change", show);
  const label = document.createElement("label");
  label.append("Heat map of ", select);
  label.className = "tools";
  box.prepend(label);
  show();
}
