import assert from "node:assert/strict";
import { test } from "node:test";

import { NOTHING, draftOf, kept, quoted, written } from "../assets/core/draft.js";
import { message } from "./made.js";

test("a draft comes back as it was, with what it answers and what it changes", () => {
  const answers = quoted(message(3));
  assert.equal(answers.excerpt, "message 3");
  const draft = { text: "new", answers, edits: { id: "m2", before: "old", text: "older" } };
  assert.deepEqual(draftOf(kept(draft)), draft);
  assert.equal(written(draft), "older");
  assert.equal(written({ ...draft, edits: null }), "new");
});

test("where nothing is written nothing is kept", () => {
  assert.equal(kept(NOTHING), null);
  assert.deepEqual(draftOf(null), NOTHING);
  assert.deepEqual(draftOf("not what this client writes"), NOTHING);
});
