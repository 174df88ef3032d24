// Boxes and labels over a picture. They are drawn in pixels of the screen, so that labels can be read at any size.

import { inkOn } from "./colours.js";
import { classesOf, nameOf, placedIn, textOf } from "./found.js";

const SVG = "http://www.w3.org/2000/svg";
const MAX_DRAWN = 200;
const LINE = 18;
const PAD = 5;
const FONT = "600 12px system-ui, sans-serif";
const MAX_MEASURED = 1000;
const WIDE = 420;

const context = document.createElement("canvas").getContext("2d");
const widths = new Map();

const widthOf = text => {
  if (!widths.has(text)) {
    if (widths.size >= MAX_MEASURED) widths.clear();
    context.font = FONT;
    widths.set(text, context.measureText(text).width);
  }
  return widths.get(text);
};

const shape = (name, attributes) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

/** The text, cut at its end where it is wider than so many pixels. */
const cut = (text, width) => {
  if (widthOf(text) <= width) return text;
  const letters = [...text];
  let n = Math.min(letters.length, Math.floor(letters.length * width / widthOf(text)));
  while (n > 1 && widthOf(`${letters.slice(0, n).join("")}…`) > width) n -= 1;
  return `${letters.slice(0, n).join("")}…`;
};

const overlaps = (a, b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + LINE && b.y < a.y + LINE;

/** Where a label of this width has room: above its box, in it, or below; null: nowhere. */
const placeFor = (box, width, size, taken) => {
  const x = Math.max(0, Math.min(box.x, size.width - width));
  const places = [box.y - LINE, box.y, box.y + box.height].map(y => ({ x, y, width }));
  return places.find(one => one.y >= 0 && one.y + LINE <= size.height && !taken.some(other => overlaps(one, other))) ?? null;
};

const plate = (place, text, colour) => [
  shape("rect", { class: "plate", x: place.x, y: place.y, width: place.width, height: LINE, rx: 3, fill: colour }),
  Object.assign(shape("text", { x: place.x + PAD, y: place.y + 13, fill: inkOn(colour) }), { textContent: text }),
];

/** The longest of the texts that has room, with its place; null: none has. */
const fitting = (texts, box, size, taken) => {
  for (const text of new Set(texts)) {
    const shown = cut(text, size.width - 2 * PAD);
    const place = placeFor(box, widthOf(shown) + 2 * PAD, size, taken);
    if (place) return { place, text: shown };
  }
  return null;
};

const labelOf = (one, box, size, taken) => {
  const isCrowded = size.width < WIDE;
  const name = one.track === null ? nameOf(one) : `#${one.track}`;
  const found = fitting(isCrowded ? [nameOf(one), name] : [textOf(one), nameOf(one), name], box, size, taken);
  if (!found) return [];
  taken.push(found.place);
  return plate(found.place, found.text, one.colour);
};

const outline = (box, colour) => {
  const edges = { x: box.x, y: box.y, width: box.width, height: box.height, rx: 2 };
  return [shape("rect", { ...edges, class: "halo" }), shape("rect", { ...edges, class: "box", stroke: colour })];
};

const scaled = ([x1, y1, x2, y2], scale) => ({ x: x1 * scale, y: y1 * scale, width: (x2 - x1) * scale, height: (y2 - y1) * scale });

const points = (one, scale) => one.points.map(([x, y]) => shape("circle", { cx: x * scale, cy: y * scale, r: 2, fill: one.colour }));

/** Plates of the best classes of the whole picture, from its lower left corner upwards. */
const classes = (row, size, taken) => classesOf(row).slice(0, 3).reverse().flatMap((one, i) => {
  const text = cut(textOf(one), size.width - 2 * PAD - 8);
  const place = { x: 4, y: size.height - (i + 1) * (LINE + 2) - 2, width: widthOf(text) + 2 * PAD };
  taken.push(place);
  return plate(place, text, one.colour);
});

/** Draws what a row tells over a picture that is `size.width` by `size.height` pixels of the screen. */
export const draw = (svg, row, size) => {
  const scale = size.width / row.width;
  const taken = [];
  const below = classes(row, size, taken);
  const shown = placedIn(row).slice(0, MAX_DRAWN).map(one => ({ one, box: scaled(one.box, scale) }));
  const labels = shown.flatMap(({ one, box }) => labelOf(one, box, size, taken));
  const boxes = shown.toReversed().flatMap(({ one, box }) => [...outline(box, one.colour), ...points(one, scale)]);
  svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  svg.replaceChildren(...boxes, ...below, ...labels);
};
