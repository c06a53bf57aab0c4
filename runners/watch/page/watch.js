"use strict";

// The page asks for the study's state every two seconds while it is seen, and for the results where there are newer
// ones. What it shows is changed in place, so that a zoom, a sorted column or a selection stays. Texts come in as text.

const TOKEN = new URLSearchParams(location.search).get("token") ?? "";
const EVERY = 2000, SELDOM = 5000, PATIENCE = 60000;
const MOST_ROWS = 500, MOST_FAILED = 100, MOST_NAMED = 12;
const NARROW = 640;
const STATES = ["complete", "stopped", "failed", "running", "interrupted", "planned"];
const WORDS = {
  complete: "complete", stopped: "stopped early", failed: "failed", running: "in training", interrupted: "interrupted", planned: "planned",
};
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];

const element = (id) => document.getElementById(id);
const tell = (node, text) => { if (node.textContent !== text) node.textContent = text; };

let state = null;     // as it came last
let results = null;
let seen = null;      // when it came
let wanted = "";      // the state of trials that are listed; empty for all
let timer = 0;

// Asking --------------------------------------------------------------------------------------------------------------

async function ask(what) {
  const answer = await fetch(`/${what}?token=${encodeURIComponent(TOKEN)}`, { cache: "no-cache", signal: AbortSignal.timeout(PATIENCE) });
  if (answer.status === 403 || answer.status === 404) throw new Refused();
  if (!answer.ok) throw new Failed(await answer.text());
  return answer.json();
}

class Refused extends Error {}
class Failed extends Error {}

async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  let wait = SELDOM;
  try {
    state = await ask("state");
    seen = new Date();
    connected("");
    show();
    if (["running", "starting", "ending"].includes(state.standing.kind)) wait = EVERY;
    fetchResults();
  } catch (error) {
    const since = seen ? ` What is shown is of ${clockOf(seen)}.` : "";
    if (error instanceof Refused) connected(`This address is no longer good: open the one that ablate watch prints now.${since}`);
    else if (error instanceof Failed) connected(`The study could not be read (${error.message}): it is looked at again.${since}`);
    else if (error instanceof TypeError || error.name === "TimeoutError") connected(`The server of this page does not answer: ablate watch has ended, or the way to it is closed. It is asked again.${since}`);
    else throw error;
  } finally {
    clearTimeout(timer);
    timer = setTimeout(look, wait);
  }
}

let fetching = false;
async function fetchResults() {
  const ended = state.counts?.complete ?? 0;
  tell(element("reading"), state.results && !results ? `What follows from ${counted(ended, "complete trial")} is being read.` : "");
  if (fetching || !state.results || state.results === results?.results) return;
  fetching = true;
  try {
    const found = await ask("results");
    if (found.results !== results?.results) {
      results = found;
      tell(element("reading"), "");
      await showResults();
    }
  } catch (error) {
    if (error instanceof Failed) fill(element("notes"), [{ key: "failed", text: `The results could not be made: ${error.message}` }]);
  } finally {
    fetching = false;
  }
}

function connected(trouble) {
  tell(element("connection"), trouble);
  element("connection").hidden = !trouble;
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });

// Words ---------------------------------------------------------------------------------------------------------------

function duration(seconds) {
  const whole = Math.round(seconds), two = (n) => String(n).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)} min`;
  return `${Math.floor(whole / 3600).toLocaleString("en")}:${two(Math.floor(whole % 3600 / 60))} h`;
}

function clockOf(date) {
  const time = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return time;
}

function endOf(driver) {
  const end = new Date(1000 * (driver.updated + driver.seconds_left));
  const time = end.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (end.toDateString() === new Date().toDateString()) return time;
  return `${end.toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short" })}, ${time}`;
}

const counted = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
const score = (value) => value === null || value === undefined ? "–" : value.toFixed(3);

// Rows in place -------------------------------------------------------------------------------------------------------

// Gives a list or a table's body one child for each of `rows`, which have a key each, and `text` or `cells`; those that
// stay are changed where they differ.
function fill(parent, asked) {
  const rows = [...new Map(asked.map((row) => [row.key, row])).values()];
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const row of rows) {
    let child = old.get(row.key);
    if (!child) {
      child = document.createElement(parent.tagName === "TBODY" ? "tr" : "li");
      child.dataset.key = row.key;
    }
    old.delete(row.key);
    if (row.cells) fillCells(child, row.cells);
    else tell(child, row.text);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of old.values()) child.remove();
}

