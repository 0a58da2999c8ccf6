/** One conversation: its head, its history, where one writes, and the panel beside it. */

import { now } from "../core/clock.js";
import { api, listOf } from "../net/api.js";
import { Composer } from "./composer.js";
import { confirm, messageDetails } from "./dialogs.js";
import { attempt, copy, every, fill, h, iconButton, reason, refill, stamp, toast } from "./dom.js";
import { menu } from "./menu.js";
import { label } from "./message.js";
import { Panel, leads } from "./panel.js";
import { isOnline, noteOf, pictureOf, subtitleOf, titleOf, typingLine } from "./people.js";
import { Timeline } from "./timeline.js";

/** One's own message may be edited for so long. */
const EDITABLE = 15 * 60_000;
/** As many new messages are kept for who has them read aloud. */
const SAID = 5;
/** Up to this width the panel covers all else (see the style sheet). */
const narrow = matchMedia("(max-width: 720px)");

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
    /** Once they were asked for. @type {Promise<Member[]> | null} */
    this.memberList = null;
    this.memberCount = 0;
    /** Whether it was one's own while it was open. */
    this.known = false;
    /** Whether one gives it up oneself. */
    this.left = false;
    /** Whether its messages were asked for, by this connection. */
    this.asked = false;
    /** Whether it shows what one sees at first. What stands there before that is seen by nobody. */
    this.placed = false;
    this.leaving = new AbortController();
    /** What is heard until it is closed. */
    this.gone = { signal: this.leaving.signal };
    this.timeline = new Timeline(this);
    this.composer = new Composer(this);
    this.head = h("header.bar");
    this.typing = h("div.typing-line", { "aria-live": "polite" });
    this.foot = h("div.foot-area");
    /** What comes in, for those who do not see it. What is loaded is not said. */
    this.log = h("div.unseen", { role: "log", "aria-label": "New messages" });
    /** The last message that was said, or was there before. @type {number | null} */
    this.saidSeq = null;
    this.column = h("section.column", this.head, this.timeline.element, this.log, this.typing, this.foot);
    this.element = h("div.conversation", this.column);
    addEventListener("focus", () => this.seen(), this.gone);
    narrow.addEventListener("change", () => this.#cover(), this.gone);
  }

  get conversation() {
    return this.client.conversation(this.id);
  }

  get room() {
    return this.client.store.rooms.get(this.id);
  }

  /** Why one may not write here; nothing where one may. */
  get closed() {
    const { kind, peer, posting, my } = this.conversation ?? {};
    if (peer && this.client.store.blocks.has(peer.id)) return "You have blocked this person.";
    if (posting === "admins" && my?.role === "member") return "Only admins write here.";
    return kind === "direct" && (!peer || peer.username === null) ? "This account is gone." : "";
  }

  get mayWrite() {
    return Boolean(this.conversation) && !this.closed;
  }

  get isGroup() {
    return this.conversation?.kind !== "direct";
  }

  /** It is in the document now. */
  shown() {
    this.#noteRead();
    this.#say();
    this.#render();
    if (this.room?.loaded) this.#atFirst();
    this.#load();
    this.focus();
  }

  /** On a touch screen the keyboard would cover what one has come to read. */
  focus() {
    const input = matchMedia("(hover: hover)").matches && this.mayWrite;
    (input ? this.composer.input : this.timeline.scroller).focus({ preventScroll: true });
  }

  close() {
    this.leaving.abort();
    clearTimeout(this.highlightTimer);
    this.composer.stopTyping();
  }

  connected() {
    this.asked = false;
    this.#load();
    if (this.wantsEnd) this.toEnd();
    this.wantsEnd = false;
  }

  /** @param {Set<Topic>} topics */
  changed(topics) {
    this.#noteRead();
    this.#load();
    this.#say();
    this.#render();
    this.#renderTyping();
    if (!topics.has(`room:${this.id}`) && !topics.has("people") && !topics.has("blocks")) return;
    this.timeline.render();
    this.seen();
  }

  /** Whatever is on the screen of somebody who looks has been read. */
  seen() {
    if (!this.placed || !document.hasFocus() || document.visibilityState !== "visible") return;
    this.client.read(this.id, this.timeline.lastSeen());
  }

  /** Says whether Esc meant something here. It goes back the way one came. */
  escape() {
    const row = document.activeElement?.closest(".message");
    if (row instanceof HTMLElement) {
      if (row === document.activeElement) this.focus();
      else row.focus();
      return true;
    }
    if (!this.panel?.element.contains(document.activeElement) && this.composer.escape()) return true;
    const open = Boolean(this.panel);
    if (open) this.togglePanel();
    return open;
  }

  /** @param {"before" | "after"} side */
  more(side) {
    this.client.more(this.id, side).catch(() => {});
  }

  async toEnd() {
    await attempt(() => this.client.toEnd(this.id));
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
  mayEdit({ sender_id, deleted_at, message_type, created_at }) {
    const own = sender_id === this.client.user && !deleted_at && message_type === "text";
    return own && this.mayWrite && now() - Date.parse(created_at) < EDITABLE;
  }

  /** @param {Message} message @param {HTMLElement} beside */
  menu(message, beside) {
    const leading = leads(this.conversation?.my?.role);
    const own = message.sender_id === this.client.user;
    const pin = () => attempt(() => this.client.pin(message));
    const remove = async () => {
      if (await confirm("Delete this message for everyone?", "Delete"))
        attempt(() => api.delete(`/messages/${message.id}`));
    };
    menu(beside, [
      { label: "Copy text", choose: () => copy(message.content ?? "") },
      { label: "Details", choose: () => messageDetails(this.client, message) },
      (leading || !this.isGroup) && { label: message.pinned_at ? "Unpin" : "Pin", choose: pin },
      (own || (leading && this.isGroup)) && { label: "Delete for everyone", kind: "danger", choose: remove },
    ]);
  }

  togglePanel() {
    this.panel?.element.remove();
    this.panel = this.panel ? null : new Panel(this);
    if (this.panel) this.element.append(this.panel.element);
    this.#cover();
    // The focus goes where one is now, and back to what opened it.
    every(this.panel?.element ?? this.head, "button").at(this.panel ? 0 : -1)?.focus();
  }

  /** What the panel covers is out of reach. */
  #cover() {
    this.column.inert = Boolean(this.panel) && narrow.matches;
  }

  /** Those who can be mentioned. @returns {Promise<Member[]>} */
  members() {
    const { peer } = this.conversation ?? {};
    if (peer) return Promise.resolve([{ ...peer, user_id: peer.id, role: "member" }]);
    this.memberList ??= listOf(`/conversations/${this.id}/members`).catch((error) => {
      this.memberList = null;
      throw error;
    });
    return this.memberList;
  }

  async #load() {
    const first = !this.room?.loaded;
    if (this.asked || !this.conversation || !(first || this.client.connected)) return;
    this.asked = true;
    await this.client.open(this.id).catch((error) => {
      if (error.code !== "disconnected") toast(reason(error));
    });
    if (first && this.room?.loaded) this.#atFirst();
  }

  /** At first one sees what one has not read yet, or the end. */
  #atFirst() {
    this.timeline.follow();
    const { list, scroller } = this.timeline;
    const line = list.querySelector(".line");
    if (line && scroller.scrollHeight > scroller.clientHeight) {
      this.timeline.following = false;
      line.scrollIntoView({ block: "center" });
    }
    this.placed = true;
    this.seen();
  }

  #noteRead() {
    const my = this.conversation?.my;
    if (this.readSeq === null && my) this.readSeq = my.unread_count ? my.read_seq : Infinity;
  }

  /** One has written something. */
  sent() {
    this.readSeq = Infinity;
    if (!this.room?.hasAfter) this.timeline.follow();
    else if (this.client.connected) this.toEnd();
    else {
      this.wantsEnd = true;
      toast("It is sent, and shown at the end, once the server is back.");
    }
  }

  #render() {
    const { conversation } = this;
    if (!conversation) return;
    this.#renderHead(conversation);
    this.#renderFoot();
    this.composer.renderAbove();
    this.panel?.changed();
    // Somebody came or went.
    if (this.memberCount !== conversation.member_count) this.memberList = null;
    this.memberCount = conversation.member_count;
  }

  /** @param {Conversation} conversation */
  #renderHead(conversation) {
    const title = titleOf(this.client, conversation);
    const online = isOnline(this.client, conversation.peer?.id);
    const under = subtitleOf(this.client, conversation);
    const toggle = () => this.togglePanel();
    refill(this.head, stamp(title, under, online), () => [
      iconButton("back", "Back to the list", () => this.shell.go(null), "back"),
      h(
        "button.head-button",
        { title: "Details", click: toggle },
        pictureOf(this.client, conversation),
        h("span.head-text", h("h2", { dir: "auto" }, title), h(`span.${online ? "online" : "muted"}`, under)),
      ),
      iconButton("info", "Details", toggle),
    ]);
  }

  #renderFoot() {
    const { closed } = this;
    const first = !this.foot.firstChild;
    refill(this.foot, closed, () => (closed ? h("p.closed", closed) : this.composer.element));
    // Until now it was not known whether one may write.
    if (first && document.activeElement === this.timeline.scroller) this.focus();
  }

  /** Says the newest message, where it is new and of somebody else. */
  #say() {
    const { conversation } = this;
    // Until the first sync all is history.
    if (!conversation || (this.saidSeq === null && !this.client.current)) return;
    const { last_message: last, last_seq } = conversation;
    const isNew = this.saidSeq !== null && last_seq > this.saidSeq;
    this.saidSeq = last_seq;
    if (!isNew || !last || last.sender_id === this.client.user) return;
    this.log.append(h("p", last.system ? noteOf(this.client, last) : label(this, last)));
    if (this.log.childElementCount > SAID) this.log.firstElementChild?.remove();
  }

  #renderTyping() {
    const line = typingLine(this.client, this.id, true);
    if (this.typing.textContent !== line) fill(this.typing, line);
  }
}
