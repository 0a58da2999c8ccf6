/**
 * Who is signed in, and the tokens that say so.
 *
 * They are kept in this origin's localStorage: pages of other origins cannot read it, and no script
 * but the client's own runs in this one (see the content security policy). All tabs share them. Each
 * refresh token is good once, so one tab at a time exchanges it, under a lock; the others find what it
 * has brought.
 */

/** @typedef {{token: string, refresh_token: string, ends: number, user_id: string}} Tokens */

const KEY = "kith.session";
const LOST = "kith.lost";
/** A token is renewed when it has less than this left. */
const EARLY = 90_000;
/** How long an answer may take, in milliseconds, before the server is taken to be away. */
export const PATIENCE = 15_000;

/** The session has ended: the refresh token is not good any more. */
export class SignedOut extends Error {}

/** @returns {Tokens | null} */
export function tokens() {
  const kept = localStorage.getItem(KEY);
  return kept ? JSON.parse(kept) : null;
}

/** @param {{token: string, refresh_token: string, expires_in: number, user: {id: string}}} answer */
export function signIn(answer) {
  const { token, refresh_token, expires_in, user } = answer;
  localStorage.setItem(
    KEY,
    JSON.stringify({ token, refresh_token, ends: Date.now() + expires_in * 1000, user_id: user.id }),
  );
}

/** The session ended by itself: the tokens are good for nothing. Other tabs notice. */
export function lose() {
  if (tokens()) sessionStorage.setItem(LOST, "1");
  localStorage.removeItem(KEY);
}

/** Whether a session ended by itself in this tab, which is said once. */
export function wasLost() {
  const lost = sessionStorage.getItem(LOST) !== null;
  sessionStorage.removeItem(LOST);
  return lost;
}

/** Forgets the tokens, and all that was kept for the account. Other tabs notice. */
export function forget() {
  // The session goes first: what another tab hears of the rest, it hears signed out.
  localStorage.removeItem(KEY);
  const keys = Object.keys(localStorage).filter((key) => key.startsWith("kith."));
  for (const key of keys) localStorage.removeItem(key);
}

/** Hears when another tab signs out or in as somebody else. @param {(user: string | null) => void} listener */
export function onChange(listener) {
  addEventListener("storage", (event) => {
    // Without a key: all was removed.
    if (event.key === KEY || event.key === null) listener(tokens()?.user_id ?? null);
  });
}

/** A token that is good for a while. @param {string} [refused] one that the server did not take */
export async function token(refused) {
  return current(refused) ?? exclusively(async () => current(refused) ?? refresh());
}

/** @param {string} [refused] */
function current(refused) {
  const kept = tokens();
  if (!kept) throw new SignedOut();
  return kept.token !== refused && kept.ends - Date.now() > EARLY ? kept.token : null;
}

async function refresh() {
  const kept = tokens();
  if (!kept) throw new SignedOut();
  const answer = await fetch("/v1/auth/refresh", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ refresh_token: kept.refresh_token }),
    signal: AbortSignal.timeout(PATIENCE),
  });
  if (answer.status === 401) {
    lose();
    throw new SignedOut();
  }
  if (!answer.ok) throw new Error(`the token could not be renewed: ${answer.status}`);
  const pair = await answer.json();
  signIn(pair);
  return pair.token;
}

/**
 * Locks exist in secure contexts alone, as over TLS. Elsewhere tabs may exchange the same token at the
 * same time: the server gives both the same pair.
 * @template T @param {() => Promise<T>} work @returns {Promise<T>}
 */
const exclusively = (work) => (navigator.locks ? navigator.locks.request(KEY, work) : work());
