/** One conversation: its head, its history, where one writes, and the panel beside it. */

import { Composer } from "./composer.js";
import { confirm, messageDetails } from "./dialogs.js";
import { attempt, fill, h, iconButton, toast } from "./dom.js";
import { menu } from "./emoji.js";
import { Panel } from "./panel.js";
import { avatar, isOnline, subtitleOf, titleOf, typingLine } from "./people.js";
import { Timeline } from "./timeline.js";
import { api } from "../net/api.js";

/** @typedef {import("./shell.js").Shell} Shell */
/** @typedef {import("../types.js").Message} Message */
/** @typedef {import("../types.js").Member} Member */

/** One's own message may be edited for so long. */
const EDITABLE = 15 * 60_000;

export class ConversationView {
  /** @param {Shell} shell @param {string} id */
  constructor(shell, id) {
    this.shell = shell;
    this.client = shell.client;
    this.id = id;
    /** What was read when it was opened: the line stands after it. @type {number | null} */
    this.readSeq = null;
    /** @type {number | null} */
    this.highlighted = null;
    /** @type {Panel | null} */
    this.panel = null;
    /** @type {Promise<Member[]> | undefined} */
    this.memberList = undefined;
    this.memberCount = 0;
    this.timeline = new Timeline(this);
    this.composer = new Composer(this.client, id, {
      sent: () => this.#sent(),
      lastOwn: () =>
        [...(this.room?.messages ?? [])]
          .reverse()
          .find((it) => it.sender_id === this.client.user && this.mayEdit(it)),
      members: () => this.members(),
    });
    this.head = h("header", { class: "bar" });
    this.typing = h("div", { class: "typing-line", "aria-live": "polite" });
    this.foot = h("div", { class: "foot-area" });
    this.column = h("section", { class: "column" }, this.head, this.timeline.element, this.typing, this.foot);
    this.element = h("div", { class: "conversation" }, this.column);
    this.onFocus = () => this.seen();
    addEventListener("focus", this.onFocus);
  }

  get conversation() {
    return this.client.conversation(this.id);
  }

  get room() {
    return this.client.store.rooms.get(this.id);
  }

  get isGroup() {
    return this.conversation?.kind !== "direct";
  }

  /** It is in the document now. */
  shown() {
    this.#noteRead();
    this.#render();
    if (this.room?.loaded) this.#atFirst();
    this.#load();
    this.focus();
  }

  close() {
    removeEventListener("focus", this.onFocus);
    clearTimeout(this.typingTimer);
    this.composer.close();
    this.timeline.close();
  }

  focus() {
    this.composer.focus();
  }

  /** The connection is here again. */
  connected() {
    this.#load();
  }

  /** @param {Set<import("../core/store.js").Topic>} topics */
  changed(topics) {
    this.#noteRead();
    if (topics.has("list") || topics.has("people") || topics.has("blocks") || topics.has(`room:${this.id}`))
      this.#render();
    if (topics.has(`room:${this.id}`) || topics.has("people")) {
      this.timeline.render();
      this.seen();
    }
    if (topics.has(`typing:${this.id}`) || topics.has("people")) this.#renderTyping();
  }

  /** Whatever is on the screen of somebody who looks has been read. */
  seen() {
    if (!document.hasFocus() || document.visibilityState !== "visible" || !this.room?.loaded) return;
    this.client.read(this.id, this.timeline.lastSeen());
  }

  /** Says whether Esc meant something here. */
  escape() {
    if (this.composer.escape()) return true;
    if (this.panel) {
      this.togglePanel();
      return true;
    }
    return false;
  }

  /** @param {"before" | "after"} side */
  more(side) {
    this.client.more(this.id, side).catch(() => {});
  }

  async toEnd() {
    if (this.room?.hasAfter) await attempt(() => this.client.open(this.id));
    this.timeline.follow();
    this.seen();
  }

  /** @param {number} seq */
  async jump(seq) {
    await attempt(() => this.client.jump(this.id, seq));
    this.highlighted = seq;
    this.timeline.reveal(seq);
    clearTimeout(this.highlightTimer);
    this.highlightTimer = setTimeout(() => {
      this.highlighted = null;
      this.timeline.render();
    }, 2_000);
  }

  /** @param {Message} message */
  mayEdit(message) {
    return (
      !message.deleted_at &&
      message.message_type === "text" &&
      Date.now() - Date.parse(message.created_at) < EDITABLE
    );
  }

  /** @param {Message} message @param {HTMLElement} beside */
  menu(message, beside) {
    const role = this.conversation?.my?.role;
    const leads = role === "admin" || role === "owner";
    const own = message.sender_id === this.client.user;
    const items = [
      {
        label: "Copy text",
        choose: () => void navigator.clipboard?.writeText(message.content ?? "").then(() => toast("Copied.")),
      },
      { label: "Details", choose: () => messageDetails(this.client, message) },
      (leads || !this.isGroup) && {
        label: message.pinned_at ? "Unpin" : "Pin",
        choose: () => void attempt(() => this.client.pin(message)),
      },
      (own || (leads && this.isGroup)) && {
        label: "Delete for everyone",
        danger: true,
        choose: () => this.#delete(message),
      },
    ];
    menu(
      beside,
      items.filter((item) => item !== false),
    );
  }

