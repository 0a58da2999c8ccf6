/** What time it is for the server, whose times all others are compared with: a device's own clock may be wrong. */

/** How far the server's clock is ahead of this one, in milliseconds. @type {number | null} */
let ahead = null;

export const now = () => Date.now() + (ahead ?? 0);

/** The server has just said what time it is. @param {string} time */
export const setClock = (time) => void (ahead = Date.parse(time) - Date.now());

/** The same, to the second and by the way: where nothing better is known. @param {string | null} date */
export const guessClock = (date) => void (date && ahead === null && setClock(date));
