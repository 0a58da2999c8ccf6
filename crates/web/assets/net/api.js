/** The REST calls. */

import { guessClock } from "../core/clock.js";
import { Refused } from "../core/outbox.js";
import { PATIENCE, SignedOut, token } from "./session.js";

const away = () => new Refused("disconnected", "The server cannot be reached.");

/**
 * Asks as nobody.
 * @param {string} method @param {string} path @param {object} [body] @param {string} [bearer]
 * @returns {Promise<any>} null where there is no content
 */
export async function ask(method, path, body, bearer) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  const signal = AbortSignal.timeout(PATIENCE);
  const answer = await fetch(`/v1${path}`, {
    method,
    headers,
    body: body && JSON.stringify(body),
    signal,
  }).catch(() => Promise.reject(away()));
  guessClock(answer.headers.get("Date"));
  if (answer.status === 204) return null;
  const json = await answer.json().catch(() => (answer.ok ? Promise.reject(away()) : {}));
  if (answer.ok) return json;
  const { code = "internal", detail = `the server answered ${answer.status}`, errors } = json;
  throw new Refused(code, detail, { errors });
}

/** Asks as the one who is signed in. @param {string} method @param {string} path @param {object} [body] @returns {Promise<any>} */
async function call(method, path, body) {
  const first = await bearer();
  try {
    return await ask(method, path, body, first);
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== "unauthenticated") throw error;
    return ask(method, path, body, await bearer(first));
  }
}

/** @param {string} [refused] */
const bearer = (refused) =>
  token(refused).catch((error) => Promise.reject(error instanceof SignedOut ? error : away()));

/** @type {Record<"get" | "post" | "put" | "patch" | "delete", (path: string, body?: object) => Promise<any>>} */
export const api = {
  get: (path) => call("GET", path),
  post: (path, body) => call("POST", path, body),
  put: (path, body) => call("PUT", path, body),
  patch: (path, body) => call("PATCH", path, body),
  delete: (path, body) => call("DELETE", path, body),
};

/** One page of a list, and where the next begins. @param {string} path @param {string | null} [cursor] */
export const pageOf = (path, cursor) =>
  api.get(`${path}?limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);

/** A list, page by page, up to some hundreds. @param {string} path @returns {Promise<any[]>} */
export async function listOf(path) {
  const items = [];
  let cursor = null;
  do {
    const page = await pageOf(path, cursor);
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && items.length < 500);
  return items;
}