  /** Up to a few hundred members, those who joined first. @returns {Promise<Member[]>} */
  async members() {
    if (!this.isGroup) {
      const peer = this.conversation?.peer;
      return peer
        ? [
            {
              user_id: peer.id,
              username: peer.username,
              display_name: peer.display_name,
              role: "member",
              joined_at: "",
            },
          ]
        : [];
    }
    this.memberList ??= allMembers(this.id);
    return this.memberList;
  }

  togglePanel() {
    this.panel?.element.remove();
    this.panel = this.panel ? null : new Panel(this);
    if (this.panel) this.element.append(this.panel.element);
    else this.focus();
    this.element.classList.toggle("with-panel", Boolean(this.panel));
  }

  async #load() {
    if (!this.client.connected && this.room?.loaded) return;
    const first = !this.room?.loaded;
    await this.client.open(this.id).catch((/** @type {any} */ error) => {
      if (error.code !== "disconnected") toast(error.message);
    });
    if (first && this.room?.loaded) this.#atFirst();
  }

  /** At first one sees what one has not read yet, or the end. */
  #atFirst() {
    this.timeline.follow();
    const line = this.timeline.list.querySelector(".line");
    if (line && this.timeline.scroller.scrollHeight > this.timeline.scroller.clientHeight) {
      this.timeline.following = false;
      line.scrollIntoView({ block: "center" });
    }
    this.seen();
  }

  #noteRead() {
    const my = this.conversation?.my;
    if (this.readSeq === null && my) this.readSeq = my.unread_count ? my.read_seq : Infinity;
  }

  #sent() {
    this.readSeq = Infinity;
    if (this.room?.hasAfter) this.toEnd();
    else this.timeline.follow();
  }

  /** @param {Message} message */
  async #delete(message) {
    if (await confirm("Delete this message for everyone?", "Delete")) {
      await attempt(() => api.delete(`/messages/${message.id}`));
    }
  }

  #render() {
    const conversation = this.conversation;
    if (!conversation) return;
    this.#renderHead(conversation);
    this.#renderFoot(conversation);
    this.panel?.changed();
    // Somebody came or went.
    if (this.memberCount !== conversation.member_count) this.memberList = undefined;
    this.memberCount = conversation.member_count;
  }

  /** @param {import("../types.js").Conversation} conversation */
  #renderHead(conversation) {
    const title = titleOf(this.client, conversation);
    const online = isOnline(this.client, conversation.peer?.id);
    const under = subtitleOf(this.client, conversation);
    const stamp = [title, under, online].join("\u0000");
    if (this.head.dataset.stamp === stamp) return;
    this.head.dataset.stamp = stamp;
    fill(
      this.head,
      iconButton("back", "Back to the list", () => this.shell.go(null), "back"),
      h(
        "button",
        { type: "button", class: "head-button", title: "Details", click: () => this.togglePanel() },
        h(
          "span",
          { class: "picture" },
          avatar(conversation.peer?.id ?? conversation.id, title, conversation.kind),
          online && h("span", { class: "dot" }),
        ),
        h(
          "span",
          { class: "head-text" },
          h("h2", null, title),
          h("span", { class: online ? "online" : "muted" }, under),
        ),
      ),
      iconButton("info", "Details", () => this.togglePanel()),
    );
  }

  /** @param {import("../types.js").Conversation} conversation */
  #renderFoot(conversation) {
    const blocked = conversation.peer && this.client.store.blocks.has(conversation.peer.id);
    const closed = conversation.posting === "admins" && conversation.my?.role === "member";
    const gone =
      conversation.kind === "direct" && (!conversation.peer || conversation.peer.username === null);
    const why = blocked
      ? "You have blocked this person."
      : closed
        ? "Only admins write here."
        : gone
          ? "This account is gone."
          : "";
    if (this.foot.dataset.why === why) return;
    this.foot.dataset.why = why;
    fill(this.foot, why ? h("p", { class: "closed" }, why) : this.composer.element);
  }

  #renderTyping() {
    clearTimeout(this.typingTimer);
    const line = typingLine(this.client, this.id, this.isGroup) && typingLine(this.client, this.id, true);
    if (this.typing.textContent !== line) this.typing.textContent = line;
    if (line) this.typingTimer = setTimeout(() => this.#renderTyping(), 1_000);
  }
}

/** @param {string} id @returns {Promise<Member[]>} */
export async function allMembers(id) {
  /** @type {Member[]} */
  const members = [];
  let cursor = "";
  do {
    const page = await api.get(
      `/conversations/${id}/members?limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
    );
    members.push(...page.items);
    cursor = page.next_cursor ?? "";
  } while (cursor && members.length < 500);
  return members;
}
