/** What is in the text of a message: words, addresses, people. Never markup. */

// It ends before a mark that turns the direction of text, which would disguise it.
const LINK = /\bhttps?:\/\/[^\s<>"'`\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/giu;
// What stands before may not be part of a word or an address, as the server has it.
const MENTION = /(?<![\p{L}\p{N}_.@/-])@([A-Za-z0-9_.-]{3,32})/gu;

/**
 * @param {string} content
 * @param {(username: string) => string | undefined} mentioned the id of a person who is mentioned
 * @returns {Piece[]}
 */
export function pieces(content, mentioned) {
  /** @type {Piece[]} */
  const found = [];
  let end = 0;
  for (const match of content.matchAll(LINK)) {
    const text = trimmed(match[0]);
    if (!isLink(text)) continue;
    found.push(...mentions(content.slice(end, match.index), mentioned));
    found.push({ kind: "link", text });
    end = match.index + text.length;
  }
  found.push(...mentions(content.slice(end), mentioned));
  return found;
}

/** @param {string} text @param {(username: string) => string | undefined} mentioned @returns {Piece[]} */
function mentions(text, mentioned) {
  /** @type {Piece[]} */
  const found = [];
  let end = 0;
  for (const match of text.matchAll(MENTION)) {
    let name = match[1];
    // "@ann." at the end of a sentence means ann.
    while (name && !mentioned(name.toLowerCase()) && /[.-]$/.test(name)) name = name.slice(0, -1);
    const user = mentioned(name.toLowerCase());
    if (!user) continue;
    if (match.index > end) found.push({ kind: "text", text: text.slice(end, match.index) });
    found.push({ kind: "mention", text: `@${name}`, user });
    end = match.index + name.length + 1;
  }
  if (end < text.length) found.push({ kind: "text", text: text.slice(end) });
  return found;
}

/** Without what ends the sentence rather than the address. @param {string} link */
function trimmed(link) {
  let text = link.replace(/[.,;:!?*]+$/u, "");
  if (text.endsWith(")") && !text.includes("(")) text = text.slice(0, -1);
  return text;
}

/** @param {string} text */
function isLink(text) {
  try {
    return ["http:", "https:"].includes(new URL(text).protocol);
  } catch {
    return false;
  }
}

const EMOJI = /^(?:\p{Extended_Pictographic}|\p{Regional_Indicator}|\p{Emoji_Modifier}|\u200d|\ufe0f|\s)+$/u;

/** Whether it is a few emoji and nothing else, which are shown large. @param {string} content */
export const isEmoji = (content) => content.length <= 24 && EMOJI.test(content);

/** A message holds this many characters, as people count them, and bytes. */
const LONGEST = 4_000;
const MOST_BYTES = 16 * 1024;
/** One hears of that from here on. */
const NEAR = 200;
export const clusters = new Intl.Segmenter();

/**
 * How many characters are left, where it comes near the end; below 0 it is too long. The server's own
 * measure. What cannot be too long is not counted.
 * @param {string} text
 */
export function left(text) {
  if (text.length < LONGEST - NEAR) return null;
  const composed = text.normalize("NFC");
  const bytes = new TextEncoder().encode(composed).length;
  // It may be huge: it is not gone through. Some of its characters take several bytes each.
  if (bytes > MOST_BYTES) return Math.floor((MOST_BYTES - bytes) / 4);
  const rest = LONGEST - [...clusters.segment(composed)].length;
  return rest <= NEAR ? rest : null;
}
