// Networks: one that is marked, and two side by side: what they are, what they score on each case, what they predict.

const PREFIX_OF_IMAGES = "images-";

/** The pictures that the report has of a network, by image: clones of those in its strip of test images. */
function picturesOf(cell) {
  const found = new Map();
  for (const row of document.querySelectorAll(".strip tbody tr")) {
    const place = [...row.querySelectorAll("td[data-cell]")].find((each) => each.dataset.cell === cell);
    const figure = place?.querySelector("figure");
    if (figure) found.set(row.querySelector("th").textContent.trim(), figure);
  }
  return found;
}

const isPictured = (cell) => document.getElementById(PREFIX_OF_IMAGES + cell) !== null;

/** The network that is marked: its name, what it is, and where to go from it. */
function showMarked(card, data, state, change) {
  card.hidden = state.marked < 0;
  if (card.hidden) return card.replaceChildren();
  const at = state.marked,
    cell = data.cells[at];
  const chosen = state.compared.includes(at);
  const compares = element("button", {
    type: "button",
    name: "compare",
    textContent: chosen ? "Leave out of the comparison" : "Compare",
    "aria-pressed": String(chosen),
  });
  compares.addEventListener("click", () =>
    change(
      { compared: chosen ? state.compared.filter((one) => one !== at) : [...state.compared, at].slice(-2) },
      "marks",
    ),
  );
  const pictures = isPictured(cell)
    ? element("a", { href: `#${PREFIX_OF_IMAGES}${encodeURIComponent(cell)}`, textContent: "Its test images" })
    : element("span", {
        className: "note",
        textContent: document.querySelector(".strip")
          ? "The report has test images of the best networks only, and not of this one."
          : "",
      });
  const facts = element(
    "p",
    {},
    element("b", { textContent: data.names[at] }),
    ` ${inWords(data, at)} `,
    element("code", { textContent: cell }),
  );
  card.replaceChildren(facts, element("p", {}, compares, " ", pictures));
  return card;
}

/** Two networks side by side; of one, how to choose another. */
function showCompared(panel, data, state, found, change) {
  panel.hidden = !state.compared.length;
  if (panel.hidden) return panel.replaceChildren();
  if (state.compared.length < 2) {
    return panel.replaceChildren(
      element("p", {
        className: "note",
        textContent: `Compare ${data.names[state.compared[0]]} with: tick another row, or click another point and “Compare”.`,
      }),
    );
  }
  const [a, b] = state.compared;
  const close = element("button", { type: "button", textContent: "Close" });
  close.addEventListener("click", () => change({ compared: [] }, "marks"));
  const title = element(
    "h3",
    { tabIndex: -1 },
    element("span", { textContent: data.names[a] }),
    " and ",
    element("span", { textContent: data.names[b] }),
    " ",
  );
  return panel.replaceChildren(
    title,
    close,
    scoresCompared(data, found, a, b),
    settingsCompared(data, a, b),
    casesCompared(data, a, b),
    picturesCompared(data, a, b),
  );
}

function tableOf(kind, label, headers, rows) {
  const head = element(
    "tr",
    {},
    ...headers.map((text, at) =>
      element("th", { scope: "col", className: at && kind !== "settings" ? "number" : "", textContent: text }),
    ),
  );
  const made = element(
    "table",
    { className: `compared ${kind}` },
    element("thead", {}, head),
    element("tbody", {}, ...rows),
  );
  return element("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": label }, made);
}

const signed = (text, value) => (value > 0 ? `+${text}` : text.replace("-", "−"));

function scoresCompared(data, found, a, b) {
  const rows = data.quantities.map((one) => {
    const [x, y] = [one.values[a], one.values[b]];
    const both = x !== null && y !== null;
    const better = both && x !== y ? (x > y === one.maximise ? a : b) : -1;
    const cell = (at) =>
      element("td", {
        className: `number${better === at ? " better" : ""}`,
        textContent: `${amount(one, one.values[at])} ${around(one, at)}`.trim(),
      });
    const less = both
      ? one.kind === "cost"
        ? y
          ? `×${(x / y).toPrecision(3)}`
          : "–"
        : signed((one.kind === "share" ? 100 * (x - y) : x - y).toFixed(one.kind === "share" ? 1 : 3), x - y) +
          (one.kind === "share" ? `${NO_BREAK}%` : "")
      : "–";
    return element(
      "tr",
      {},
      element("th", { scope: "row", textContent: one.label }),
      cell(a),
      cell(b),
      element("td", { className: "number", textContent: less }),
    );
  });
  return tableOf(
    "scores",
    "Costs and scores of both",
    ["", data.names[a], data.names[b], "Difference, or ratio of costs"],
    rows,
  );
}

