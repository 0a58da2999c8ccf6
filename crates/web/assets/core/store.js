/**
 * All that is known of the account's chats, and how frames and syncs change it. It does no I/O: what
 * must be asked of the server is returned as a list of wishes.
 */

import { Room } from "./room.js";

/** Unread messages are counted exactly up to here, as the server does. */
export const MOST_UNREAD = 999;
/** For so long somebody types without saying so again: the server's own measure, and some grace. */
export const TYPING_LASTS = 7_000;

export class Store {
  constructor() {
    /** @type {Me | null} */
    this.me = null;
    /** @type {Map<string, Conversation>} */
    this.conversations = new Map();
    /** @type {Map<string, Profile>} */
    this.people = new Map();
    /** Those who may be called otherwise by now, as when only what was kept is known of them. @type {Set<string>} */
    this.old = new Set();
    /** @type {Map<string, {online: boolean | null, last_seen: string | null}>} */
    this.presence = new Map();
    /** How far the others have come. @type {Map<string, Map<string, Mark>>} */
    this.marks = new Map();
    /** @type {Map<string, Room>} */
    this.rooms = new Map();
    /** Until when who types where. @type {Map<string, Map<string, number>>} */
    this.typing = new Map();
    /** @type {Set<string>} */
    this.blocks = new Set();
    /** Those of a sync that has more pages. @type {Set<string>} */
    this.blocksSoFar = new Set();
    /** What was counted of late. @type {Map<string, {seq: number, mentions: number}[]>} */
    this.counted = new Map();
    /** What the next sync starts from. @type {string | null} */
    this.token = null;
    /** Those who hear which topics changed. @type {Set<(topics: Set<Topic>) => void>} */
    this.listeners = new Set();
    /** @type {Set<Topic>} */
    this.touched = new Set();
  }

  /** Tells the listeners, once for all that changes in this turn. @param {Topic[]} topics */
  touch(...topics) {
    if (!this.touched.size) {
      queueMicrotask(() => {
        const changed = this.touched;
        this.touched = new Set();
        for (const listener of this.listeners) listener(changed);
      });
    }
    for (const topic of topics) this.touched.add(topic);
  }

  /** @param {string} id */
  room(id) {
    let room = this.rooms.get(id);
    if (!room) this.rooms.set(id, (room = new Room()));
    return room;
  }

  /** The connection went: what is held may be behind from now on. */
  disconnected() {
    for (const room of this.rooms.values()) room.stale = true;
    for (const id of this.typing.keys()) this.touch(`typing:${id}`, "list");
    this.typing.clear();
  }

  /** @param {SyncPage} page @param {boolean} fresh whether it is the first page of everything @returns {Wish[]} */
  sync(page, fresh) {
    if (fresh) {
      this.conversations.clear();
      this.presence.clear();
      this.blocksSoFar.clear();
    }
    /** @type {Wish[]} */
    const wishes = [];
    this.me = page.me;
    this.token = page.token;
    // Each page has some of the blocks: all pages together have all.
    this.blocksSoFar = new Set([...this.blocksSoFar, ...page.blocks]);
    if (!page.has_more) [this.blocks, this.blocksSoFar] = [this.blocksSoFar, new Set()];
    for (const id of page.removed) this.remove(id);
    for (const user of page.users) this.know(user);
    for (const { user_id, online, last_seen } of page.presence) {
      this.presence.set(user_id, { online, last_seen });
    }
    for (const conversation of page.conversations) wishes.push(...this.put(conversation));
    this.touch("list", "people", "me", "blocks");
    return wishes;
  }

