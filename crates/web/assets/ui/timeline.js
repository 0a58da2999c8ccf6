/**
 * The history on the screen. Of what is loaded only a window of some hundred rows is in the document,
 * however many messages there are; it slides as one scrolls. What one looks at stays where it is,
 * whatever is added above or below: before a change the row at the top is noted, and put back after.
 */

import { rows } from "../core/timeline.js";
import { h, iconButton, keyed } from "./dom.js";
import { day } from "./format.js";
import { messageRow, outgoingRow, showStatus, stampOf } from "./message.js";
import { noteOf } from "./people.js";

/** @typedef {import("./conversation.js").ConversationView} View */

/** As many messages are in the document at most. */
const WINDOW = 150;
/** The window slides by as many. */
const STEP = 50;
/** It slides when less than this is left above or below, in pixels. */
const MARGIN = 800;
/** This close to the end counts as the end. */
const NEAR = 60;

export class Timeline {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
    /** The first message of the window, by its number; and whether it reaches to the end. */
    this.from = 0;
    this.to = Infinity;
    this.list = h("ol", { class: "timeline", "aria-label": "Messages" });
    this.scroller = h(
      "div",
      {
        class: "scroller",
        tabindex: "0",
        role: "region",
        "aria-label": "History",
        keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      },
      this.list,
    );
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.end = iconButton("down", "Jump to the end", () => this.view.toEnd(), "to-end");
    this.end.hidden = true;
    this.count = h("span", { class: "badge", hidden: true });
    this.end.append(this.count);
    this.element = h("div", { class: "history" }, this.scroller, this.end);
    this.following = true;
    this.observer = new ResizeObserver(() => this.following && this.#toBottom());
    this.observer.observe(this.scroller);
  }

  close() {
    this.observer.disconnect();
  }

  /** Shows the end, and stays there as messages come. */
  follow() {
    [this.from, this.to, this.following] = [0, Infinity, true];
    this.render();
  }

  /** Shows a message in the middle. @param {number} seq */
  reveal(seq) {
    const room = this.view.room;
    if (!room) return;
    const place = room.place(seq);
    this.following = false;
    this.from = room.messages[Math.max(0, place - WINDOW / 2)]?.seq ?? 0;
    this.to = Infinity;
    this.render();
    const row = this.#row(seq);
    row?.scrollIntoView({ block: "center" });
    row?.focus({ preventScroll: true });
  }

  render() {
    const { room, client, id } = this.view;
    if (!room) return;
    const anchor = this.following ? null : this.#anchor();
    // What came in above is shown at once, so that there is room to put things back where they were.
    if (!this.following && this.from && this.scroller.scrollTop < MARGIN) this.#reach(-STEP);
    const [first, last] = this.#window();
    const shown = room.messages.slice(first, last);
    const atEnd = last === room.messages.length && !room.hasAfter;
    const sent = new Set(shown.slice(-20).map((message) => message.client_message_id));
    const outgoing = atEnd ? client.outbox.of(id).filter((entry) => !sent.has(entry.client_message_id)) : [];
    const all = rows(shown, {
      before: room.messages[first - 1],
      outgoing,
      readSeq: this.view.readSeq,
      me: client.user,
    });
    keyed(this.list, all, {
      key: (row) => row.key,
      stamp: (row) => stampOf(this.view, row),
      make: (row) => this.#make(row),
    });
    if (this.following) this.#toBottom();
    else if (anchor?.row.isConnected)
      this.scroller.scrollTop += anchor.row.getBoundingClientRect().top - anchor.top;
    for (const row of all)
      if (row.kind === "message") showStatus(this.view, this.#row(row.message.seq), row.message);
    this.#mark();
    // At the very top nothing scrolls any more: it goes on by itself.
    requestAnimationFrame(() => this.scroller.scrollTop < MARGIN && this.#scrolled());
  }

  /** The number of the last message that is on the screen. */
  lastSeen() {
    const bottom = this.scroller.getBoundingClientRect().bottom;
    const shown = /** @type {HTMLElement[]} */ ([...this.list.querySelectorAll("[data-seq]")]);
    for (let index = shown.length - 1; index >= 0; index--) {
      if (shown[index].getBoundingClientRect().top < bottom - 10) return Number(shown[index].dataset.seq);
    }
    return 0;
  }

  /** Which messages are shown, by their places. @returns {[number, number]} */
  #window() {
    const { messages } = /** @type {import("../core/room.js").Room} */ (this.view.room);
    const length = messages.length;
    if (this.following || !this.from) return [Math.max(0, length - WINDOW), length];
    const first = /** @type {import("../core/room.js").Room} */ (this.view.room).place(this.from);
    return [first, Math.min(length, first + WINDOW)];
  }

  /** @param {import("../core/timeline.js").Row} row */
  #make(row) {
    if (row.kind === "message") return messageRow(this.view, row);
    if (row.kind === "outgoing") return outgoingRow(this.view, row.entry, row.leads, row.ends);
    if (row.kind === "day") return h("li", { class: "day" }, h("span", null, day(row.at)));
    if (row.kind === "line") return h("li", { class: "line" }, h("span", null, "New messages"));
    const note = /** @type {import("../types.js").SystemEvent} */ (row.message.system);
    return h(
      "li",
      { class: "note", "data-seq": String(row.message.seq) },
      h("span", null, noteOf(this.view.client, note)),
    );
  }

