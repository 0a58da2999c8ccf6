/**
 * What was written and is not confirmed yet. Every entry is on disk before it is sent, and goes when
 * the server has confirmed it. Sending again is always right: the server knows an entry by its id. In
 * one conversation one is under way at a time, so that the order stays.
 */

import { backoff } from "./backoff.js";

/** Refusals that pass: the same entry may go through later. */
const PASSING = new Set([
  "unavailable",
  "overloaded",
  "outcome_unknown",
  "rate_limited",
  "conflict",
  "internal",
  "disconnected",
]);

/** Why something was refused: a code of the interface, or `disconnected`. */
export class Refused extends Error {
  /**
   * @param {string} code @param {string} message
   * @param {{retryAfter?: number, errors?: {field: string, message: string}[]}} [more] milliseconds, and the fields at fault
   */
  constructor(code, message, { retryAfter, errors = [] } = {}) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
    this.errors = errors;
  }
}

export class Outbox {
  /**
   * @param {Shelf} shelf
   * @param {(entry: Outgoing) => Promise<unknown>} send done when it is confirmed; throws {@link Refused}
   * @param {(conversation: string) => void} changed
   */
  constructor(shelf, send, changed) {
    this.shelf = shelf;
    this.send = send;
    this.changed = changed;
    /** @type {Map<string, Outgoing>} by id */
    this.entries = new Map();
    /** Conversations that are being sent. @type {Set<string>} */
    this.busy = new Set();
    /** @type {Map<string, number>} */
    this.attempts = new Map();
    this.connected = false;
    /** What waits to be tried again: no longer than until the connection comes or goes. @type {Set<(value?: unknown) => void>} */
    this.waiting = new Set();
  }

  /** Takes in what was kept before the page was loaded. */
  async open() {
    for (const entry of await this.shelf.all()) {
      if (!this.entries.has(entry.client_message_id)) this.entries.set(entry.client_message_id, entry);
    }
    for (const { conversation_id } of this.entries.values()) this.changed(conversation_id);
    this.#sendAll();
  }

  /** What waits in a conversation, in order. @param {string} conversation */
  of(conversation) {
    const mine = [...this.entries.values()].filter((it) => it.conversation_id === conversation);
    return mine.sort((one, other) => one.order - other.order);
  }

  /** Resolves when the entry is on disk; it is sent in any case. @param {Outgoing} entry */
  async add(entry) {
    const isKept = await this.#set(entry);
    this.#next(entry.conversation_id);
    return isKept;
  }

  /** @param {string} id */
  async retry(id) {
    const entry = this.entries.get(id);
    if (!entry) return;
    await this.#set({ ...entry, state: "pending", error: undefined });
    this.#next(entry.conversation_id);
  }

  /** It is confirmed, here or in another tab, or its writer gave it up. @param {string} id */
  async drop(id) {
    const entry = this.entries.get(id);
    if (!entry) return;
    this.entries.delete(id);
    this.attempts.delete(id);
    this.changed(entry.conversation_id);
    await this.shelf.delete(id, entry.conversation_id).catch(() => {});
  }

  /** @param {boolean} connected */
  online(connected) {
    this.connected = connected;
    for (const goOn of this.waiting) goOn();
    this.waiting.clear();
    if (connected) this.#sendAll();
  }

  #sendAll() {
    for (const conversation of new Set([...this.entries.values()].map((it) => it.conversation_id))) {
      this.#next(conversation);
    }
  }

  /** @param {Outgoing} entry */
  async #set(entry) {
    this.entries.set(entry.client_message_id, entry);
    this.changed(entry.conversation_id);
    // Without a disk it is sent all the same.
    return this.shelf.put(entry).then(
      () => true,
      () => false,
    );
  }

  /** Sends what waits, one after the other. @param {string} conversation */
  async #next(conversation) {
    if (this.busy.has(conversation)) return;
    this.busy.add(conversation);
    const first = () => this.connected && this.of(conversation).find((it) => it.state === "pending");
    for (let entry = first(); entry; entry = first()) await this.#attempt(entry);
    this.busy.delete(conversation);
  }

  /** Done when something else, or the same again, may be sent. @param {Outgoing} entry */
  async #attempt(entry) {
    const id = entry.client_message_id;
    try {
      await this.send(entry);
      await this.drop(id);
    } catch (error) {
      const { code, message, retryAfter = 0 } = error instanceof Refused ? error : new Refused("internal", String(error));
      if (!PASSING.has(code)) return void (await this.#set({ ...entry, state: "failed", error: message }));
      // With the next connection it goes at once.
      if (code === "disconnected" && !this.connected) return;
      const attempt = this.attempts.get(id) ?? 0;
      this.attempts.set(id, attempt + 1);
      const wait = Math.max(retryAfter, backoff(attempt));
      await new Promise((goOn) => {
        this.waiting.add(goOn);
        setTimeout(goOn, wait);
      });
    }
  }
}
