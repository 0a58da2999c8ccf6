/** One WebSocket after another: opened with a ticket, opened again whenever it is lost. */

import { backoff } from "../core/backoff.js";
import { setClock } from "../core/clock.js";
import { Refused } from "../core/outbox.js";
import { api } from "./api.js";
import { PATIENCE, SignedOut, token } from "./session.js";

/** How often an idle connection is tried. */
const PULSE = 25_000;

export class Socket {
  /**
   * @param {object} on
   * @param {(frame: Frame) => void} on.frame every frame that answers nothing
   * @param {(connected: boolean) => void} on.state after `ready`, and when it is lost
   * @param {() => void} on.signedOut
   */
  constructor(on) {
    this.on = on;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.ready = false;
    this.attempt = 0;
    this.nextId = 1;
    /** @type {Map<string, {resolve: (frame: Frame) => void, reject: (why: Error) => void, timer: number}>} */
    this.waiting = new Map();
    this.timer = 0;
    addEventListener("online", () => this.connect());
    addEventListener("offline", () => this.#lost());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible" && !this.socket) this.connect();
    });
    setInterval(() => this.ready && this.ask({ type: "ping" }).catch(() => {}), PULSE);
  }

  /** Whether it takes frames. */
  get open() {
    return this.ready && this.socket?.readyState === WebSocket.OPEN;
  }

  async connect() {
    if (this.socket || this.opening) return;
    clearTimeout(this.timer);
    this.opening = true;
    try {
      const { ticket } = await api.post("/auth/ws-ticket");
      this.#open(ticket);
    } catch (error) {
      if (error instanceof SignedOut) return this.on.signedOut();
      this.#again(error instanceof Refused ? error.retryAfter : undefined);
    } finally {
      this.opening = false;
    }
  }

  /** Sends a command, and waits for its answer. @param {Frame} frame @returns {Promise<Frame>} */
  ask(frame) {
    return new Promise((resolve, reject) => {
      if (!this.open) return reject(new Refused("disconnected", "There is no connection."));
      const id = String(this.nextId++);
      const timer = setTimeout(() => this.#lost(), PATIENCE);
      this.waiting.set(id, { resolve, reject, timer });
      this.socket?.send(JSON.stringify({ ...frame, id }));
    });
  }

  /** Sends a command whose answer nobody waits for. @param {Frame} frame */
  tell(frame) {
    if (this.open) this.socket?.send(JSON.stringify(frame));
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket?.close(1000);
  }

  /** @param {string} ticket */
  #open(ticket) {
    if (this.closed) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/v1/ws?ticket=${encodeURIComponent(ticket)}`);
    this.socket = socket;
    // It opens soon, or is given up.
    this.timer = setTimeout(() => this.socket === socket && this.#lost(), PATIENCE);
    socket.onmessage = ({ data }) => this.socket === socket && this.#heard(JSON.parse(data));
    // Where the session has ended, the next ticket tells.
    socket.onclose = ({ reason }) => {
      if (this.socket === socket) this.#lost(Number(/retry_after_ms=(\d+)/.exec(reason)?.[1] ?? 0));
    };
  }

  /** @param {Frame} frame */
  #heard(frame) {
    if (frame.type === "ready") {
      clearTimeout(this.timer);
      setClock(frame.server_time);
      this.ready = true;
      this.attempt = 0;
      this.on.state(true);
      return;
    }
    if (frame.type === "token_expiring") {
      token()
        .then((token) => this.tell({ type: "authenticate", token }))
        .catch(() => {});
      return;
    }
    const waiting = frame.id && this.waiting.get(frame.id);
    if (!frame.id || !waiting) return this.on.frame(frame);
    clearTimeout(waiting.timer);
    this.waiting.delete(frame.id);
    if (frame.type === "error") waiting.reject(new Refused(frame.code, frame.message, { retryAfter: frame.retry_after_ms }));
    else waiting.resolve(frame);
  }

  /** @param {number} [retryAfter] */
  #lost(retryAfter) {
    this.socket?.close();
    this.socket = null;
    this.ready = false;
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject, timer } of waiting) {
      clearTimeout(timer);
      reject(new Refused("disconnected", "The connection was lost."));
    }
    this.#again(retryAfter);
  }

  /** @param {number} [atLeast] */
  #again(atLeast = 0) {
    if (this.closed) return;
    this.on.state(false);
    const wait = Math.max(atLeast, backoff(this.attempt++));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), wait);
  }
}
