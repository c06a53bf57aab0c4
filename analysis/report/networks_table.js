// Networks: the table. A page of rows is made at a time, so that ten thousand networks are as quick as ten.

const ROWS = 100;
const MOST_OF_A_LEVEL = 40,
  MOST_OF_A_KEY = 100;

/** The columns: what a network is called, every quantity, every factor, what it took; `rank`: who goes first for room. */
function columnsOf(data, found) {
  const trained = (at) => at < count(data);
  const numbers = (name, rank, values, text, first = "ascending") => ({
    name,
    rank,
    number: true,
    first,
    sort: (at) => (trained(at) ? values[at] : null),
    text,
  });
  const sure = data.sure.find((each) => each.x === found.x.name && each.y === found.y.name);
  return [
    { name: "Network", rank: 0, head: true, first: "ascending", sort: (at) => data.labels[at] },
    ...data.quantities.map((one) => ({
      name: one.label,
      rank: found.objectives.includes(one) ? 1 : one.kind === "score" ? 6 : 4,
      number: true,
      first: one.maximise ? "descending" : "ascending",
      sort: (at) => one.values[at],
      text: (at) => amount(one, one.values[at]),
      below: (at) => (one.kind === "share" ? (data.lost[at] ?? "") : around(one, at)),
    })),
    ...(sure && sure.seeds > 1 && Object.keys(sure.chance).length
      ? [
          numbers(
            "P(front)",
            3,
            data.cells.map((_, at) => sure.chance[at] ?? 0),
            (at) => (sure.chance[at] ?? 0).toFixed(2),
            "descending",
          ),
        ]
      : []),
    ...data.factors.map((factor) => ({
      name: lastPart(factor.name),
      rank: 5,
      title: factor.name,
      number: factor.numeric,
      first: "ascending",
      text: (at) => levelOf(factor, at) || "–",
      sort: (at) => (factor.at[at] < 0 ? null : factor.numeric ? Number(levelOf(factor, at)) : factor.at[at]),
    })),
    numbers("Seeds", 7, data.seeds, (at) => (trained(at) ? String(data.seeds[at]) : "–"), "descending"),
    numbers("Epochs", 8, data.epochs, (at) =>
      trained(at) && data.epochs[at] !== null ? data.epochs[at].toFixed(0) : "–",
    ),
    numbers("Train s", 9, data.seconds, (at) =>
      trained(at) && data.seconds[at] !== null ? Math.round(data.seconds[at]).toLocaleString("en") : "–",
    ),
    ...(factorOf(data, "network")
      ? []
      : [
          {
            name: "Model",
            rank: 5,
            first: "ascending",
            sort: (at) => coded(data.models, at),
            text: (at) => (trained(at) ? coded(data.models, at) : "trivial"),
          },
        ]),
  ];
}

/** The places of the rows that are left, in order; what has no value comes last. */
function rowsInOrder(data, state, found, columns) {
  const trivial = found.filtered || found.brush ? [] : data.cells.map((_, at) => at).slice(count(data));
  const rows = [...(found.brush ? found.shown.filter((at) => found.brush.has(at)) : found.shown), ...trivial];
  const { sort } = columns[Math.min(state.sort.column, columns.length - 1)];
  const turn = state.sort.order === "ascending" ? 1 : -1;
  const value = new Map(rows.map((at) => [at, sort(at)]));
  return rows.sort((a, b) => {
    const [x, y] = [value.get(a), value.get(b)];
    if (x === null || y === null) return (x === null) - (y === null) || a - b;
    const rising = typeof x === "number" ? x - y : x.localeCompare(y, undefined, { numeric: true });
    return turn * rising || a - b;
  });
}

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "scope" || key === "for") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

