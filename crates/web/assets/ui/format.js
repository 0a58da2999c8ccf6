/** Times and counts in the language of the browser. */

const language = navigator.languages;
const time = new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(language, { weekday: "short" });
const shortDay = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
const longDay = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
const wholeDay = new Intl.DateTimeFormat(language, { dateStyle: "long" });
const whole = new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const number = new Intl.NumberFormat(language);
const people = new Intl.ListFormat(language, { type: "conjunction" });
const plural = new Intl.PluralRules("en");

/** How many midnights lie between. @param {Date} at @param {Date} now */
function daysAgo(at, now) {
  const midnight = (/** @type {Date} */ it) =>
    new Date(it.getFullYear(), it.getMonth(), it.getDate()).getTime();
  return Math.round((midnight(now) - midnight(at)) / 86_400_000);
}

/** The time of day. @param {string | number | Date} at */
export const clock = (at) => time.format(new Date(at));

/** Day and time. @param {string | number | Date} at */
export const moment = (at) => whole.format(new Date(at));

/** As short as it can be told in a list. @param {string} text */
export function brief(text) {
  const [at, now] = [new Date(text), new Date()];
  const days = daysAgo(at, now);
  if (days <= 0) return time.format(at);
  return days < 7 ? weekday.format(at) : shortDay.format(at);
}

/** What stands between two days. @param {Date} at */
export function day(at) {
  const now = new Date();
  const days = daysAgo(at, now);
  if (days < 2) return capital(relative.format(-days, "day"));
  return at.getFullYear() === now.getFullYear() ? longDay.format(at) : wholeDay.format(at);
}

/** @param {string} text */
export function ago(text) {
  const minutes = Math.round((Date.now() - Date.parse(text)) / 60_000);
  if (minutes < 60) return relative.format(-Math.max(minutes, 0), "minute");
  if (minutes < 24 * 60) return relative.format(-Math.round(minutes / 60), "hour");
  return relative.format(-Math.round(minutes / 1440), "day");
}

/** @param {number} value */
export const count = (value) => number.format(value);

/** @param {number} value @param {string} one @param {string} many */
export const counted = (value, one, many) =>
  `${number.format(value)} ${plural.select(value) === "one" ? one : many}`;

/** @param {string[]} names */
export const list = (names) => people.format(names);

/** @param {string} text */
const capital = (text) => text.charAt(0).toLocaleUpperCase() + text.slice(1);
