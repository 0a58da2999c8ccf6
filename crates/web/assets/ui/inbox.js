/** The list of conversations, and the search above it. */

import { written } from "../core/draft.js";
import { inbox, isMuted } from "../core/timeline.js";
import { api } from "../net/api.js";
import { attempt, every, fill, h, icon, iconButton, isPressed, keyed, reason, refill, stamp } from "./dom.js";
import { empty, row } from "./forms.js";
import { brief, counted, language, unreadCount } from "./format.js";
import { avatar, isOnline, nameOf, noteOf, pictureOf, subtitleOf, titleOf, typingLine } from "./people.js";

/** @typedef {{picture: Child, name: string, under: string, choose: () => unknown}} Found */

/** The server is asked once nothing was typed for so long. */
const PAUSE = 200;

export class Inbox {
  /** @param {Shell} shell */
  constructor(shell) {
    this.shell = shell;
    this.client = shell.client;
    /** Whether the archived ones are shown, too. */
    this.open = false;
    this.search = h("input.search-input", {
      type: "search",
      placeholder: "Search",
      "aria-label": "Search people, conversations and channels",
      autocomplete: "off",
      input: () => this.#searchSoon(),
      keydown: (event) => this.#searchKey(event),
    });
    const keydown = (/** @type {KeyboardEvent} */ event) => this.#arrow(event);
    this.list = h("ul.list", { "aria-label": "Conversations", keydown });
    this.results = h("div.results", { hidden: true, keydown });
    this.me = h("button.me-button", {
      "aria-label": "Settings",
      title: "Settings",
      click: () => shell.settings(),
    });
    this.element = h(
      "nav.sidebar",
      { "aria-label": "Conversations" },
      h(
        "header.bar",
        this.me,
        h("h1.brand.small", "Kith"),
        iconButton("plus", "New conversation", () => shell.newConversation()),
      ),
      h("div.search", icon("search"), this.search),
      this.list,
      this.results,
    );
    this.render();
  }

  /** Goes to the row of a conversation that one has left. @param {string} id */
  focus(id) {
    const rows = this.#rows();
    (rows.find((it) => it.getAttribute("href") === `#${id}`) ?? rows[0])?.focus();
  }

  focusSearch() {
    this.search.focus();
    this.search.select();
  }

