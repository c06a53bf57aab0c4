// Networks: score against cost, or any two objectives and the size of a point for a third, with the front.

const MOST_DRAWN = 2000;

/** Figure of the chosen axes: traces, layout, and what must be said of it. */
function frontFigure(data, state, found, narrow) {
  const { x, y, z } = found;
  const xs = found.values.get(x.name),
    ys = found.values.get(y.name);
  const drawn = thinned(found.drawn, MOST_DRAWN, found.kept);
  const log =
    state.log ??
    spreads(
      found.drawn.map((at) => xs[at]),
      x,
    );
  const few = drawn.length <= 60;
  const size = z ? sizes(found, z) : (at) => (found.front.has(at) ? (few ? 11 : 9) : few ? 9 : 6);
  const members = [...found.front]
    .filter((at) => ys[at] !== null && xs[at] !== null)
    .sort((a, b) => xs[a] - xs[b] || ys[a] - ys[b]);
  const traces = [
    ...bandTraces(sureOf(data, found), x, xs, found.drawn),
    ...(found.objectives.length === 2 ? [boundary(found, members, xs, ys)] : []),
    ...scatter(data, found, drawn, xs, ys, { size }),
    ...errors(found, members, xs, ys),
    rings(members, xs, ys),
    marks(found, xs, ys),
    hovered(),
  ];
  const { rows, below } = trivialRows(data, found);
  const xRange = fitted(
    found.drawn.map((at) => xs[at]),
    log,
    [],
  );
  const yRange = fitted(
    found.drawn.map((at) => [ys[at], ...ends(y, at, found)]),
    false,
    rows.map((row) => row.y[0]),
  );
  const [xTitle, yTitle] = [x, y].map((each) =>
    each.kind === "score" ? `${found.step === null ? "Test" : "Validation"} ${each.title}` : each.title,
  );
  return {
    traces: [...traces, ...rows],
    below,
    layout: layoutOf({
      dragmode: state.drag,
      height: 520,
      xaxis: axis({
        title: { text: wrapped(xTitle, 70), standoff: 8 },
        type: log ? "log" : "linear",
        tickformat: ticks(x, xRange),
        nticks: log ? (narrow ? 3 : 6) : 0,
        range: xRange,
      }),
      yaxis: axis({
        title: { text: wrapped(yTitle, 40), standoff: 8 },
        tickformat: ticks(y, yRange),
        range: yRange,
      }),
    }),
    omitted: found.drawn.length - drawn.length,
  };
}

/** Whether values differ by so much that a linear axis would crowd the small ones. */
function spreads(values, quantity, times = 4) {
  const known = values.filter((value) => value !== null);
  const low = Math.min(...known),
    high = Math.max(...known);
  return quantity.kind === "cost" && known.length > 0 && low > 0 && high >= times * low;
}

/** The ends of a network's error bar, where it is drawn. */
function ends(quantity, at, found) {
  if (found.step !== null || !found.front.has(at)) return [];
  const bar = reach(quantity, at),
    value = quantity.values[at];
  return bar ? [value - bar[0], value + bar[1]] : [];
}

/** A range about the networks, with a margin; one point needs a margin as well. */
function fitted(values, log, more) {
  const known = [...values.flat(), ...more].filter((value) => value !== null && (!log || value > 0));
  if (!known.length) return [0, 1];
  let low = Infinity,
    high = -Infinity;
  for (const value of known) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (log) [low, high] = [Math.log10(low), Math.log10(high)];
  const margin = 0.06 * (high - low) || Math.abs(high) * 0.1 || 0.1;
  return [low - margin, high + margin];
}

/** Scores have three decimals, or as many as tell ticks apart. */
function ticks(quantity, [low, high]) {
  return quantity.kind === "cost" ? "~s" : `.${Math.max(3, Math.ceil(-Math.log10(high - low)) + 1)}~f`;
}

/** The size of a point says its third objective: the better, the larger. */
function sizes(found, z) {
  const values = found.values.get(z.name),
    known = found.drawn.map((at) => values[at]).filter((value) => value !== null);
  const log = z.kind === "cost" && Math.min(...known) > 0;
  const of = (value) => (log ? Math.log(value) : value);
  let low = Infinity,
    high = -Infinity;
  for (const value of known) [low, high] = [Math.min(low, of(value)), Math.max(high, of(value))];
  return (at) => {
    if (values[at] === null) return 4;
    const place = high > low ? (of(values[at]) - low) / (high - low) : 0.5;
    return 5 + 13 * (z.maximise ? place : 1 - place);
  };
}

function bandTraces(sure, x, xs, drawn) {
  if (!sure || !sure.band.length || !drawn.length) return [];
  const last = Math.max(...drawn.map((at) => xs[at]));
  const [costs, low, median, high] = sure.band;
  const stairs = (ys) => {
    const [across, up] = [[costs[0]], [ys[0]]];
    for (let i = 1; i < costs.length; i++) {
      if (ys[i] === up.at(-1)) continue;
      across.push(costs[i], costs[i]);
      up.push(up.at(-1), ys[i]);
    }
    return [
      [...across, last],
      [...up, up.at(-1)],
    ];
  };
  const [above, below, middle] = [stairs(high), stairs(low), stairs(median)];
  const quiet = { mode: "lines", hoverinfo: "skip", legendgroup: "band", type: "scatter" };
  return [
    {
      ...quiet,
      name: "95 % band of the front",
      x: [...above[0], ...below[0].reverse()],
      y: [...above[1], ...below[1].reverse()],
      line: { width: 0, color: "rgba(34,34,34,0.09)" },
      fill: "toself",
      fillcolor: "rgba(34,34,34,0.09)",
      meta: { band: true },
    },
    { ...quiet, showlegend: false, x: middle[0], y: middle[1], line: { width: 1, color: FAINT, dash: "dot" } },
  ];
}