  /** The topmost message on the screen, and where it is. */
  #anchor() {
    const { top } = this.scroller.getBoundingClientRect();
    for (const row of this.list.querySelectorAll("[data-seq]")) {
      const place = row.getBoundingClientRect();
      if (place.bottom > top) {
        const key = /** @type {HTMLElement} */ (row).dataset.key;
        // Its element may be another one after the change.
        return {
          top: place.top,
          get row() {
            return row.isConnected ? row : (document.querySelector(`.timeline > [data-key="${key}"]`) ?? row);
          },
        };
      }
    }
    return null;
  }

  #toBottom() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const room = this.view.room;
    if (!room?.loaded) return;
    const below = scrollHeight - scrollTop - clientHeight;
    const [first, last] = this.#window();
    this.following = below < NEAR && last === room.messages.length && !room.hasAfter;
    if (!this.following) this.from ||= room.messages[first]?.seq ?? 0;
    if (scrollTop < MARGIN) this.#slide(first, -STEP);
    else if (below < MARGIN && !this.following) this.#slide(first, STEP);
    this.#mark();
    this.view.seen();
  }

  /** @param {number} first @param {number} step */
  #slide(first, step) {
    const room = this.view.room;
    if (!room) return;
    const last = Math.min(room.messages.length, first + WINDOW);
    if (step < 0 && first === 0) {
      if (room.hasBefore) this.view.more("before");
      return;
    }
    if (step > 0 && last === room.messages.length) {
      if (room.hasAfter) this.view.more("after");
      return;
    }
    this.following = false;
    this.#reach(step);
    this.render();
  }

  /** Moves the beginning of the window. @param {number} step */
  #reach(step) {
    const { room } = this.view;
    const messages = room?.messages ?? [];
    if (!room || !messages.length) return;
    const next = Math.max(0, Math.min(room.place(this.from) + step, messages.length - 1));
    this.from = messages[next].seq;
  }

  /** Shows the way to the end, and how much is there. */
  #mark() {
    const unread = this.view.conversation?.my?.unread_count ?? 0;
    this.end.hidden = this.following;
    this.count.hidden = !unread;
    this.count.textContent = String(unread);
  }

  /** @param {number} seq @returns {HTMLElement | null} */
  #row(seq) {
    return this.list.querySelector(`[data-seq="${seq}"]`);
  }

  /** The arrows go from message to message; what can be done with one is behind Tab and Enter. @param {KeyboardEvent} event */
  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key === "End" && target === this.scroller) return this.view.toEnd();
    const messages = /** @type {HTMLElement[]} */ ([...this.list.querySelectorAll(".message")]);
    const current = target.closest(".message");
    if (event.key === "Enter" && target === current) {
      current.querySelector("button")?.focus();
    } else if (step) {
      const place = current
        ? messages.indexOf(/** @type {HTMLElement} */ (current)) + step
        : messages.length - 1;
      messages[place]?.focus({ preventScroll: true });
      messages[place]?.scrollIntoView({ block: "nearest" });
    } else return;
    event.preventDefault();
  }
}
