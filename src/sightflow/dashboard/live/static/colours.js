// One colour for each class on the whole page, another for each track of a stream. The first ones are told
// apart best; all can be seen on white and on black.

const PALETTE = ["#2f7fe0", "#d9730d", "#1a9850", "#c2479b", "#0c96a3", "#e0453a", "#8a63d2", "#8f8300",
  "#b5651d", "#4a78a8", "#cc5f7a", "#5b8f3a"];
const LIGHTS = new Map([["red", "#e12828"], ["yellow", "#f5c31e"], ["green", "#28b955"]]);
const MAX_CLASSES = 1000;
export const NOBODY = "#969696";
export const PLATE = "#fafafa";

const places = new Map();

const nth = n => PALETTE[n] ?? hue((n * 222.49) % 360);

/** A colour of this hue, in degrees, of middle lightness. */
const hue = degrees => {
  const channel = shift => {
    const k = (shift + degrees / 30) % 12;
    return Math.round(255 * (.46 - .26 * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return `#${[0, 8, 4].map(shift => channel(shift).toString(16).padStart(2, "0")).join("")}`;
};

/** The colour of a class; classes get theirs in the order in which they are first seen. */
export const ofClass = label => {
  if (!places.has(label)) {
    if (places.size >= MAX_CLASSES) places.delete(places.keys().next().value);
    places.set(label, places.size);
  }
  return nth(places.get(label));
};

export const ofTrack = id => nth(id % (3 * PALETTE.length));

export const ofLight = said => LIGHTS.get(said) ?? NOBODY;

/** Black or white: what can be read on a colour. */
export const inkOn = colour => {
  const [red, green, blue] = [1, 3, 5].map(i => linear(parseInt(colour.slice(i, i + 2), 16) / 255));
  return .2126 * red + .7152 * green + .0722 * blue > .18 ? "#000" : "#fff";
};

const linear = value => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;

export const forget = () => places.clear();
