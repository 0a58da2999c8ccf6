/** The list of conversations, and the search above it. */

import { inbox } from "../core/timeline.js";
import { api } from "../net/api.js";
import { draftOf } from "./composer.js";
import { attempt, fill, h, icon, iconButton, keyed } from "./dom.js";
import { brief, count, counted } from "./format.js";
import { avatar, isMuted, isOnline, nameOf, noteOf, subtitleOf, titleOf, typingLine } from "./people.js";

/** @typedef {import("./shell.js").Shell} Shell */
/** @typedef {import("../types.js").Conversation} Conversation */
/** @typedef {import("../types.js").Profile} Profile */
/** @typedef {{id: string, name: string, under: string, kind: string, choose: () => void}} Found */

/** The server is asked once nothing was typed for so long. */
const PAUSE = 200;

export class Inbox {
  /** @param {Shell} shell */
  constructor(shell) {
    this.shell = shell;
    this.client = shell.client;
    this.asked = 0;
    this.search = h("input", {
      type: "search",
      class: "search-input",
      placeholder: "Search",
      "aria-label": "Search people, conversations and channels",
      autocomplete: "off",
      input: () => this.#searchSoon(),
      keydown: (/** @type {KeyboardEvent} */ event) => this.#searchKey(event),
    });
    this.list = h("ul", {
      class: "list",
      "aria-label": "Conversations",
      keydown: (/** @type {KeyboardEvent} */ event) => this.#arrow(event),
    });
    this.results = h("div", {
      class: "results",
      hidden: true,
      keydown: (/** @type {KeyboardEvent} */ event) => this.#arrow(event),
    });
    this.me = h("button", {
      type: "button",
      class: "me-button",
      "aria-label": "Settings",
      title: "Settings",
      click: () => shell.settings(),
    });
    this.element = h(
      "nav",
      { class: "sidebar", "aria-label": "Conversations" },
      h(
        "header",
        { class: "bar" },
        this.me,
        h("h1", { class: "brand small" }, "Kith"),
        iconButton("plus", "New conversation", () => shell.newConversation()),
      ),
      h("div", { class: "search" }, icon("search"), this.search),
      this.list,
      this.results,
    );
    this.render();
  }

  focusSearch() {
    this.search.focus();
    this.search.select();
  }

  render() {
    const { store } = this.client;
    const me = store.me;
    if (me && this.me.dataset.name !== me.display_name) {
      this.me.dataset.name = me.display_name;
      fill(this.me, avatar(me.id, me.display_name));
    }
    const shown = inbox(store.conversations.values());
    if (!shown.length) {
      const empty = this.client.current ? "No conversations yet. Find somebody above, or start a group." : "";
      keyed(this.list, [empty], {
        key: () => "empty",
        stamp: (text) => text,
        make: (text) => h("li", { class: "empty" }, text),
      });
      return;
    }
    keyed(this.list, shown, {
      key: (it) => it.id,
      stamp: (it) => this.#stamp(it),
      make: (it) => this.#row(it),
    });
    clearTimeout(this.timer);
    // Who stops typing may not say so.
    if (store.typing.size) this.timer = setTimeout(() => this.render(), 2_000);
  }

