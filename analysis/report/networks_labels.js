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

/** Write `names` (place to text) beside the points of `plot`, first those that come first. Returns how many found room. */
function placeLabels(plot, layer, places) {
  layer.replaceChildren();
  const { xaxis, yaxis } = plot._fullLayout;
  if (!xaxis || !yaxis) return 0;
  ruler.font = `12px ${FONT}`;
  const [left, top, width, height] = [xaxis._offset, yaxis._offset, xaxis._length, yaxis._length];
  const taken = [];
  for (const { x, y } of places) {
    const [px, py] = [left + xaxis.d2p(x), top + yaxis.d2p(y)];
    taken.push([px - 9, py - 9, px + 9, py + 9]);
  }
  const free = ([x0, y0, x1, y1]) =>
    x0 >= left &&
    y0 >= top &&
    x1 <= left + width &&
    y1 <= top + height &&
    !taken.some(([a, b, c, d]) => x0 < c && a < x1 && y0 < d && b < y1);
  let written = 0;
  for (const { x, y, name, strong } of places) {
    const text = shortened(name, 28);
    const [px, py] = [left + xaxis.d2p(x), top + yaxis.d2p(y)];
    if (px < left || py < top || px > left + width || py > top + height) continue;
    const wide = ruler.measureText(text).width * (strong ? 1.1 : 1) + 4;
    const box = placed(px, py, wide, free);
    if (!box) continue;
    taken.push(box);
    written += 1;
    const label = document.createElement("span");
    label.textContent = text;
    label.style.left = `${box[0] + 2}px`;
    label.style.top = `${box[1]}px`;
    if (strong) label.className = "strong";
    layer.append(label);
  }
  return written;
}

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
