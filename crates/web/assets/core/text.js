/** What is in the text of a message: words, addresses, people. Never markup. */

const LINK = /\bhttps?:\/\/[^\s<>"'`]+/giu;
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
