// Networks: parallel coordinates, and a matrix of scatter plots.

const MOST_LINES = 300,
  MOST_AXES = 9,
  MOST_TICKS = 12,
  MOST_IN_MATRIX = 500;

/** Every network as a line through its levels, its costs and its score. */
function parallelFigure(data, state, found) {
  const lines = thinned(found.drawn, MOST_LINES, found.kept);
  const axes = coordinates(data, found);
  const across = axes.map((_, at) => at);
  const { groups, scale } = groupsOf(data, found.colour, lines);
  const strong = new Set([...found.front, ...found.marked]);
  const all = scale ? [...groups, { name: "", colour: COLOURS[0], symbol: "circle", at: scale.at }] : groups;
  const shade = scale ? scaled(scale) : null;
  const trace = (members, name, colour, width, opacity, more) => ({
    type: "scatter",
    mode: "lines+markers",
    name: plain(shortened(name)),
    legendgroup: name,
    showlegend: name !== "",
    opacity,
    x: members.flatMap(() => [...across, null]),
    y: members.flatMap((at) => [...axes.map((one) => one.place(at)), null]),
    customdata: members.flatMap((at) => [...Array(axes.length).fill(hoverText(data, found, at)), ""]),
    hovertemplate: "%{customdata}<extra></extra>",
    line: { color: colour, width },
    marker: { size: width > 2 ? 7 : 4, color: colour, ...more },
    meta: { at: members.flatMap((at) => [...Array(axes.length).fill(at), null]), lines: members },
  });
  const traces = all
    .flatMap((group) => {
      const [behind, ahead] = [group.at.filter((at) => !strong.has(at)), group.at.filter((at) => strong.has(at))];
      const dim = trace(behind, group.name, group.colour, 1, 0.35, { symbol: group.symbol });
      if (shade && group.name === "")
        return [dim, ...ahead.map((at) => ({ ...trace([at], "", shade(at), 2.5, 1, {}), showlegend: false }))];
      return [
        dim,
        {
          ...trace(ahead, group.name, group.colour, 2.5, 1, { symbol: group.symbol }),
          showlegend: !behind.length && group.name !== "",
        },
      ];
    })
    .filter((one) => one.x.length);
  const marked = found.marked.filter((at) => lines.includes(at));
  if (marked.length) traces.push({ ...trace(marked, "", "#a84300", 4, 1, {}), meta: { marked } });
  return {
    traces,
    below: "",
    omitted: found.drawn.length - lines.length,
    layout: layoutOf({
      dragmode: false,
      height: 520,
      margin: { l: 40, r: 64, t: 56, b: 56 },
      xaxis: {
        tickvals: across,
        ticktext: axes.map((one) => `<b>${plain(shortened(one.name, 14))}</b>`),
        side: "top",
        range: [-0.1, axes.length - 0.9],
        gridcolor: FAINT,
        fixedrange: true,
        tickangle: axes.length > 5 ? -20 : 0,
        zeroline: false,
      },
      yaxis: { visible: false, range: [-0.05, 1.05], fixedrange: true },
      annotations: axes.flatMap((one, x) =>
        one.ticks.map(([y, text]) => ({
          x,
          y,
          text: plain(shortened(text, 14)),
          xanchor: "left",
          xshift: 5,
          showarrow: false,
          font: { size: 11 },
          bgcolor: "rgba(255,255,255,0.75)",
        })),
      ),
    }),
  };
}

/** The axes: as many factors as there is room for, then the objectives. */
function coordinates(data, found) {
  const factors = data.factors.slice(0, MOST_AXES - found.objectives.length);
  return [
    ...factors.map((factor) => levelAxis(factor, found.drawn)),
    ...found.objectives.map((quantity) => numberAxis(quantity, found)),
  ];
}

/** Levels in their order, evenly, or, of many numbers, where they lie; beneath them networks without one. */
function levelAxis(factor, drawn) {
  const name = lastPart(factor.name);
  if (factor.numeric && factor.levels.length > MOST_TICKS) {
    const value = (at) => (factor.at[at] < 0 ? null : Number(levelOf(factor, at)));
    return scaleAxis(name, drawn, value, (number) => String(Number(number.toPrecision(3))), factor.log);
  }
  const missing = drawn.some((at) => factor.at[at] < 0) ? 1 : 0;
  const last = Math.max(factor.levels.length + missing - 1, 1);
  const every = Math.ceil((factor.levels.length + missing) / MOST_TICKS);
  const ticks = [...(missing ? ["–"] : []), ...factor.levels]
    .map((level, at) => [at / last, level])
    .filter((_, at) => at % every === 0);
  return { name, ticks, place: (at) => (factor.at[at] + missing) / last };
}

function numberAxis(quantity, found) {
  const values = found.values.get(quantity.name);
  return scaleAxis(
    quantity.label,
    found.drawn,
    (at) => values[at],
    (number) => amount(quantity, number),
    null,
  );
}