  render() {
    if (isPressed(this.element, () => this.render())) return;
    const { me, conversations, typing } = this.client.store;
    if (me) refill(this.me, me.display_name, () => avatar(me.id, me.display_name));
    const all = inbox(conversations.values());
    const [shown, archived] = [false, true].map((away) =>
      all.filter((it) => Boolean(it.my?.archived) === away),
    );
    const none = this.client.current ? "No conversations yet. Find somebody above, or start a group." : "";
    /** @type {{key: string, stamp: string, make: () => HTMLElement}[]} */
    const rows = [
      ...shown.map((it) => this.#item(it)),
      ...(all.length ? [] : [{ key: "empty", stamp: none, make: () => empty(none) }]),
      ...(archived.length ? [this.#archive(archived)] : []),
      ...(this.open ? archived.map((it) => this.#item(it)) : []),
    ];
    keyed(this.list, rows, { key: (it) => it.key, stamp: (it) => it.stamp, make: (it) => it.make() });
    clearTimeout(this.timer);
    // Who stops typing may not say so.
    if (typing.size) this.timer = setTimeout(() => this.render(), 2_000);
  }

  /** What the archived ones are behind. @param {Conversation[]} archived */
  #archive(archived) {
    const { open } = this;
    const waiting = archived.some((it) => it.my?.unread_count);
    const toggle = () => {
      this.open = !open;
      this.render();
    };
    const hint = waiting && h("span.badge.quiet.hint", { role: "img", "aria-label": "unread messages" });
    const under = counted(archived.length, "conversation", "conversations");
    const look = { "aria-expanded": String(open), click: toggle };
    const make = () =>
      h(
        "li",
        row("button.archive", look, h("span.avatar.channel.hue-7", icon("archive")), "Archived", under, hint),
      );
    return { key: "archive", stamp: stamp(open, waiting, archived.length), make };
  }

  /** @param {Conversation} it */
  #item(it) {
    const title = titleOf(this.client, it);
    const line = this.#line(it);
    // It belongs to the last message, where that is what is shown.
    const tick = !line.kind && !this.client.outbox.of(it.id).length && this.#tick(it);
    const at = it.last_message_at && brief(it.last_message_at);
    const muted = isMuted(it);
    const online = isOnline(this.client, it.peer?.id);
    const current = it.id === this.shell.view?.id;
    const { unread_count: unread = 0, unread_mentions: mentions = 0, pinned = false } = it.my ?? {};
    const badge = `span.badge${muted ? ".quiet" : ""}`;
    const make = () =>
      h(
        "li",
        h(
          `a.row${unread ? ".unread" : ""}`,
          { href: `#${it.id}`, "aria-current": current && "page" },
          pictureOf(this.client, it),
          h(
            "span.row-text",
            h(
              "span.row-top",
              h("span.row-title", { dir: "auto" }, title),
              muted && icon("mute"),
              pinned && icon("pin"),
              at && h("time", { datetime: it.last_message_at, lang: language }, at),
            ),
            h(
              "span.row-bottom",
              tick && icon(tick === "sent" ? "sent" : "twice"),
              h(`span.row-line.${line.kind}`, line.who && h("span.who", `${line.who}: `), line.text),
              mentions > 0 && h("span.badge.mention", { "aria-label": "you are mentioned" }, "@"),
              unread > 0 &&
                h(
                  badge,
                  { "aria-label": counted(unread, "unread message", "unread messages") },
                  unreadCount(unread),
                ),
            ),
          ),
        ),
      );
    const look = Object.values({ title, ...line, tick, at, unread, mentions, pinned, muted, online, current });
    return { key: it.id, stamp: stamp(...look), make };
  }

  /** What stands under the name. @param {Conversation} it @returns {{kind: string, text: string, who?: string}} */
  #line(it) {
    const typing = typingLine(this.client, it.id, it.kind !== "direct");
    if (typing) return { kind: "typing", text: typing };
    const waiting = this.client.outbox.of(it.id);
    if (waiting.some((entry) => entry.state === "failed")) return { kind: "failed", text: "Not sent" };
    const draft = it.id !== this.shell.view?.id && written(this.client.draft(it.id));
    if (draft) return { kind: "draft", text: draft, who: "Draft" };
    const next = waiting.at(-1);
    if (next) return { kind: "", text: next.content, who: "You" };
    const last = it.last_message;
    if (!last) return { kind: "", text: it.description ?? "" };
    if (last.system) return { kind: "told", text: noteOf(this.client, last) };
    const own = last.sender_id === this.client.user;
    const who = own ? "You" : it.kind === "direct" ? undefined : nameOf(this.client, last.sender_id);
    if (last.deleted_at) return { kind: "told", text: "Message deleted", who };
    return { kind: "", text: last.content ?? "", who };
  }

  /** @param {Conversation} it */
  #tick({ last_message: last }) {
    if (!last || last.sender_id !== this.client.user || last.system || last.deleted_at) return "";
    return this.client.store.status(last);
  }

  #searchSoon() {
    clearTimeout(this.searchTimer);
    const asked = this.search.value.trim();
    this.list.hidden = Boolean(asked);
    this.results.hidden = !asked;
    if (!asked) return fill(this.results);
    this.#show(asked, [], "Searching…");
    this.searchTimer = setTimeout(() => this.#ask(asked), PAUSE);
  }

  /** @param {string} asked */
  async #ask(asked) {
    const query = `?q=${encodeURIComponent(asked.slice(0, 64))}&limit=10`;
    const isAsked = () => asked === this.search.value.trim();
    try {
      const [people, channels] = await Promise.all([api.get(`/users${query}`), api.get(`/channels${query}`)]);
      if (!isAsked()) return;
      const others = people.items.filter((/** @type {Profile} */ it) => it.id !== this.client.user);
      const foreign = channels.items.filter(
        (/** @type {Conversation} */ it) => !this.client.conversation(it.id),
      );
      this.#show(asked, [
        { title: "People", found: others.map((/** @type {Profile} */ it) => this.#person(it)) },
        { title: "Channels", found: foreign.map((/** @type {Conversation} */ it) => this.#channel(it)) },
      ]);
    } catch (error) {
      if (isAsked()) this.#show(asked, [], reason(error));
    }
  }

  /** One's own conversations that match. @param {string} asked @returns {Found[]} */
  #known(asked) {
    const text = asked.toLocaleLowerCase();
    const matches = (/** @type {Conversation} */ it) =>
      [titleOf(this.client, it), it.peer?.username].some((name) => name?.toLocaleLowerCase().includes(text));
    return inbox(this.client.store.conversations.values())
      .filter(matches)
      .slice(0, 20)
      .map((it) => ({
        picture: pictureOf(this.client, it),
        name: titleOf(this.client, it),
        under: subtitleOf(this.client, it),
        choose: () => this.shell.go(it.id),
      }));
  }

  /** @param {Profile} it @returns {Found} */
  #person(it) {
    this.client.store.know(it);
    const picture = avatar(it.id, it.display_name);
    return {
      picture,
      name: it.display_name,
      under: `@${it.username}`,
      choose: () => this.shell.talkTo(it.id),
    };
  }

  /** @param {Conversation} it @returns {Found} */
  #channel(it) {
    const join = async () => this.shell.show(await api.post(`/channels/${it.id}/join`));
    const under = `${subtitleOf(this.client, it)} · join`;
    return { picture: pictureOf(this.client, it), name: it.name ?? "", under, choose: () => attempt(join) };
  }

  /** @param {string} asked @param {{title: string, found: Found[]}[]} others @param {string} [none] */
  #show(asked, others, none = "Nobody and nothing by this name.") {
    const all = [{ title: "Conversations", found: this.#known(asked) }, ...others];
    const groups = all.filter((group) => group.found.length);
    const item = (/** @type {Found} */ it) =>
      h("li", row("button", { click: () => this.#choose(it) }, it.picture, it.name, it.under));
    fill(
      this.results,
      groups.map(({ title, found }) => h("section", h("h2", title), h("ul", found.map(item)))),
      !groups.length && h("p.empty", none),
    );
  }

  /** @param {Found} found */
  #choose(found) {
    this.#clear();
    found.choose();
  }

  #clear() {
    this.search.value = "";
    this.#searchSoon();
  }

  /** @param {KeyboardEvent} event */
  #searchKey(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      this.#clear();
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
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const rows = this.#rows();
    const next = rows.findIndex((it) => it === document.activeElement) + step;
    if (next < 0) this.search.focus();
    else rows[next]?.focus();
  }

  #rows() {
    return every(this.results.hidden ? this.list : this.results, ".row");
  }
}
