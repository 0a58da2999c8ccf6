/** Where one writes: text that grows, what it answers or changes, drafts, and the names of the mentioned. */

import { NOTHING, kept, quoted, written } from "../core/draft.js";
import { left } from "../core/text.js";
import { tokens } from "../net/session.js";
import { attempt, every, fill, h, icon, iconButton, refill, stamp } from "./dom.js";
import { counted } from "./format.js";
import { nameOf } from "./people.js";

/** Typing is said again this often. */
const SAY_TYPING = 3_000;

/** A keyboard on the screen has no Shift to hold: its Enter makes a line, and the button sends. */
const touch = matchMedia("(pointer: coarse)");

export class Composer {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
    this.client = view.client;
    this.id = view.id;
    this.draft = this.client.draft(this.id);
    /** Whether it was written in this tab. */
    this.isOwn = false;
    this.saidTyping = 0;
    this.input = h("textarea", {
      rows: 1,
      placeholder: "Message",
      "aria-label": "Message",
      "aria-describedby": "limit",
      "aria-autocomplete": "list",
      "aria-controls": "names",
      input: () => this.#typed(),
      keydown: (event) => this.#key(event),
      blur: () => this.stopTyping(),
    });
    this.above = h("div.composer-above");
    this.names = h("ul.names", { id: "names", role: "listbox", "aria-label": "People to mention" });
    this.limit = h("p.limit", { id: "limit" });
    this.button = iconButton("send", "Send", () => this.#send(), "send");
    const row = h("div.composer-row", this.input, this.button);
    this.element = h("div.composer", this.names, this.above, row, this.limit);
    addEventListener("storage", () => this.#follow(), view.gone);
    this.#show();
  }

  /** @param {Message} message */
  answer(message) {
    this.#set({ ...this.draft, answers: quoted(message), edits: null });
    this.input.focus();
  }

  /** @param {Message} message */
  edit({ id, content }) {
    const text = content ?? "";
    this.#set({ ...this.draft, edits: { id, before: text, text } });
    this.input.focus();
  }

  /** Gives up what it changes or answers. Says whether there was such. */
  escape() {
    const { answers, edits } = this.draft;
    if (!this.names.hidden) this.#offer([]);
    else if (edits) this.#set({ ...this.draft, edits: null });
    else if (answers) this.#set({ ...this.draft, answers: null });
    else return false;
    return true;
  }

  /** Another tab may have written here. What is typed in this one stays; what was only kept follows. */
  #follow() {
    const there = this.client.draft(this.id);
    if (kept(there) === kept(this.draft)) return;
    if (!this.isOwn) {
      this.draft = there;
      this.#show();
    } else if (!kept(there) && tokens()) this.#keep(this.draft);
  }

  /** Says what is answered or changed. */
  renderAbove() {
    const { answers, edits } = this.draft;
    this.above.hidden = !answers && !edits;
    const title = edits ? "Edit message" : answers && `Reply to ${nameOf(this.client, answers.sender_id)}`;
    const text = edits ? edits.before : answers?.excerpt;
    refill(this.above, stamp(title, text), () => [
      icon(edits ? "edit" : "reply"),
      h("span.above-text", h("strong", title), h("span", { dir: "auto" }, text)),
      iconButton("close", "Cancel", () => this.escape()),
    ]);
  }

