// How a network learns: figures, curves, versions, alarms. Only there where something learns.

import { byId, element, reconcile, setAttribute, setHidden, setText, withChildren } from "./dom.js";
import { Chart, axis, colour, legendItem, setLegendValue } from "./charts.js";
import { NONE, count, eventTime, number, percent } from "./format.js";
import { textOf } from "./events.js";
import { Table } from "./lists.js";

const { uPlot } = globalThis;
const MANY = 40;
const FORMATS = { share: percent, loss: number, rate: number };
const MARKS = new Map([
  ["drifted", ["--alarm", [6, 4], "a watched value has changed"]], ["published", ["--third", [2, 4], "a version was published"]],
]);

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 1_000_000, 10_000_000];

const seriesOf = one => ({
  label: one.label, scale: one.scale, stroke: colour(one.colour), width: one.points ? 0 : 2, spanGaps: false,
  paths: one.points ? () => null : undefined,
  points: { show: one.points || one.isShort, size: one.points ? 9 : 5, fill: colour(one.colour) },
});

const yAxis = (scale, i) => axis({
  scale, side: i ? 1 : 3, size: 62, grid: { show: i === 0, stroke: colour("--grid"), width: 1 },
  values: (plot, values) => values.map(value => value == null ? "" : scale === "share" ? percent(value, 0) : number(value)),
});

const shareRange = (plot, low, high) => [Math.max(0, Math.floor(((low ?? 0) - .02) * 10) / 10), Math.min(1.02, (high ?? 1) + .05)];

/** One chart with its title, its legend and a text of its last values. */
class LearningChart {
  constructor(title) {
    this.node = element("figure");
    this.drawing = element("div", "chart");
    this.drawing.setAttribute("role", "img");
    this.legend = element("ul", "legend");
    this.node.append(withChildren(element("figcaption"), element("h3", "", title), this.legend), this.drawing);
    this.chart = new Chart(this.drawing, form => this.#options(form));
  }

  show({ title, curves, marks }) {
    this.curves = curves;
    this.marks = marks;
    const form = curves.map(({ label, scale, colour: name, points, x }) => ({ label, scale, colour: name, points, isShort: x.length < MANY }));
    this.data = uPlot.join(curves.map(one => [one.x, one.y]));
    this.chart.show(form, this.data);
    this.#legend();
    const last = curves.map(one => `${one.label} ${lastOf(one)}`).join(", ");
    setAttribute(this.drawing, "aria-label", `${title} over the number of images. At the end: ${last}`);
  }

  #options(form) {
    const scales = [...new Set(form.map(one => one.scale))];
    return {
      cursor: { sync: { key: "learning" }, drag: { x: false, y: false }, points: { size: 8 } },
      scales: { x: { time: false, range: (plot, low, high) => [0, Math.max(1, high ?? 1)] }, ...scales.includes("share") && { share: { range: shareRange } } },
      axes: [axis({ label: "images", labelSize: 22, size: 34, incrs: STEPS, values: (plot, values) => values.map(count) }), ...scales.map(yAxis)],
      series: [{}, ...form.map(seriesOf)],
      hooks: { draw: [plot => this.#draw(plot)], setCursor: [plot => this.#values(plot.cursor.idx)] },
    };
  }

  #draw(plot) {
    const { ctx, bbox } = plot;
    for (const { x: at, kind } of this.marks) {
      const x = plot.valToPos(at, "x", true);
      if (!MARKS.has(kind) || x < bbox.left || x > bbox.left + bbox.width) continue;
      const [name, dash] = MARKS.get(kind);
      ctx.save();
      ctx.beginPath();
      Object.assign(ctx, { strokeStyle: colour(name), lineWidth: 2 });
      ctx.setLineDash(dash);
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.restore();
    }
  }

  #legend() {
    const curves = this.curves.map(one => ({ label: one.label, colour: `var(${one.colour})`, value: "" }));
    const kinds = [...new Set(this.marks.map(mark => mark.kind))].filter(kind => MARKS.has(kind)).map(kind => MARKS.get(kind));
    const marks = kinds.map(([name, , label]) => ({ label, colour: `var(${name})`, value: "", isDashed: true }));
    reconcile(this.legend, [...curves, ...marks], one => one.label, legendItem);
    this.#values(this.chart.plot.cursor.idx);
  }

  /** Writes the values under the mouse into the legend; without one, the last values. */
  #values(at) {
    this.curves.forEach((one, i) => {
      const item = this.legend.children[i];
      const value = at == null ? lastOf(one) : FORMATS[one.scale]?.(this.data[i + 1]?.[at]) ?? NONE;
      if (item) setLegendValue(item, value);
    });
  }
}

const lastOf = one => (FORMATS[one.scale] ?? number)(one.y.findLast(value => value != null));

const figure = (event, ...names) => names.map(name => event.figures?.[name]).find(value => value != null);

const accuracyOf = event => percent(figure(event, "accuracy", "stream_accuracy"));

export class Learning {
  constructor() {
    this.charts = new Map();
    this.published = new Table("Published versions, newest first", [
      { title: "Version", isNumber: true, cell: one => [count(figure(one, "version"))] },
      { title: "Step of training", isNumber: true, cell: one => [count(figure(one, "step"))] },
      { title: "Accuracy", isNumber: true, cell: one => [accuracyOf(one)] },
      { title: "Serves", cell: one => [figure(one, "serves") ? "yes" : "no"] },
      { title: "Why", cell: one => [one.reason ?? ""] },
    ], "stacked");
    this.alarms = new Table("Drift alarms, newest first", [
      { title: "When", cell: one => [eventTime(one.event_time_ms)] },
      { title: "Step", cell: one => [one.step] },
      { title: "What has changed", cell: one => [textOf(one)] },
    ], "stacked");
    byId("learning-published").append(this.published.node);
    byId("learning-alarms").append(this.alarms.node);
  }

  render({ learning }) {
    setHidden(byId("learning"), !learning);
    setHidden(byId("to-learning"), !learning);
    if (!learning) return;
    reconcile(byId("learning-tiles"), learning.tiles, one => one.name, tile, (made, one) => {
      setText(made.children[1], one.value);
      setText(made.children[2], one.note ?? "");
    });
    reconcile(byId("learning-charts"), learning.charts, one => one.title, one => this.#chart(one.title));
    for (const one of learning.charts) this.charts.get(one.title).show(one);
    setHidden(byId("learning-published"), learning.published.length === 0);
    setHidden(byId("learning-alarms"), learning.alarms.length === 0);
    this.published.show(learning.published, one => JSON.stringify(one));
    this.alarms.show(learning.alarms, one => JSON.stringify(one));
  }

  reset() {
    for (const one of this.charts.values()) one.chart.close();
    this.charts.clear();
    byId("learning-charts").replaceChildren();
  }

  #chart(title) {
    const made = new LearningChart(title);
    this.charts.set(title, made);
    return made.node;
  }
}

const tile = one => withChildren(element("li"), element("h3", "", one.name), element("p", "value"), element("p", "soft"));