  /** Takes a conversation in with all that is one's own. @param {Conversation} conversation @returns {Wish[]} */
  put(conversation) {
    const { id, peer, receipts } = conversation;
    const before = this.conversations.get(id);
    if (peer) this.know(peer);
    // A sync that grew too long leaves the last message out, and a slow answer may be older than a frame.
    const last_message = newest(conversation.last_message, before?.last_message);
    const last_seq = Math.max(conversation.last_seq, before?.last_seq ?? 0);
    this.conversations.set(id, { ...conversation, last_message, last_seq, my: this.#recount(conversation) });
    if (receipts) {
      const known = this.#marksOf(id);
      const others = new Set(receipts.map((it) => it.user_id));
      // Whoever has left holds nobody up.
      for (const user of known.keys()) if (!others.has(user)) known.delete(user);
      for (const it of receipts) this.#raise(id, it.user_id, it.delivered_seq, it.read_seq);
    }
    this.touch("list", `room:${id}`);
    /** @type {Wish[]} */
    const wishes = [];
    const room = this.rooms.get(id);
    if (room?.loaded && (room.stale || conversation.version > room.version)) {
      room.stale = true;
      wishes.push({ want: "changes", conversation: id });
    }
    const my = conversation.my;
    if (my && conversation.last_seq > my.delivered_seq) {
      wishes.push({ want: "delivered", conversation: id });
    }
    return wishes;
  }

  /** @param {string} id */
  remove(id) {
    const { conversations, rooms, marks, counted, typing } = this;
    for (const held of [conversations, rooms, marks, counted, typing]) held.delete(id);
    this.touch("list", `room:${id}`);
  }

  /** @param {Profile} profile */
  know(profile) {
    const { online, last_seen } = profile;
    this.old.delete(profile.id);
    this.people.set(profile.id, { ...(profile.username && this.people.get(profile.id)), ...profile });
    if (online !== undefined && online !== null) {
      this.presence.set(profile.id, { online, last_seen: last_seen ?? null });
    }
    this.touch("people");
  }

  /** What is known of somebody may be no longer so. @param {string} user */
  doubt(user) {
    this.old.add(user);
    this.touch("people");
  }

  /** @param {Frame} frame @returns {Wish[]} */
  apply(frame) {
    switch (frame.type) {
      case "new_message":
      case "message_sent":
        return this.#arrived(frame.message);
      case "message_updated":
        return this.#changed(frame.message, () => frame.message);
      case "message_deleted":
        return this.#changed(/** @type {any} */ (frame), () => ({
          content: null,
          reactions: [],
          mentions: [],
          pinned_at: null,
          deleted_at: new Date().toISOString(),
        }));
      case "reaction_added":
      case "reaction_removed":
        return this.#changed(/** @type {any} */ (frame), ({ reactions }) => {
          const added = frame.type === "reaction_added";
          return { reactions: reacted(reactions, frame.emoji, frame.user_id, added, this.me?.id) };
        });
      case "receipt_update":
        return this.#receipt(frame);
      case "user_typing":
        this.#types(frame.conversation_id, frame.user_id, true);
        return [{ want: "typists", conversation: frame.conversation_id }];
      case "user_stopped_typing":
        this.#types(frame.conversation_id, frame.user_id, false);
        return [];
      case "user_online":
      case "user_offline":
        this.presence.set(frame.user_id, {
          online: frame.type === "user_online",
          last_seen: frame.last_seen,
        });
        this.touch("list", "people");
        return [];
      case "user_updated":
        this.know(frame.user);
        this.touch("list");
        return [];
      case "conversation_removed":
        this.remove(frame.conversation_id);
        return [];
      case "conversation_updated": {
        const known = this.conversations.get(frame.conversation.id);
        if (known) this.conversations.set(known.id, { ...known, ...frame.conversation });
        this.touch("list", `room:${frame.conversation.id}`);
        return [];
      }
      // What these change is one's own, or counts: the sync has it.
      case "conversation_created":
      case "settings_updated":
      case "member_added":
      case "member_updated":
      case "member_removed":
        return [{ want: "sync" }];
      default:
        return [];
    }
  }

  /** One has read up to here. @param {string} id @param {number} seq */
  read(id, seq) {
    const conversation = this.conversations.get(id);
    const my = conversation?.my;
    if (!conversation || !my || seq <= my.read_seq) return;
    const caughtUp = seq >= conversation.last_seq;
    const unread_count = caughtUp ? 0 : this.#unreadAfter(conversation, my, seq);
    this.#setMy(conversation, {
      read_seq: seq,
      delivered_seq: Math.max(seq, my.delivered_seq),
      unread_count,
      unread_mentions: unread_count ? my.unread_mentions : 0,
    });
  }

  /** Everything has arrived up to here. @param {string} id @param {number} seq */
  delivered(id, seq) {
    const conversation = this.conversations.get(id);
    if (conversation?.my && seq > conversation.my.delivered_seq) {
      this.#setMy(conversation, { delivered_seq: seq });
    }
  }

  /** Who types there now, oneself left out. @param {string} id @param {number} now */
  typists(id, now) {
    const typing = this.typing.get(id) ?? new Map();
    return [...typing].filter(([, until]) => until > now).map(([user]) => user);
  }

  /**
   * How far one's own message has come: what all others have reached, where all of them are known.
   * @param {Message} message
   * @returns {Status}
   */
  status({ conversation_id: id, seq, status: said = "sent" }) {
    const others = [...(this.marks.get(id)?.values() ?? [])];
    const all = others.length > 0 && others.length >= (this.conversations.get(id)?.member_count ?? 0) - 1;
    const reached = (/** @type {keyof Mark} */ mark) => all && others.every((it) => it[mark] >= seq);
    if (said === "read" || reached("read")) return "read";
    return reached("delivered") ? "delivered" : said;
  }

  /** What is kept in the browser, to show it before the server answers. */
  snapshot() {
    return {
      me: this.me,
      conversations: [...this.conversations.values()],
      people: [...this.people.values()],
      blocks: [...this.blocks],
      marks: this.marks,
    };
  }

  /** @param {ReturnType<Store["snapshot"]>} kept */
  restore(kept) {
    this.me = kept.me;
    this.conversations = new Map(kept.conversations.map((it) => [it.id, it]));
    this.people = new Map(kept.people.map((it) => [it.id, it]));
    this.old = new Set(this.people.keys());
    this.blocks = new Set(kept.blocks);
    this.marks = kept.marks ?? new Map();
    this.touch("list", "people", "me");
  }

  /** @param {Message} message @returns {Wish[]} */
  #arrived(message) {
    const { conversation_id: id, seq, sender_id } = message;
    const conversation = this.conversations.get(id);
    this.#types(id, sender_id, false);
    if (!conversation) return [{ want: "sync" }];
    /** @type {Wish[]} */
    const wishes = [];
    if (seq > conversation.last_seq) {
      const version = Math.max(conversation.version, message.version);
      const grown = {
        ...conversation,
        last_seq: seq,
        version,
        last_message: message,
        last_message_at: message.created_at,
      };
      this.conversations.set(id, grown);
      this.#count(grown, message);
      // To rename or to add somebody changes more than the history.
      if (message.system) wishes.push({ want: "sync" });
      // Whoever leaves all groups may be leaving altogether.
      if (message.system?.event === "member_left") wishes.push({ want: "person", user: message.system.actor_id });
    }
    const room = this.rooms.get(id);
    if (room?.loaded) {
      if (room.take(message) === "gap") wishes.push({ want: "changes", conversation: id });
      else room.advance(message.version);
    }
    if (sender_id !== this.me?.id) {
      this.#raise(id, sender_id, seq, 0);
      wishes.push({ want: "delivered", conversation: id });
    }
    this.touch("list", `room:${id}`);
    return wishes;
  }

  /** @param {Conversation} conversation @param {Message} message */
  #count(conversation, message) {
    const my = conversation.my;
    if (!my || message.message_type === "system") return;
    if (message.sender_id === this.me?.id) {
      // Who answers has read what lies before, where nothing unread does.
      if (!my.unread_count) this.#setMy(conversation, { read_seq: message.seq });
      return;
    }
    const mentions = Number(message.mentions.includes(this.me?.id ?? ""));
    const late = [...(this.counted.get(conversation.id) ?? []), { seq: message.seq, mentions }];
    this.counted.set(conversation.id, late.slice(-MOST_UNREAD));
    this.#setMy(conversation, more(my, 1, mentions));
  }

  /** An answer may be older than frames that came before it: what they brought counts. @param {Conversation} conversation */
  #recount({ id, my, last_seq }) {
    const known = this.counted.get(id) ?? [];
    const late = known.filter(({ seq }) => seq > Math.max(last_seq, my?.read_seq ?? 0));
    this.counted.set(id, late);
    const mentions = late.reduce((sum, it) => sum + it.mentions, 0);
    return my && more(my, late.length, mentions);
  }

  /**
   * A message is another one now, where it is held and where it is the last.
   * @param {Pick<Message, "conversation_id" | "seq" | "version">} frame @param {(message: Message) => Partial<Message>} change
   * @returns {Wish[]}
   */
  #changed({ conversation_id: id, seq, version }, change) {
    const room = this.rooms.get(id);
    room?.change(seq, version, change);
    room?.advance(version);
    const conversation = this.conversations.get(id);
    if (!conversation) return [];
    const last = conversation.last_message;
    const changed = last && last.seq === seq && last.version < version;
    const last_message = changed ? { ...last, ...change(last), version } : last;
    this.conversations.set(id, {
      ...conversation,
      version: Math.max(conversation.version, version),
      last_message,
    });
    this.touch("list", `room:${id}`);
    return [];
  }

  /** @param {Frame} frame @returns {Wish[]} */
  #receipt({ conversation_id: id, user_id, status, seq }) {
    if (user_id !== this.me?.id) {
      this.#raise(id, user_id, seq, status === "read" ? seq : 0);
      this.touch("list", `room:${id}`);
      return [];
    }
    if (status !== "read") return [];
    this.read(id, seq);
    return this.conversations.get(id)?.my?.unread_count ? [{ want: "sync" }] : [];
  }

  /** @param {string} id @param {string} user @param {boolean} types */
  #types(id, user, types) {
    if (user === this.me?.id) return;
    let typing = this.typing.get(id);
    if (!typing) this.typing.set(id, (typing = new Map()));
    if (types) typing.set(user, Date.now() + TYPING_LASTS);
    else if (!typing.delete(user)) return;
    this.touch("list", `typing:${id}`);
  }

  /** Counted where what comes after is held, or what was read. @param {Conversation} conversation @param {My} my @param {number} seq */
  #unreadAfter({ id, last_seq }, { read_seq, unread_count: count }, seq) {
    const room = this.rooms.get(id);
    if (!room?.loaded || room.lastSeq < seq) return count;
    const between = (/** @type {number} */ from, /** @type {number} */ to) =>
      room.messages
        .slice(room.place(from + 1), room.place(to + 1))
        .filter((it) => it.sender_id !== this.me?.id && !it.deleted_at && it.message_type !== "system").length;
    if (room.lastSeq >= last_seq) return Math.min(count, between(seq, last_seq));
    const isHeld = !room.hasBefore || room.firstSeq <= read_seq + 1;
    // There may be more than are counted.
    return isHeld && count < MOST_UNREAD ? Math.max(0, count - between(read_seq, seq)) : count;
  }

  /** @param {Conversation} conversation @param {Partial<My>} change */
  #setMy(conversation, change) {
    if (!conversation.my) return;
    this.conversations.set(conversation.id, { ...conversation, my: { ...conversation.my, ...change } });
    this.touch("list", `room:${conversation.id}`);
  }

  /** Marks never go back; what was read was received. @param {string} id @param {string} user @param {number} delivered @param {number} read */
  #raise(id, user, delivered, read) {
    const marks = this.#marksOf(id);
    const known = marks.get(user) ?? { delivered: 0, read: 0 };
    marks.set(user, {
      delivered: Math.max(known.delivered, delivered, read),
      read: Math.max(known.read, read),
    });
  }

  /** @param {string} id */
  #marksOf(id) {
    let marks = this.marks.get(id);
    if (!marks) this.marks.set(id, (marks = new Map()));
    return marks;
  }
}

