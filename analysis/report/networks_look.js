// Networks: how they look. Every colour comes with a symbol, so that a grey print loses nothing.

const INK = "#222222",
  FAINT = "#666666",
  GRID = "#e6e6e6";
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];
const SYMBOLS = ["circle", "diamond", "square", "triangle-up", "cross", "triangle-down", "x"];
const SCALE = [
  [0, "#cfe1f2"],
  [0.35, "#6aaed6"],
  [0.7, "#1d6cb1"],
  [1, "#08224f"],
];
const FONT = 'system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, "Liberation Sans", sans-serif';

/** Text as Plotly shows it literally: its strings are a small HTML. */
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** A name that fits beside a point: a long one keeps its beginning and its end. */
function shortened(text, most = 40) {
  const end = Math.floor(most / 3);
  return text.length <= most ? text : `${text.slice(0, most - end - 1).trimEnd()}…${text.slice(-end).trimStart()}`;
}

/** Plain text in lines of at most `width`. */
function wrapped(text, width = 64) {
  const lines = [""];
  for (const word of shortened(text, 600).split(" ")) {
    for (let rest = word; rest !== null;) {
      const part = rest.slice(0, width);
      rest = rest.length > width ? rest.slice(width) : null;
      if (lines.at(-1) && lines.at(-1).length + 1 + part.length > width) lines.push(part);
      else lines[lines.length - 1] += (lines.at(-1) ? " " : "") + part;
    }
  }
  return lines.map(plain).join("<br>");
}

/** What networks are told apart by: groups of places, each with a colour and a symbol; of many numbers a scale. */
function groupsOf(data, factor, at) {
  if (!factor) return { groups: [{ name: "", colour: COLOURS[0], symbol: SYMBOLS[0], at }], scale: null };
  const numbers = factor.numeric && factor.levels.length > SYMBOLS.length;
  const none = at.filter((i) => factor.at[i] < 0);
  const rest = none.length ? [{ name: "without", colour: "#999999", symbol: "circle-open", at: none }] : [];
  if (numbers) return { groups: rest, scale: { factor, at: at.filter((i) => factor.at[i] >= 0) } };
  const groups = new Map();
  for (const i of at) {
    const level = factor.at[i];
    if (level < 0) continue;
    const own = factor.levels.length > SYMBOLS.length ? Math.min(level, SYMBOLS.length - 1) : level;
    if (!groups.has(own)) groups.set(own, []);
    groups.get(own).push(i);
  }
  const last = factor.levels.length > SYMBOLS.length ? SYMBOLS.length - 1 : -1;
  const found = [...groups]
    .sort(([a], [b]) => a - b)
    .map(([own, members]) => ({
      name: own === last ? `${factor.levels.length - last} other levels` : factor.levels[own],
      colour: COLOURS[own],
      symbol: SYMBOLS[own],
      at: members,
    }));
  return { groups: [...found, ...rest], scale: null };
}

/** The traces of a scatter of `at`: one a group, and one for a scale. `more(i)` gives a point's size. */
function scatter(data, found, at, xs, ys, { size, axes = {}, legend = true, hover = true }) {
  const { groups, scale } = groupsOf(data, found.colour, at);
  const trace = (members, marker, name, show) => ({
    type: "scatter",
    mode: "markers",
    x: members.map((i) => xs[i]),
    y: members.map((i) => ys[i]),
    name: plain(shortened(name)),
    legendgroup: name,
    showlegend: legend && show && name !== "",
    marker: { size: members.map(size), line: { color: "white", width: 0.5 }, ...marker },
    customdata: hover ? members.map((i) => hoverText(data, found, i)) : undefined,
    hovertemplate: "%{customdata}<extra></extra>",
    hoverinfo: hover ? undefined : "skip",
    meta: { at: members },
    ...selected(found, members),
    ...axes,
  });
  const traces = groups.map((group) =>
    trace(group.at, { color: group.colour, symbol: group.symbol }, group.name, true),
  );
  if (!scale) return traces;
  const { factor } = scale;
  const value = (i) => (factor.log ? Math.log10(Number(levelOf(factor, i))) : Number(levelOf(factor, i)));
  const ends = [
    scale.at.map(value).reduce((a, b) => Math.min(a, b), Infinity),
    scale.at.map(value).reduce((a, b) => Math.max(a, b), -Infinity),
  ];
  const tickvals = factor.log ? [0, 1, 2, 3].map((third) => ends[0] + (third * (ends[1] - ends[0])) / 3) : [];
  const ticks = factor.log
    ? { tickvals, ticktext: tickvals.map((each) => String(Number((10 ** each).toPrecision(2)))) }
    : {};
  return [
    ...traces,
    trace(
      scale.at,
      {
        color: scale.at.map(value),
        colorscale: SCALE,
        showscale: legend,
        symbol: "circle",
        line: { color: FAINT, width: 0.5 },
        colorbar: {
          title: { text: plain(shortened(lastPart(factor.name), 18)), side: "right" },
          thickness: 12,
          ...ticks,
        },
      },
      factor.name,
      false,
    ),
  ];
}

/** Who a brush has chosen stays strong. */
function selected(found, members) {
  if (!found.brush) return {};
  const places = members.map((at, place) => (found.brush.has(at) ? place : -1)).filter((place) => place >= 0);
  return { selectedpoints: places };
}

/** All that is known of a network, for who points at it. */
function hoverText(data, found, at) {
  const lines = [`<b>${plain(shortened(data.names[at], 60))}</b>`];
  const words = inWords(data, at);
  if (words !== data.names[at]) lines.push(wrapped(words));
  for (const quantity of data.quantities) {
    const value = found.values.get(quantity.name)[at];
    const tested = found.step === null || quantity.kind !== "score";
    const what = tested ? quantity.label : `Validation ${quantity.label}`;
    lines.push(`${plain(what)}: ${amount(quantity, value)} ${tested ? around(quantity, at) : ""}`.trimEnd());
  }
  lines.push(several(data.seeds[at], "seed"));
  if (data.lost[at]) lines.push(`lost: ${data.lost[at]}`);
  const sure = sureOf(data, found);
  const on = found.front.has(at) ? "on the front" : "not on the front";
  if (!sure) return [...lines, on].join("<br>");
  const chance = sure.chance[at] === undefined ? "" : ` (probability ${sure.chance[at].toFixed(2)})`;
  const standing = sure.sure.includes(at)
    ? ", surely"
    : !found.front.has(at) && sure.possible.includes(at)
      ? ", but not told apart from it"
      : "";
  return [...lines, on + standing + chance].join("<br>");
}

const axis = (more) => ({ showgrid: true, gridcolor: GRID, zeroline: false, automargin: true, ...more });

/** What all figures of networks share. */
const layoutOf = (more) => ({
  font: { family: FONT, size: 13, color: INK },
  paper_bgcolor: "white",
  plot_bgcolor: "white",
  hovermode: "closest",
  hoverlabel: { bgcolor: "white", bordercolor: INK, align: "left", font: { family: FONT, color: INK } },
  legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0, font: { size: 12 } },
  margin: { l: 64, r: 16, t: 12, b: 56 },
  selections: [],
  ...more,
});

/** Of more than `most` places some, evenly; all of those that must be there. */
function thinned(at, most, kept) {
  if (at.length <= most) return at;
  const must = at.filter((i) => kept.has(i)),
    rest = at.filter((i) => !kept.has(i));
  const room = Math.max(most - must.length, 0),
    every = rest.length / Math.max(room, 1);
  return [...must, ...Array.from({ length: room }, (_, place) => rest[Math.floor(place * every)])];
}
