// What happened last, each event in a line of words, by kind.

import { byId, element, keyed, path, reconcile, setAttribute, setHidden, setText, withChildren } from "./dom.js";
import { ofClass } from "./colours.js";
import { duration, eventTime, number } from "./format.js";
import { Reading, swatch } from "./lists.js";

const ALL = "";
const COUNTED = [["n_in", "in"], ["n_out", "out"], ["n_inside", "inside"]];

const figuresOf = event => Object.entries(event.figures ?? {})
  .filter(([, value]) => value != null)
  .map(([name, value]) => `${name.replace(/^n_/, "").replaceAll("_", " ")} ${number(value)}`);

const subject = event => [event.label, event.track_id == null ? null : `#${event.track_id}`].filter(Boolean).join(" ");

const counted = event => COUNTED.filter(([name]) => event[name] != null).map(([name, word]) => `${number(event[name])} ${word}`).join(", ");

const span = event => event.window_start_ms == null ? "" : `${eventTime(event.window_start_ms, 0)} to ${eventTime(event.event_time_ms, 0)}`;

const parts = [
  subject,
  event => event.person_id ? `is ${event.person_id}` : "",
  event => event.predicted ? `taken for ${event.predicted}` : "",
  event => [event.zone, event.direction].filter(Boolean).join(", "),
  counted,
  event => event.duration_ms == null ? "" : `${event.kind === "counted" ? "mean stay" : "after"} ${duration(event.duration_ms)}`,
  span,
  event => event.reason ?? "",
  event => event.uri ?? "",
  event => figuresOf(event).join(", "),
];

/** All that an event tells, apart from its kind, its time and its stream. */
export const textOf = event => parts.map(part => part(event)).filter(Boolean).join(" · ");

const line = event => {
  const made = element("li", "event");
  const first = withChildren(element("p"), element("span", "kind", event.kind), " ");
  if (event.label) first.append(swatch(ofClass(event.label)));
  first.append(element("span", "said", textOf(event)));
  const second = withChildren(element("p", "soft"), element("span", "time", eventTime(event.event_time_ms)), ` · ${event.step}`);
  if (event.source_id) second.append(" · ", path(event.source_id));
  return withChildren(made, first, second);
};

const identityOf = event => [event.kind, event.step, event.source_id, event.sequence, textOf(event)].join("\n");

export class Events {
  constructor() {
    this.kind = ALL;
    this.kinds = new Set();
    this.events = [];
    this.reading = new Reading(byId("events-scroll"), () => this.#show());
  }

  render({ events }) {
    this.events = events;
    for (const event of events) this.kinds.add(event.kind);
    this.#filters();
    this.#show();
  }

  reset() {
    this.kinds.clear();
    this.kind = ALL;
    reconcile(byId("events-list"), [], one => one.key, () => null);
  }

  #filters() {
    const kinds = this.kinds.size > 1 ? [ALL, ...[...this.kinds].sort()] : [];
    reconcile(byId("kinds"), kinds, kind => kind, kind => this.#filter(kind), (button, kind) => {
      setAttribute(button, "aria-pressed", String(kind === this.kind));
    });
  }

  #filter(kind) {
    const button = element("button", "pick", kind === ALL ? "all" : kind);
    button.type = "button";
    button.addEventListener("click", () => {
      this.kind = kind;
      this.#filters();
      this.#show(true);
    });
    return button;
  }

  #show(isAsked = false) {
    const isStill = this.reading.isGoingOn && !isAsked;
    const shown = keyed(this.events, identityOf).filter(({ item }) => this.kind === ALL || item.kind === this.kind);
    setText(byId("events-note"), isStill ? "stands still while you read" : this.#note(shown.length));
    if (isStill) return;
    reconcile(byId("events-list"), shown, one => one.key, one => line(one.item));
    setHidden(byId("events-none"), this.events.length > 0);
    setHidden(byId("events-scroll"), this.events.length === 0);
    byId("events").classList.toggle("empty", this.events.length === 0);
  }

  #note(n) {
    if (!this.events.length) return "";
    return this.kind === ALL ? "newest first" : `${n} of the last ${this.events.length}`;
  }
}
