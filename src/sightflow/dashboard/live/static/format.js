// Numbers and times as people read them.

const YEAR_MS = 365 * 24 * 3600 * 1000;
const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 3 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const calendar = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

const GLUE = "\u00a0"; // a number and its unit stay on one line

export const NONE = "–";

export const count = value => value == null ? NONE : whole.format(value);

export const number = value => {
  if (value == null) return NONE;
  if (value !== 0 && Math.abs(value) < .0001) return value.toExponential(2);
  return Math.abs(value) >= 1000 ? whole.format(value) : short.format(value);
};

export const score = value => value == null ? NONE : value.toFixed(2);

export const percent = (value, digits = 1) => value == null ? NONE : `${(100 * value).toFixed(digits)} %`;

/** A length of time in milliseconds, in the unit that suits it. */
export const duration = ms => {
  if (ms == null) return NONE;
  if (ms < 1000) return `${short.format(ms)}${GLUE}ms`;
  if (ms < 60_000) return `${short.format(ms / 1000)}${GLUE}s`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = Math.floor(ms / 1000) % 60;
  if (minutes < 60) return `${minutes}${GLUE}min ${seconds}${GLUE}s`;
  return `${whole.format(Math.floor(minutes / 60))}${GLUE}h ${minutes % 60}${GLUE}min`;
};

/** Whether a time is one within a video: these count from 0, which would be 1970. */
export const isWithin = ms => Math.abs(ms) < YEAR_MS;

const two = value => String(value).padStart(2, "0");

const within = (ms, digits) => {
  const all = Math.floor(Math.abs(ms) / 1000);
  const sign = ms < 0 ? "-" : "";
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor(all / 60) % 60;
  const rest = digits ? `.${Math.floor(Math.abs(ms) % 1000 / 100)}` : "";
  return `${sign}${hours ? `${hours}:${two(minutes)}` : minutes}:${two(all % 60)}${rest}`;
};

const isToday = date => date.toDateString() === new Date().toDateString();

/** The time of the clock, with the day where it is not today. */
export const time = ms => {
  if (ms == null) return NONE;
  const date = new Date(ms);
  return isToday(date) ? clock.format(date) : `${calendar.format(date)}, ${clock.format(date)}`;
};

/** The time of an image or event: within its video, or of the clock. */
export const eventTime = (ms, digits = 1) => {
  if (ms == null) return NONE;
  return isWithin(ms) ? within(ms, digits) : time(ms);
};

/** `1 image`, `2 images`. */
export const several = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

export const firstUpper = text => text.charAt(0).toUpperCase() + text.slice(1);
