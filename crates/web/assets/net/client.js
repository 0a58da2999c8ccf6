/** Brings the store, the socket, the calls and the outbox together. What the pages call is here. */

import { now } from "../core/clock.js";
import { NOTHING, draftOf, kept } from "../core/draft.js";
import { Outbox } from "../core/outbox.js";
import { Store, TYPING_LASTS } from "../core/store.js";
import { api, ask } from "./api.js";
import { Database } from "./db.js";
import { forget, lose, signIn, tokens } from "./session.js";
import { Socket } from "./socket.js";

/** Messages on their way to the outbox: this is written at once, the database takes a moment. */
const WRITTEN = "kith.written.";
const DRAFT = "kith.draft.";
/** How many messages are asked for at a time. */
const PAGE = 80;
/** Marks are told at most this often for each conversation. */
const TELL_EVERY = 300;
/** What is shown is kept this long after it changed. */
const KEEP_AFTER = 500;
/** As many of the newest messages of a conversation are kept in the browser. */
const KEPT = 60;
/** A message that was not answered for so long is a sign that the server hangs. */
const LATE = 5_000;
/** Somebody who could not be asked for is asked for again after this. */
const ASK_AGAIN = 30_000;
/** Whoever deletes his account has left all groups first, this long before at most. */
const ASK_AFTER = 3_000;

export class Client {
  /** @param {string} user @param {Database} db */
  constructor(user, db) {
    this.user = user;
    this.db = db;
    this.store = new Store();
    this.connected = false;
    /** Whether all that was missed while away is here. */
    this.current = false;
    /** Whether what was sent has had no answer for a while. */
    this.late = false;
    /** What is done soon. @type {Set<string>} */
    this.waiting = new Set();
    /** Work that is under way, so that it is not begun twice. @type {Map<string, Promise<any>>} */
    this.running = new Map();
    /** Work to be done once more: what it asked for may have changed meanwhile. @type {Set<string>} */
    this.again = new Set();
    this.lastOrder = 0;
    this.socket = new Socket({
      frame: (frame) => this.#frame(frame),
      state: (connected) => this.#state(connected),
      signedOut: () => this.ended(true),
    });
    this.outbox = new Outbox(
      // What the database did not take is kept beside it until then.
      { ...db.outbox, delete: (id, room) => this.#drop(id, room) },
      (entry) => this.#send(entry),
      (id) => this.store.touch(`room:${id}`, "list"),
    );
    this.store.listeners.add((topics) => this.#keepSoon(topics));
    // Of blocks the server tells nobody: other tabs hear it here, other devices once they are looked at.
    this.tabs = new BroadcastChannel(`kith.blocks.${user}`);
    this.tabs.onmessage = () => this.sync();
    addEventListener("focus", () => this.sync());
    // A page in the background may be ended without a word.
    for (const event of ["pagehide", "visibilitychange"]) addEventListener(event, () => this.#keepAll());
  }

  /** The client of the one who is signed in. */
  static async start() {
    const user = tokens()?.user_id ?? "";
    const db = await Database.open(user).catch(() => new Database(null));
    const client = new Client(user, db);
    const shown = await db.shown("store").catch(() => null);
    if (shown) client.store.restore(shown);
    await client.outbox.open().catch(() => {});
    client.#recover();
    client.socket.connect();
    return client;
  }

  /** @param {string} id */
  conversation(id) {
    return this.store.conversations.get(id);
  }

  /** What is being written in a conversation. @param {string} id */
  draft(id) {
    return draftOf(localStorage.getItem(`${DRAFT}${this.user}.${id}`));
  }

  /** @param {string} id @param {Draft} draft */
  keepDraft(id, draft) {
    keep(`${DRAFT}${this.user}.${id}`, kept(draft));
  }

  get hasDrafts() {
    return Object.keys(localStorage).some((key) => key.startsWith(`${DRAFT}${this.user}.`));
  }

  /** Writes a message. From then on it cannot be lost. @param {string} id @param {Draft} draft */
  write(id, { text, answers }) {
    this.lastOrder = Math.max(Date.now(), this.lastOrder + 1);
    this.#keep({
      client_message_id: randomId(),
      conversation_id: id,
      content: text.trim(),
      reply_to: answers,
      created_at: now(),
      order: this.lastOrder,
      state: "pending",
    });
    // It is kept as a message now. Another tab may be writing something else.
    if (this.draft(id).text === text) this.keepDraft(id, NOTHING);
  }

  /** @param {Outgoing} entry */
  async #keep(entry) {
    const key = this.#written(entry.client_message_id);
    keep(key, JSON.stringify(entry));
    if (await this.outbox.add(entry)) keep(key, null);
  }

