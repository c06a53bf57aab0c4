// Networks: one small state, which menus, plot and table change, and from which all of them are drawn.

const VIEWS = { front: frontFigure, parallel: parallelFigure, matrix: matrixFigure };
const CONFIG = { displaylogo: false, responsive: true, displayModeBar: false, doubleClick: "reset" };
const MOST_NAMED = 60; // of a front, evenly along it
const NARROW_PLOT = 640;
const WITHOUT = Symbol("without a level");
const FEW = 12; // networks that all have a name, as far as there is room

const fresh = (data) => ({
  view: "front",
  x: startOf(data, 0, "cost"),
  y: startOf(data, 1, "score"),
  z: "",
  log: null,
  colour: data.factors[0]?.name ?? "",
  drag: "zoom",
  step: null,
  text: "",
  hidden: new Map(),
  brush: null,
  marked: -1,
  compared: [],
  sort: { column: 1, order: "descending" },
  rows: ROWS,
  wide: false,
});

/** The quantity that an axis opens with: the one that is asked for, or else the first of its kind, or any. */
function startOf(data, axis, kind) {
  const asked = data.quantities.find((each) => each.name === data.start?.[axis]);
  return (asked ?? data.quantities.find((each) => each.kind === kind) ?? data.quantities[axis % data.quantities.length])
    .name;
}

/** Make the part of a page that is `root` live. Returns `update(sets)`, which takes new data and keeps what is
 * chosen, and `reset()`. */