function fillCells(row, cells) {
  cells.forEach((cell, at) => {
    let place = row.children[at];
    if (!place) {
      place = document.createElement(at ? "td" : "th");
      if (!at) place.scope = "row";
      row.append(place);
    }
    const { text = cell, number = false, track = null, swatch = "" } = typeof cell === "object" ? cell : {};
    place.classList.toggle("number", number);
    if (track) {
      const bar = place.firstElementChild ?? place.appendChild(document.createElement("progress"));
      bar.max = track[1];
      bar.value = track[0];
      bar.setAttribute("aria-label", `${track[0]} of ${track[1]} epochs`);
    } else if (swatch) {
      if (place.dataset.state !== swatch) {
        place.dataset.state = swatch;
        place.replaceChildren(swatchOf(swatch), document.createTextNode(text));
      }
    } else tell(place, text);
  });
}

function swatchOf(name) {
  const found = document.createElement("span");
  found.className = `swatch ${name}`;
  return found;
}

const number = (text) => ({ text, number: true });

// The state -----------------------------------------------------------------------------------------------------------

function show() {
  const { title, question, study, standing, counts, drivers = [] } = state;
  const total = counts ? STATES.reduce((sum, name) => sum + (counts[name] ?? 0), 0) : 0;
  const ended = counts ? (counts.complete ?? 0) + (counts.stopped ?? 0) + (counts.failed ?? 0) : 0;
  document.title = total ? `${ended}/${total} ${title}` : title;
  tell(element("title"), title);
  tell(element("question"), question);
  tell(element("study"), study);
  tell(element("standing"), standing.said);
  element("standing").className = `standing ${standing.kind}`;
  for (const words of document.querySelectorAll(".so-far")) words.hidden = standing.kind === "finished";
  element("progress").hidden = !total;
  for (const id of ["under-way", "trials", "failures", "front", "curves"]) if (!total) element(id).hidden = true;
  if (!counts) {
    fill(element("incidents"), []);
    element("facts").replaceChildren();
    return;
  }
  showBar(counts, total);
  showFacts(drivers.filter((driver) => !driver.dead), total, ended);
  const incidents = drivers.flatMap((driver) => driver.incidents.map((text, at) => ({ key: `${driver.host} ${driver.process} ${at} ${text}`, text })));
  fill(element("incidents"), incidents);
  showUnderWay(drivers);
  showTrials();
}

function showBar(counts, total) {
  const bar = element("bar");
  const there = STATES.filter((name) => counts[name]);
  bar.setAttribute("aria-label", there.map((name) => `${counts[name]} ${WORDS[name]}`).join(", "));
  for (const name of STATES) {
    let part = bar.querySelector(`.${name}`);
    if (!part) {
      part = document.createElement("span");
      part.className = name;
      bar.append(part);
    }
    part.style.width = `${100 * (counts[name] ?? 0) / total}%`;
  }
  const legend = element("legend");
  const words = there.map((name) => `${counts[name].toLocaleString("en")} ${WORDS[name]}`);
  if (legend.dataset.said === words.join()) return;
  legend.dataset.said = words.join();
  legend.replaceChildren(...there.map((name, at) => {
    const item = document.createElement("li");
    item.append(swatchOf(name), words[at]);
    return item;
  }));
}

function showFacts(alive, total, ended) {
  const facts = new Map([["Trials", `${ended.toLocaleString("en")} of ${total.toLocaleString("en")} have ended`]]);
  for (const driver of alive) {
    const whose = alive.length > 1 ? ` (process ${driver.process} on ${driver.host})` : "";
    if (driver.total > total) facts.set(`Asked for${whose}`, `up to ${counted(driver.total, "trial")}`);
    if (driver.seconds_left !== null) facts.set(`Expected end${whose}`, `${endOf(driver)}, in about ${duration(driver.seconds_left)}`);
    const rate = driver.epochs_a_minute === null ? "" : `, ${driver.epochs_a_minute.toPrecision(3)} epochs a minute`;
    facts.set(`Running${whose}`, `for ${duration(driver.elapsed)}${rate}`);
    if (driver.nodes.length) facts.set(`Machines${whose}`, machines(driver.nodes));
  }
  const { epochs, seconds } = state.spent;
  if (epochs) facts.set("Spent in all", `${counted(epochs, "epoch")}, ${duration(seconds)} of training`);
  const list = element("facts");
  const said = JSON.stringify([...facts]);
  if (list.dataset.said === said) return;
  list.dataset.said = said;
  list.replaceChildren(...[...facts].flatMap(([name, value]) => {
    const [term, found] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    found.textContent = value;
    return [term, found];
  }));
}