/** What is attained at each cost: a staircase through the members of a front of two. */
function boundary(found, members, xs, ys) {
  const [across, up] = [members.map((at) => xs[at]), members.map((at) => ys[at])];
  if (members.length && found.x.kind === "cost" && found.y.kind !== "cost") {
    across.push(Math.max(...found.drawn.map((at) => xs[at])));
    up.push(up.at(-1));
  }
  const shape = found.x.maximise ? "vh" : "hv";
  return {
    type: "scatter",
    mode: "lines",
    name: "Pareto front",
    legendgroup: "front",
    x: across,
    y: up,
    line: { shape, color: FAINT, width: 1.5 },
    hoverinfo: "skip",
    meta: { boundary: true },
  };
}

function rings(members, xs, ys) {
  return {
    type: "scatter",
    mode: "markers",
    name: "on the front",
    legendgroup: "front",
    showlegend: false,
    hoverinfo: "skip",
    x: members.map((at) => xs[at]),
    y: members.map((at) => ys[at]),
    meta: { front: members },
    marker: { symbol: "circle-open", size: 17, color: INK, line: { width: 1.5 } },
    selected: { marker: { opacity: 1 } },
    unselected: { marker: { opacity: 1 } },
  };
}

/** Intervals of the front alone: of many networks they would hide it. */
function errors(found, members, xs, ys) {
  const bars = members.map((at) => (found.step === null ? reach(found.y, at) : null));
  if (!bars.some(Boolean)) return [];
  return [
    {
      type: "scatter",
      mode: "markers",
      showlegend: false,
      hoverinfo: "skip",
      x: members.map((at) => xs[at]),
      y: members.map((at) => ys[at]),
      marker: { size: 1, color: "rgba(0,0,0,0)" },
      meta: { errors: members },
      error_y: {
        type: "data",
        symmetric: false,
        array: bars.map((bar) => bar?.[1] ?? null),
        arrayminus: bars.map((bar) => bar?.[0] ?? null),
        thickness: 1.2,
        width: 4,
        color: FAINT,
      },
    },
  ];
}

/** The network that is marked in plot and table, and those that are compared. */
function marks(found, xs, ys) {
  const at = found.marked.filter((i) => xs[i] !== null && ys[i] !== null && found.drawn.includes(i));
  return {
    type: "scatter",
    mode: "markers",
    showlegend: false,
    hoverinfo: "skip",
    x: at.map((i) => xs[i]),
    y: at.map((i) => ys[i]),
    marker: { symbol: "square-open", size: 24, color: "#a84300", line: { width: 3 } },
    meta: { marked: at },
    selected: { marker: { opacity: 1 } },
    unselected: { marker: { opacity: 1 } },
  };
}

/** Empty until a point is pointed at: then its interval. */
const hovered = () => ({
  type: "scatter",
  mode: "markers",
  showlegend: false,
  hoverinfo: "skip",
  x: [],
  y: [],
  marker: { size: 1, color: "rgba(0,0,0,0)" },
  meta: { hovered: true },
  error_y: { type: "data", symmetric: false, array: [], arrayminus: [], thickness: 1.6, width: 6, color: INK },
});

function showInterval(plot, found, at) {
  const trace = plot.data.findIndex((each) => each.meta?.hovered);
  if (trace < 0 || (found.front.has(at) && at !== null)) return;
  const bar = at === null || found.step !== null ? null : reach(found.y, at);
  const [x, y] = bar ? [[found.values.get(found.x.name)[at]], [found.values.get(found.y.name)[at]]] : [[], []];
  if (!bar && !plot.data[trace].x.length) return;
  Plotly.restyle(
    plot,
    { x: [x], y: [y], "error_y.array": [bar ? [bar[1]] : []], "error_y.arrayminus": [bar ? [bar[0]] : []] },
    [trace],
  );
}

/** Predictors that look at no image: dashed lines, or, where those would flatten the networks, what to say instead. */
function trivialRows(data, found) {
  if (found.y.kind !== "score" || found.step !== null) return { rows: [], below: "" };
  const first = count(data),
    values = found.y.values;
  let low = Infinity,
    high = -Infinity;
  for (const at of found.drawn) [low, high] = [Math.min(low, values[at]), Math.max(high, values[at])];
  const room = 0.6 * Math.max(high - low, 0.02);
  const seen = new Map(),
    rows = [],
    below = [];
  for (let at = first; at < data.cells.length; at++) {
    const value = values[at];
    if (value === null) continue;
    const text = `${data.names[at]} ${amount(found.y, value)}`;
    if (found.drawn.length && (value < low - room || value > high + room)) below.push(text);
    else
      rows.push({
        type: "scatter",
        mode: "lines+text",
        x: [0, 0.5, 1],
        y: [value, value, value],
        xaxis: "x2",
        showlegend: false,
        hoverinfo: "skip",
        line: { color: FAINT, width: 1.2, dash: ["dash", "dot", "dashdot"][seen.size % 3] },
        meta: { trivial: at },
        text: seen.size % 2 ? [plain(text), "", ""] : ["", "", plain(text)],
        textposition: seen.size % 2 ? "top right" : "top left",
        textfont: { size: 12, color: FAINT },
      });
    seen.set(at, text);
  }
  return {
    rows,
    below: below.length ? `Outside the plot, predictors that look at no image: ${below.join(", ")}.` : "",
  };
}
