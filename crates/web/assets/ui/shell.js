/** The frame around everything: the list on the left, a conversation beside it, and what is said above. */

import { joinByInvite } from "../net/client.js";
import { ConversationView } from "./conversation.js";
import { newConversation, joinByLink } from "./dialogs.js";
import { attempt, fill, h, icon, toast } from "./dom.js";
import { Inbox } from "./inbox.js";
import { settings } from "./settings.js";

/** @typedef {import("../net/client.js").Client} Client */

export class Shell {
  /** @param {HTMLElement} root @param {Client} client */
  constructor(root, client) {
    this.client = client;
    /** @type {ConversationView | null} */
    this.view = null;
    this.inbox = new Inbox(this);
    this.banner = h("div", { class: "banner", role: "status", "aria-live": "polite", hidden: true });
    this.main = h("main", { class: "main", "aria-label": "Conversation" });
    this.frame = h("div", { class: "shell" }, this.inbox.element, this.main);
    fill(root, this.banner, this.frame);
    client.onState.add(() => this.#connection());
    // A short break is nobody's concern.
    setTimeout(() => this.#connection(), 2_000);
    client.store.listen((topics) => this.#changed(topics));
    addEventListener("hashchange", () => this.#route());
    addEventListener("keydown", (event) => this.#key(event));
    this.#route();
  }

  /** Opens a conversation. @param {string | null} id */
  go(id) {
    if (location.hash === `#${id ?? ""}`) this.#route();
    else location.hash = id ?? "";
  }

  /** Opens the direct chat with a person, and makes it if it is missing. @param {string} person */
  async talkTo(person) {
    const known = [...this.client.store.conversations.values()].find((it) => it.peer?.id === person);
    if (known) return this.go(known.id);
    const { api } = await import("../net/api.js");
    await attempt(async () => {
      const made = await api.post("/conversations", { kind: "direct", user_id: person });
      this.go(this.client.put(made).id);
    });
  }

  /** @param {string} code */
  joinByInvite(code) {
    return attempt(async () => {
      try {
        this.go(this.client.put(await joinByInvite(code)).id);
      } catch (error) {
        const gone = /** @type {any} */ (error).code === "not_found";
        throw gone ? new Error("This invite is not good any more.") : error;
      }
    });
  }

  settings() {
    settings(this);
  }

  newConversation() {
    newConversation(this);
  }

  joinByLink() {
    joinByLink(this);
  }

  #route() {
    const id = location.hash.slice(1);
    if (id && id === this.view?.id) return;
    this.view?.close();
    this.view = id ? new ConversationView(this, id) : null;
    this.frame.classList.toggle("open", Boolean(id));
    fill(this.main, this.view?.element ?? this.#nothingOpen());
    this.inbox.render();
    this.view?.shown();
  }

  #nothingOpen() {
    return h(
      "div",
      { class: "nothing" },
      h("div", { class: "nothing-mark" }, icon("people")),
      h("p", null, "Choose a conversation, or start a new one."),
      h(
        "p",
        { class: "muted" },
        h("kbd", null, "Ctrl"),
        " ",
        h("kbd", null, "K"),
        " finds people, groups and channels.",
      ),
    );
  }

  /** @param {Set<import("../core/store.js").Topic>} topics */
  #changed(topics) {
    const view = this.view;
    if (topics.has("list") || topics.has("people") || topics.has("me")) this.inbox.render();
    if (view) {
      if (this.client.current && !this.client.conversation(view.id)) {
        toast("This conversation is not yours any more.");
        return this.go(null);
      }
      view.changed(topics);
    }
    this.#title();
  }

  #title() {
    let unread = 0;
    for (const { my } of this.client.store.conversations.values()) {
      if (my && !(my.muted_until && Date.parse(my.muted_until) > Date.now())) unread += my.unread_count;
    }
    document.title = unread ? `(${unread}) Kith` : "Kith";
  }

  #connection() {
    const { connected } = this.client;
    clearTimeout(this.bannerTimer);
    if (connected) {
      this.banner.hidden = true;
      this.view?.connected();
      return;
    }
    this.bannerTimer = setTimeout(() => {
      this.banner.textContent = navigator.onLine
        ? "No connection to the server. Trying again…"
        : "You are offline. What you write is sent once you are back.";
      this.banner.hidden = false;
    }, 800);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      this.inbox.focusSearch();
    } else if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open]")) {
      if (!this.view?.escape() && this.view) this.go(null);
    }
  }
}
