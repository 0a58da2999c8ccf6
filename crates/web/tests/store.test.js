import assert from "node:assert/strict";
import { test } from "node:test";

import { Store, reacted } from "../assets/core/store.js";
import { conversation, message, page } from "./made.js";

/** @param {Partial<Conversation>} [more] @param {Partial<My>} [my] */
function store(more, my) {
  const store = new Store();
  const me = {
    id: "ann",
    username: "ann",
    email: "",
    display_name: "Ann",
    about: null,
    last_seen_visibility: /** @type {const} */ ("everyone"),
    read_receipts: true,
  };
  store.sync(
    {
      token: "t",
      has_more: false,
      conversations: [conversation(more, my)],
      removed: [],
      users: [],
      presence: [],
      blocks: [],
      me,
    },
    true,
  );
  return store;
}

/** @param {Store} store */
const my = (store) => store.conversations.get("c")?.my;

test("messages of others are counted once, and are told to have arrived", () => {
  const it = store();
  const wishes = it.apply({ type: "new_message", message: message(1, { mentions: ["ann"] }) });
  assert.deepEqual(wishes, [{ want: "delivered", conversation: "c" }]);
  it.apply({ type: "new_message", message: message(1, { mentions: ["ann"] }) });
  assert.equal(my(it)?.unread_count, 1);
  assert.equal(my(it)?.unread_mentions, 1);
  it.read("c", 1);
  assert.equal(my(it)?.unread_count, 0);
});

test("one's own message is read where nothing unread lies before", () => {
  const it = store();
  it.apply({ type: "new_message", message: message(1, { sender_id: "ann" }) });
  assert.equal(my(it)?.unread_count, 0);
  assert.equal(my(it)?.read_seq, 1);
  it.apply({ type: "new_message", message: message(2) });
  it.apply({ type: "message_sent", message: message(3, { sender_id: "ann" }) });
  assert.equal(my(it)?.unread_count, 1);
});

test("a message has come as far as all others have", () => {
  const it = store({
    receipts: [
      { user_id: "bob", delivered_seq: 1, read_seq: 1 },
      { user_id: "cat", delivered_seq: 0, read_seq: 0 },
    ],
  });
  const own = message(1, { sender_id: "ann" });
  assert.equal(it.status(own), "sent");
  it.apply({ type: "receipt_update", conversation_id: "c", user_id: "cat", status: "delivered", seq: 1 });
  assert.equal(it.status(own), "delivered");
  it.apply({ type: "receipt_update", conversation_id: "c", user_id: "cat", status: "read", seq: 1 });
  assert.equal(it.status(own), "read");
  it.apply({ type: "receipt_update", conversation_id: "c", user_id: "cat", status: "delivered", seq: 0 });
  assert.equal(it.status(own), "read", "a mark never goes back");
});

test("nobody is said to have read where not all marks are known", () => {
  const it = store({ receipts: [{ user_id: "bob", delivered_seq: 9, read_seq: 9 }] });
  assert.equal(it.status(message(1, { sender_id: "ann" })), "sent");
});

test("frames change messages by their version alone", () => {
  const it = store({ last_seq: 1 });
  it.room("c").reset(page([message(1)]));
  const frame = {
    type: "reaction_added",
    conversation_id: "c",
    message_id: "m1",
    seq: 1,
    user_id: "bob",
    emoji: "👍",
    version: 2,
  };
  it.apply(frame);
  it.apply(frame);
  assert.deepEqual(it.room("c").at(1)?.reactions, [{ emoji: "👍", count: 1, user_ids: ["bob"] }]);
  it.apply({ type: "message_deleted", conversation_id: "c", message_id: "m1", seq: 1, version: 3 });
  it.apply({ type: "message_updated", message: message(1, { version: 2, content: "late" }) });
  assert.equal(it.room("c").at(1)?.content, null);
  assert.equal(it.room("c").version, 3);
});

test("after a break only rooms that moved are healed, from the version they had", () => {
  const it = store({ last_seq: 1, version: 1 });
  it.room("c").reset(page([message(1)]));
  it.disconnected();
  it.apply({ type: "new_message", message: message(5, { version: 5 }) });
  assert.equal(it.room("c").version, 1, "what came between is still to be asked for");
  const wishes = it.put(conversation({ last_seq: 5, version: 5 }, { delivered_seq: 5 }));
  assert.deepEqual(wishes, [{ want: "changes", conversation: "c" }]);
});

test("what a sync leaves out or has older does not undo a frame", () => {
  const it = store();
  it.apply({ type: "new_message", message: message(2) });
  it.put(conversation({ last_seq: 1, last_message: message(1) }, { unread_count: 1 }));
  assert.equal(my(it)?.unread_count, 2, "what the frame brought counts");
  it.put(conversation({ last_seq: 2, last_message: message(2) }, { unread_count: 2 }));
  assert.equal(my(it)?.unread_count, 2, "but once");
  assert.equal(it.conversations.get("c")?.last_message?.seq, 2);
  assert.equal(it.conversations.get("c")?.last_seq, 2);
});

