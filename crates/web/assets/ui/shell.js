/** The frame around everything: the list on the left, a conversation beside it, and what is said above. */

import { unread } from "../core/timeline.js";
import { api } from "../net/api.js";
import { ConversationView } from "./conversation.js";
import { confirm } from "./dialogs.js";
import { attempt, fill, h, icon, reason, toast } from "./dom.js";
import { Inbox } from "./inbox.js";
import { closePopup } from "./menu.js";

const MINUTE = 60_000;
/** A break that is no longer is nobody's concern. */
const SHORT = 1_500;

export class Shell {
  /** @param {HTMLElement} root @param {Client} client */
  constructor(root, client) {
    this.client = client;
    /** @type {ConversationView | null} */
    this.view = null;
    this.inbox = new Inbox(this);
    this.banner = h("div.banner", { role: "status", "aria-live": "polite", hidden: true });
    this.main = h("main.main", { "aria-label": "Conversation" });
    this.frame = h("div.shell", this.inbox.element, this.main);
    fill(root, this.banner, this.frame);
    client.store.listeners.add((topics) => this.#changed(topics));
    // "Five minutes ago" does not stay so.
    setInterval(() => this.#changed(new Set(["people"])), MINUTE);
    addEventListener("hashchange", () => this.#route());
    addEventListener("keydown", (event) => this.#key(event));
    for (const event of ["online", "offline"]) addEventListener(event, () => this.#connection());
    this.#route();
    this.#connection();
  }

  /** @param {string | null} id */
  go(id) {
    if (location.hash === `#${id ?? ""}`) this.#route();
    else location.hash = id ?? "";
  }

  /** Opens a conversation that a call has answered with. @param {Conversation} conversation */
  show(conversation) {
    this.go(this.client.put(conversation).id);
  }

  /** Opens the direct chat with a person, and makes it if it is missing. @param {string} person */
  async talkTo(person) {
    const known = [...this.client.store.conversations.values()].find((it) => it.peer?.id === person);
    if (known) this.go(known.id);
    else
      await attempt(async () =>
        this.show(await api.post("/conversations", { kind: "direct", user_id: person })),
      );
  }

  /** @param {string} code */
  async joinByInvite(code) {
    const joined = await api.post(`/invites/${encodeURIComponent(code)}/join`).catch((error) => {
      if (error.code === "not_found") error.message = "This invite is not good any more.";
      throw error;
    });
    this.show(joined);
  }

  /**
   * Whoever opens the link of an invite is asked first, but for those who have just signed in for it. The
   * link stays the address of the page, which may be loaded again, until that has been answered.
   * @param {string} code @param {boolean} asked
   */
  async invited(code, asked) {
    const question = "You have been invited to a group or channel.";
    let more = "You see its name once you are in, and those who are in it see yours.";
    while (asked || (await confirm(question, "Join", "harmless", more))) {
      // It led somewhere, or leads nowhere.
      /** @type {any} */
      const failed = await this.joinByInvite(code).catch((error) => error);
      if (!failed) break;
      more = reason(failed);
      if (failed.code === "not_found") {
        toast(more);
        break;
      }
      asked = false;
    }
    history.replaceState(null, "", `/${location.hash}`);
  }

  #route() {
    const id = location.hash.slice(1);
    if (id && id === this.view?.id) return;
    closePopup();
    const left = this.view?.id;
    this.view?.close();
    this.view = id ? new ConversationView(this, id) : null;
    this.frame.classList.toggle("open", Boolean(id));
    fill(this.main, this.view?.element ?? nothingOpen());
    this.inbox.render();
    this.view?.shown();
    if (!id && left) this.inbox.focus(left);
    this.#isThere();
  }

  /** Goes back to the list where what is open is not one's own. Says whether it is. */
  #isThere() {
    if (!this.view) return true;
    this.view.known ||= Boolean(this.view.conversation);
    if (!this.client.current || this.view.conversation) return true;
    const why = this.view.known ? "This conversation is not yours any more." : "There is no such conversation.";
    if (!this.view.left) toast(why);
    this.go(null);
    return false;
  }

  /** @param {Set<Topic>} topics */
  #changed(topics) {
    if (topics.has("connection")) this.#connection();
    if (topics.has("list") || topics.has("people") || topics.has("me")) this.inbox.render();
    if (this.#isThere()) this.view?.changed(topics);
    const waiting = unread(this.client.store.conversations.values());
    document.title = waiting ? `(${waiting}) Kith` : "Kith";
  }

  /** Says what is wrong with the connection. */
  #connection() {
    const { connected, late } = this.client;
    clearTimeout(this.bannerTimer);
    if (connected) this.view?.connected();
    if (late && navigator.onLine) return this.#warn("The server does not answer. Waiting for it…");
    if (connected) return this.#warn("");
    this.bannerTimer = setTimeout(() => {
      this.#warn(
        navigator.onLine
          ? "No connection to the server. Trying again…"
          : "You are offline. What you write is sent once you are back.",
      );
    }, SHORT);
  }

  /** @param {string} text */
  #warn(text) {
    this.banner.textContent = text;
    this.banner.hidden = !text;
  }

  /** Where only the conversation is shown, it is left for the search. */
  #find() {
    const find = () => this.inbox.focusSearch();
    if (this.inbox.search.input.checkVisibility() || document.querySelector("dialog[open]")) return find();
    addEventListener("hashchange", find, { once: true });
    this.go(null);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      this.#find();
    } else if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open]")) {
      if (this.view && !this.view.escape()) this.go(null);
    }
  }
}

const nothingOpen = () =>
  h(
    "div.nothing",
    h("div.nothing-mark", icon("people")),
    h("p", "Choose a conversation, or start a new one."),
    h("p.muted", h("kbd", "Ctrl"), " ", h("kbd", "K"), " finds people, groups and channels."),
  );
