/** How long to wait before trying again. */

const FIRST = 500;
const LONGEST = 30_000;

/**
 * Twice as long each time, and anywhere between half of that and all of it, so that the clients of a
 * server that comes back do not all come at once.
 * @param {number} attempt 0 for the first
 * @param {() => number} [random] from 0 to 1
 */
export function backoff(attempt, random = Math.random) {
  const whole = Math.min(LONGEST, FIRST * 2 ** Math.min(attempt, 10));
  return whole * (0.5 + random() / 2);
}
