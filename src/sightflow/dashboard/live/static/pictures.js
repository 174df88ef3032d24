// The last picture of each source. A picture and what is drawn over it change together, once the new picture is there.

import { byId, element, path, reconcile, setAttribute, setHidden, setPath, setText, withChildren } from "./dom.js";
import { several } from "./format.js";
import { placeOf, summaryOf } from "./found.js";
import { Enlarged } from "./enlarged.js";
import { chip, chipsFor } from "./lists.js";
import { draw } from "./overlay.js";

const SVG = "http://www.w3.org/2000/svg";
const MAX_CHIPS = 12;

/** The picture that a source has now; null: it has gone, since a newer one is there. */
const load = async (source, runId) => {
  const image = new Image();
  image.alt = "";
  // The run is named, since a browser knows a picture by its address: another run has the same slots and versions.
  image.src = `frames/${source.slot}?v=${source.version}&run=${encodeURIComponent(runId)}`;
  try {
    await image.decode();
    return image;
  } catch {
    return null;
  }
};

/** A picture with what is drawn over it. It can be put elsewhere, and draws anew for its size there. */
class Frame {
  constructor() {
    this.image = element("span");
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("aria-hidden", "true");
    this.node = withChildren(element("span", "frame"), this.image, this.svg);
    this.size = { width: 0, height: 0 };
    this.observer = new ResizeObserver(entries => {
      this.size = entries.at(-1).contentRect;
      this.#draw();
    });
    this.observer.observe(this.node);
  }

  show(image, row) {
    this.row = row;
    this.image.replaceWith(image);
    this.image = image;
    this.node.style.setProperty("--ratio", String(row.width / row.height));
    this.#draw();
  }

  close() {
    this.observer.disconnect();
  }

  /** Draws for the size that the picture had last; where that changes, it is drawn again before it is seen. */
  #draw() {
    if (this.row && this.size.width) draw(this.svg, this.row, this.size);
  }
}

/** The place of one source on the page. */
class Card {
  constructor(pictures, source) {
    this.pictures = pictures;
    this.runId = pictures.runId;
    this.name = source.source_id;
    this.frame = new Frame();
    this.stage = element("button", "stage");
    this.stage.type = "button";
    this.stage.setAttribute("aria-label", `Enlarge the picture of ${this.name}`);
    this.stage.append(this.frame.node, element("span", "none", "loading"));
    this.stage.addEventListener("click", () => pictures.enlarged.open(this));
    this.when = element("p", "soft when");
    this.chips = element("ul", "chips");
    this.file = path("");
    const about = withChildren(element("div", "about"), withChildren(element("h3"), path(this.name)), this.file, this.when, this.chips);
    this.node = withChildren(element("li", "picture"), this.stage, about);
    this.isLoading = false;
    this.seen = null;
  }

  /** Takes what the source has now; its picture is loaded, and only then all of it is shown. */
  async show(source) {
    this.wanted = source;
    if (this.isLoading) return;
    this.isLoading = true;
    try {
      await this.#catchUp();
    } finally {
      this.isLoading = false;
    }
  }

  async #catchUp() {
    while (this.seen !== this.wanted.version && this.pictures.areMoving && this.node.isConnected) {
      const now = this.wanted;
      const image = await load(now, this.runId);
      if (!this.pictures.areMoving || !this.node.isConnected) break;
      this.seen = now.version;
      if (image) this.#swap(image, now);
      else if (!this.shown) setText(this.stage.lastElementChild, "no picture");
    }
  }

  #swap(image, source) {
    this.shown = source;
    this.stage.lastElementChild.hidden = true;
    this.frame.show(image, source.row);
    setText(this.when, placeOf(source.row));
    setHidden(this.file, source.row.uri === this.name);
    setPath(this.file, source.row.uri);
    reconcile(this.chips, chipsFor(summaryOf(source.row), MAX_CHIPS, source.row), one => `${one.text} ${one.colour}`, chip);
    this.pictures.enlarged.follow(this);
  }

  close() {
    this.frame.close();
    this.node.remove();
  }
}

export class Pictures {
  constructor() {
    this.cards = new Map();
    this.areMoving = true;
    this.enlarged = new Enlarged();
  }

  render({ run, sources, n_sources }) {
    this.runId = run.id;
    const now = sources.toSorted((a, b) => a.slot - b.slot);
    const keys = new Set(now.map(keyOf));
    for (const [key, card] of this.cards) if (!keys.has(key)) this.#remove(key, card);
    reconcile(byId("cards"), now, keyOf, source => this.#add(source));
    for (const source of now) this.cards.get(keyOf(source)).show(source);
    setAttribute(byId("cards"), "data-n", String(now.length));
    setText(byId("pictures-none"), `No picture yet. ${waitingFor(run)}`);
    setHidden(byId("pictures-none"), now.length > 0);
    const all = several(n_sources, "source");
    setText(byId("pictures-note"), now.length < n_sources ? `the last ${now.length} of ${all}` : n_sources ? all : "");
  }

  /** Lets pictures stand still, or move again. */
  move(areMoving) {
    this.areMoving = areMoving;
  }

  reset() {
    this.enlarged.close();
    for (const [key, card] of this.cards) this.#remove(key, card);
  }

  #add(source) {
    const card = new Card(this, source);
    this.cards.set(keyOf(source), card);
    return card.node;
  }

  #remove(key, card) {
    this.enlarged.leave(card);
    card.close();
    this.cards.delete(key);
  }
}

const waitingFor = ({ status, stage }) => {
  if (status !== "starting") return "The last one of each source appears here, with what was found in it.";
  return stage ?? "It may take some seconds until the first one is there.";
};

const keyOf = source => `${source.slot} ${source.source_id}`;
