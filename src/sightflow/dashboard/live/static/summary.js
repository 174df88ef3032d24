// What stands above all: name and state of the run, and the tiles.

import { byId, element, reconcile, setAttribute, setText } from "./dom.js";
import { Spark } from "./charts.js";
import { count, duration, firstUpper, number, percent, several, time } from "./format.js";

const OVER = ["ended", "stopped", "failed"];
const PARTS = ["recognised", "rejected", "skipped"];

/** How long a run takes, in whole seconds. */
const passed = ms => ms < 1000 ? "just begun" : duration(Math.floor(ms / 1000) * 1000);

const latencyNote = latency => {
  if (!latency) return "no image has been measured yet";
  if (latency.n === 1) return "of one image";
  return `half of the last ${several(latency.n, "image")} took no longer; 99 of 100 no longer than ${duration(latency.p99_ms)}`;
};

export const isOver = run => OVER.includes(run.status);

/** The head of the page. It goes on while the rest is paused. */
export class Head {
  constructor() {
    setInterval(() => this.#facts(), 1000);
  }

  render({ run }) {
    this.run = run;
    this.aheadMs = run.now_ms - Date.now();
    setText(byId("name"), run.name);
    setAttribute(byId("status"), "data-status", run.status);
    setText(byId("status"), firstUpper(run.status));
    document.title = `${firstUpper(run.status)} · ${run.name}`;
    this.#facts();
  }

  /** Says that nothing is known of the run, until there is another state. */
  lose() {
    this.aheadMs = null;
    setAttribute(byId("status"), "data-status", "waiting");
    setText(byId("status"), "No connection");
    document.title = this.run ? `No connection · ${this.run.name}` : "Sightflow";
  }

  #facts() {
    if (!this.run) return;
    const { runner, workers, started_ms, now_ms, restarts } = this.run;
    const isTicking = this.aheadMs !== null && !isOver(this.run);
    const now = isTicking ? Date.now() + this.aheadMs : now_ms;
    const facts = [
      `${firstUpper(runner)}, ${several(workers, "worker")}`,
      `since ${time(started_ms)}`,
      passed(now - started_ms),
      ...restarts ? [several(restarts, "restart")] : [],
    ];
    setText(byId("facts"), facts.join(" · "));
  }
}

export class Tiles {
  constructor() {
    this.spark = new Spark(byId("speed-chart"));
  }

  render({ speed, ledger, latency, models }) {
    this.#speed(speed);
    this.#read(ledger);
    setText(byId("latency"), latency ? duration(latency.p50_ms) : duration(null));
    setText(byId("latency-note"), latencyNote(latency));
    this.#model(models);
  }

  #speed({ now, times_ms, images_per_s }) {
    setText(byId("speed"), number(now));
    const known = images_per_s.filter(value => value != null);
    const words = known.length
      ? `Images a second since ${time(times_ms[0])}: from ${number(Math.min(...known))} to ${number(Math.max(...known))}, last ${number(known.at(-1))}`
      : "No speed is known yet";
    this.spark.show(times_ms, images_per_s, words);
  }

  #read({ read, total, ...parts }) {
    setText(byId("read"), total == null ? count(read) : `${count(read)} of ${count(total)}`);
    const whole = Math.max(1, total ?? read);
    const bars = PARTS.filter(name => parts[name] > 0);
    reconcile(byId("read-bar"), bars, name => name, name => element("span", name), (bar, name) => {
      bar.style.width = `${100 * parts[name] / whole}%`;
    });
    const done = total ? [`${percent(read / total, 0)} done`] : [];
    const lost = PARTS.slice(1).filter(name => parts[name] > 0).map(name => `${count(parts[name])} ${name}`);
    setText(byId("read-note"), [...done, ...read && !lost.length ? ["none rejected"] : lost].join(" · "));
  }

  #model(models) {
    const newest = [...new Map(models.toReversed().map(one => [one.step, one])).values()].reverse();
    const [first, ...others] = newest;
    setText(byId("model"), first ? first.model : "–");
    const more = others.length ? ` · and ${others.map(one => one.model).join(", ")}` : "";
    setText(byId("model-note"), first ? `${first.step} · version ${first.version} since ${time(first.since_ms)}${more}` : "no step has used one yet");
  }
}
