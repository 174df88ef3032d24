// What was found in an image, from a row of results: objects to draw, and the same in words.

import { NOBODY, PLATE, ofClass, ofLight, ofTrack } from "./colours.js";
import { count, eventTime, number, score } from "./format.js";

const MIN_SCORE = .005;
const DARK = ["off", "unknown"];

const said = one => {
  if (one.state) return { ...one.state, colour: DARK.includes(one.state.label) ? NOBODY : ofLight(one.state.label) };
  if (one.sign) return { ...one.sign, colour: DARK.includes(one.sign.label) ? NOBODY : PLATE };
  return null;
};

const object = one => {
  const more = said(one);
  const track = one.track_id ?? null;
  return {
    kind: "object", label: one.label, score: one.score, box: one.box_xyxy, track, points: [],
    said: more && { label: more.label, score: more.score },
    colour: more?.colour ?? (track === null ? ofClass(one.label) : ofTrack(track)),
  };
};

const face = one => {
  const isLookedUp = one.similarity != null;
  const track = one.track_id ?? null;
  const name = isLookedUp ? one.person_id ?? "unknown" : "face";
  const colour = one.person_id == null ? (track === null ? NOBODY : ofTrack(track)) : ofClass(one.person_id);
  return {
    kind: "face", label: name, score: isLookedUp ? one.similarity : one.score, box: one.box_xyxy, track,
    points: one.landmarks_xy ?? [], said: null, colour,
  };
};

/** The objects that are followed, with what a step says of their detections. */
const followedIn = row => {
  const seen = new Map((row.detections ?? []).map(one => [one.track_id, one]));
  return row.tracks.map(one => ({ ...one, state: seen.get(one.track_id)?.state, sign: seen.get(one.track_id)?.sign }));
};

/** All that has a place in the picture, of objects that are followed only these. */
export const placedIn = row => {
  const faces = row.faces ?? [];
  const areObjectsFollowed = row.tracks != null && !faces.some(one => "track_id" in one);
  const objects = areObjectsFollowed ? followedIn(row) : row.detections ?? [];
  return [...faces.map(face), ...objects.map(object)];
};

/** The classes of the whole picture, the best first, without those that score nothing that can be seen. */
export const classesOf = row => (row.classification ?? []).filter((one, i) => i === 0 || one.score >= MIN_SCORE).map(one => (
  { kind: "class", label: one.label, score: one.score, colour: ofClass(one.label) }));

const scenesOf = row => (row.scene ?? []).slice(0, 1).filter(one => one.score > 0).map(one => (
  { kind: "scene", label: one.label, score: one.score, colour: null }));

const measuresOf = row => (row.measures ?? []).map(one => (
  { kind: "measure", label: `${one.name} ${number(one.value)}`, score: null, colour: null }));

/** Everything, the whole picture first. */
export const foundIn = row => [...classesOf(row), ...scenesOf(row), ...placedIn(row), ...measuresOf(row)];

/** What it is called: `car #3`, `traffic light: red`, `scene: street`. */
export const nameOf = one => {
  const name = one.kind === "scene" ? `scene: ${one.label}` : one.label;
  return `${name}${one.said ? `: ${one.said.label}` : ""}${one.track == null ? "" : ` #${one.track}`}`;
};

/** The same with its score. */
export const textOf = one => {
  const value = one.said?.score ?? one.score;
  return value == null ? nameOf(one) : `${nameOf(one)} ${score(value)}`;
};

/** The same found things counted: `{ text: "3 car", colour }`, in the order in which they come. */
export const summaryOf = row => {
  const groups = new Map();
  for (const one of foundIn(row)) {
    const key = one.said ? `${one.label}: ${one.said.label}` : one.label;
    groups.set(key, [...groups.get(key) ?? [], one]);
  }
  return [...groups].map(([key, all]) => ({
    text: all.length > 1 ? `${all.length} × ${key}` : textOf(all[0]),
    colour: all.length > 1 && all[0].track != null ? ofClass(all[0].label) : all[0].colour,
  }));
};

/** Whether a step looked for anything at all. */
export const wasLookedAt = row => ["classification", "scene", "detections", "tracks", "faces", "measures"].some(name => row[name] != null);

/** When a picture was taken, and its position in its source. */
export const placeOf = row => `${eventTime(row.event_time_ms)} · position ${count(row.sequence)} · ${row.width} × ${row.height}`;