function machines(nodes) {
  const what = ({ address, cpus, gpus }) => `${address}: ${counted(cpus, "CPU")}${gpus ? `, ${counted(gpus, "GPU")}` : ""}`;
  const alive = nodes.filter((node) => node.alive), lost = nodes.filter((node) => !node.alive).map((node) => node.address);
  const named = alive.slice(0, 8).map(what);
  if (alive.length > 8) named.push(`and ${alive.length - 8} more`);
  return [...named, ...(lost.length ? [`lost: ${lost.slice(0, 8).join(", ")}`] : [])].join("; ");
}

// Trials that drivers told of, each once: what one that was killed told is not so where another trains it now.
function underWay(drivers) {
  const found = new Map();
  for (const driver of [...drivers].sort((a, b) => b.dead - a.dead)) {
    for (const trial of driver.running) found.set(trial.key, { ...trial, dead: driver.dead });
  }
  return [...found.values()];
}

function showUnderWay(drivers) {
  const curves = new Map(state.curves.map((curve) => [curve.key, curve]));
  const rows = underWay(drivers);
  const told = new Set(rows.map((row) => row.key));
  const left = state.curves.filter((curve) => !told.has(curve.key));
  element("under-way").hidden = !rows.length && !left.length;
  const alive = rows.some((row) => !row.dead);
  tell(element("under-way-title"), alive || !rows.length && !left.length ? "In training" : "Interrupted in training");
  const seconds = (key) => curves.get(key)?.seconds ?? null;
  fill(element("running"), rows.slice(0, MOST_FAILED).map((row) => ({
    key: row.key,
    cells: [
      row.dead ? `${row.name} (interrupted)` : row.name,
      number(`${row.epoch}/${row.epochs}`),
      { track: [row.epoch, row.epochs] },
      number(score(row.val_dice)),
      number(seconds(row.key) === null ? "–" : `${seconds(row.key).toPrecision(3)} s`),
      row.node || "–",
    ],
  })).concat(left.slice(0, MOST_FAILED).map((curve) => ({
    key: curve.key,
    cells: [`${curve.name} (interrupted)`, number(String(curve.epoch.at(-1))), "", number(score(curve.val_dice.at(-1))), number(curve.seconds === null ? "–" : `${curve.seconds.toPrecision(3)} s`), "–"],
  }))));
  element("running-table").classList.toggle("here", new Set(rows.map((row) => row.node)).size < 2);
  tell(element("more-running"), rows.length > MOST_FAILED ? `And ${rows.length - MOST_FAILED} more.` : "");
  drawRunning(rows);
}

// Trials --------------------------------------------------------------------------------------------------------------

function rowsOfTrials() {
  const live = new Map(underWay(state.drivers ?? []).map((trial) => [trial.key, { ...trial, state: trial.dead ? "interrupted" : "running" }]));
  return (results?.trials ?? []).map((row) => {
    const now = row.state ? null : live.get(row.key);
    if (now) return { ...row, name: now.name, state: now.state, epochs: now.epoch, of: now.epochs, val_dice: now.val_dice };
    return { ...row, state: row.state ?? "planned" };
  });
}

function showTrials() {
  if (!results || !state.counts) return;
  const rows = rowsOfTrials();
  element("trials").hidden = !rows.length;
  const counts = {};
  for (const row of rows) counts[row.state] = (counts[row.state] ?? 0) + 1;
  if (wanted && !counts[wanted]) wanted = "";
  showFilter(counts, rows.length);
  const asked = element("find").value.trim().toLowerCase();
  const found = rows.filter((row) => (!wanted || row.state === wanted) && (!asked || `${row.name} ${row.key}`.toLowerCase().includes(asked)));
  fill(element("listed"), found.slice(0, MOST_ROWS).map((row) => ({
    key: row.key,
    cells: [
      row.name,
      { text: WORDS[row.state] ?? row.state, swatch: row.state },
      number(row.epochs === undefined ? "–" : row.of ? `${row.epochs}/${row.of}` : String(row.epochs)),
      number(score(row.val_dice)),
      number(row.train_seconds === undefined ? "–" : duration(row.train_seconds)),
      row.key,
    ],
  })));
  const rest = found.length - MOST_ROWS;
  tell(element("more-listed"), rest > 0 ? `The first ${MOST_ROWS} of ${found.length.toLocaleString("en")} are listed.` : found.length ? "" : "No trial is called so.");
  showFailures(rows.filter((row) => row.state === "failed"));
}

