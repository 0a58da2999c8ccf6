/** Where one writes: text that grows, what it answers or changes, drafts, and the names of the mentioned. */

import { attempt, fill, h, icon, iconButton } from "./dom.js";
import { nameOf } from "./people.js";

/** @typedef {import("../net/client.js").Client} Client */
/** @typedef {import("../types.js").Message} Message */
/** @typedef {import("../types.js").Member} Member */

/** Typing is said again this often. */
const SAY_TYPING = 3_000;
/** A message holds this many characters. */
const LONGEST = 4_000;

/** @param {string} user @param {string} id */
const draftKey = (user, id) => `kith.draft.${user}.${id}`;

/** @param {string} user @param {string} id */
export const draftOf = (user, id) => localStorage.getItem(draftKey(user, id)) ?? "";

export class Composer {
  /**
   * @param {Client} client
   * @param {string} id of the conversation
   * @param {object} on
   * @param {() => void} on.sent
   * @param {() => Message | undefined} on.lastOwn the message that ArrowUp edits
   * @param {() => Promise<Member[]>} on.members those who can be mentioned
   */
  constructor(client, id, on) {
    this.client = client;
    this.id = id;
    this.on = on;
    /** @type {Message | null} */
    this.answered = null;
    /** @type {Message | null} */
    this.edited = null;
    this.saidTyping = 0;
    this.input = h("textarea", {
      rows: "1",
      placeholder: "Message",
      "aria-label": "Message",
      maxlength: String(LONGEST),
      input: () => this.#typed(),
      keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      blur: () => this.#stopTyping(),
    });
    this.above = h("div", { class: "composer-above", hidden: true });
    this.names = h("ul", {
      class: "names",
      role: "listbox",
      "aria-label": "People to mention",
      hidden: true,
    });
    this.button = iconButton("send", "Send", () => this.#send(), "send");
    this.button.disabled = true;
    this.element = h(
      "div",
      { class: "composer" },
      this.names,
      this.above,
      h("div", { class: "composer-row" }, this.input, this.button),
    );
    this.#restoreDraft();
  }

  focus() {
    // On a touch screen the keyboard would cover the conversation.
    if (matchMedia("(hover: hover)").matches) this.input.focus({ preventScroll: true });
  }

  /** @param {Message} message */
  answer(message) {
    this.#clear(this.edited ? "" : this.input.value);
    this.answered = message;
    this.#showAbove("reply", `Reply to ${nameOf(this.client, message.sender_id)}`, message.content ?? "");
    this.input.focus();
  }

  /** @param {Message} message */
  edit(message) {
    this.#clear(message.content ?? "");
    this.edited = message;
    this.#showAbove("edit", "Edit message", message.content ?? "");
    this.input.focus();
  }

  /** Gives up what it answers or changes. Says whether there was such. */
  escape() {
    if (!this.names.hidden) {
      this.names.hidden = true;
      return true;
    }
    if (!this.answered && !this.edited) return false;
    this.#clear(this.edited ? draftOf(this.client.user, this.id) : this.input.value);
    return true;
  }

  close() {
    this.#stopTyping();
  }

  #restoreDraft() {
    this.input.value = draftOf(this.client.user, this.id);
    this.button.disabled = !this.input.value.trim();
    queueMicrotask(() => this.#grow());
  }

  /** @param {string} text */
  #clear(text) {
    this.answered = this.edited = null;
    this.above.hidden = this.names.hidden = true;
    this.input.value = text;
    this.button.disabled = !text.trim();
    this.#grow();
  }

  /** @param {string} shape @param {string} title @param {string} text */
  #showAbove(shape, title, text) {
    fill(
      this.above,
      icon(shape),
      h("span", { class: "above-text" }, h("strong", null, title), h("span", null, text)),
      iconButton("close", "Cancel", () => this.escape()),
    );
    this.above.hidden = false;
  }

  #grow() {
    // Where it is so by itself (see the style sheet).
    if (CSS.supports("field-sizing", "content")) return;
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
  }

  #typed() {
    this.#grow();
    const text = this.input.value;
    this.button.disabled = !text.trim();
    if (this.edited) return;
    const key = draftKey(this.client.user, this.id);
    if (text) localStorage.setItem(key, text);
    else localStorage.removeItem(key);
    this.#sayTyping(Boolean(text.trim()));
    this.#suggest();
  }

  /** @param {boolean} types */
  #sayTyping(types) {
    if (!types) return this.#stopTyping();
    if (Date.now() - this.saidTyping < SAY_TYPING) return;
    this.saidTyping = Date.now();
    this.client.types(this.id, true);
  }

  #stopTyping() {
    if (this.saidTyping) this.client.types(this.id, false);
    this.saidTyping = 0;
  }

  async #send() {
    const content = this.input.value.trim();
    if (!content) return;
    const { answered, edited } = this;
    // The server ends the typing of who sends.
    this.saidTyping = 0;
    if (edited) {
      this.#clear(draftOf(this.client.user, this.id));
      if (content !== edited.content) await attempt(() => this.client.edit(edited, content));
      return;
    }
    this.client.write(this.id, content, answered);
    // It is kept as a message now.
    localStorage.removeItem(draftKey(this.client.user, this.id));
    this.#clear("");
    this.input.focus();
    this.on.sent();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!this.names.hidden && this.#namesKey(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "ArrowUp" && !this.input.value) {
      const last = this.on.lastOwn();
      if (!last) return;
      event.preventDefault();
      this.edit(last);
    }
  }

  async #suggest() {
    const before = this.input.value.slice(0, this.input.selectionStart ?? 0);
    const prefix = /(?:^|\s)@([A-Za-z0-9_.-]{0,32})$/.exec(before)?.[1];
    if (prefix === undefined) {
      this.names.hidden = true;
      return;
    }
    const members = await this.on.members().catch(() => []);
    const text = prefix.toLowerCase();
    const found = members
      .filter(
        (it) =>
          it.user_id !== this.client.user &&
          it.username &&
          (it.username.toLowerCase().startsWith(text) || it.display_name.toLowerCase().startsWith(text)),
      )
      .slice(0, 6);
    // Whoever has typed the whole name means to go on.
    const whole = found.length === 1 && found[0].username?.toLowerCase() === text;
    this.names.hidden = !found.length || whole;
    fill(
      this.names,
      ...found.map((it, index) =>
        h(
          "li",
          {
            role: "option",
            "aria-selected": String(index === 0),
            "data-name": it.username,
            pointerdown: (/** @type {Event} */ event) => {
              event.preventDefault();
              this.#mention(it.username ?? "", prefix);
            },
          },
          h("strong", null, it.display_name),
          ` @${it.username}`,
        ),
      ),
    );
    this.prefix = prefix;
  }

  /** @param {KeyboardEvent} event */
  #namesKey(event) {
    const options = /** @type {HTMLElement[]} */ ([...this.names.children]);
    const chosen = options.findIndex((it) => it.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = (chosen + (event.key === "ArrowDown" ? 1 : options.length - 1)) % options.length;
      options.forEach((it, index) => it.setAttribute("aria-selected", String(index === next)));
    } else if (event.key === "Enter" || event.key === "Tab") {
      this.#mention(options[chosen]?.dataset.name ?? "", this.prefix ?? "");
    } else {
      return false;
    }
    event.preventDefault();
    return true;
  }

  /** @param {string} name @param {string} prefix */
  #mention(name, prefix) {
    const at = this.input.selectionStart ?? 0;
    this.input.setRangeText(`${name} `, at - prefix.length, at, "end");
    this.names.hidden = true;
    this.#typed();
  }
}