  /** @param {Draft} draft */
  #set(draft) {
    this.#keep(draft);
    this.#show();
  }

  /** @param {Draft} draft */
  #keep(draft) {
    this.draft = draft;
    this.isOwn = kept(draft) !== null;
    this.client.keepDraft(this.id, draft);
  }

  #show() {
    this.input.readOnly = false;
    this.input.value = written(this.draft);
    this.#offer([]);
    this.renderAbove();
    this.#grow();
  }

  #grow() {
    const text = this.input.value.trim();
    const rest = left(text);
    const tooLong = rest !== null && rest < 0;
    const characters = counted(Math.abs(rest ?? 0), "character", "characters");
    this.limit.textContent = tooLong ? `Too long by ${characters}.` : `${characters} left.`;
    this.limit.hidden = rest === null;
    this.input.ariaInvalid = String(tooLong);
    this.button.disabled = !text || tooLong;
    // Where it grows by itself (see the style sheet).
    if (CSS.supports("field-sizing", "content")) return;
    queueMicrotask(() => {
      this.input.style.height = "auto";
      this.input.style.height = `${this.input.scrollHeight}px`;
    });
  }

  #typed() {
    const text = this.input.value;
    const { edits } = this.draft;
    this.#keep(edits ? { ...this.draft, edits: { ...edits, text } } : { ...this.draft, text });
    this.#grow();
    this.#suggest();
    if (!edits) this.#sayTyping(Boolean(text.trim()));
  }

  /** @param {boolean} types */
  #sayTyping(types) {
    if (!types) return this.stopTyping();
    if (Date.now() - this.saidTyping < SAY_TYPING) return;
    this.saidTyping = Date.now();
    this.client.types(this.id, true);
  }

  stopTyping() {
    if (this.saidTyping) this.client.types(this.id, false);
    this.saidTyping = 0;
  }

  #send() {
    const content = this.input.value.trim();
    if (!content || this.input.readOnly || this.input.ariaInvalid === "true") return;
    // The server ends the typing of who sends.
    this.saidTyping = 0;
    if (this.draft.edits) return this.#change(this.draft.edits, content);
    this.client.write(this.id, this.draft);
    this.#set(NOTHING);
    this.input.focus();
    this.view.sent();
  }

  /** Changes a message. What was typed stays until the server has it. @param {NonNullable<Draft["edits"]>} edits @param {string} content */
  async #change(edits, content) {
    this.input.readOnly = this.button.disabled = true;
    const done = content === edits.before || (await attempt(() => this.client.edit(edits.id, content)));
    if (this.draft.edits === edits) this.#set(done ? { ...this.draft, edits: null } : this.draft);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!this.names.hidden && this.#namesKey(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !touch.matches) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "ArrowUp" && !this.input.value) {
      const last = this.view.room?.messages.findLast((it) => this.view.mayEdit(it));
      if (!last) return;
      event.preventDefault();
      this.edit(last);
    }
  }

  /** What stands behind the @ that one is typing. */
  #prefix() {
    const before = this.input.value.slice(0, this.input.selectionStart);
    return /(?:^|\s)@([A-Za-z0-9_.-]{0,32})$/.exec(before)?.[1];
  }

  async #suggest() {
    const prefix = this.#prefix();
    const members = prefix === undefined ? [] : await this.view.members().catch(() => []);
    if (prefix !== this.#prefix()) return;
    const text = prefix?.toLowerCase() ?? "";
    const begins = (/** @type {string} */ name) => name.toLowerCase().startsWith(text);
    const found = members
      .filter((it) => it.user_id !== this.client.user)
      .filter((it) => it.username && (begins(it.username) || begins(it.display_name)))
      .slice(0, 6);
    // Whoever has typed the whole name means to go on.
    const whole = found.length === 1 && found[0].username?.toLowerCase() === text;
    this.#offer(whole ? [] : found);
  }

  /** Shows names to choose from, or none. @param {Member[]} found */
  #offer(found) {
    fill(
      this.names,
      found.map((it, index) => this.#name(it, index)),
    );
    this.names.hidden = !found.length;
    // It is a box of choices while there are some, and else what it is: a text of several lines.
    this.input.role = found.length ? "combobox" : null;
    this.input.ariaExpanded = found.length ? "true" : null;
    this.#choose(0);
  }

  /** @param {number} place */
  #choose(place) {
    const options = every(this.names, "li");
    options.forEach((it, index) => (it.ariaSelected = String(index === place)));
    this.input.setAttribute("aria-activedescendant", options[place]?.id ?? "");
  }

  /** @param {Member} member @param {number} place */
  #name({ username, display_name }, place) {
    const pointerdown = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#mention(username ?? "");
    };
    const about = { role: "option", id: `name-${place}`, "data-name": username, pointerdown };
    return h("li", about, h("strong", { dir: "auto" }, display_name), ` @${username}`);
  }

  /** @param {KeyboardEvent} event */
  #namesKey(event) {
    const options = every(this.names, "li");
    const chosen = options.findIndex((it) => it.ariaSelected === "true");
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      this.#choose((chosen + (event.key === "ArrowDown" ? 1 : options.length - 1)) % options.length);
    } else if (event.key === "Enter" || event.key === "Tab") {
      this.#mention(options[chosen]?.dataset.name ?? "");
    } else {
      return false;
    }
    event.preventDefault();
    return true;
  }

  /** @param {string} name */
  #mention(name) {
    const at = this.input.selectionStart;
    this.input.setRangeText(`${name} `, at - (this.#prefix()?.length ?? 0), at, "end");
    this.#typed();
  }
}