function showFilter(counts, total) {
  const chips = element("filter");
  const words = [["", `all ${total.toLocaleString("en")}`], ...STATES.filter((name) => counts[name]).map((name) => [name, `${counts[name].toLocaleString("en")} ${WORDS[name]}`])];
  const said = JSON.stringify([words, wanted]);
  if (chips.dataset.said === said) return;
  chips.dataset.said = said;
  const focused = chips.contains(document.activeElement) ? document.activeElement.dataset.state : null;
  chips.replaceChildren(...words.map(([name, text]) => {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.dataset.state = name;
    chip.setAttribute("aria-pressed", String(name === wanted));
    if (name) chip.append(swatchOf(name));
    chip.append(text);
    return chip;
  }));
  if (focused !== null) chips.querySelector(`[data-state="${focused}"]`)?.focus();
}

element("filter").addEventListener("click", (event) => {
  const chip = event.target.closest("button");
  if (!chip) return;
  wanted = chip.dataset.state;
  showTrials();
});
element("find").addEventListener("input", showTrials);

function showFailures(failed) {
  element("failures").hidden = !failed.length;
  fill(element("failed"), failed.slice(0, MOST_FAILED).map((row) => ({
    key: row.key, cells: [row.name, number(String(row.epochs ?? 0)), row.error ?? ""],
  })));
  tell(element("more-failed"), failed.length > MOST_FAILED ? `The first ${MOST_FAILED} of ${failed.length.toLocaleString("en")}; the list of trials has all.` : "");
}

// Figures -------------------------------------------------------------------------------------------------------------

const figures = new Map();  // by their boxes: the figure as it came, and its form

// A figure says in its `meta` how it is laid out when narrow and when wide. What a person did to it, zoom and legend,
// stays over new data by `uirevision`, for which a trace must be known by a name of its own.
// One is drawn after the other: what comes meanwhile waits, and of several the last is drawn.
const drawing = new Map();

async function draw(box, figure) {
  if (drawing.has(box)) {
    drawing.set(box, figure);
    return;
  }
  for (let next = figure; next; next = drawing.get(box)) {
    drawing.set(box, null);
    try {
      await drawNow(box, next);
    } catch (error) {
      drawing.delete(box);
      throw error;
    }
  }
  drawing.delete(box);
}

async function drawNow(box, figure) {
  const form = box.parentElement.clientWidth < NARROW ? "narrow" : "wide";
  const { data, layout } = structuredClone(figure);
  layout.uirevision = "kept";
  nameTraces(data);
  for (const [path, value] of Object.entries(layout.meta?.[form] ?? {})) put(layout, path, value);
  if (matchMedia("(pointer: coarse)").matches) layout.dragmode = false;
  figures.set(box, { figure, form });
  await Plotly.react(box, data, layout, results?.config ?? { displaylogo: false, displayModeBar: false, responsive: true });
}

// Plotly makes a class and a selector of a trace's name: so it has no sign that means something there.
function nameTraces(data) {
  const used = new Map();
  for (const trace of data) {
    const parts = [trace.legendgroup ?? trace.name ?? "", ...Object.keys(trace.meta ?? {}), trace.xaxis ?? "", trace.yaxis ?? ""];
    const name = parts.join("_").replace(/[^A-Za-z0-9]/g, (sign) => `-${sign.codePointAt(0)}-`);
    used.set(name, (used.get(name) ?? 0) + 1);
    trace.uid = `${name}_${used.get(name)}`;
  }
}

function put(target, path, value) {
  const names = path.split(/[.[\]]+/).filter(Boolean);
  const last = names.pop();
  for (const name of names) target = target[name] ??= {};
  target[last] = value;
}

addEventListener("resize", () => {
  for (const [box, { figure, form }] of figures) {
    const width = box.parentElement.clientWidth;
    if (width && (width < NARROW ? "narrow" : "wide") !== form) draw(box, figure);
  }
});

const places = new Map();  // of trials in training: each keeps its colour while it is there

