// What became of every image that was read.

import { byId, element, path, reconcile, setHidden, setText } from "./dom.js";
import { count, percent } from "./format.js";
import { Table } from "./lists.js";

const SUM = [["read", ""], ["recognised", "="], ["rejected", "+"], ["skipped", "+"]];

export class Ledger {
  constructor() {
    this.reasons = new Table("Rejected, by step and reason", [
      { title: "Step", cell: one => [one.step] },
      { title: "Reason", cell: one => [one.reason] },
      { title: "Images", isNumber: true, cell: one => [count(one.n)] },
      { title: "What it means", cell: one => [one.meaning ?? ""] },
    ], "stacked");
    this.last = new Table("The last that were rejected, newest first", [
      { title: "Image", cell: one => [path(one.uri)] },
      { title: "Reason", cell: one => [`${one.step}: ${one.reason}`] },
      { title: "What was wrong", cell: one => [one.message] },
    ], "stacked");
    byId("ledger-reasons").append(this.reasons.node);
    byId("ledger-last").append(this.last.node);
  }

  render({ ledger, rejected }) {
    this.#sum(ledger);
    this.#progress(ledger);
    setHidden(byId("ledger-none"), ledger.rejected > 0 || ledger.read === 0);
    this.reasons.show(rejected.reasons, one => JSON.stringify(one));
    setHidden(byId("ledger-last"), rejected.last.length === 0);
    this.last.show(rejected.last, one => JSON.stringify(one));
  }

  #sum(ledger) {
    reconcile(byId("ledger-sum"), SUM, ([name]) => name, ([name, sign]) => {
      const made = element("div", name);
      made.append(element("dt", "", name), element("dd"));
      made.dataset.sign = sign;
      return made;
    }, (made, [name]) => {
      setText(made.lastElementChild, count(ledger[name]));
      made.classList.toggle("bad", name === "rejected" && ledger.rejected > 0);
    });
  }

  #progress({ read, total }) {
    setHidden(byId("ledger-progress"), total == null);
    if (total == null) return;
    byId("progress").value = total ? read / total : 1;
    setText(byId("progress-note"), `${count(read)} of ${count(total)} images${total ? `, ${percent(read / total, 0)}` : ""}`);
  }
}
