/** The rows of a conversation: messages, what waits to be sent, and what stands between them. */

import { now } from "./clock.js";

/** Messages of one person that are this close stand together. */
const TOGETHER = 5 * 60_000;

/**
 * @param {Message[]} messages the part that is shown
 * @param {object} around
 * @param {Message | undefined} around.before the message before the part
 * @param {boolean} around.hasBefore whether there are more before the part, here or on the server
 * @param {Outgoing[]} around.outgoing shown at the end
 * @param {number | null} around.readSeq what was read when the conversation was opened
 * @param {string} around.me
 * @returns {Row[]}
 */
export function rows(messages, { before, hasBefore, outgoing, readSeq, me }) {
  /** @type {Row[]} */
  const found = [];
  let day = before ? new Date(before.created_at).toDateString() : "";
  // The line stands above the first that is new, or nowhere.
  const [first] = messages;
  let lined = readSeq === null || (hasBefore && first && first.seq > readSeq + 1);
  const all = [...messages, ...outgoing.map((entry) => unsent(entry, me))];
  all.forEach((message, index) => {
    const at = new Date(message.created_at);
    const previous = all[index - 1] ?? before;
    // One's own message keeps its key when it is confirmed: its element stays.
    const key = message.sender_id === me ? `m-${message.client_message_id}` : `m-${message.id}`;
    const newDay = at.toDateString() !== day;
    if (newDay) {
      day = at.toDateString();
      found.push({ kind: "day", key: `day-${key}`, at });
    }
    const newLine = !lined && message.seq > (readSeq ?? 0) && message.sender_id !== me && !message.system;
    if (newLine) {
      lined = true;
      found.push({ kind: "line", key: "line" });
    }
    if (message.system) {
      found.push({ kind: "system", key, message });
      return;
    }
    const leads = newDay || newLine || !together(previous, message);
    found.push({ kind: "message", key, message, leads, ends: !together(message, all[index + 1]) });
  });
  return found;
}

/** What waits to be sent, as the message that it will be. @param {Outgoing} entry @param {string} me @returns {Message} */
const unsent = (entry, me) => ({
  id: entry.client_message_id,
  client_message_id: entry.client_message_id,
  conversation_id: entry.conversation_id,
  seq: 0,
  version: 0,
  sender_id: me,
  message_type: "text",
  content: entry.content,
  reply_to: entry.reply_to,
  mentions: [],
  reactions: [],
  system: null,
  created_at: new Date(entry.created_at).toISOString(),
  edited_at: null,
  deleted_at: null,
  pinned_at: null,
  waiting: entry,
});

/** @param {Message | undefined} one @param {Message | undefined} next */
function together(one, next) {
  if (!one || !next || one.sender_id !== next.sender_id) return false;
  if (one.system || next.system) return false;
  return Date.parse(next.created_at) - Date.parse(one.created_at) < TOGETHER;
}

/** @param {Conversation} it */
const isPinned = (it) => Number(it.my?.pinned ?? false);
/** @param {Conversation} it */
const time = (it) => Date.parse(it.last_message_at ?? it.created_at);

/** The inbox: pinned first, then the newest. @param {Iterable<Conversation>} all */
export const inbox = (all) =>
  [...all].sort((one, other) => isPinned(other) - isPinned(one) || time(other) - time(one));

/** @param {Conversation} it */
export const isMuted = ({ my }) => Boolean(my?.muted_until && Date.parse(my.muted_until) > now());

/** How many unread messages the title tells of: not those that are muted or put away. @param {Iterable<Conversation>} all */
export const unread = (all) =>
  [...all].reduce((sum, it) => (isMuted(it) || it.my?.archived ? sum : sum + (it.my?.unread_count ?? 0)), 0);
