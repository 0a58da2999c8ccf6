import assert from "node:assert/strict";
import { test } from "node:test";

import { isEmoji, left, pieces } from "../assets/core/text.js";
import { inbox, rows, unread } from "../assets/core/timeline.js";
import { conversation, message } from "./made.js";

const nobody = () => undefined;
const ann = (/** @type {string} */ name) => (name === "ann" ? "id" : undefined);

test("addresses are found without what ends the sentence", () => {
  const links = (/** @type {string} */ text) =>
    pieces(text, nobody)
      .filter((it) => it.kind === "link")
      .map((it) => it.text);
  assert.deepEqual(links("see https://example.org/a, and http://b.example."), [
    "https://example.org/a",
    "http://b.example",
  ]);
  assert.deepEqual(links("(https://example.org)"), ["https://example.org"]);
  assert.deepEqual(links("https://example.org/a_(b)"), ["https://example.org/a_(b)"]);
  assert.deepEqual(links("javascript:alert(1) data:text/html,x ftp://x"), []);
  assert.deepEqual(links("http://"), []);
  for (const mark of "\u061c\u200e\u200f\u202a\u202e\u2066\u2069") {
    assert.deepEqual(links(`https://a.example/${mark}gro`), ["https://a.example/"], "nothing turns it around");
  }
});

test("the pieces are the text", () => {
  for (const text of ["", "plain", "@ann, https://x.example/@ann @bob", "<b>@ann</b>", "a@ann.example"]) {
    assert.equal(
      pieces(text, ann)
        .map((it) => it.text)
        .join(""),
      text,
    );
  }
});

test("only those who are mentioned are marked", () => {
  const marked = (/** @type {string} */ text) =>
    pieces(text, ann)
      .filter((it) => it.kind === "mention")
      .map((it) => it.text);
  assert.deepEqual(marked("@Ann and @bob: ask @ann."), ["@Ann", "@ann"]);
  assert.deepEqual(marked("mail@ann @@ann"), []);
});

test("a few emoji alone are large", () => {
  assert.ok(isEmoji("🎉"));
  assert.ok(isEmoji("👍🏽 ❤️ 🇩🇪"));
  assert.ok(!isEmoji("ok 🎉"));
  assert.ok(!isEmoji("42"));
});

test("characters are counted as people do, and bytes as the server does", () => {
  assert.equal(left("x".repeat(3_800)), 200);
  assert.equal(left("x".repeat(3_799)), null);
  assert.equal(left("x".repeat(4_000)), 0);
  assert.equal(left("x".repeat(4_001)), -1);
  assert.equal(left("🇩🇪".repeat(2_000)), null);
  assert.equal(left("e\u0301".repeat(4_000)), 0);
  // Few characters of many bytes.
  assert.equal(left("👩‍👩‍👧‍👦".repeat(700)), -279);
});

test("rows have days, one line above what is new, and people who speak on", () => {
  const day = (/** @type {number} */ seq) => ({
    created_at: new Date(Date.UTC(2026, 0, seq, 12)).toISOString(),
  });
  const all = rows(
    [message(1, day(1)), message(2, day(2)), message(3, day(2)), message(4, { ...day(2), sender_id: "ann" })],
    { before: undefined, hasBefore: false, outgoing: [], readSeq: 2, me: "ann" },
  );
  assert.deepEqual(
    all.map((it) => it.kind),
    ["day", "message", "day", "message", "line", "message", "message"],
  );
});

test("a message keeps its row when it is confirmed", () => {
  const around = { before: undefined, hasBefore: false, readSeq: null, me: "ann" };
  const entry = {
    client_message_id: "x",
    conversation_id: "c",
    content: "",
    reply_to: null,
    created_at: 0,
    order: 0,
    state: /** @type {const} */ ("pending"),
  };
  const [, waiting] = rows([], { ...around, outgoing: [entry] });
  const [, sent] = rows([message(1, { sender_id: "ann", client_message_id: "x" })], {
    ...around,
    outgoing: [],
  });
  assert.equal(waiting.key, sent.key);
});

test("the inbox has the pinned first, then the newest", () => {
  const all = [
    conversation({ id: "old", last_message_at: "2026-01-01T00:00:00Z" }),
    conversation({ id: "new", last_message_at: "2026-02-01T00:00:00Z" }),
    conversation({ id: "pinned", last_message_at: "2025-01-01T00:00:00Z" }, { pinned: true }),
  ];
  assert.deepEqual(
    inbox(all).map((it) => it.id),
    ["pinned", "new", "old"],
  );
});

test("the title counts what is neither muted nor put away", () => {
  const later = new Date(Date.now() + 60_000).toISOString();
  const all = [
    conversation({}, { unread_count: 2 }),
    conversation({}, { unread_count: 3, muted_until: later }),
    conversation({}, { unread_count: 4, muted_until: "2020-01-01T00:00:00Z" }),
    conversation({}, { unread_count: 5, archived: true }),
  ];
  assert.equal(unread(all), 6);
});

test("the line stands above the first new message, not above the first that is loaded", () => {
  const kinds = (/** @type {boolean} */ hasBefore) =>
    rows([message(8), message(9)], { before: undefined, hasBefore, outgoing: [], readSeq: 2, me: "ann" }).map(
      (it) => it.kind,
    );
  assert.ok(!kinds(true).includes("line"));
  assert.ok(kinds(false).includes("line"));
});