/** Both configurations: what differs first, marked; what they share, folded. */
function settingsCompared(data, a, b) {
  const own = settingsOf(data, a).map(([path, text], at) => [path, text, settingsOf(data, b)[at][1]]);
  const shared = [
    ...own.filter(([, x, y]) => x === y).map(([path, x]) => [path, x]),
    ...Object.entries(data.settings.shared),
  ];
  const differing = own.filter(([, x, y]) => x !== y);
  const rows = differing.map(([path, x, y]) =>
    element(
      "tr",
      { className: "differs" },
      element("th", { scope: "row", textContent: path }),
      element("td", { textContent: x || "–" }),
      element("td", { textContent: y || "–" }),
    ),
  );
  const alike = shared.map(([path, text]) =>
    element("tr", {}, element("th", { scope: "row", textContent: path }), element("td", { textContent: text || "–" })),
  );
  const parts = [
    differing.length
      ? tableOf("settings", "What differs", ["Differs", data.names[a], data.names[b]], rows)
      : element("p", { textContent: "Their configurations do not differ." }),
  ];
  if (alike.length)
    parts.push(
      element(
        "details",
        {},
        element("summary", { textContent: `${several(alike.length, "setting")} that both share` }),
        tableOf("settings", "What both share", ["Setting", "Both"], alike),
      ),
    );
  return element("div", {}, ...parts);
}

function casesCompared(data, a, b) {
  const { tested } = data;
  const [x, y] = [a, b].map((at) => tested.scores[tested.networks.indexOf(at)]);
  if (!x || !y) {
    return element("p", {
      className: "note",
      textContent: tested.units.length
        ? "Scores of single cases are in the file of the best networks only; `ablate export --table images` has all."
        : "",
    });
  }
  const places = tested.units.map((_, at) => at).filter((at) => x[at] !== null || y[at] !== null);
  const difference = (at) => (x[at] === null || y[at] === null ? 0 : x[at] - y[at]);
  places.sort((p, q) => Math.abs(difference(q)) - Math.abs(difference(p)));
  const text = (value) => (value === null || value === undefined ? "–" : (value / 1000).toFixed(3));
  const row = (at) =>
    element(
      "tr",
      {},
      element("th", { scope: "row", textContent: tested.units[at] }),
      ...[
        [x, y],
        [y, x],
      ].map(([own, other]) =>
        element("td", { className: `number${own[at] > other[at] ? " better" : ""}`, textContent: text(own[at]) }),
      ),
      element("td", { className: "number", textContent: signed((difference(at) / 1000).toFixed(3), difference(at)) }),
    );
  const better = places.filter((at) => difference(at) > 0).length,
    worse = places.filter((at) => difference(at) < 0).length;
  const said = `▸ is the better one. ${quantityOf(data, tested.metric)?.label ?? "Dice"} of each test ${tested.unit}, means over seeds: ${data.names[a]} is ahead on ${better}, ${data.names[b]} on ${worse} of ${places.length}. Differences by their size.`;
  return element(
    "div",
    {},
    element("p", { className: "note", textContent: said }),
    tableOf(
      "cases",
      "Scores of single cases",
      [tested.unit === "case" ? "Case" : "Image", data.names[a], data.names[b], "Difference"],
      places.map(row),
    ),
  );
}

function picturesCompared(data, a, b) {
  const [own, other] = [picturesOf(data.cells[a]), picturesOf(data.cells[b])];
  const missing = [a, b].filter((_, at) => ![own, other][at].size).map((at) => data.names[at]);
  if (missing.length) {
    return element("p", {
      className: "note",
      textContent: `No pictures of ${missing.join(" and ")} in this file, which has those of the best networks.`,
    });
  }
  const rows = [...own]
    .filter(([image]) => other.has(image))
    .map(([image, figure]) =>
      element(
        "tr",
        {},
        element("th", { scope: "row", textContent: image }),
        element("td", {}, figure.cloneNode(true)),
        element("td", {}, other.get(image).cloneNode(true)),
      ),
    );
  return tableOf("pictures", "Predictions of both", ["Image", data.names[a], data.names[b]], rows);
}