/** Fill the table: its head by the columns, its body by the first rows in order. */
function fillTable(table, data, state, found, change) {
  const columns = columnsOf(data, found);
  const rows = rowsInOrder(data, state, found, columns);
  const marked = rows.indexOf(state.marked);
  const many = Math.max(state.rows, marked < 0 ? 0 : Math.ceil((marked + 1) / ROWS) * ROWS);
  const head = element(
    "tr",
    {},
    element(
      "th",
      { scope: "col", className: "pick" },
      element("span", { className: "unseen", textContent: "Compare" }),
    ),
  );
  columns.forEach((column, at) => {
    const sorts = element("button", { type: "button", textContent: column.name, title: column.title ?? "" });
    sorts.addEventListener("click", () => {
      const other = column.first === "ascending" ? "descending" : "ascending";
      change(
        {
          sort: {
            column: at,
            order: state.sort.column === at && state.sort.order === column.first ? other : column.first,
          },
          rows: ROWS,
        },
        "table",
      );
      table.tHead.querySelectorAll("button")[at].focus({ preventScroll: true });
    });
    const cell = element("th", { scope: "col", className: column.number ? "number" : "" }, sorts);
    if (state.sort.column === at) cell.setAttribute("aria-sort", state.sort.order);
    head.append(cell);
  });
  table.tHead.replaceChildren(head);
  table.tBodies[0].replaceChildren(...rows.slice(0, many).map((at) => rowOf(data, state, found, columns, at, change)));
  const gone = state.wide ? [] : fitColumns(table, columns, state.sort.column);
  return { rows: rows.length, made: Math.min(many, rows.length), gone };
}

/** Hide the columns that matter least until the others have room, so that none is cut; returns their names. */
function fitColumns(table, columns, sorted) {
  table.style.width = "auto";
  const [pick, ...widths] = [...table.tHead.rows[0].cells].map((cell) => cell.getBoundingClientRect().width);
  table.style.width = "";
  let room = table.parentElement.clientWidth - pick;
  if (room <= 0) return [];
  const rank = (at) => (at === sorted ? 0.5 : columns[at].rank);
  const order = columns.map((_, at) => at).sort((a, b) => rank(a) - rank(b) || a - b);
  const gone = new Set();
  for (const at of order) {
    if (gone.size || widths[at] > room) gone.add(at);
    else room -= widths[at];
  }
  for (const row of gone.size ? table.rows : []) for (const at of gone) row.cells[at + 1].hidden = true;
  return [...gone].sort((a, b) => a - b).map((at) => columns[at].name);
}

function rowOf(data, state, found, columns, at, change) {
  const trained = at < count(data);
  const row = element("tr", {
    className: [trained ? "" : "trivial", found.front.has(at) ? "front" : "", state.marked === at ? "marked" : ""]
      .join(" ")
      .trim(),
  });
  row.dataset.at = at;
  const pick = element("td", { className: "pick" });
  if (trained) {
    const box = element("input", {
      type: "checkbox",
      checked: state.compared.includes(at),
      "aria-label": `Compare ${data.names[at]}`,
    });
    box.addEventListener("change", () =>
      change(
        { compared: box.checked ? [...state.compared, at].slice(-2) : state.compared.filter((one) => one !== at) },
        "marks",
      ),
    );
    pick.append(box);
  }
  row.append(pick);
  for (const column of columns) {
    if (column.head) row.append(headOf(data, state, at, change));
    else {
      const cell = element("td", {
        className: column.number ? "number" : "",
        textContent: shortened(column.text(at), MOST_OF_A_LEVEL),
        title: column.text(at).length > MOST_OF_A_LEVEL ? column.text(at) : "",
      });
      cell.dataset.sort = column.sort(at) ?? "";
      const below = column.below?.(at);
      if (below) cell.append(element("small", { textContent: below }));
      row.append(cell);
    }
  }
  if (trained)
    row.addEventListener("click", (event) => {
      if (!event.target.closest("a, button, input")) change({ marked: state.marked === at ? -1 : at }, "marks");
    });
  return row;
}

function headOf(data, state, at, change) {
  const head = element("th", { scope: "row" });
  head.dataset.sort = data.labels[at];
  if (at >= count(data)) {
    head.append(data.labels[at]);
    return head;
  }
  const name = element("button", {
    type: "button",
    className: "name",
    textContent: data.names[at],
    "aria-pressed": String(state.marked === at),
  });
  name.addEventListener("click", () => change({ marked: state.marked === at ? -1 : at }, "marks"));
  head.append(name);
  const words = /^n\d+$/.test(data.names[at]) ? inWords(data, at) : "";
  if (words)
    head.append(element("small", { className: "words", textContent: shortened(words, MOST_OF_A_KEY), title: words }));
  return head;
}