function drawRunning(rows) {
  const box = element("running-curves");
  box.parentElement.hidden = !state.curves.length;
  if (!state.curves.length || !window.Plotly) return;
  const there = new Set(state.curves.map((curve) => curve.key));
  for (const key of places.keys()) if (!there.has(key)) places.delete(key);
  const last = Math.max(1, ...rows.map((row) => row.epochs), ...state.curves.map((curve) => curve.epoch.at(-1)));
  const data = state.curves.flatMap((curve) => {
    if (!places.has(curve.key)) places.set(curve.key, free());
    const at = places.get(curve.key);
    const line = { color: COLOURS[at % COLOURS.length], dash: DASHES[Math.floor(at / COLOURS.length) % DASHES.length], width: 2 };
    const mode = curve.epoch.length > 1 ? "lines" : "markers";
    const shared = { x: curve.epoch, mode, line, marker: { color: line.color, size: 7 }, name: escaped(curve.name), legendgroup: curve.key, hovertemplate: `${escaped(curve.name)}<br>epoch %{x}: %{y:.4f}<extra></extra>` };
    return [
      { ...shared, y: curve.train_loss, showlegend: false },
      { ...shared, y: curve.val_dice, xaxis: "x2", yaxis: "y2" },
    ];
  });
  const axis = { range: [0.5, last + 0.5], tickformat: "d", title: { text: "Epoch", standoff: 8 }, automargin: true, gridcolor: "#e6e6e6", zeroline: false, dtick: last <= 10 ? 1 : null };
  const value = (text) => ({ title: { text, standoff: 8 }, automargin: true, gridcolor: "#e6e6e6", zeroline: false });
  const font = { family: getComputedStyle(document.body).fontFamily, size: 13, color: "#222222" };
  const named = state.curves.length <= MOST_NAMED ? state.curves.length : 0;
  const wide = { height: 320 + 20 * Math.ceil(named / 5), "xaxis.domain": [0, 0.455], "xaxis2.domain": [0.545, 1], "yaxis.domain": [0, 1], "yaxis2.domain": [0, 1] };
  const narrow = { height: 500 + 20 * named, "xaxis.domain": [0, 1], "xaxis2.domain": [0, 1], "yaxis.domain": [0.58, 1], "yaxis2.domain": [0, 0.42] };
  draw(box, {
    data,
    layout: {
      font, margin: { l: 56, r: 12, t: 12, b: 48 }, hovermode: "closest", meta: { wide, narrow }, showlegend: named > 0,
      hoverlabel: { bgcolor: "white", bordercolor: "#222222", align: "left" },
      legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0, font: { size: 12 } },
      xaxis: { ...axis, anchor: "y" }, yaxis: { ...value("Training loss"), anchor: "x" },
      xaxis2: { ...axis, anchor: "y2" }, yaxis2: { ...value("Validation Dice"), anchor: "x2" },
    },
  });
}

function free() {
  const taken = new Set(places.values());
  let at = 0;
  while (taken.has(at)) at++;
  return at;
}

const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

// The results ---------------------------------------------------------------------------------------------------------

async function showResults() {
  const { networks, about, curves, curves_of, curves_drawn, notes, searches } = results;
  fill(element("notes"), [...searches, ...notes].map((text) => ({ key: text, text })));
  showTrials();
  element("front").hidden = !networks;
  showNetworks(networks);
  element("about").innerHTML = about;
  element("curves").hidden = !curves;
  if (curves) await draw(element("all-curves"), curves);
  const of = curves_drawn < curves_of ? ` Of ${counted(curves_of, "network")}, the best ${curves_drawn}.` : "";
  tell(element("curves-note"), `Mean over seeds; bands span their least and greatest.${of} A click on a name switches it.`);
}

// Every network, as the report has them: the part's own script draws it once it is there, and takes newer data.
function showNetworks(html) {
  const place = element("part");
  if (!html || place.dataset.said === html) return;
  place.dataset.said = html;
  const shown = place.querySelector(".networks")?.shown;
  if (shown) {
    const next = new DOMParser().parseFromString(html, "text/html").querySelector(".networks script");
    shown.update(JSON.parse(next.textContent));
    return;
  }
  place.innerHTML = html;
  const script = document.createElement("script");
  script.src = `/networks.js?token=${encodeURIComponent(TOKEN)}`;
  document.body.append(script);
}

look();
