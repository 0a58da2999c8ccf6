import assert from "node:assert/strict";
import { test } from "node:test";

import { Room } from "../assets/core/room.js";
import { message, page } from "./made.js";

test("a new message goes to the end, a newer version to its place", () => {
  const room = new Room();
  room.reset(page([message(1), message(2)]));
  assert.equal(room.take(message(3)), "added");
  assert.equal(room.take(message(2, { version: 9, content: "edited" })), "changed");
  assert.equal(room.at(2)?.content, "edited");
  assert.equal(room.take(message(2, { version: 4, content: "older" })), "known");
  assert.equal(room.at(2)?.content, "edited");
});

test("what does not join on is a gap, and nothing is held out of order", () => {
  const room = new Room();
  room.reset(page([message(4), message(5)], { has_before: true }));
  assert.equal(room.take(message(7)), "gap");
  assert.equal(room.take(message(2)), "elsewhere");
  assert.deepEqual(
    room.messages.map((it) => it.seq),
    [4, 5],
  );
});

test("in the middle of the history the end is passed over", () => {
  const room = new Room();
  room.reset(page([message(4), message(5)], { has_before: true, has_after: true }));
  assert.equal(room.take(message(6)), "elsewhere");
  room.append(page([message(5), message(6), message(7)]));
  room.prepend(page([message(2), message(3), message(4)]));
  assert.deepEqual(
    room.messages.map((it) => it.seq),
    [2, 3, 4, 5, 6, 7],
  );
  assert.equal(room.hasAfter, false);
});

test("a frame does not take away what only REST says", () => {
  const room = new Room();
  const reply_to = { id: "m1", seq: 1, sender_id: "ann", excerpt: "Hello" };
  room.reset(page([message(1), message(2, { status: "read", reply_to })]));
  room.take(message(2, { version: 9, reply_to: { id: "m1", seq: 1, sender_id: "ann" } }));
  assert.equal(room.at(2)?.status, "read");
  assert.equal(room.at(2)?.reply_to?.excerpt, "Hello");
});

test("while it is stale its version stands still", () => {
  const room = new Room();
  room.reset(page([message(1)], { version: 3 }));
  room.stale = true;
  room.advance(8);
  assert.equal(room.version, 3);
  room.stale = false;
  room.advance(8);
  assert.equal(room.version, 8);
});
