"use strict";

// Tables that the page came with: a click, or Enter, on a header sorts by that column; another turns it round. Missing values stay last.
for (const button of document.querySelectorAll("thead th button")) {
  button.addEventListener("click", () => {
    const header = button.closest("th");
    const table = header.closest("table");
    const first = header.dataset.first || "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = header.getAttribute("aria-sort") === first ? other : first;
    for (const each of header.parentElement.children) each.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", order);

    const value = (row) => row.children[header.cellIndex].dataset.sort;
    const numeric = header.classList.contains("number");
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const rising = numeric ? Number(x) - Number(y) : x.localeCompare(y, undefined, { numeric: true });
      return order === "ascending" ? rising : -rising;
    });
    body.append(...rows);
  });
}

// Figures: a figure says in its `meta` how it is laid out when narrow and when wide, and which traces are labels, which
// a narrow figure has no room for. On a touch screen a drag scrolls the page instead of zooming.
const figures = [...document.querySelectorAll(".js-plotly-plot")];
const NARROW = 640;

function fit(figure, width) {
  const { narrow, wide, labels } = figure.layout.meta || {};
  const form = width < NARROW ? "narrow" : "wide";
  if (figure.dataset.form === form) return;
  figure.dataset.form = form;
  const layout = form === "narrow" ? narrow : wide;
  if (layout) {
    if (layout.height) figure.style.height = `${layout.height}px`;
    Plotly.relayout(figure, layout);
  }
  if (labels && labels.length) Plotly.restyle(figure, { visible: form === "wide" }, labels);
}

for (const figure of figures) {
  if (figure.clientWidth) fit(figure, figure.clientWidth);
  if (matchMedia("(pointer: coarse)").matches) Plotly.relayout(figure, { dragmode: false });
}
addEventListener("resize", () => figures.forEach((figure) => figure.clientWidth && fit(figure, figure.clientWidth)));
// A figure in a fold has no size before it is opened.
for (const fold of document.querySelectorAll("details")) {
  fold.addEventListener("toggle", () => {
    for (const figure of fold.querySelectorAll(".js-plotly-plot")) {
      if (!fold.open) continue;
      fit(figure, figure.clientWidth);
      Plotly.Plots.resize(figure);
    }
  });
}

// A network's test images: a link leads to its column. The address keeps the place, so that "back" returns.
const PREFIX = "#images-";

function chosen() {
  return location.hash.startsWith(PREFIX) ? decodeURIComponent(location.hash.slice(PREFIX.length)) : "";
}

function showImages() {
  for (const each of document.querySelectorAll(".strip .chosen")) each.classList.remove("chosen");
  const cell = chosen();
  const column = [...document.querySelectorAll(".strip [data-cell]")].filter((each) => each.dataset.cell === cell);
  if (!cell || !column.length) return false;
  for (const each of column) each.classList.add("chosen");
  column[0].focus({ preventScroll: true });
  column[0].scrollIntoView({ block: "start", inline: "center" });
  return true;
}

addEventListener("hashchange", showImages);
showImages();

// Paper is narrower than most windows, and a figure keeps its pixels: give it the width of the page while printing.
const PAGE = 680;
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details:not([open])")) {
    each.open = true;
    each.dataset.folded = "";
  }
  for (const figure of figures) {
    fit(figure, PAGE);
    Plotly.relayout(figure, { width: PAGE, autosize: false });
  }
});
addEventListener("afterprint", () => {
  for (const each of document.querySelectorAll("details[data-folded]")) {
    each.open = false;
    delete each.dataset.folded;
  }
  for (const figure of figures) {
    Plotly.relayout(figure, { width: null, autosize: true });
    if (figure.clientWidth) fit(figure, figure.clientWidth);
  }
});