function showNetworks(root, given) {
  const at = (name) => root.querySelector(`[name=${name}]`);
  const [plot, layer, table, card, panel, status, below] = [
    ".drawing",
    ".labels",
    "table.cells",
    ".marked-card",
    ".compare",
    ".status",
    ".below",
  ].map((each) => root.querySelector(each));
  let sets = given,
    data = given[0],
    state = null,
    found = null,
    zoom = null; // of the plot's axes, and what they showed then

  function change(patch, what = "all") {
    Object.assign(state, patch);
    if (what === "all" && !("brush" in patch) && ["x", "y", "z", "view", "step"].some((name) => name in patch))
      state.brush = null;
    draw(what);
  }

  function draw(what) {
    found = Object.assign(derive(data, state), { colour: factorOf(data, state.colour), brush: state.brush });
    found.marked = [...new Set([state.marked, ...state.compared])].filter((one) => one >= 0);
    found.kept = new Set([...found.front, ...found.marked]);
    if (what !== "table" && what !== "brush") drawPlot();
    const { rows, made, gone } = keepingFocus(table, () => fillTable(table, data, state, found, change));
    at("columns").hidden = !gone.length && !state.wide;
    at("columns").textContent = state.wide
      ? "Show only the columns that fit"
      : `Show ${several(gone.length, "more column")}: ${shortened(gone.join(", "), 60)}`;
    at("more").hidden = made >= rows;
    at("more").textContent = `Show ${Math.min(ROWS, rows - made)} more of ${(rows - made).toLocaleString("en")}`;
    showMarked(card, data, state, change);
    showCompared(panel, data, state, found, change);
    say();
  }

  function drawPlot() {
    const figure = VIEWS[state.view](data, state, found, plot.clientWidth < NARROW_PLOT);
    found.omitted = figure.omitted;
    found.below = figure.below;
    if (state.view === "front")
      Object.assign(figure.layout, { xaxis2: { overlaying: "x", range: [0, 1], visible: false, fixedrange: true } });
    if (matchMedia("(pointer: coarse)").matches && state.drag === "zoom") figure.layout.dragmode = false;
    if (zoom?.of === axes()) {
      Object.assign(figure.layout.xaxis, { range: zoom.x, autorange: false });
      Object.assign(figure.layout.yaxis, { range: zoom.y, autorange: false });
    }
    layer.replaceChildren();
    Plotly.react(plot, figure.traces, figure.layout, CONFIG).then(label);
  }

  function axes() {
    return [state.view, state.x, state.y, state.z, state.log].join(" ");
  }

  /** Newer data, a filter and a mark leave a zoom as it is; other axes do not. */
  function keepZoom(changed) {
    if (state.view !== "front" || !Object.keys(changed).some((name) => /^[xy]axis\.range/.test(name))) return;
    const { xaxis, yaxis } = plot._fullLayout;
    zoom = { of: axes(), x: [...xaxis.range], y: [...yaxis.range] };
  }

  function label() {
    if (state.view !== "front") return layer.replaceChildren();
    const [xs, ys] = [found.values.get(found.x.name), found.values.get(found.y.name)];
    const few = found.drawn.length <= FEW ? found.drawn : [];
    const ahead = [...found.front].sort((a, b) => xs[a] - xs[b]);
    const step = Math.max(ahead.length / MOST_NAMED, 1);
    const named = Array.from(
      { length: Math.min(ahead.length, MOST_NAMED) },
      (_, place) => ahead[Math.floor(place * step)],
    );
    const wanted = new Set([...found.marked.filter((one) => found.drawn.includes(one)), ...named, ...few]);
    const places = [...wanted].map((one) => ({
      x: xs[one],
      y: ys[one],
      name: data.names[one],
      strong: found.marked.includes(one),
    }));
    placeLabels(
      plot,
      layer,
      places.filter(({ x, y }) => x !== null && y !== null),
    );
  }

  function say() {
    const objectives =
      found.objectives.length === 2
        ? `${found.y.label} against ${found.x.label}`
        : found.objectives.map((one) => one.label).join(", ");
    const tested = found.step === null ? "tested" : "so far on validation images";
    const parts = [
      `${found.front.size} of ${several(found.shown.length, "network")} ${found.front.size === 1 ? "is" : "are"} on the front of ${objectives} (${tested}).`,
    ];
    if (found.filtered)
      parts.push(
        `Filtered: ${several(count(data) - found.shown.length, "network")} of ${count(data).toLocaleString("en")} left out, of the front too.`,
      );
    if (state.brush)
      parts.push(
        `Brushed: the table has ${several([...state.brush].filter((one) => found.shown.includes(one)).length, "network")}.`,
      );
    const without = found.shown.length - found.drawn.length;
    if (without) parts.push(`${several(without, "network")} without a value on an axis.`);
    if (found.omitted)
      parts.push(`${found.omitted.toLocaleString("en")} of those off the front are not drawn; the table has all.`);
    status.textContent = parts.join(" ");
    below.textContent = [found.below, data.leftOut].filter(Boolean).join(" ");
    const { epochs, spent } = data.progress;
    const able = epochs.length > 0 && found.objectives.every((one) => grows(data, one));
    at("step").disabled = !able;
    at("step").max = epochs.length;
    at("step").value = state.step ?? epochs.length;
    const text = !epochs.length
      ? "no epochs are recorded"
      : !able
        ? "only scores that are measured on validation images are known by epoch"
        : found.step === null
          ? `all ${spent.at(-1).toLocaleString("en")} epochs spent: test scores`
          : `after ${several(epochs[found.step], "epoch")} a trial (${spent[found.step].toLocaleString("en")} of ${spent.at(-1).toLocaleString("en")} spent): best validation scores so far`;
    root.querySelector(".epochs output").textContent = text;
    at("step").setAttribute("aria-valuetext", text);
  }

  // Menus ---------------------------------------------------------------------------------------------------------------

  function options(menu, pairs, chosen) {
    menu.replaceChildren(
      ...pairs.map(([value, text]) =>
        element("option", { value, textContent: shortened(text, 60), selected: value === chosen }),
      ),
    );
  }

  function fillMenus() {
    const objectives = data.quantities.map((one) => [one.name, one.label]);
    options(
      at("task"),
      sets.map((one, index) => [String(index), one.task]),
      String(sets.indexOf(data)),
    );
    at("task").closest("label").hidden = sets.length < 2;
    options(at("x"), objectives, state.x);
    options(at("y"), objectives, state.y);
    options(at("z"), [["", "none"], ...objectives], state.z);
    options(at("colour"), [["", "nothing"], ...data.factors.map((one) => [one.name, one.name])], state.colour);
    at("view").value = state.view;
    root.querySelector(".filters").hidden = !data.factors.length;
    root.querySelector(".levels").replaceChildren(...data.factors.map(filterOf));
  }

  /** Of numbers that are too many to tick: from which to which. */
  function rangeOf(factor) {
    const ends = ["from", "to"].map((word, end) => {
      const field = element("input", {
        type: "number",
        step: "any",
        placeholder: factor.levels.at(end ? -1 : 0),
        "aria-label": `${factor.name} ${word}`,
      });
      field.addEventListener("input", () => {
        const [low, high] = ends.map((each, one) =>
          each.value === "" ? (one ? Infinity : -Infinity) : Number(each.value),
        );
        const outside = factor.levels
          .map((text, level) => [Number(text), level])
          .filter(([number]) => number < low || number > high);
        const bound = low > -Infinity || high < Infinity;
        state.hidden.set(factor.name, new Set([...outside.map(([, level]) => level), ...(bound ? [-1] : [])]));
        change({ rows: ROWS });
      });
      return field;
    });
    return element(
      "fieldset",
      {},
      element("legend", { textContent: lastPart(factor.name), title: factor.name }),
      ends[0],
      " to ",
      ends[1],
    );
  }

  function filterOf(factor) {
    if (factor.numeric && factor.levels.length > MOST_TICKS) return rangeOf(factor);
    const without =
      data.factors.length && factor.at.slice(0, count(data)).some((level) => level < 0) ? [[-1, "without"]] : [];
    const boxes = [...factor.levels.map((text, level) => [level, text]), ...without].map(([level, text]) => {
      const box = element("input", { type: "checkbox", checked: !state.hidden.get(factor.name)?.has(level) });
      box.addEventListener("change", () => {
        const hidden = state.hidden.get(factor.name) ?? new Set();
        hidden[box.checked ? "delete" : "add"](level);
        state.hidden.set(factor.name, hidden);
        change({ rows: ROWS });
      });
      return element("label", {}, box, " ", element("span", { textContent: text }));
    });
    const set = element("fieldset", {}, element("legend", { textContent: lastPart(factor.name), title: factor.name }));
    const all = (checked) => {
      state.hidden.set(factor.name, new Set(checked ? [] : [...factor.levels.map((_, level) => level), -1]));
      for (const box of set.querySelectorAll("input")) box.checked = checked;
      change({ rows: ROWS });
    };
    const button = (textContent, checked) => {
      const made = element("button", { type: "button", textContent });
      made.addEventListener("click", () => all(checked));
      return made;
    };
    set.append(button("all", true), button("none", false), element("div", { className: "boxes" }, ...boxes));
    return set;
  }

  for (const name of ["x", "y", "z", "colour", "view"])
    at(name).addEventListener("change", () =>
      change({ [name]: at(name).value, ...(name === "x" ? { log: null } : {}) }),
    );
  at("drag").addEventListener("change", () => change({ drag: at("drag").value }));
  at("scale").addEventListener("change", () =>
    change({ log: { fitting: null, linear: false, logarithmic: true }[at("scale").value] }),
  );
  at("task").addEventListener("change", () => {
    data = sets[Number(at("task").value)];
    state = fresh(data);
    fillMenus();
    draw("all");
  });
  at("step").addEventListener("input", () =>
    change({ step: Number(at("step").value) === data.progress.epochs.length ? null : Number(at("step").value) }),
  );
  at("text").addEventListener("input", () => change({ text: at("text").value.trim().toLowerCase(), rows: ROWS }));
  at("more").addEventListener("click", () => change({ rows: state.rows + ROWS }, "table"));
  at("columns").addEventListener("click", () => change({ wide: !state.wide }, "table"));
  at("clear").addEventListener("click", () => {
    Object.assign(state, { text: "", hidden: new Map(), brush: null, rows: ROWS });
    at("text").value = "";
    fillMenus();
    change({ brush: null });
  });

  // Plot ----------------------------------------------------------------------------------------------------------------

  const placeOf = (point) => point.data.meta?.at?.[point.pointIndex] ?? -1;

  /** The networks that are drawn within a box or a lasso, of all that are shown: of many some points are not drawn. */
  function within(event) {
    if (state.view !== "front") return new Set(event.points.map(placeOf).filter((one) => one >= 0));
    const [xs, ys] = [found.values.get(found.x.name), found.values.get(found.y.name)];
    const inside = event.range
      ? inBox(event.range)
      : inLasso(event.lassoPoints, plot._fullLayout.xaxis.type === "log" ? Math.log10 : (value) => value);
    return new Set(found.drawn.filter((one) => inside(xs[one], ys[one])));
  }

  Plotly.newPlot(plot, [], layoutOf({}), CONFIG);
  plot.on("plotly_afterplot", label);
  plot.on("plotly_relayout", label);
  plot.on("plotly_relayout", keepZoom);
  plot.on("plotly_doubleclick", () =>
    setTimeout(() => {
      zoom = null;
      drawPlot();
    }),
  );
  plot.on("plotly_click", ({ points: [point] }) => {
    const one = placeOf(point);
    if (one < 0) return;
    change({ marked: state.marked === one ? -1 : one }, "marks");
    scrollTo(table.querySelector("tr.marked"), table.parentElement);
  });
  plot.on(
    "plotly_hover",
    ({ points: [point] }) => state.view === "front" && placeOf(point) >= 0 && showInterval(plot, found, placeOf(point)),
  );
  plot.on("plotly_unhover", () => state.view === "front" && showInterval(plot, found, null));
  // A plot that is drawn again with points that are chosen says so too, without a box or a lasso.
  plot.on(
    "plotly_selected",
    (event) => (event?.range || event?.lassoPoints) && change({ brush: within(event), rows: ROWS }, "brush"),
  );
  plot.on("plotly_deselect", () => change({ brush: null, rows: ROWS }, "brush"));
  let narrow = null;
  new ResizeObserver(() => {
    const now = plot.clientWidth < NARROW_PLOT;
    if (plot.clientWidth && narrow !== null && now !== narrow) drawPlot();
    if (narrow !== null) draw("table");
    narrow = now;
  }).observe(plot);
  addEventListener("beforeprint", () => Plotly.relayout(plot, { width: 680, autosize: false }));
  addEventListener("afterprint", () => Plotly.relayout(plot, { width: null, autosize: true }));

  function update(next) {
    const marks = [state.marked, ...state.compared].map((one) => data.cells[one]);
    const task = data.task;
    const hidden = [...state.hidden].map(([name, levels]) => [
      name,
      [...levels].map((one) => factorOf(data, name).levels[one] ?? WITHOUT),
    ]);
    sets = next;
    data = next.find((one) => one.task === task) ?? next[0];
    const [marked, ...compared] = marks.map((cell) => data.cells.indexOf(cell));
    const known = (name, otherwise) => (quantityOf(data, name) ? name : otherwise);
    Object.assign(state, {
      marked,
      compared: compared.filter((one) => one >= 0),
      brush: null,
      step: null,
      hidden: new Map(
        hidden.filter(([name]) => factorOf(data, name)).map(([name, texts]) => [name, levelsOf(name, texts)]),
      ),
    });
    Object.assign(state, {
      x: known(state.x, startOf(data, 0, "cost")),
      y: known(state.y, startOf(data, 1, "score")),
      z: known(state.z, ""),
    });
    if (state.colour && !factorOf(data, state.colour)) state.colour = data.factors[0]?.name ?? "";
    fillMenus();
    draw("all");
  }

  /** The places of levels by their texts, those that there are. */
  function levelsOf(name, texts) {
    const { levels } = factorOf(data, name);
    return new Set([
      ...texts.map((text) => levels.indexOf(text)).filter((level) => level >= 0),
      ...(texts.includes(WITHOUT) ? [-1] : []),
    ]);
  }

  /** All as it was at first. */
  function reset() {
    data = sets[0];
    state = fresh(data);
    for (const name of ["text", "scale", "drag"]) at(name).value = { text: "", scale: "fitting", drag: "zoom" }[name];
    fillMenus();
    draw("all");
  }

  reset();
  return { update, reset };
}

