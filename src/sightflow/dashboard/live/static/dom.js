// Elements that are made once and changed in place, so that focus, scrolling and selected text stay.
// All that comes from a job is text: nothing here takes HTML.

export const byId = id => document.getElementById(id);

export const element = (tag, className = "", text = null) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== null) made.textContent = text;
  return made;
};

export const withChildren = (parent, ...children) => {
  parent.append(...children);
  return parent;
};

export const setText = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};

export const setAttribute = (node, name, value) => {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
};

export const setHidden = (node, isHidden) => {
  if (node.hidden !== isHidden) node.hidden = isHidden;
};

/** Makes the children of `parent` those of `items`, in order; a child stays as long as its key is there. */
export const reconcile = (parent, items, keyOf, make, update = () => {}) => {
  const old = new Map([...parent.children].map(child => [child.dataset.key, child]));
  const keys = new Set(items.map(item => String(keyOf(item))));
  for (const [key, child] of old) if (!keys.has(key)) child.remove();
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = old.get(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    update(child, item);
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
};

/** Gives each item a key that stays when newer ones come before it, also where items are equal. */
export const keyed = (items, identityOf) => {
  const seen = new Map();
  return items.toReversed().map(item => {
    const identity = identityOf(item);
    const n = seen.get(identity) ?? 0;
    seen.set(identity, n + 1);
    return { key: `${identity} ${n}`, item };
  }).reverse();
};

/** The path of a file: its folders give way to its name where there is little room. */
export const path = (text, tag = "span") => {
  const made = element(tag, "path");
  setPath(made, text);
  return made;
};

export const setPath = (node, text) => {
  if (node.title === text && node.childElementCount) return;
  const end = text.replace(/\/+$/, "").lastIndexOf("/") + 1;
  node.title = text;
  node.replaceChildren(element("span", "folder", text.slice(0, end)), element("span", "file", text.slice(end)));
};
