/** Brings the store, the socket, the calls and the outbox together. What the pages call is here. */

import { Outbox } from "../core/outbox.js";
import { Store } from "../core/store.js";
import { api, call } from "./api.js";
import { Database } from "./db.js";
import { forget, onChange, signIn, tokens } from "./session.js";
import { Socket } from "./socket.js";

/** @typedef {import("../types.js").Message} Message */
/** @typedef {import("../types.js").Outgoing} Outgoing */
/** @typedef {import("../types.js").Conversation} Conversation */
/** @typedef {import("../core/store.js").Wish} Wish */

/** Messages on their way to the outbox: this is written at once, the database takes a moment. */
const WRITTEN = "kith.written.";
/** How many messages are asked for at a time. */
const PAGE = 80;
/** Marks are told at most this often for each conversation. */
const TELL_EVERY = 300;
/** What is shown is kept this long after it changed. */
const KEEP_AFTER = 2_000;
/** As many of the newest messages of a conversation are kept in the browser. */
const KEPT = 60;

export class Client {
  /** @param {string} user @param {Database | null} db null where the browser keeps nothing */
  constructor(user, db) {
    this.user = user;
    this.db = db;
    this.store = new Store();
    this.connected = false;
    /** Whether all that was missed while away is here. */
    this.current = false;
    /** @type {Set<(connected: boolean) => void>} */
    this.onState = new Set();
    /** @type {Map<string, number>} */
    this.timers = new Map();
    /** Work that is under way, so that it is not begun twice. @type {Map<string, Promise<any>>} */
    this.running = new Map();
    /** Work to be done once more: what it asked for may have changed meanwhile. @type {Set<string>} */
    this.again = new Set();
    this.socket = new Socket({
      frame: (frame) => this.#frame(frame),
      state: (connected) => this.#state(connected),
      signedOut: () => this.ended(),
    });
    this.outbox = new Outbox(
      db?.outbox ?? nowhere(),
      (entry) => this.#send(entry),
      (id) => this.store.touch(`room:${id}`, "list"),
    );
    this.store.listen((topics) => this.#keepSoon(topics));
  }

  /** The client of the one who is signed in. */
  static async start() {
    const user = tokens()?.user_id ?? "";
    const db = await Database.open(user).catch(() => null);
    const client = new Client(user, db);
    const kept = await db?.shown("store").catch(() => null);
    if (kept) client.store.restore(kept);
    await client.outbox.open().catch(() => {});
    client.#recover();
    onChange((now) => now !== user && location.reload());
    client.socket.connect();
    return client;
  }

  /** @param {string} id */
  conversation(id) {
    return this.store.conversations.get(id);
  }

  /** Writes a message. From then on it cannot be lost. @param {string} id @param {string} content @param {Message | null} answered */
  write(id, content, answered = null) {
    const reply_to = answered && {
      id: answered.id,
      seq: answered.seq,
      sender_id: answered.sender_id,
      excerpt: (answered.content ?? "").slice(0, 200),
    };
    const now = Date.now();
    this.lastOrder = Math.max(now, (this.lastOrder ?? 0) + 1);
    const client_message_id = randomId();
    this.#keep({
      client_message_id,
      conversation_id: id,
      content,
      reply_to,
      created_at: now,
      order: this.lastOrder,
      state: "pending",
    });
  }

  /** @param {Outgoing} entry */
  async #keep(entry) {
    const key = `${WRITTEN}${this.user}.${entry.client_message_id}`;
    localStorage.setItem(key, JSON.stringify(entry));
    await this.outbox.add(entry);
    localStorage.removeItem(key);
  }

  /** What was written when the page went. */
  #recover() {
    for (const key of Object.keys(localStorage).filter((key) => key.startsWith(`${WRITTEN}${this.user}.`))) {
      this.#keep(JSON.parse(localStorage.getItem(key) ?? ""));
    }
  }

  /** Loads the newest page of a conversation, or what changed in it. @param {string} id */
  open(id) {
    return this.#once(`open ${id}`, async () => {
      const room = this.store.room(id);
      if (room.loaded && !room.hasAfter) return room.stale ? this.#heal(id) : undefined;
      if (!room.loaded && !this.current) await this.#showKept(id);
      room.reset(await api.get(`/conversations/${id}/messages?limit=${PAGE}`));
      this.store.touch(`room:${id}`);
    });
  }

  /** Loads the page around a message. @param {string} id @param {number} seq */
  jump(id, seq) {
    return this.#once(`open ${id}`, async () => {
      const room = this.store.room(id);
      if (room.at(seq)) return;
      room.reset(await api.get(`/conversations/${id}/messages?around=${seq}&limit=${PAGE}`));
      this.store.touch(`room:${id}`);
    });
  }

  /** Loads the page before the first message, or after the last one. @param {string} id @param {"before" | "after"} side */
  more(id, side) {
    return this.#once(`more ${id}`, async () => {
      const room = this.store.room(id);
      const seq = side === "before" ? room.firstSeq : room.lastSeq;
      const page = await api.get(`/conversations/${id}/messages?${side}=${seq}&limit=${PAGE}`);
      // It was dropped meanwhile, for another part of the history.
      if (seq !== (side === "before" ? room.firstSeq : room.lastSeq)) return;
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
    this.#soon(`read ${id}`, TELL_EVERY, () => {
      const read = this.conversation(id)?.my?.read_seq;
      if (read) this.socket.tell({ type: "message_read", conversation_id: id, seq: read });
    });
  }

  /** @param {string} id @param {boolean} types */
  types(id, types) {
    this.socket.tell({ type: types ? "typing_start" : "typing_stop", conversation_id: id });
  }

  /** A person's profile, asked for where it is not known. @param {string} id */
  person(id) {
    const known = this.store.people.get(id);
    if (!known && this.connected) {
      this.#once(`person ${id}`, async () => this.store.know(await api.get(`/users/${id}`))).catch(() => {
        this.store.know({ id, username: null, display_name: "Somebody" });
      });
    }
    return known;
  }

  /** @param {Message} message @param {string} emoji */
  async react(message, emoji) {
    const mine = message.reactions.find((it) => it.emoji === emoji)?.user_ids.includes(this.user);
    const path = `/messages/${message.id}/reactions/${encodeURIComponent(emoji)}`;
    await (mine ? api.delete(path) : api.put(path));
  }

  /** @param {Message} message @param {string} content */
  async edit(message, content) {
    this.apply({ type: "message_updated", message: await api.patch(`/messages/${message.id}`, { content }) });
  }

  /** @param {Message} message */
  pin(message) {
    return message.pinned_at
      ? api.delete(`/messages/${message.id}/pin`)
      : api.put(`/messages/${message.id}/pin`);
  }

  /** Takes in a conversation that a call has answered with. @param {Conversation} conversation */
  put(conversation) {
    this.#grant(this.store.put(conversation));
    return conversation;
  }

  /** Asks for what changed; several wishes become one. */
  sync() {
    this.#soon("sync", 100, () => this.#anew("sync", () => this.#sync()).catch(() => {}));
  }

  /** @param {"here" | "others" | "everywhere"} where */
  async signOut(where) {
    if (where !== "here") await api.delete("/auth/sessions");
    if (where === "others") return;
    // Offline it is forgotten all the same.
    await api.post("/auth/logout").catch(() => {});
    this.ended();
  }

  /** The session is over: nothing of it stays in this browser. */
  async ended() {
    this.socket.close();
    forget();
    this.db?.db.close();
    await Database.erase(this.user);
    location.reload();
  }

  /** @param {import("../types.js").Frame} frame */
  apply(frame) {
    this.#grant(this.store.apply(frame));
  }

  /** @param {import("../types.js").Frame} frame */
  #frame(frame) {
    this.apply(frame);
    // Another tab, or this one before it was loaded again, has sent it.
    if (frame.type === "new_message") this.outbox.drop(frame.message.client_message_id);
  }

  /** @param {boolean} connected */
  async #state(connected) {
    if (this.connected && !connected) this.store.disconnected();
    this.connected = connected;
    this.current = false;
    for (const listener of this.onState) listener(connected);
    this.outbox.online(connected);
    if (!connected) return;
    await this.#anew("sync", () => this.#sync()).catch(() => {});
  }

  async #sync() {
    let since = this.store.token ?? undefined;
    let fresh = !since;
    for (let more = true; more;) {
      const frame = await this.socket.ask({ type: "sync", since }).catch((error) => {
        if (error.code !== "invalid_cursor") throw error;
        this.store.token = null;
        return null;
      });
      if (!frame) {
        [since, fresh] = [undefined, true];
        continue;
      }
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

  /** Asks for what changed in a conversation since it was loaded. @param {string} id */
  #heal(id) {
    return this.#anew(`heal ${id}`, async () => {
      const room = this.store.room(id);
      for (let more = true; more;) {
        const changes = await api.get(`/conversations/${id}/changes?since=${room.version}`);
        if (changes.reset) {
          room.reset(await api.get(`/conversations/${id}/messages?limit=${PAGE}`));
          break;
        }
        changes.messages.sort(
          (/** @type {Message} */ one, /** @type {Message} */ other) => one.seq - other.seq,
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
      else this.#tellDelivered(wish.conversation);
    }
  }

  /** @param {string} id */
  #tellDelivered(id) {
    this.#soon(`delivered ${id}`, TELL_EVERY, () => {
      const conversation = this.conversation(id);
      if (!conversation?.my || !this.connected || conversation.my.delivered_seq >= conversation.last_seq)
        return;
      this.socket.tell({ type: "message_delivered", conversation_id: id, seq: conversation.last_seq });
      this.store.delivered(id, conversation.last_seq);
    });
  }

  /** @param {Outgoing} entry @returns {Promise<Message>} */
  async #send({ client_message_id, conversation_id, content, reply_to }) {
    const frame = await this.socket.ask({
      type: "send_message",
      conversation_id,
      content,
      client_message_id,
      ...(reply_to && { reply_to: reply_to.id }),
    });
    const message = frame.message;
    if (message.reply_to && reply_to) message.reply_to.excerpt ??= reply_to.excerpt;
    this.apply(frame);
    return message;
  }

  /** @param {string} id */
  async #showKept(id) {
    const kept = await this.db?.shown(`room ${id}`).catch(() => null);
    const room = this.store.room(id);
    if (!kept || room.loaded) return;
    room.reset(kept);
    room.stale = true;
    this.store.touch(`room:${id}`);
  }

  /** @param {Set<import("../core/store.js").Topic>} topics */
  #keepSoon(topics) {
    if (!this.db) return;
    for (const topic of topics) {
      if (!topic.startsWith("room:")) continue;
      const id = topic.slice(5);
      const room = this.store.rooms.get(id);
      if (!room?.loaded || room.hasAfter) continue;
      this.#soon(`keep ${id}`, KEEP_AFTER, () => {
        const items = room.messages.slice(-KEPT);
        const page = {
          items,
          has_before: room.hasBefore || items.length < room.messages.length,
          has_after: false,
          version: room.version,
        };
        this.db?.show(`room ${id}`, page).catch(() => {});
      });
    }
    if (this.store.me)
      this.#soon("keep", KEEP_AFTER, () => this.db?.show("store", this.store.snapshot()).catch(() => {}));
  }

  /** @param {string} what @param {number} wait @param {() => void} work */
  #soon(what, wait, work) {
    if (this.timers.has(what)) return;
    this.timers.set(
      what,
      setTimeout(() => {
        this.timers.delete(what);
        work();
      }, wait),
    );
  }

  /**
   * Does what was asked for after it was asked for: what is under way may have been answered before.
   * @param {string} what
   * @param {() => Promise<void>} work
   * @returns {Promise<void>}
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
    let running = this.running.get(what);
    if (!running) {
      running = work().finally(() => this.running.delete(what));
      this.running.set(what, running);
    }
    return running;
  }
}

/** Makes an account, or signs in to one. @param {"register" | "login"} how @param {Record<string, string>} fields */
export async function enter(how, fields) {
  const { ask } = await import("./api.js");
  signIn(await ask("POST", `/auth/${how}`, { ...fields, device_name: deviceName() }));
}

/** @param {string} code */
export const joinByInvite = (code) => call("POST", `/invites/${encodeURIComponent(code)}/join`);

/** What the list of devices calls this browser. */
function deviceName() {
  const agent = navigator.userAgent;
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\//.exec(agent)?.[1] ?? "Browser";
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(agent)?.[1];
  const names = /** @type {Record<string, string>} */ ({ Edg: "Edge", OPR: "Opera", "Mac OS X": "macOS" });
  return [names[browser] ?? browser, system && `on ${names[system] ?? system}`].filter(Boolean).join(" ");
}

/** 128 random bits. */
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

/** Where the browser keeps nothing, as in some private windows. @returns {import("../core/outbox.js").Shelf} */
function nowhere() {
  return { put: async () => {}, delete: async () => {}, all: async () => [] };
}
