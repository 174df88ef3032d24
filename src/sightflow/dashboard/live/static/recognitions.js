// What was recognised last, as a table.

import { byId, element, path, setHidden, setText, withChildren } from "./dom.js";
import { count, eventTime } from "./format.js";
import { foundIn, textOf } from "./found.js";
import { Reading, Table, chip, chipsFor } from "./lists.js";

const MAX_CHIPS = 8;

const sourceOf = row => row.uri === row.source_id ? [path(row.uri)] : [path(row.uri), withChildren(element("small", "soft"), path(row.source_id))];

const foundOf = row => {
  const all = foundIn(row).map(one => ({ text: textOf(one), colour: one.colour }));
  return [withChildren(element("ul", "chips"), ...chipsFor(all, MAX_CHIPS, row).map(chip))];
};

export class Recognitions {
  constructor() {
    this.table = new Table("The last images, newest first", [
      { title: "When", cell: row => [eventTime(row.event_time_ms)] },
      { title: "Image and source", cell: sourceOf },
      { title: "Position", isNumber: true, cell: row => [count(row.sequence)] },
      { title: "Found, with scores", cell: foundOf },
    ], "stacked");
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
    this.table.show([], () => "");
  }

  #show() {
    const isStill = this.reading.isGoingOn;
    setText(byId("recognitions-note"), isStill ? "stands still while you read" : this.rows.length ? "newest first" : "");
    if (isStill) return;
    this.table.show(this.rows, row => `${row.source_id}\n${row.sequence}\n${row.uri}`);
    setHidden(byId("recognitions-none"), this.rows.length > 0);
    setHidden(byId("recognitions-scroll"), this.rows.length === 0);
  }
}
