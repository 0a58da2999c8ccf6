import assert from "node:assert/strict";
import { test } from "node:test";

import { backoff } from "../assets/core/backoff.js";
import { Outbox, Refused } from "../assets/core/outbox.js";
import { message } from "./made.js";

/** @typedef {Outgoing} Outgoing */

/** A shelf in memory. */
function shelf() {
  /** @type {Map<string, Outgoing>} */
  const kept = new Map();
  return {
    kept,
    put: async (/** @type {Outgoing} */ entry) => void kept.set(entry.client_message_id, entry),
    delete: async (/** @type {string} */ id) => void kept.delete(id),
    all: async () => [...kept.values()],
  };
}

/** @param {string} id @param {string} [conversation] @returns {Outgoing} */
const entry = (id, conversation = "c") => ({
  client_message_id: id,
  conversation_id: conversation,
  content: id,
  reply_to: null,
  created_at: 0,
  order: Number(id.replace(/\D/g, "")),
  state: "pending",
});

const settled = () => new Promise((done) => setTimeout(done, 10));

test("an entry is on the shelf before it is sent, and goes once confirmed", async () => {
  const place = shelf();
  /** @type {boolean[]} */
  const there = [];
  const outbox = new Outbox(
    place,
    async ({ client_message_id }) => (there.push(place.kept.has(client_message_id)), message(1)),
    () => {},
  );
  outbox.online(true);
  await outbox.add(entry("m1"));
  await settled();
  assert.deepEqual(there, [true]);
  assert.equal(place.kept.size, 0);
  assert.equal(outbox.entries.size, 0);
});

test("offline all wait, and go in order, one at a time for each conversation", async () => {
  /** @type {string[]} */
  const sent = [];
  let under = 0;
  const outbox = new Outbox(
    shelf(),
    async ({ client_message_id }) => {
      under += 1;
      assert.equal(under, 1);
      await settled();
      under -= 1;
      sent.push(client_message_id);
      return message(1);
    },
    () => {},
  );
  for (const id of ["m1", "m2", "m3"]) await outbox.add(entry(id));
  assert.deepEqual(
    outbox.of("c").map((it) => it.client_message_id),
    ["m1", "m2", "m3"],
  );
  outbox.online(true);
  await new Promise((done) => setTimeout(done, 80));
  assert.deepEqual(sent, ["m1", "m2", "m3"]);
});

test("what was kept is sent by the next page", async () => {
  const place = shelf();
  await new Outbox(
    place,
    async () => message(1),
    () => {},
  ).add(entry("m1"));
  /** @type {string[]} */
  const sent = [];
  const next = new Outbox(
    place,
    async ({ client_message_id }) => (sent.push(client_message_id), message(1)),
    () => {},
  );
  next.online(true);
  await next.open();
  await settled();
  assert.deepEqual(sent, ["m1"]);
});

test("a lost connection keeps an entry pending, a refusal fails it until it is tried again", async () => {
  let answer = new Refused("disconnected", "");
  const outbox = new Outbox(
    shelf(),
    async () => {
      throw answer;
    },
    () => {},
  );
  outbox.online(true);
  await outbox.add(entry("m1"));
  outbox.online(false);
  await settled();
  assert.equal(outbox.of("c")[0].state, "pending");
  answer = new Refused("blocked", "one of the two has blocked the other");
  outbox.online(true);
  await settled();
  assert.equal(outbox.of("c")[0].state, "failed");
  assert.match(outbox.of("c")[0].error ?? "", /blocked/);
  outbox.send = async () => message(1);
  await outbox.retry("m1");
  await settled();
  assert.equal(outbox.entries.size, 0);
});

test("a failed one does not hold up those after it", async () => {
  const outbox = new Outbox(
    shelf(),
    async ({ content }) => {
      if (content === "m1") throw new Refused("validation_failed", "too long");
      return message(1);
    },
    () => {},
  );
  outbox.online(true);
  await outbox.add(entry("m1"));
  await outbox.add(entry("m2"));
  await settled();
  assert.deepEqual(
    outbox.of("c").map((it) => [it.client_message_id, it.state]),
    [["m1", "failed"]],
  );
});

test("waiting grows, is spread, and has an end", () => {
  assert.equal(
    backoff(0, () => 0),
    250,
  );
  assert.equal(
    backoff(0, () => 1),
    500,
  );
  assert.ok(backoff(3, () => 0) > backoff(1, () => 1));
  assert.equal(
    backoff(99, () => 1),
    30_000,
  );
});