test("who types does so for a while, and not once he has sent", () => {
  const it = store();
  it.apply({ type: "user_typing", conversation_id: "c", user_id: "bob", username: "bob" });
  it.apply({ type: "user_typing", conversation_id: "c", user_id: "ann", username: "ann" });
  assert.deepEqual(it.typists("c", Date.now()), ["bob"]);
  assert.deepEqual(it.typists("c", Date.now() + 60_000), []);
  it.apply({ type: "new_message", message: message(1) });
  assert.deepEqual(it.typists("c", Date.now()), []);
});

test("whoever leaves a group is asked for again: the account may be gone", () => {
  const it = store();
  /** @type {SystemEvent} */
  const system = { event: "member_left", actor_id: "bob" };
  const left = message(1, { message_type: "system", content: null, system });
  const wishes = it.apply({ type: "new_message", message: left });
  assert.deepEqual(wishes.slice(0, 2), [{ want: "sync" }, { want: "person", user: "bob" }]);
  it.know({ id: "bob", username: "bob", display_name: "Bob" });
  it.doubt("bob");
  assert.ok(it.old.has("bob"));
  assert.equal(it.people.get("bob")?.display_name, "Bob", "until the answer is here");
});

test("a message to a conversation nobody knows asks for a sync", () => {
  const it = store();
  assert.deepEqual(it.apply({ type: "new_message", message: message(1, { conversation_id: "d" }) }), [
    { want: "sync" },
  ]);
});

test("reactions are taken back as they were given", () => {
  const one = reacted([], "👍", "bob", true);
  const two = reacted(one, "👍", "cat", true);
  assert.deepEqual(two, [{ emoji: "👍", count: 2, user_ids: ["bob", "cat"] }]);
  assert.deepEqual(reacted(reacted(two, "👍", "bob", false), "👍", "cat", false), []);
});

test("of many who reacted twenty are named, and oneself", () => {
  let all = reacted([], "👍", "0", true, "ann");
  for (let number = 1; number < 30; number++) all = reacted(all, "👍", String(number), true, "ann");
  assert.equal(all[0].user_ids.length, 20);
  all = reacted(all, "👍", "ann", true, "ann");
  assert.equal(all[0].user_ids.at(-1), "ann");
  assert.equal(all[0].count, 31);
});

test("the pages of a sync have the blocks together", () => {
  const it = store();
  const rest = {
    token: "t",
    conversations: [],
    removed: [],
    users: [],
    presence: [],
    me: /** @type {any} */ (it.me),
  };
  it.sync({ ...rest, blocks: ["bob"], has_more: true }, false);
  assert.deepEqual([...it.blocks], [], "the old ones hold until all are here");
  it.sync({ ...rest, blocks: ["cat"], has_more: false }, false);
  assert.deepEqual([...it.blocks], ["bob", "cat"]);
  it.sync({ ...rest, blocks: [], has_more: false }, false);
  assert.deepEqual([...it.blocks], []);
});

test("whoever has left holds no tick up, and who has come counts", () => {
  const receipts = [
    { user_id: "bob", delivered_seq: 5, read_seq: 5 },
    { user_id: "cat", delivered_seq: 0, read_seq: 0 },
  ];
  const it = store({ receipts });
  const own = message(1, { sender_id: "ann" });
  assert.equal(it.status(own), "sent");
  it.put(conversation({ member_count: 2, receipts: receipts.slice(0, 1) }));
  assert.equal(it.status(own), "read");
  it.put(conversation({ member_count: 3, receipts: receipts.slice(0, 1) }));
  assert.equal(it.status(own), "sent", "somebody is not known");
});

test("a tick is where it was after the page was loaded again", () => {
  const it = store({ member_count: 2, receipts: [{ user_id: "bob", delivered_seq: 0, read_seq: 0 }] });
  it.apply({ type: "receipt_update", conversation_id: "c", user_id: "bob", status: "read", seq: 1 });
  const again = new Store();
  again.restore(structuredClone(it.snapshot()));
  assert.equal(again.status(message(1, { sender_id: "ann", status: "sent" })), "read");
  const { marks, ...old } = it.snapshot();
  again.restore(/** @type {any} */ (old));
  assert.equal(again.status(message(1, { sender_id: "ann" })), "sent", "earlier versions kept none");
});

test("what is read of a long backlog is taken from what is unread", () => {
  const run = (/** @type {number} */ from, /** @type {number} */ to) =>
    Array.from({ length: to - from + 1 }, (_, at) => message(from + at));
  const backlog = (/** @type {Message[]} */ items, count = 450) => {
    const it = store({ last_seq: 500 }, { read_seq: 50, unread_count: count });
    it.room("c").reset(page(items, { has_before: true, has_after: true }));
    return it;
  };
  const it = backlog([...run(11, 60), message(61, { sender_id: "ann" }), ...run(62, 90)]);
  it.read("c", 63);
  assert.equal(my(it)?.unread_count, 438, "one's own is not among them");
  it.read("c", 90);
  assert.equal(my(it)?.unread_count, 411);
  const gap = backlog(run(100, 180));
  gap.read("c", 120);
  assert.equal(my(gap)?.unread_count, 450, "what lies between is not known");
  const many = backlog(run(11, 90), 999);
  many.read("c", 90);
  assert.equal(my(many)?.unread_count, 999, "there may be more");
  const end = backlog(run(421, 500), 999);
  end.read("c", 460);
  assert.equal(my(end)?.unread_count, 40, "all that comes after is held");
});
