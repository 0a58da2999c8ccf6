import assert from "node:assert/strict";
import { test } from "node:test";

import { guessClock, now, setClock } from "../assets/core/clock.js";

/** @param {number} ahead of this clock, in milliseconds */
const time = (ahead) => new Date(Date.now() + ahead).toISOString();

/** @param {number} ahead */
const isAhead = (ahead) => assert.ok(Math.abs(now() - Date.now() - ahead) < 1_000);

test("the server's clock counts, and the better it was told, the more", () => {
  isAhead(0);
  guessClock(null);
  isAhead(0);
  guessClock(time(-86_400_000));
  isAhead(-86_400_000);
  setClock(time(3_600_000));
  isAhead(3_600_000);
  guessClock(time(0));
  isAhead(3_600_000);
});
