// Which models are in use, and which were before.

import { byId, setHidden } from "./dom.js";
import { time } from "./format.js";
import { Table } from "./lists.js";

export class Models {
  constructor() {
    this.table = new Table("The newest versions first; a swap while the run goes on adds one", [
      { title: "Step", cell: one => [one.step] },
      { title: "Model", cell: one => [one.model] },
      { title: "Version", cell: one => [one.version] },
      { title: "First used", cell: one => [time(one.since_ms)] },
    ], "stacked");
    byId("models-list").append(this.table.node);
  }

  render({ models }) {
    setHidden(byId("models-none"), models.length > 0);
    this.table.show(models, one => JSON.stringify(one));
  }
}
