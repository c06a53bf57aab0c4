// Networks: the names beside the points of the front, each where it covers nothing; what finds no place is left to hovering.

const SIDES = [
  [1, -1],
  [-1, -1],
  [1, 1],
  [-1, 1],
  [0, -1],
  [0, 1],
  [1, 0],
  [-1, 0],
];
const DISTANCES = [11, 24];
const LABEL_HEIGHT = 15;
const ruler = document.createElement("canvas").getContext("2d");

/** Write the names of `places` beside the points of `plot`, first those that come first: off its line where that can be. */
function placeLabels(plot, layer, places) {
  layer.replaceChildren();
  const { xaxis, yaxis } = plot._fullLayout;
  if (!xaxis || !yaxis) return;
  ruler.font = `12px ${FONT}`;
  const [left, top, width, height] = [xaxis._offset, yaxis._offset, xaxis._length, yaxis._length];
  const taken = [];
  for (const { x, y } of places) {
    const [px, py] = [left + xaxis.d2p(x), top + yaxis.d2p(y)];
    taken.push([px - 9, py - 9, px + 9, py + 9]);
  }
  const line = steps(plot).map(([x, y]) => [left + xaxis.d2p(x), top + yaxis.d2p(y)]);
  const along = line.slice(1).map(([x, y], at) => boxOf(line[at], [x, y], 2));
  const meets =
    ([x0, y0, x1, y1]) =>
    ([a, b, c, d]) =>
      x0 < c && a < x1 && y0 < d && b < y1;
  const free = (box) =>
    box[0] >= left && box[1] >= top && box[2] <= left + width && box[3] <= top + height && !taken.some(meets(box));
  for (const { x, y, name, strong } of places) {
    const text = shortened(name, 28);
    const [px, py] = [left + xaxis.d2p(x), top + yaxis.d2p(y)];
    if (px < left || py < top || px > left + width || py > top + height) continue;
    const wide = ruler.measureText(text).width * (strong ? 1.1 : 1) + 4;
    const box = placed(px, py, wide, (one) => free(one) && !along.some(meets(one))) ?? placed(px, py, wide, free);
    if (!box) continue;
    taken.push(box);
    const label = document.createElement("span");
    label.textContent = text;
    label.style.left = `${box[0] + 2}px`;
    label.style.top = `${box[1]}px`;
    if (strong) label.className = "strong";
    layer.append(label);
  }
}

/** The corners of the front's line, as it is drawn. */
function steps(plot) {
  const trace = plot.data.find((each) => each.meta?.boundary);
  if (!trace) return [];
  const corner = (at) => (trace.line.shape === "hv" ? [trace.x[at], trace.y[at - 1]] : [trace.x[at - 1], trace.y[at]]);
  return trace.x.flatMap((x, at) => (at ? [corner(at), [x, trace.y[at]]] : [[x, trace.y[at]]]));
}

const boxOf = ([x0, y0], [x1, y1], more) => [
  Math.min(x0, x1) - more,
  Math.min(y0, y1) - more,
  Math.max(x0, x1) + more,
  Math.max(y0, y1) + more,
];

function placed(px, py, wide, free) {
  for (const far of DISTANCES) {
    for (const [right, down] of SIDES) {
      const x0 =
        right > 0 ? px + far * (down ? 0.75 : 1) : right < 0 ? px - far * (down ? 0.75 : 1) - wide : px - wide / 2;
      const y0 =
        down > 0
          ? py + far * (right ? 0.6 : 1)
          : down < 0
            ? py - far * (right ? 0.6 : 1) - LABEL_HEIGHT
            : py - LABEL_HEIGHT / 2;
      const box = [x0, y0, x0 + wide, y0 + LABEL_HEIGHT];
      if (free(box)) return box;
    }
  }
  return null;
}
