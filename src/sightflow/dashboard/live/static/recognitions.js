// What was recognised last, as a table.

import { byId, element, path, setHidden, setText, withChildren } from "./dom.js";
import { count, eventTime } from "./format.js";
import { foundIn, textOf, wasLookedAt } from "./found.js";
import { Reading, Table, chip } from "./lists.js";

const MAX_CHIPS = 8;

const streamOf = row => row.uri === row.source_id ? [path(row.uri)] : [path(row.uri), element("br"), withChildren(element("small", "soft"), path(row.source_id))];

const foundOf = row => {
  const all = foundIn(row).map(one => ({ text: textOf(one), colour: one.colour }));
  if (!all.length) all.push({ text: wasLookedAt(row) ? "nothing" : "no step looked for anything", colour: null });
  if (all.length > MAX_CHIPS) all.splice(MAX_CHIPS, all.length, { text: `${all.length - MAX_CHIPS} more`, colour: null });
  return [withChildren(element("ul", "chips"), ...all.map(chip))];
};

export class Recognitions {
  constructor() {
    this.table = new Table("The last images, newest first", [
      { title: "When", cell: row => [eventTime(row.event_time_ms)] },
      { title: "Image and stream", cell: streamOf },
      { title: "Position", isNumber: true, cell: row => [count(row.sequence)] },
      { title: "Found, with scores", cell: foundOf },
    ]);
    byId("recognitions-scroll").append(this.table.node);
    this.rows = [];
    this.reading = new Reading(byId("recognitions-scroll"), () => this.#show());
  }

  render({ recognitions }) {
    this.rows = recognitions;
    this.#show();
  }

  reset() {
    this.rows = [];
    this.#show();
  }

  #show() {
    setText(byId("recognitions-note"), this.reading.isGoingOn ? "stands still while you read" : "newest first");
    if (this.reading.isGoingOn) return;
    this.table.show(this.rows, row => `${row.source_id}\n${row.sequence}\n${row.uri}`);
    setHidden(byId("recognitions-none"), this.rows.length > 0);
    setHidden(byId("recognitions-scroll"), this.rows.length === 0);
  }
}