/** @param {Message | null | undefined} one @param {Message | null | undefined} other */
function newest(one, other) {
  if (!one || !other) return one ?? other ?? null;
  if (one.seq !== other.seq) return one.seq > other.seq ? one : other;
  return one.version >= other.version ? one : other;
}

/** @param {My} my @param {number} messages @param {number} mentions @returns {My} */
const more = (my, messages, mentions) => ({
  ...my,
  unread_count: Math.min(my.unread_count + messages, MOST_UNREAD),
  unread_mentions: Math.min(my.unread_mentions + mentions, MOST_UNREAD),
});

/**
 * Twenty of those who gave a reaction are named, and oneself.
 * @param {Reaction[]} reactions @param {string} emoji @param {string} user @param {boolean} added @param {string} [me]
 */
export function reacted(reactions, emoji, user, added, me) {
  const known = reactions.find((it) => it.emoji === emoji);
  if (!known) return added ? [...reactions, { emoji, count: 1, user_ids: [user] }] : reactions;
  const others = known.user_ids.filter((id) => id !== user);
  const user_ids = added && (others.length < 20 || user === me) ? [...others, user] : others;
  const count = known.count + (added ? 1 : -1);
  const changed = { emoji, count, user_ids };
  return reactions.map((it) => (it === known ? changed : it)).filter((it) => it.count > 0);
}
