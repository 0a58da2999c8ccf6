/**
 * The history on the screen. Of what is loaded only a window of some hundred rows is in the document,
 * however many messages there are; it slides as one scrolls. What one looks at stays where it is,
 * whatever is added above or below: before a change the row at the top is noted, and put back after.
 */

import { rows } from "../core/timeline.js";
import { every, h, iconButton, isPressed, keyed } from "./dom.js";
import { day, language, unreadCount } from "./format.js";
import { messageRow, showStatus, stampOf } from "./message.js";
import { noteOf } from "./people.js";

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
    /** The number of the first message of the window; 0 while it stands at the end. */
    this.from = 0;
    /** Whether it stays at the end as messages come. */
    this.following = true;
    this.list = h("ol.timeline", { "aria-label": "Messages" });
    this.scroller = h(
      "div.scroller",
      { tabindex: 0, role: "region", "aria-label": "History", keydown: (event) => this.#key(event) },
      this.list,
    );
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.count = h("span.badge");
    this.end = iconButton("down", "Jump to the end", () => this.view.toEnd(), "to-end");
    this.end.append(this.count);
    this.end.hidden = true;
    this.element = h("div.history", this.scroller, this.end);
    new ResizeObserver(() => this.following && this.#toBottom()).observe(this.scroller);
  }

  /** Shows the end, and stays there. */
  follow() {
    [this.from, this.following] = [0, true];
    this.render();
  }

  /** Shows a message in the middle. @param {number} seq */
  reveal(seq) {
    const { room } = this.view;
    if (!room) return;
    this.following = false;
    this.from = room.messages[Math.max(0, room.place(seq) - WINDOW / 2)]?.seq ?? 0;
    this.render();
    const row = every(this.list, `[data-seq="${seq}"]`)[0];
    row?.scrollIntoView({ block: "center" });
    row?.focus({ preventScroll: true });
  }

  render() {
    const { room, client, id, readSeq } = this.view;
    if (!room || isPressed(this.list, () => this.render())) return;
    const anchor = this.following ? null : this.#anchor();
    // What came in above is shown at once, so that there is room to put things back where they were.
    if (!this.following && this.from && this.scroller.scrollTop < MARGIN) this.#reach(-STEP);
    const [first, last] = this.#window();
    const shown = room.messages.slice(first, last);
    const atEnd = last === room.messages.length && !room.hasAfter;
    const sent = new Set(shown.map((message) => message.client_message_id));
    const outgoing = atEnd ? client.outbox.of(id).filter((entry) => !sent.has(entry.client_message_id)) : [];
    const before = room.messages[first - 1];
    const hasBefore = first > 0 || room.hasBefore;
    const all = rows(shown, { before, hasBefore, outgoing, readSeq, me: client.user });
    keyed(
      this.list,
      all.map((row) => ({ key: row.key, stamp: stampOf(this.view, row), make: () => this.#make(row) })),
    );
    if (this.following) this.#toBottom();
    else anchor?.();
    all.forEach((row, index) => {
      if (row.kind === "message") showStatus(this.view, this.list.children[index], row.message);
    });
    this.#mark();
    // At the very top nothing scrolls any more: it goes on by itself.
    requestAnimationFrame(() => this.scroller.scrollTop < MARGIN && this.#scrolled());
  }

  /** The number of the last message that is on the screen. */
  lastSeen() {
    return Number(this.#lastOf(this.#rows())?.dataset.seq ?? 0);
  }

  /** The last of these that is on the screen. @param {HTMLElement[]} rows */
  #lastOf(rows) {
    const { bottom } = this.scroller.getBoundingClientRect();
    return rows.findLast((it) => it.getBoundingClientRect().top < bottom - 10);
  }

  #rows() {
    return every(this.list, "[data-seq]");
  }

  /** Which messages are shown, by their places. @returns {[number, number]} */
  #window() {
    const { room } = this.view;
    const length = room?.messages.length ?? 0;
    if (!room || this.following || !this.from) return [Math.max(0, length - WINDOW), length];
    const first = room.place(this.from);
    return [first, Math.min(length, first + WINDOW)];
  }

  /** @param {Row} row */
  #make(row) {
    if (row.kind === "message") return messageRow(this.view, row);
    if (row.kind === "day") return h("li.day", h("span", { lang: language }, day(row.at)));
    if (row.kind === "line") return h("li.line", h("span", "New messages"));
    return h("li.note", { "data-seq": row.message.seq }, h("span", noteOf(this.view.client, row.message)));
  }

  /** Notes the topmost message on the screen, and where it is. What is returned puts it back there. */
  #anchor() {
    const { top } = this.scroller.getBoundingClientRect();
    const row = this.#rows().find((it) => it.getBoundingClientRect().bottom > top);
    if (!row) return null;
    const was = row.getBoundingClientRect().top;
    return () => {
      // Its element may be another one after the change.
      const now = row.isConnected ? row : this.#rows().find((it) => it.dataset.key === row.dataset.key);
      if (now) this.scroller.scrollTop += now.getBoundingClientRect().top - was;
    };
  }

  #toBottom() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const { room } = this.view;
    if (!room?.loaded || this.view.gone.signal.aborted) return;
    const below = scrollHeight - scrollTop - clientHeight;
    const [first, last] = this.#window();
    this.following = below < NEAR && last === room.messages.length && !room.hasAfter;
    if (!this.following) this.from ||= room.messages[first]?.seq ?? 0;
    if (scrollTop < MARGIN) this.#slide(first > 0, "before", -STEP);
    else if (below < MARGIN && !this.following) this.#slide(last < room.messages.length, "after", STEP);
    this.#mark();
    this.view.seen();
  }

  /** Moves the window, or has more loaded where all that is there is shown. @param {boolean} there @param {"before" | "after"} side @param {number} step */
  #slide(there, side, step) {
    const { room } = this.view;
    if (there) {
      this.following = false;
      this.#reach(step);
      this.render();
    } else if (side === "before" ? room?.hasBefore : room?.hasAfter) this.view.more(side);
  }

  /** Moves the beginning of the window. @param {number} step */
  #reach(step) {
    const { room } = this.view;
    if (!room?.messages.length) return;
    const next = Math.max(0, Math.min(room.place(this.from) + step, room.messages.length - 1));
    this.from = room.messages[next].seq;
  }

  /** Shows the way to the end, and how much is there. */
  #mark() {
    const unread = this.view.conversation?.my?.unread_count ?? 0;
    if (this.following && document.activeElement === this.end) this.view.focus();
    this.end.hidden = this.following;
    this.count.hidden = !unread;
    this.count.textContent = unreadCount(unread);
  }

  /** The arrows go from message to message; what can be done with one is behind Tab and Enter. @param {KeyboardEvent} event */
  #key(event) {
    const { target } = event;
    if (event.key === "End" && target === this.scroller) return this.view.toEnd();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const messages = every(this.list, ".message");
    const at = messages.findIndex((it) => target instanceof Node && it.contains(target));
    if (event.key === "Enter" && messages[at] === target) {
      messages[at].querySelector("button")?.focus();
    } else if (step) {
      const next = at < 0 ? this.#lastOf(messages) : messages[at + step];
      next?.focus({ preventScroll: true });
      next?.scrollIntoView({ block: "nearest" });
    } else return;
    event.preventDefault();
  }
}
