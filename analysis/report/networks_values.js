// Networks: what is known of them, as numbers and as text. Nothing here touches the page.

const NO_BREAK = "\u00a0";
const PREFIXES = ["", "k", "M", "G", "T", "P"];

/** A count with three significant digits and an SI prefix, as `format.si` has it: 7.77 M. */
function si(value) {
  let step = 0;
  while (Math.abs(value) >= 999.5 && step < PREFIXES.length - 1) [value, step] = [value / 1000, step + 1];
  if (!step) return value.toFixed(0);
  return value.toFixed(Math.abs(value) < 9.995 ? 2 : Math.abs(value) < 99.95 ? 1 : 0) + NO_BREAK + PREFIXES[step];
}

/** A value of a quantity as people read it: 7.77 M, 12.3 ms, 0.842, 2.8 %; a dash where it is not known. */
function amount(quantity, value) {
  if (value === null || value === undefined) return "–";
  if (quantity.kind === "share") return `${(100 * value).toFixed(1)}${NO_BREAK}%`;
  if (quantity.kind === "score") return value.toFixed(3) + (quantity.unit ? NO_BREAK + quantity.unit : "");
  if (!quantity.unit) return si(value);
  const decimals = Math.abs(value) < 9.995 ? 2 : Math.abs(value) < 99.95 ? 1 : 0;
  return (
    value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }) +
    NO_BREAK +
    quantity.unit
  );
}

/** What is known of how sure a network's value is: its interval, or the deviation over seeds; else nothing. */
function around(quantity, at) {
  if (quantity.low.length && quantity.low[at] !== null && quantity.high[at] !== null) {
    const digits =
      quantity.kind === "share" ? (v) => `${(100 * v).toFixed(0)}${NO_BREAK}%` : (v) => v.toFixed(3).replace("-", "−");
    return `[${digits(quantity.low[at])},${NO_BREAK}${digits(quantity.high[at])}]${quantity.corrected.includes(at) ? "§" : ""}`;
  }
  return quantity.spread.length && quantity.spread[at] !== null ? `±${NO_BREAK}${quantity.spread[at].toFixed(3)}` : "";
}

/** How far an error bar reaches down and up from a network's value, or null: where some have intervals, others have no bar,
 * for a deviation over seeds in its place would be read as one. */
function reach(quantity, at) {
  const value = quantity.values[at];
  if (value === null) return null;
  if (quantity.low.length && quantity.low[at] !== null && quantity.high[at] !== null) {
    return [Math.max(0, value - quantity.low[at]), Math.max(0, quantity.high[at] - value)];
  }
  const spread = quantity.spread.length && !quantity.low.length ? quantity.spread[at] : null;
  return spread === null ? null : [spread, spread];
}

const quantityOf = (data, name) => data.quantities.find((each) => each.name === name);
const factorOf = (data, name) => data.factors.find((each) => each.name === name);
const levelOf = (factor, at) => (factor.at[at] < 0 ? "" : factor.levels[factor.at[at]]);
const coded = (column, at) => column.texts[column.at[at]];
const count = (data) => data.cells.length - data.trivial;
const several = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
const lastPart = (name) => name.slice(name.lastIndexOf(".") + 1);

/** Whether a quantity has values at every number of epochs: scores of the validation images have. */
const grows = (data, quantity) => quantity.kind === "cost" || `val_${quantity.name}` in data.progress.scores;

/** The values of a quantity, of trained networks: as tested, or after so many epochs those of the validation images. */
function valuesAt(data, quantity, step) {
  const known = quantity.values.slice(0, count(data));
  if (step === null || quantity.kind === "cost") return known;
  return data.progress.scores[`val_${quantity.name}`].map((row) => (row[step] === null ? null : row[step] / 10000));
}

