// One picture over the whole window, with a list of all that was found in it. It goes on moving.

import { byId, setText } from "./dom.js";
import { score } from "./format.js";
import { foundIn, nameOf, placeOf } from "./found.js";
import { Table, swatch } from "./lists.js";

const MAX_ROWS = 100;

export class Enlarged {
  constructor() {
    this.dialog = byId("large");
    this.card = null;
    this.found = new Table("What was found", [
      { title: "What", cell: one => [...one.colour ? [swatch(one.colour)] : [], nameOf(one)] },
      { title: "Score", isNumber: true, cell: one => [score(one.said?.score ?? one.score)] },
      { title: "From left", isNumber: true, cell: one => [one.box ? `${Math.round(one.box[0])}` : ""] },
      { title: "From top", isNumber: true, cell: one => [one.box ? `${Math.round(one.box[1])}` : ""] },
      { title: "Size in pixels", isNumber: true, cell: one => [one.box ? sizeOf(one.box) : ""] },
    ]);
    byId("large-found").append(this.found.node);
    byId("large-close").addEventListener("click", () => this.close());
    this.dialog.addEventListener("click", event => event.target === this.dialog && this.close());
    this.dialog.addEventListener("close", () => this.#give());
  }

  open(card) {
    this.card = card;
    byId("large-stage").append(card.frame.node);
    this.dialog.showModal();
    this.follow(card);
  }

  close() {
    this.dialog.close();
  }

  /** Shows what a card has now, if it is the one that is open. */
  follow(card) {
    if (card !== this.card) return;
    setText(byId("large-title"), card.name);
    if (!card.shown) return;
    const row = card.shown.row;
    setText(byId("large-when"), row.uri === card.name ? placeOf(row) : `${row.uri} · ${placeOf(row)}`);
    this.found.show(foundIn(row).slice(0, MAX_ROWS), one => `${nameOf(one)} ${one.score} ${one.box}`);
  }

  /** Closes when the card that is open goes away. */
  leave(card) {
    if (card === this.card) this.close();
  }

  /** Puts the picture back where it came from. */
  #give() {
    this.card?.stage.prepend(this.card.frame.node);
    this.card = null;
  }
}

const sizeOf = ([x1, y1, x2, y2]) => `${Math.round(x2 - x1)} × ${Math.round(y2 - y1)}`;