  /** @param {string} id */
  #written(id) {
    return `${WRITTEN}${this.user}.${id}`;
  }

  /** Where it stands in its room, it is kept there in the same moment. @param {string} id @param {string} room */
  #drop(id, room) {
    keep(this.#written(id), null);
    return this.db.drop(id, `room ${room}`, this.#page(room));
  }

  /** What was written when the page went. */
  #recover() {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(`${WRITTEN}${this.user}.`));
    for (const key of keys) this.#keep(JSON.parse(localStorage.getItem(key) ?? ""));
  }

  /** Loads a conversation: from the first message that was not read, or the end. Or what changed in it. @param {string} id */
  open(id) {
    return this.#once(`open ${id}`, async () => {
      const room = this.store.room(id);
      if (room.loaded) return room.stale ? this.#heal(id) : undefined;
      if (!this.current) await this.#showKept(id);
      const my = this.conversation(id)?.my;
      const isLong = my && my.unread_count > PAGE / 2;
      await this.#load(id, isLong ? `&around=${Math.max(my.read_seq + 1, my.first_seq)}` : "");
    });
  }

  /** @param {string} id @param {number} seq */
  async jump(id, seq) {
    if (!this.store.room(id).at(seq)) await this.#load(id, `&around=${seq}`);
  }

  /** Loads the newest page, where it is not there. @param {string} id */
  async toEnd(id) {
    if (this.store.room(id).hasAfter) await this.#load(id);
  }

  /** @param {string} id @param {string} [where] */
  async #load(id, where = "") {
    this.store.room(id).reset(await messages(id, where));
    this.store.touch(`room:${id}`);
  }

  /** Loads the page before the first message, or after the last one. @param {string} id @param {"before" | "after"} side */
  more(id, side) {
    return this.#once(`more ${id}`, async () => {
      const room = this.store.room(id);
      const end = () => (side === "before" ? room.firstSeq : room.lastSeq);
      const seq = end();
      const page = await messages(id, `&${side}=${seq}`);
      // It was dropped meanwhile, for another part of the history.
      if (seq !== end()) return;
      if (side === "before") room.prepend(page);
      else room.append(page);
      this.store.touch(`room:${id}`);
    });
  }

  /** Everything up to here has been seen. @param {string} id @param {number} seq */
  read(id, seq) {
    const my = this.conversation(id)?.my;
    if (!my || seq <= my.read_seq || !this.connected) return;
    this.store.read(id, seq);
    this.#soon(`read ${id}`, TELL_EVERY, () => this.#tellRead(id));
  }

  /** @param {string} id */
  #tellRead(id) {
    const seq = this.conversation(id)?.my?.read_seq;
    if (seq) this.socket.tell({ type: "message_read", conversation_id: id, seq });
  }

  /** @param {string} id @param {boolean} types */
  types(id, types) {
    this.socket.tell({ type: types ? "typing_start" : "typing_stop", conversation_id: id });
  }

  /** A person's profile, asked for where it is not known. @param {string} id */
  person(id) {
    const known = this.store.people.get(id);
    if ((!known || (this.current && this.store.old.has(id))) && this.connected) this.#once(`person ${id}`, () => this.#askFor(id));
    return known;
  }

  /** @param {string} id */
  async #askFor(id) {
    try {
      this.store.know(await api.get(`/users/${id}`));
    } catch (/** @type {any} */ { code }) {
      if (code === "not_found") return this.store.know({ id, username: null, display_name: "Somebody" });
      await new Promise((done) => setTimeout(done, ASK_AGAIN));
      this.store.touch("people");
    }
  }

  /** @param {Message} message @param {string} emoji */
  async react({ id, version, reactions }, emoji) {
    const path = `/messages/${id}/reactions/${encodeURIComponent(emoji)}`;
    const given = reactions.find((it) => it.emoji === emoji);
    const isMine = given?.user_ids.includes(this.user);
    const after = isMine ? null : await api.put(path);
    // Only the first of those who gave it are named. Where giving it changed nothing, it was given.
    if (isMine || (given && after.version === version)) await api.delete(path);
  }

  /** @param {string} id @param {string} content */
  async edit(id, content) {
    this.apply({ type: "message_updated", message: await api.patch(`/messages/${id}`, { content }) });
  }

  /** @param {Message} message */
  pin({ id, pinned_at }) {
    return api[pinned_at ? "delete" : "put"](`/messages/${id}/pin`);
  }

  /** @param {Conversation} conversation */
  put(conversation) {
    this.#grant(this.store.put(conversation));
    return conversation;
  }

  /** Asks for what changed; several wishes become one. */
  sync() {
    this.#soon("sync", 100, () => this.connected && this.#syncAnew());
  }

  /** Blocks a person, or takes that back. @param {string} id @param {"put" | "delete"} how */
  async block(id, how) {
    await api[how](`/users/${id}/block`);
    this.tabs.postMessage(id);
    this.sync();
  }

  /** @param {"here" | "others" | "everywhere"} where */
  async signOut(where) {
    if (where !== "here") await api.delete("/auth/sessions");
    if (where === "others") return;
    // Offline it is forgotten all the same.
    await api.post("/auth/logout").catch(() => {});
    await this.ended();
  }

  /**
   * The session is over: nothing of it stays in this browser. Where nobody wished it, what was written
   * and not sent stays until the same person is back.
   * @param {boolean} [unasked]
   */
  async ended(unasked = false) {
    this.socket.close();
    if (unasked) lose();
    else forget();
    if (unasked) await this.db.forgetShown().catch(() => {});
    this.db.db?.close();
    if (!unasked) await Database.erase(this.user).catch(() => {});
    location.reload();
  }

  /** @param {Frame} frame */
  apply(frame) {
    this.#grant(this.store.apply(frame));
  }

  /** @param {Frame} frame */
  #frame(frame) {
    const { message } = frame;
    if (frame.type !== "new_message" || message.sender_id !== this.user) return this.apply(frame);
    // Another tab, or this one before it was loaded again, may have sent it.
    const drop = () => this.outbox.drop(message.client_message_id);
    this.#confirmed(frame).then(drop, () => {});
  }

  /** Takes in a message of one's own. Done when it stands in its room: until then it stands in the outbox. @param {Frame} frame */
  async #confirmed(frame) {
    this.apply(frame);
    const { conversation_id: id, seq } = frame.message;
    const room = this.store.rooms.get(id);
    if (room?.loaded && !room.hasAfter && seq > room.lastSeq) await this.#heal(id);
  }

  /** @param {boolean} connected */
  #state(connected) {
    if (this.connected === connected) return;
    if (!connected) this.store.disconnected();
    this.connected = connected;
    this.current = false;
    this.store.touch("connection");
    this.outbox.online(connected);
    if (connected) this.#syncAnew();
  }

  #syncAnew() {
    this.#anew("sync", () => this.#sync()).catch(() => {});
  }

  async #sync() {
    let since = this.store.token ?? undefined;
    for (let [more, fresh] = [true, !since]; more;) {
      const frame = await this.socket.ask({ type: "sync", since }).catch((error) => {
        if (error.code !== "invalid_cursor") throw error;
      });
      if (!frame) {
        [since, fresh] = [undefined, true];
        continue;
      }
      // Until the last page conversations are missing that are one's own.
      if (fresh) this.current = false;
      this.#grant(this.store.sync(/** @type {any} */ (frame), fresh));
      [since, fresh, more] = [frame.token, false, frame.has_more];
    }
    this.current = true;
    // Conversations that did not change have not moved: what is held of them is whole.
    for (const [id, room] of this.store.rooms) {
      const conversation = this.conversation(id);
      if (room.stale && conversation && conversation.version <= room.version) room.stale = false;
    }
  }

  /** Asks for what changed in a conversation since it was loaded. @param {string} id @returns {Promise<void>} */
  #heal(id) {
    return this.#anew(`heal ${id}`, async () => {
      const room = this.store.room(id);
      for (let more = true; more;) {
        const changes = await api.get(`/conversations/${id}/changes?since=${room.version}`);
        if (changes.reset) {
          await this.#load(id);
          break;
        }
        changes.messages.sort(
          (/** @type {Message} */ one, /** @type {Message} */ next) => one.seq - next.seq,
        );
        for (const message of changes.messages) {
          // More came than these changes hold: the rest is a page of its own.
          if (room.take(message) === "gap") room.hasAfter = true;
        }
        more = changes.has_more;
        room.version = changes.version;
      }
      room.stale = false;
      if (room.hasAfter) await this.more(id, "after");
      this.store.touch(`room:${id}`);
    });
  }

  /** @param {Wish[]} wishes */
  #grant(wishes) {
    for (const wish of wishes) {
      if (wish.want === "sync") this.sync();
      else if (wish.want === "changes") this.#heal(wish.conversation).catch(() => {});
      else if (wish.want === "person") this.#askSoon(wish.user);
      else if (wish.want === "delivered") this.#tellDelivered(wish.conversation);
      // Who stops typing may not say so.
      else setTimeout(() => this.store.touch("list", `typing:${wish.conversation}`), TYPING_LASTS);
    }
  }

  /** @param {string} user */
  #askSoon(user) {
    this.#soon(`person ${user}`, ASK_AFTER, () => this.store.doubt(user));
  }

  /** @param {string} id */
  #tellDelivered(id) {
    this.#soon(`delivered ${id}`, TELL_EVERY, () => {
      const { my, last_seq: seq } = this.conversation(id) ?? {};
      if (!my || !seq || !this.connected || my.delivered_seq >= seq) return;
      this.socket.tell({ type: "message_delivered", conversation_id: id, seq });
      this.store.delivered(id, seq);
    });
  }

  /** @param {Outgoing} entry */
  async #send({ client_message_id, conversation_id, content, reply_to }) {
    const message = {
      conversation_id,
      content,
      client_message_id,
      ...(reply_to && { reply_to: reply_to.id }),
    };
    const timer = setTimeout(() => this.#late(true), LATE);
    const frame = await this.socket.ask({ type: "send_message", ...message }).finally(() => {
      clearTimeout(timer);
      this.#late(false);
    });
    if (frame.message.reply_to && reply_to) frame.message.reply_to.excerpt ??= reply_to.excerpt;
    await this.#confirmed(frame);
  }

  /** @param {boolean} late */
  #late(late) {
    if (this.late === late) return;
    this.late = late;
    this.store.touch("connection");
  }

  /** @param {string} id */
  async #showKept(id) {
    const page = await this.db.shown(`room ${id}`).catch(() => null);
    const room = this.store.room(id);
    if (!page || room.loaded) return;
    room.reset(page);
    room.stale = true;
    this.store.touch(`room:${id}`);
  }

  /** @param {Set<Topic>} topics */
  #keepSoon(topics) {
    for (const topic of topics) {
      const id = topic.startsWith("room:") && topic.slice(5);
      if (id) this.#soon(`keep ${id}`, KEEP_AFTER, () => this.#keepRoom(id));
    }
    this.#soon("keep", KEEP_AFTER, () => this.#keepStore());
  }

  /** What came and was read of late is not in the database yet, nor told. */
  #keepAll() {
    if (tokens()?.user_id !== this.user) return;
    if (this.waiting.has("keep")) this.#keepStore();
    for (const id of this.store.conversations.keys()) {
      if (this.waiting.has(`keep ${id}`)) this.#keepRoom(id);
      if (this.waiting.has(`read ${id}`)) this.#tellRead(id);
    }
  }

  #keepStore() {
    const { me } = this.store;
    if (me) this.db.show("store", this.store.snapshot()).catch(() => {});
  }

  /** @param {string} id */
  #keepRoom(id) {
    const page = this.#page(id);
    if (page) this.db.show(`room ${id}`, page).catch(() => {});
  }

  /** What is kept of a room, where its end is held. @param {string} id */
  #page(id) {
    const room = this.store.rooms.get(id);
    if (!room?.loaded || room.hasAfter) return;
    const items = room.messages.slice(-KEPT);
    const has_before = room.hasBefore || items.length < room.messages.length;
    return { items, has_before, has_after: false, version: room.version };
  }

  /** @param {string} what @param {number} wait @param {() => void} work */
  #soon(what, wait, work) {
    if (this.waiting.has(what)) return;
    this.waiting.add(what);
    setTimeout(() => {
      this.waiting.delete(what);
      work();
    }, wait);
  }

  /**
   * Does what was asked for after it was asked for: what is under way may have been answered before.
   * @param {string} what @param {() => Promise<void>} work @returns {Promise<void>}
   */
  #anew(what, work) {
    if (this.running.has(what)) this.again.add(what);
    return this.#once(what, async () => {
      do {
        this.again.delete(what);
        await work();
      } while (this.again.has(what));
    });
  }

  /** @template T @param {string} what @param {() => Promise<T>} work @returns {Promise<T>} */
  #once(what, work) {
    const running = this.running.get(what) ?? work().finally(() => this.running.delete(what));
    this.running.set(what, running);
    return running;
  }
}

/** Makes an account, or signs in to one. @param {"register" | "login"} how @param {Record<string, string>} fields */
export async function enter(how, fields) {
  signIn(await ask("POST", `/auth/${how}`, { ...fields, device_name: deviceName() }));
}

/** @param {string} id @param {string} where @returns {Promise<Page>} */
const messages = (id, where) => api.get(`/conversations/${id}/messages?limit=${PAGE}${where}`);

/** Keeps something for the next page, or removes it. Where there is no room it is done without. @param {string} key @param {string | null} value */
function keep(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {}
}

/** What the list of devices calls this browser. */
function deviceName() {
  const agent = navigator.userAgent;
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\//.exec(agent)?.[1] ?? "Browser";
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(agent)?.[1];
  const names = /** @type {Record<string, string>} */ ({ Edg: "Edge", OPR: "Opera", "Mac OS X": "macOS" });
  return [names[browser] ?? browser, system && `on ${names[system] ?? system}`].filter(Boolean).join(" ");
}

/** 128 random bits. */
const randomId = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