/** Do what makes the rows anew, and keep the focus on the name or the box that had it. */
function keepingFocus(table, make) {
  const had = table.tBodies[0].contains(document.activeElement) ? document.activeElement : null;
  const [at, kind] = [had?.closest("tr").dataset.at, had?.tagName.toLowerCase()];
  const made = make();
  if (had) table.querySelector(`tr[data-at="${at}"] ${kind}`)?.focus({ preventScroll: true });
  return made;
}

/** Bring a row into view within its box: the page, with the plot in it, stays where it is. */
function scrollTo(row, box) {
  if (row) box.scrollTop += row.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 2;
}

const inBox =
  ({ x: [x0, x1], y: [y0, y1] }) =>
  (x, y) =>
    x >= Math.min(x0, x1) && x <= Math.max(x0, x1) && y >= Math.min(y0, y1) && y <= Math.max(y0, y1);

/** Whether a point is in a polygon: a ray from it crosses the sides an odd number of times. */
function inLasso({ x: xs, y: ys }, scale) {
  const across = xs.map(scale);
  return (x, y) => {
    const at = scale(x);
    let inside = false;
    for (let i = 0, j = across.length - 1; i < across.length; j = i++) {
      if (ys[i] > y !== ys[j] > y && at < ((across[j] - across[i]) * (y - ys[i])) / (ys[j] - ys[i]) + across[i])
        inside = !inside;
    }
    return inside;
  };
}

for (const root of document.querySelectorAll(".networks")) {
  root.shown = showNetworks(root, JSON.parse(root.querySelector("script").textContent));
}