/** Of numbers: by their logarithms if so asked, or if they span more than a decade. */
function scaleAxis(name, drawn, value, text, asked) {
  const known = drawn.map(value).filter((one) => one !== null);
  let low = Infinity,
    high = -Infinity;
  for (const one of known) [low, high] = [Math.min(low, one), Math.max(high, one)];
  const log = known.length > 0 && low > 0 && (asked ?? high >= 10 * low);
  const [from, to] = [log ? Math.log(low) : low, log ? Math.log(high) : high];
  const place = (one) => (one === null ? null : to > from ? ((log ? Math.log(one) : one) - from) / (to - from) : 0.5);
  const ticks = known.length
    ? [low, log ? Math.exp((from + to) / 2) : (low + high) / 2, high].map((one) => [place(one), text(one)])
    : [];
  return {
    name,
    place: (at) => place(value(at)),
    ticks: ticks.filter(([y], at) => at === 0 || y !== ticks[at - 1][0]),
  };
}

/** The colour of a network on a scale. */
function scaled({ factor, at }) {
  const value = (i) => (factor.log ? Math.log(Number(levelOf(factor, i))) : Number(levelOf(factor, i)));
  let low = Infinity,
    high = -Infinity;
  for (const i of at) [low, high] = [Math.min(low, value(i)), Math.max(high, value(i))];
  return (i) => SCALE[Math.round((high > low ? (value(i) - low) / (high - low) : 0.5) * (SCALE.length - 1))][1];
}

/** Each pair of quantities: the chosen objectives first, then others, as many as there is room for. */
function matrixFigure(data, state, found, narrow) {
  const kinds = ["cost", "share", "score"];
  const others = data.quantities
    .filter(
      (each) => !found.objectives.includes(each) && found.drawn.some((at) => found.values.get(each.name)[at] !== null),
    )
    .sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind));
  const shown = [...found.objectives, ...others].slice(0, narrow ? 3 : 5);
  const drawn = thinned(found.drawn, MOST_IN_MATRIX, found.kept);
  const size = (at) => (found.front.has(at) ? 7 : 4);
  const traces = [],
    layout = layoutOf({ dragmode: state.drag, height: narrow ? 420 : 720, margin: { l: 72, r: 12, t: 12, b: 72 } });
  const panels = shown.length - 1,
    gap = 0.03,
    side = (1 - gap * (panels - 1)) / panels;
  for (let row = 1; row < shown.length; row++) {
    for (let column = 0; column < row; column++) {
      const [x, y] = [shown[column], shown[row]];
      const number = (row - 1) * panels + column + 1,
        id = number === 1 ? "" : String(number);
      const axes = { xaxis: `x${id}`, yaxis: `y${id}` };
      const [xs, ys] = [found.values.get(x.name), found.values.get(y.name)];
      const at = drawn.filter((i) => xs[i] !== null && ys[i] !== null);
      traces.push(
        ...scatter(data, found, at, xs, ys, { size, axes, legend: traces.length === 0 || (row === 1 && column === 0) }),
      );
      const ringed = [...found.front, ...found.marked].filter((i) => xs[i] !== null && ys[i] !== null);
      traces.push({
        type: "scatter",
        mode: "markers",
        hoverinfo: "skip",
        showlegend: false,
        x: ringed.map((i) => xs[i]),
        y: ringed.map((i) => ys[i]),
        ...axes,
        marker: {
          symbol: ringed.map((i) => (found.marked.includes(i) ? "square-open" : "circle-open")),
          size: ringed.map((i) => (found.marked.includes(i) ? 16 : 11)),
          color: ringed.map((i) => (found.marked.includes(i) ? "#a84300" : INK)),
          line: { width: 1.2 },
        },
        meta: { ringed },
      });
      const bottom = row === shown.length - 1,
        first = column === 0;
      const log = (quantity, values) =>
        spreads(
          found.drawn.map((i) => values[i]),
          quantity,
          20,
        )
          ? "log"
          : "linear";
      const format = (quantity) => (quantity.kind === "cost" ? "~s" : ".2~f");
      layout[`xaxis${id}`] = axis({
        anchor: `y${id}`,
        domain: [column * (side + gap), column * (side + gap) + side],
        type: log(x, xs),
        nticks: 4,
        tickformat: format(x),
        showticklabels: bottom,
        title: bottom ? { text: plain(shortened(x.label, 18)) } : undefined,
        automargin: false,
      });
      layout[`yaxis${id}`] = axis({
        anchor: `x${id}`,
        domain: [1 - row * side - (row - 1) * gap, 1 - (row - 1) * (side + gap)],
        type: log(y, ys),
        nticks: 4,
        tickformat: format(y),
        showticklabels: first,
        title: first ? { text: plain(shortened(y.label, 18)) } : undefined,
        automargin: false,
      });
    }
  }
  return { traces, layout, below: "", omitted: found.drawn.length - drawn.length, panels };
}
