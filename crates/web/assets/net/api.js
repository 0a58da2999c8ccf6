/** The REST calls. */

import { Refused } from "../core/outbox.js";
import { SignedOut, token } from "./session.js";

/**
 * What the server refused, with the fields at fault.
 */
export class Problem extends Refused {
  /** @param {{code?: string, detail?: string, errors?: {field: string, code: string, message: string}[]}} body @param {number} status */
  constructor(body, status) {
    super(body.code ?? "internal", body.detail ?? `the server answered ${status}`);
    this.status = status;
    this.errors = body.errors ?? [];
  }
}

/**
 * Asks as nobody.
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @param {string} [bearer]
 * @returns {Promise<any>} null where there is no content
 */
export async function ask(method, path, body, bearer) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  let answer;
  try {
    answer = await fetch(`/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Refused("disconnected", "The server cannot be reached.");
  }
  if (answer.status === 204) return null;
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(json, answer.status);
  return json;
}

/**
 * Asks as the one who is signed in.
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>}
 */
export async function call(method, path, body) {
  const first = await bearer();
  try {
    return await ask(method, path, body, first);
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "unauthenticated") throw error;
    return ask(method, path, body, await bearer(first));
  }
}

/** @param {string} [refused] */
async function bearer(refused) {
  try {
    return await token(refused);
  } catch (error) {
    if (error instanceof SignedOut) throw error;
    throw new Refused("disconnected", "The server cannot be reached.");
  }
}

export const api = {
  get: (/** @type {string} */ path) => call("GET", path),
  post: (/** @type {string} */ path, /** @type {object | undefined} */ body = undefined) =>
    call("POST", path, body),
  put: (/** @type {string} */ path, /** @type {object | undefined} */ body = undefined) =>
    call("PUT", path, body),
  patch: (/** @type {string} */ path, /** @type {object} */ body) => call("PATCH", path, body),
  delete: (/** @type {string} */ path, /** @type {object | undefined} */ body = undefined) =>
    call("DELETE", path, body),
};
