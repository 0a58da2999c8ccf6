/**
 * Times and counts. The sentences are English, and so is what stands in them; what stands alone is in the
 * language of the browser.
 */

import { now } from "../core/clock.js";
import { MOST_UNREAD } from "../core/store.js";

const time = new Intl.DateTimeFormat(navigator.languages, { hour: "numeric", minute: "2-digit" });
/** The language of what stands alone: times of day, days, numbers. */
export const language = time.resolvedOptions().locale;
/** What stands in a sentence speaks as the sentence does. */
const english = navigator.languages.find((it) => it.startsWith("en")) ?? "en";
const weekday = new Intl.DateTimeFormat(language, { weekday: "short" });
const shortDay = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
const longDay = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
const wholeDay = new Intl.DateTimeFormat(language, { dateStyle: "long" });
const nearDay = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const number = new Intl.NumberFormat(language);
const whole = new Intl.DateTimeFormat(english, { dateStyle: "long", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat(english, { numeric: "auto" });
const people = new Intl.ListFormat(english, { type: "conjunction" });

/** How many midnights lie between. @param {Date} at @param {Date} today */
function daysAgo(at, today) {
  const midnight = (/** @type {Date} */ it) =>
    new Date(it.getFullYear(), it.getMonth(), it.getDate()).getTime();
  return Math.round((midnight(today) - midnight(at)) / 86_400_000);
}

/** @param {string | number | Date} at */
export const clock = (at) => time.format(new Date(at));

/** Day and time, in a sentence. @param {string | number | Date} at */
export const moment = (at) => whole.format(new Date(at));

/** As short as it can be told in a list. @param {string} text */
export function brief(text) {
  const at = new Date(text);
  const days = daysAgo(at, new Date(now()));
  if (days <= 0) return time.format(at);
  return days < 7 ? weekday.format(at) : shortDay.format(at);
}

/** What stands between two days. @param {Date} at */
export function day(at) {
  const today = new Date(now());
  const days = daysAgo(at, today);
  if (Math.abs(days) < 2) return capital(nearDay.format(-days, "day"));
  return at.getFullYear() === today.getFullYear() ? longDay.format(at) : wholeDay.format(at);
}

/** How long ago, in a sentence. @param {string} text */
export function ago(text) {
  const minutes = Math.round((now() - Date.parse(text)) / 60_000);
  if (minutes < 60) return relative.format(-Math.max(minutes, 0), "minute");
  if (minutes < 24 * 60) return relative.format(-Math.round(minutes / 60), "hour");
  return relative.format(-Math.round(minutes / 1440), "day");
}

/** A number that stands alone. @param {number} value */
export const count = (value) => number.format(value);

/** How many are unread: exactly, as far as the server counts. @param {number} value */
export const unreadCount = (value) => (value >= MOST_UNREAD ? `${count(MOST_UNREAD)}+` : count(value));

/** How many, in a sentence. @param {number} value @param {string} one @param {string} many */
export const counted = (value, one, many) => `${value.toLocaleString(english)} ${value === 1 ? one : many}`;

/** Names, in a sentence. @param {string[]} names */
export const list = (names) => people.format(names);

/** @param {string} text */
const capital = (text) => text.charAt(0).toLocaleUpperCase(language) + text.slice(1);
