// The page: each state of the run goes to every part that shows some of it.

import { byId, setHidden, setText } from "./dom.js";
import { connect } from "./connection.js";
import { Counts } from "./counts.js";
import { Drift, hide, showFailure, showLost, showPaused } from "./notices.js";
import { Events } from "./events.js";
import { Head, Tiles, isOver } from "./summary.js";
import { Learning } from "./learning.js";
import { Ledger } from "./ledger.js";
import { Models } from "./models.js";
import { Pictures } from "./pictures.js";
import { Recognitions } from "./recognitions.js";
import { forget, ofClass } from "./colours.js";

const head = new Head();
const drift = new Drift();
const pictures = new Pictures();
const parts = [new Tiles(), new Learning(), pictures, new Events(), new Recognitions(), new Counts(), new Ledger(), new Models()];

let state = null;
let receivedMs = null;
let isPaused = false;
let pausedMs = null;

/** Shows what is newest. Its name and how it is are told also while the page is paused or behind others. */
const show = () => {
  if (!state) return;
  head.render(state);
  setHidden(byId("pause"), isOver(state.run) && !isPaused);
  showFailure(state.run);
  if (isPaused) showPaused(pausedMs, isOver(state.run));
  drift.render(state);
  if (isPaused || document.hidden) return;
  for (const one of state.counts.labels) ofClass(one.label);
  for (const part of parts) part.render(state);
};

const pause = isWanted => {
  isPaused = isWanted;
  setText(byId("pause"), isPaused ? "Go on" : "Pause");
  pausedMs = Date.now();
  if (isPaused) showPaused(pausedMs, state !== null && isOver(state.run));
  else hide("paused");
  move();
};

/** Pictures stand still while the page is paused, and while nobody can see it. */
const move = () => {
  pictures.move(!isPaused && !document.hidden);
  show();
};

const beginAnew = () => {
  forget();
  drift.reset();
  for (const part of parts) part.reset?.();
  pause(false);
};

const onState = next => {
  const isNew = state !== null && state.run.id !== next.run.id;
  state = next;
  receivedMs = Date.now();
  hide("lost");
  if (isNew) beginAnew();
  else show();
  return !isOver(next.run);
};

const onLost = () => {
  if (state && isOver(state.run)) return;
  head.lose();
  showLost(receivedMs);
};

byId("pause").addEventListener("click", () => pause(!isPaused));
document.addEventListener("visibilitychange", move);
if (globalThis.uPlot) {
  byId("incomplete").remove();
  setText(byId("status"), "Connecting");
  connect(onState, onLost);
}
