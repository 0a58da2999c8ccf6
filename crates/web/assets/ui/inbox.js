/** The list of conversations, and the search above it. */

import { written } from "../core/draft.js";
import { inbox, isMuted } from "../core/timeline.js";
import { api } from "../net/api.js";
import { findPeople, newConversation } from "./dialogs.js";
import { attempt, every, h, icon, iconButton, isPressed, keyed, refill, stamp } from "./dom.js";
import { empty, row } from "./forms.js";
import { brief, counted, language, unreadCount } from "./format.js";
import { tick } from "./message.js";
import { avatar, isOnline, nameOf, noteOf, pictureOf, subtitleOf, titleOf, typingLine } from "./people.js";
import { Search } from "./search.js";
import { settings } from "./settings.js";

export class Inbox {
  /** @param {Shell} shell */
  constructor(shell) {
    this.shell = shell;
    this.client = shell.client;
    /** Whether the archived ones are shown, too. */
    this.open = false;
    this.list = h("ul.list", { "aria-label": "Conversations" });
    this.search = new Search("results", {
      label: "Search people, conversations and channels",
      placeholder: "Search",
      none: "Nobody and nothing by this name.",
      here: (text) => [{ title: "Conversations", found: text ? this.#known(text) : [] }],
      ask: (text) => this.#ask(text),
    });
    this.me = h("button.me-button", {
      "aria-label": "Settings",
      title: "Settings",
      click: () => settings(shell),
    });
    this.element = h(
      "nav.sidebar",
      { "aria-label": "Conversations", keydown: (event) => this.#key(event) },
      h(
        "header.bar",
        this.me,
        h("h1.brand.small", "Kith"),
        iconButton("plus", "New conversation", () => newConversation(shell)),
      ),
      h("div.search", icon("search"), this.search.input),
      this.list,
      this.search.results,
    );
    this.render();
  }

  /** Goes to the row of a conversation that one has left. @param {string} id */
  focus(id) {
    const rows = this.#rows();
    (rows.find((it) => it.getAttribute("href") === `#${id}`) ?? rows[0])?.focus();
  }

  focusSearch() {
    this.search.input.focus();
    this.search.input.select();
  }

  render() {
    if (isPressed(this.element, () => this.render())) return;
    const { me, conversations } = this.client.store;
    if (me) refill(this.me, me.display_name, () => avatar(me.id, me.display_name));
    const all = inbox(conversations.values());
    const [shown, archived] = [false, true].map((away) =>
      all.filter((it) => Boolean(it.my?.archived) === away),
    );
    const none = this.client.current ? "No conversations yet. Find somebody above, or start a group." : "";
    keyed(this.list, [
      ...shown.map((it) => this.#item(it)),
      ...(all.length ? [] : [{ key: "empty", stamp: none, make: () => empty(none) }]),
      ...(archived.length ? [this.#archive(archived)] : []),
      ...(this.open ? archived.map((it) => this.#item(it)) : []),
    ]);
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
    const status = !line.kind && !this.client.outbox.of(it.id).length && this.#status(it);
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
              status && tick(status),
              h(`span.row-line.${line.kind}`, line.who && [h("span.who", line.who), ": "], line.text),
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
    const look = Object.values({ title, ...line, status, at, unread, mentions, pinned, muted, online, current });
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
  #status({ last_message: last }) {
    if (!last || last.sender_id !== this.client.user || last.system || last.deleted_at) return "";
    return this.client.store.status(last);
  }

  /** @param {string} asked */
  async #ask(asked) {
    const [people, channels] = await Promise.all([
      findPeople(this.client, asked),
      api.get(`/channels?q=${encodeURIComponent(asked)}&limit=10`),
    ]);
    const foreign = channels.items.filter((/** @type {Conversation} */ it) => !this.client.conversation(it.id));
    return [
      { title: "People", found: people.map((it) => this.#person(it)) },
      { title: "Channels", found: foreign.map((/** @type {Conversation} */ it) => this.#channel(it)) },
    ];
  }

  /** @param {string} asked */
  #known(asked) {
    const text = asked.toLocaleLowerCase();
    const matches = (/** @type {Conversation} */ it) =>
      [titleOf(this.client, it), it.peer?.username].some((name) => name?.toLocaleLowerCase().includes(text));
    return inbox(this.client.store.conversations.values())
      .filter(matches)
      .slice(0, 20)
      .map((it) => this.#found(it, subtitleOf(this.client, it), () => this.shell.go(it.id)));
  }

  /** @param {Conversation} it @param {string} under @param {() => unknown} choose */
  #found(it, under, choose) {
    return { picture: pictureOf(this.client, it), name: titleOf(this.client, it), under, choose };
  }

  /** @param {Conversation} it */
  #channel(it) {
    const join = async () => this.shell.show(await api.post(`/channels/${it.id}/join`));
    return this.#found(it, `${subtitleOf(this.client, it)} · join`, () => attempt(join));
  }

  /** @param {Profile} it */
  #person(it) {
    this.client.store.know(it);
    const picture = avatar(it.id, it.display_name);
    return { picture, name: it.display_name, under: `@${it.username}`, choose: () => this.shell.talkTo(it.id) };
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { input } = this.search;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape" && event.target === input) {
      this.search.clear();
      this.shell.view?.focus();
    } else if (step) {
      const rows = this.#rows();
      const next = rows.findIndex((it) => it === document.activeElement) + step;
      (next < 0 ? input : rows[next])?.focus();
    } else return;
    event.preventDefault();
  }

  #rows() {
    return every(this.element, ".row").filter((it) => it.checkVisibility());
  }
}