  /** @param {Conversation} it */
  #stamp(it) {
    const line = this.#line(it);
    return [
      titleOf(this.client, it),
      line.text,
      line.kind,
      this.#tick(it),
      it.last_message_at && brief(it.last_message_at),
      it.my?.unread_count,
      it.my?.unread_mentions,
      it.my?.pinned,
      isMuted(this.client, it),
      isOnline(this.client, it.peer?.id),
      it.id === this.shell.view?.id,
    ].join("\u0000");
  }

  /** @param {Conversation} it */
  #row(it) {
    const title = titleOf(this.client, it);
    const line = this.#line(it);
    const unread = it.my?.unread_count ?? 0;
    const current = it.id === this.shell.view?.id;
    const muted = isMuted(this.client, it);
    const online = isOnline(this.client, it.peer?.id);
    const tick = this.#tick(it);
    return h(
      "li",
      null,
      h(
        "a",
        { href: `#${it.id}`, class: `row ${unread ? "unread" : ""}`, "aria-current": current && "page" },
        h(
          "span",
          { class: "picture" },
          avatar(it.peer?.id ?? it.id, title, it.kind),
          online && h("span", { class: "dot", role: "img", "aria-label": "online" }),
        ),
        h(
          "span",
          { class: "row-text" },
          h(
            "span",
            { class: "row-top" },
            h("span", { class: "row-title" }, title),
            muted && icon("mute"),
            it.my?.pinned && icon("pin"),
            it.last_message_at && h("time", { datetime: it.last_message_at }, brief(it.last_message_at)),
          ),
          h(
            "span",
            { class: "row-bottom" },
            tick && icon(tick === "sent" ? "sent" : "twice"),
            h(
              "span",
              { class: `row-line ${line.kind}` },
              line.who && h("span", { class: "who" }, `${line.who}: `),
              line.text,
            ),
            Boolean(it.my?.unread_mentions) &&
              h("span", { class: "badge mention", "aria-label": "you are mentioned" }, "@"),
            unread > 0 &&
              h(
                "span",
                {
                  class: `badge ${muted ? "quiet" : ""}`,
                  "aria-label": counted(unread, "unread message", "unread messages"),
                },
                unread > 998 ? "999+" : count(unread),
              ),
          ),
        ),
      ),
    );
  }

  /** What stands under the name. @param {Conversation} it @returns {{kind: string, text: string, who?: string}} */
  #line(it) {
    const typing = typingLine(this.client, it.id, it.kind !== "direct");
    if (typing) return { kind: "typing", text: typing };
    const waiting = this.client.outbox.of(it.id);
    if (waiting.some((entry) => entry.state === "failed")) return { kind: "failed", text: "Not sent" };
    const draft = it.id !== this.shell.view?.id && draftOf(this.client.user, it.id);
    if (draft) return { kind: "draft", text: draft, who: "Draft" };
    if (waiting.length) return { kind: "", text: waiting[waiting.length - 1].content, who: "You" };
    const last = it.last_message;
    if (!last) return { kind: "", text: it.description ?? "" };
    if (last.system) return { kind: "told", text: noteOf(this.client, last.system) };
    const who =
      last.sender_id === this.client.user
        ? "You"
        : it.kind === "direct"
          ? undefined
          : nameOf(this.client, last.sender_id);
    if (last.deleted_at) return { kind: "told", text: "Message deleted", who };
    return { kind: "", text: last.content ?? "", who };
  }

  /** @param {Conversation} it */
  #tick(it) {
    const last = it.last_message;
    if (!last || last.sender_id !== this.client.user || last.system || last.deleted_at) return "";
    return this.client.store.status(last);
  }

  #searchSoon() {
    clearTimeout(this.searchTimer);
    const asked = this.search.value.trim();
    this.list.hidden = Boolean(asked);
    this.results.hidden = !asked;
    if (!asked) return fill(this.results);
    this.#show(this.#known(asked), []);
    this.searchTimer = setTimeout(() => attempt(() => this.#ask(asked)), PAUSE);
  }

  /** @param {string} asked */
  async #ask(asked) {
    const turn = ++this.asked;
    const query = encodeURIComponent(asked.slice(0, 64));
    const [people, channels] = await Promise.all([
      api.get(`/users?q=${query}&limit=10`),
      api.get(`/channels?q=${query}&limit=10`),
    ]);
    if (turn !== this.asked || asked !== this.search.value.trim()) return;
    this.#show(this.#known(asked), [
      {
        title: "People",
        found: people.items
          .filter((/** @type {Profile} */ it) => it.id !== this.client.user)
          .map((/** @type {Profile} */ it) => this.#person(it)),
      },
      {
        title: "Channels",
        found: channels.items
          .filter((/** @type {Conversation} */ it) => !this.client.conversation(it.id))
          .map((/** @type {Conversation} */ it) => this.#channel(it)),
      },
    ]);
  }

  /** One's own conversations that match. @param {string} asked @returns {Found[]} */
  #known(asked) {
    const text = asked.toLocaleLowerCase();
    return inbox(this.client.store.conversations.values())
      .filter((it) =>
        [titleOf(this.client, it), it.peer?.username].some((name) =>
          name?.toLocaleLowerCase().includes(text),
        ),
      )
      .slice(0, 20)
      .map((it) => ({
        id: it.peer?.id ?? it.id,
        name: titleOf(this.client, it),
        under: subtitleOf(this.client, it),
        kind: it.kind,
        choose: () => this.shell.go(it.id),
      }));
  }

  /** @param {Profile} it @returns {Found} */
  #person(it) {
    this.client.store.know(it);
    return {
      id: it.id,
      name: it.display_name,
      under: `@${it.username}`,
      kind: "direct",
      choose: () => this.shell.talkTo(it.id),
    };
  }

  /** @param {Conversation} it @returns {Found} */
  #channel(it) {
    const join = async () => this.shell.go(this.client.put(await api.post(`/channels/${it.id}/join`)).id);
    return {
      id: it.id,
      name: it.name ?? "",
      under: `${subtitleOf(this.client, it)} · join`,
      kind: "channel",
      choose: () => attempt(join),
    };
  }

  /** @param {Found[]} known @param {{title: string, found: Found[]}[]} others */
  #show(known, others) {
    const groups = [{ title: "Conversations", found: known }, ...others].filter(
      (group) => group.found.length,
    );
    const row = (/** @type {Found} */ it) =>
      h(
        "li",
        null,
        h(
          "button",
          { type: "button", class: "row", click: () => this.#choose(it) },
          h("span", { class: "picture" }, avatar(it.id, it.name, it.kind)),
          h(
            "span",
            { class: "row-text" },
            h("span", { class: "row-title" }, it.name),
            h("span", { class: "row-line" }, it.under),
          ),
        ),
      );
    fill(
      this.results,
      ...groups.map((group) =>
        h("section", null, h("h2", null, group.title), h("ul", null, group.found.map(row))),
      ),
      !groups.length &&
        h("p", { class: "empty" }, others.length ? "Nobody and nothing by this name." : "Searching…"),
    );
  }

  /** @param {Found} found */
  #choose(found) {
    this.search.value = "";
    this.#searchSoon();
    found.choose();
  }

  /** @param {KeyboardEvent} event */
  #searchKey(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      this.search.value = "";
      this.#searchSoon();
      this.shell.view?.focus();
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      this.#rows()[0]?.focus();
    } else if (event.key === "Enter") {
      this.results.querySelector("button")?.click();
    }
  }

  /** @param {KeyboardEvent} event */
  #arrow(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    const rows = this.#rows();
    const next =
      rows.indexOf(/** @type {HTMLElement} */ (document.activeElement)) +
      (event.key === "ArrowDown" ? 1 : -1);
    if (next < 0) this.search.focus();
    else rows[next]?.focus();
  }

  /** @returns {HTMLElement[]} */
  #rows() {
    return [...(this.results.hidden ? this.list : this.results).querySelectorAll(".row")].map(
      (it) => /** @type {HTMLElement} */ (it),
    );
  }
}