/** Which of `at` no other of them beats in all of `columns` (values, small is good): a set. Equal ones stand together. */
function frontOf(at, columns) {
  const points = at.filter((i) => columns.every((column) => column[i] !== null));
  const order = (a, b) => {
    for (const column of columns) if (column[a] !== column[b]) return column[a] - column[b];
    return 0;
  };
  points.sort(order);
  const front = [];
  for (const point of points) {
    // What beats a point comes before it, and if something does, one of the front does.
    const beaten = front.some(
      (other) => columns.every((column) => column[other] <= column[point]) && order(other, point) !== 0,
    );
    if (!beaten) front.push(point);
  }
  return new Set(front);
}

/** Of two objectives that is quick too: along a front of two, only the last can beat what comes next. */
function frontOfTwo(at, [x, y]) {
  const points = at.filter((i) => x[i] !== null && y[i] !== null).sort((a, b) => x[a] - x[b] || y[a] - y[b]);
  const front = [];
  for (const point of points) {
    const last = front.at(-1);
    if (last === undefined || y[point] < y[last] || (y[point] === y[last] && x[point] === x[last])) front.push(point);
  }
  return new Set(front);
}

/** All that the views need of a state, computed once: who is shown, where they are, and who is on the front. */
function derive(data, state) {
  const [x, y] = [quantityOf(data, state.x), quantityOf(data, state.y)];
  const z = state.z ? quantityOf(data, state.z) : null;
  const objectives = [x, y, ...(z && z !== x && z !== y ? [z] : [])];
  const step = state.step === null || !objectives.every((each) => grows(data, each)) ? null : state.step;
  const values = new Map(
    data.quantities.map((each) => [
      each.name,
      grows(data, each) ? valuesAt(data, each, step) : valuesAt(data, each, null),
    ]),
  );
  const shown = [];
  for (let at = 0; at < count(data); at++) if (passes(data, state, at)) shown.push(at);
  const columns = objectives.map((each) =>
    values.get(each.name).map((value) => (value === null || !each.maximise ? value : -value)),
  );
  const front = objectives.length === 2 ? frontOfTwo(shown, columns) : frontOf(shown, columns);
  const drawn = shown.filter((at) => values.get(x.name)[at] !== null && values.get(y.name)[at] !== null);
  return { x, y, z, objectives, step, values, shown, drawn, front, filtered: shown.length < count(data) };
}

/** Whether a network is left by the filters of levels and of text. */
function passes(data, state, at) {
  for (const [name, hidden] of state.hidden) if (hidden.has(factorOf(data, name).at[at])) return false;
  return !state.text || textOf(data, at).includes(state.text);
}

/** All that a search for text looks through, in small letters. */
function textOf(data, at) {
  data.texts ??= [];
  data.texts[at] ??= [
    data.names[at],
    data.labels[at],
    data.cells[at],
    coded(data.models, at),
    ...settingsOf(data, at).map(([path, text]) => `${path}=${text}`),
  ]
    .join(" ")
    .toLowerCase();
  return data.texts[at];
}

/** What tells a network from the others: path and text of its settings, or the levels of its factors. */
function settingsOf(data, at) {
  const varied = Object.entries(data.settings.varied).map(([path, column]) => [path, coded(column, at)]);
  return varied.length ? varied : data.factors.map((factor) => [factor.name, levelOf(factor, at)]);
}

/** A network's configuration in a line: its levels, or where it has none what it is. */
function inWords(data, at) {
  const levels = data.factors
    .filter((factor) => factor.at[at] >= 0)
    .map((factor) => `${lastPart(factor.name)}=${levelOf(factor, at)}`);
  return levels.join(", ") || (data.configurations ? coded(data.configurations, at) : data.labels[at]);
}

/** How sure the front of the chosen axes is, where that is known; it is of all networks and of test scores. */
function sureOf(data, found) {
  if (found.filtered || found.step !== null || found.objectives.length > 2) return null;
  return data.sure.find((each) => each.x === found.x.name && each.y === found.y.name) ?? null;
}
