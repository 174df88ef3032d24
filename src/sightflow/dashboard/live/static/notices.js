// What everybody should see at once: a run that failed, a connection that is lost, drift, a page that stands still.

import { byId, element, setText, withChildren } from "./dom.js";
import { eventTime, time } from "./format.js";
import { textOf } from "./events.js";

const say = (id, ...children) => {
  const node = byId(id);
  const words = children.map(child => child.textContent).join("\n");
  if (node.dataset.words === words) return;
  node.dataset.words = words;
  node.replaceChildren(...children);
};

export const hide = id => say(id);

export const showFailure = run => {
  if (run.status !== "failed") return hide("failure");
  const message = element("div", "message", run.message ?? "Nothing is known of the reason.");
  message.tabIndex = 0;
  message.setAttribute("role", "group");
  message.setAttribute("aria-label", "What went wrong");
  return say("failure", element("strong", "", `${run.name} has failed`), message);
};

export const showLost = lastMs => {
  const seen = lastMs === null ? "Nothing has been received yet." : `What you see is from ${time(lastMs)}.`;
  say("lost", element("strong", "", "The connection is lost."), element("span", "", ` ${seen} It is tried again.`));
};

export const showPaused = (nowMs, isOver) => {
  say("paused", element("strong", "", "Paused."), element("span", "", ` What you see is from ${time(nowMs)}; the run ${isOver ? "is over" : "goes on"}.`));
};

/** The newest drift alarm, until it is put away. */
export class Drift {
  constructor() {
    this.away = null;
  }

  render({ learning }) {
    const alarm = learning?.alarms[0];
    if (!alarm) return hide("drift");
    this.key = JSON.stringify(alarm);
    if (this.key === this.away) return hide("drift");
    const words = element("span", "", ` ${alarm.step}, ${eventTime(alarm.event_time_ms)}: ${textOf(alarm)}`);
    return say("drift", withChildren(element("p"), element("strong", "", "A watched value has changed."), words), this.#button());
  }

  reset() {
    this.away = null;
  }

  #button() {
    const made = element("button", "quiet", "Dismiss");
    made.type = "button";
    made.addEventListener("click", () => {
      this.away = this.key;
      hide("drift");
      byId("learning").focus();
    });
    return made;
  }
}
