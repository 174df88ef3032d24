// How many of each class there were, over the time of the images.

import { byId, setAttribute, setHidden, setText } from "./dom.js";
import { Chart, axis, timeAxis } from "./charts.js";
import { count, duration, eventTime, firstUpper, isWithin } from "./format.js";
import { ofClass } from "./colours.js";
import { Table, swatch } from "./lists.js";

const { uPlot } = globalThis;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000, 1_000_000];

/** Counts put on top of each other, the most frequent class at the bottom; uPlot draws from the top of the pile down. */
const piled = labels => {
  const pile = labels.length ? labels[0].n.map(() => 0) : [];
  return labels.map(one => one.n.map((n, i) => pile[i] += n ?? 0)).reverse();
};

const seriesOf = label => ({
  label, fill: ofClass(label), stroke: ofClass(label), width: 0, points: { show: false },
  paths: uPlot.paths.bars({ size: [.9, Infinity], align: 1 }),
});

const optionsOf = ({ labels, isWithinVideo, bucket_ms }) => ({
  cursor: { show: false },
  scales: { x: { time: !isWithinVideo, range: plot => [plot.data[0][0], plot.data[0].at(-1) + bucket_ms / 1000] }, y: { range: (plot, low, high) => [0, Math.max(1, high * 1.05)] } },
  axes: [timeAxis(isWithinVideo), axis({ size: 46, incrs: STEPS })],
  series: [{}, ...labels.toReversed().map(seriesOf)],
});

export class Counts {
  constructor() {
    this.chart = new Chart(byId("counts-chart"), optionsOf);
    this.totals = new Table("", [
      { title: "Class", cell: one => [swatch(ofClass(one.label)), one.label] },
      { title: "In all", isNumber: true, cell: one => [count(one.total)] },
      { title: "Last", isNumber: true, cell: one => [count(one.n.at(-1) ?? 0)] },
    ]);
    byId("counts-totals").append(this.totals.node);
  }

  render({ counts }) {
    const { labels, starts_ms, bucket_ms, n_labels, what } = counts;
    const isThere = labels.length > 0 && starts_ms.length > 0;
    setHidden(byId("counts-none"), isThere);
    setHidden(byId("counts-chart"), !isThere);
    setText(byId("counts-note"), isThere ? `${what} of each class, in every ${duration(bucket_ms)}` : "");
    this.totals.setCaption(captionOf(labels.length, n_labels, what));
    this.totals.show(labels, one => `${one.label} ${one.total} ${one.n.at(-1)}`);
    if (isThere) this.#draw(counts);
    else this.chart.clear();
  }

  reset() {
    this.chart.clear();
    this.totals.show([], () => "");
  }

  #draw({ labels, starts_ms: starts, bucket_ms, what }) {
    const names = labels.map(one => one.label);
    this.chart.show({ labels: names, isWithinVideo: isWithin(starts[0]), bucket_ms }, [starts.map(ms => ms / 1000), ...piled(labels)]);
    const words = `${firstUpper(what)} of each class from ${eventTime(starts[0], 0)} to ${eventTime(starts.at(-1), 0)}: ${names.join(", ")}. The table below has the numbers.`;
    setAttribute(byId("counts-chart"), "aria-label", words);
  }
}

const captionOf = (n, all, what) => all > n ? `The ${n} most frequent of ${all} classes, ${what}` : `All classes, ${what}`;
