// Tables and chips that change in place, and lists that stand still while somebody reads them.

import { element, keyed, reconcile, setText, withChildren } from "./dom.js";
import { wasLookedAt } from "./found.js";

/** A spot of a colour; what it stands for is beside it. */
export const swatch = colour => {
  const made = element("span", "swatch");
  made.style.background = colour;
  return made;
};

/** A short text with the colour of what it names, if that has one. */
export const chip = ({ text, colour, isRemark = false }) => {
  const made = element("li", isRemark ? "chip soft" : "chip");
  if (colour) made.append(swatch(colour));
  return withChildren(made, element("span", "", text));
};

/** Chips for no more than so many, with how many are left out. */
export const chipsFor = (all, max, row) => {
  if (!all.length) return [{ text: wasLookedAt(row) ? "nothing found" : "no step looked for anything", isRemark: true }];
  return all.length > max ? [...all.slice(0, max), { text: `${all.length - max} more`, isRemark: true }] : all;
};

/** A table whose rows are known by what they tell; a row that tells the same is left as it is. */
export class Table {
  /** A column has a `title`, a function `cell` that gives nodes or texts for an item, and may be of numbers. */
  constructor(caption, columns, className = "") {
    this.columns = columns;
    this.body = element("tbody");
    this.caption = element("caption", "", caption);
    const names = withChildren(element("tr"), ...columns.map(column => this.#header(column)));
    const head = withChildren(element("thead"), names);
    this.node = withChildren(element("table", className), this.caption, head, this.body);
    // The roles are said again, since a narrow window shows rows as blocks.
    for (const [part, role] of [[this.node, "table"], [head, "rowgroup"], [this.body, "rowgroup"], [names, "row"]]) part.setAttribute("role", role);
  }

  show(items, identityOf) {
    reconcile(this.body, keyed(items, identityOf), one => one.key, one => this.#row(one.item));
    this.node.hidden = items.length === 0;
  }

  setCaption(text) {
    setText(this.caption, text);
  }

  #header({ title, isNumber }) {
    const made = element("th", isNumber ? "n" : "", title);
    made.scope = "col";
    made.setAttribute("role", "columnheader");
    return made;
  }

  #row(item) {
    const row = element("tr");
    row.setAttribute("role", "row");
    for (const { title, isNumber, cell } of this.columns) {
      const made = withChildren(element("td", isNumber ? "n" : ""), withChildren(element("div"), ...cell(item)));
      made.setAttribute("role", "cell");
      made.dataset.title = title;
      row.append(made);
    }
    return row;
  }
}

/** Whether a list should stand still: the mouse is on it, or text in it is selected. */
export class Reading {
  constructor(node, onGoOn) {
    this.node = node;
    this.isPointed = false;
    node.addEventListener("pointerenter", event => { this.isPointed = event.pointerType === "mouse"; });
    node.addEventListener("pointerleave", () => {
      this.isPointed = false;
      onGoOn();
    });
    document.addEventListener("selectionchange", () => this.isSelected() || onGoOn());
  }

  isSelected() {
    const selection = document.getSelection();
    return !selection.isCollapsed && this.node.contains(selection.anchorNode);
  }

  get isGoingOn() {
    return (this.isPointed && this.node.matches(":hover")) || this.isSelected();
  }
}
