// Charts by uPlot, in the colours of the page, light or dark; and a line without axes for a tile.

import { element, setAttribute, setText, withChildren } from "./dom.js";
import { eventTime } from "./format.js";

const { uPlot } = globalThis;
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 240;
const FONT = "12px system-ui, sans-serif";
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800];
const DAY_S = 86_400;
const CLOCK_STEPS_S = [...STEPS_S, DAY_S / 2, DAY_S, 2 * DAY_S, 7 * DAY_S, 30 * DAY_S, 365 * DAY_S];

export const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export const axis = more => ({
  stroke: colour("--soft"), font: FONT, labelFont: FONT, grid: { stroke: colour("--grid"), width: 1 },
  ticks: { stroke: colour("--grid"), width: 1, size: 4 }, ...more,
});

/** The axis of times in seconds: within a video, or of the clock. */
export const timeAxis = isWithinVideo => axis({
  values: (plot, splits) => splits.map(value => eventTime(value * 1000, 0)), size: 32,
  space: isWithinVideo ? 80 : 160, incrs: isWithinVideo ? STEPS_S : CLOCK_STEPS_S,
});

/** A chart that follows the width of its element; it is made anew when its form or the colours change. */
export class Chart {
  /** `optionsOf(form)` gives the options of uPlot without size. */
  constructor(node, optionsOf) {
    this.node = node;
    this.optionsOf = optionsOf;
    this.observer = new ResizeObserver(() => this.plot?.setSize(this.#size()));
    this.observer.observe(node);
    this.gone = new AbortController();
    const onOtherColours = () => this.plot && this.#make();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onOtherColours, { signal: this.gone.signal });
  }

  /** Shows data; `form` is what the options depend on. */
  show(form, data) {
    const isSame = this.plot && JSON.stringify(form) === JSON.stringify(this.form);
    this.data = data;
    this.form = form;
    if (isSame) this.plot.setData(data);
    else this.#make();
  }

  clear() {
    this.plot?.destroy();
    this.plot = null;
  }

  close() {
    this.observer.disconnect();
    this.gone.abort();
    this.clear();
  }

  #make() {
    this.plot?.destroy();
    const options = { ...this.optionsOf(this.form), ...this.#size(), legend: { show: false } };
    this.plot = new uPlot(options, this.data, this.node);
  }

  #size() {
    return { width: Math.max(200, this.node.clientWidth), height: HEIGHT };
  }
}

/** A line of numbers, without axes, with its words for those who do not see it. */
export class Spark {
  constructor(node) {
    this.svg = document.createElementNS(SVG, "svg");
    this.area = document.createElementNS(SVG, "path");
    this.line = document.createElementNS(SVG, "path");
    this.area.setAttribute("class", "area");
    this.line.setAttribute("class", "line");
    this.svg.setAttribute("viewBox", "0 0 100 100");
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("role", "img");
    this.svg.append(this.area, this.line);
    node.append(this.svg);
  }

  show(x, y, words) {
    const top = Math.max(1e-9, ...y.filter(value => value != null)) * 1.05;
    const width = Math.max(1, x.at(-1) - x[0]);
    const points = x.flatMap((at, i) => y[i] == null ? [] : [`${(100 * (at - x[0]) / width).toFixed(2)} ${(98 - 96 * y[i] / top).toFixed(2)}`]);
    const path = points.length > 1 ? `M${points.join("L")}` : "";
    setAttribute(this.line, "d", path);
    setAttribute(this.area, "d", path && `${path}L${points.at(-1).split(" ")[0]} 100L${points[0].split(" ")[0]} 100Z`);
    setAttribute(this.svg, "aria-label", words);
  }
}

/** What the colours of a chart stand for, with a value each. */
export const legendItem = one => {
  const mark = element("span", one.isDashed ? "dash" : "swatch");
  mark.style.setProperty(one.isDashed ? "border-color" : "background", one.colour);
  return withChildren(element("li"), mark, element("span", "", one.label), element("b", "", one.value));
};

export const setLegendValue = (item, value) => setText(item.lastElementChild, value);
