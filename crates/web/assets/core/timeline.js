/** The rows of a conversation: messages, what waits to be sent, and what stands between them. */

/** @typedef {import("../types.js").Message} Message */
/** @typedef {import("../types.js").Outgoing} Outgoing */
/**
 * @typedef {{kind: "day", key: string, at: Date}
 *   | {kind: "line", key: string}
 *   | {kind: "system", key: string, message: Message}
 *   | {kind: "message", key: string, message: Message, leads: boolean, ends: boolean}
 *   | {kind: "outgoing", key: string, entry: Outgoing, leads: boolean, ends: boolean}} Row
 */

/** Messages of one person that are this close stand together. */
const TOGETHER = 5 * 60_000;

/**
 * @param {Message[]} messages the part that is shown
 * @param {object} around
 * @param {Message | undefined} around.before the message before the part
 * @param {Outgoing[]} around.outgoing shown at the end
 * @param {number | null} around.readSeq what was read when the conversation was opened
 * @param {string} around.me
 * @returns {Row[]}
 */
export function rows(messages, { before, outgoing, readSeq, me }) {
  /** @type {Row[]} */
  const found = [];
  let day = before ? new Date(before.created_at).toDateString() : "";
  let lined = readSeq === null || (before !== undefined && before.seq > readSeq);
  messages.forEach((message, index) => {
    const at = new Date(message.created_at);
    const previous = index ? messages[index - 1] : before;
    const next = messages[index + 1];
    const newDay = at.toDateString() !== day;
    if (newDay) {
      day = at.toDateString();
      found.push({ kind: "day", key: `day-${message.seq}`, at });
    }
    const newLine =
      !lined && message.seq > (readSeq ?? 0) && message.sender_id !== me && message.message_type !== "system";
    if (newLine) {
      lined = true;
      found.push({ kind: "line", key: "line" });
    }
    // One's own message keeps its key when it is confirmed: its element stays.
    const key = message.sender_id === me ? `m-${message.client_message_id}` : `m-${message.id}`;
    if (message.message_type === "system") {
      found.push({ kind: "system", key, message });
      return;
    }
    const leads = newDay || newLine || !together(previous, message);
    found.push({ kind: "message", key, message, leads, ends: !together(message, next) });
  });
  const last = messages[messages.length - 1];
  outgoing.forEach((entry, index) => {
    const leads =
      !index && !(last && last.sender_id === me && entry.created_at - Date.parse(last.created_at) < TOGETHER);
    const ends = index === outgoing.length - 1;
    found.push({ kind: "outgoing", key: `m-${entry.client_message_id}`, entry, leads, ends });
  });
  return found;
}

/** @param {Message | undefined} one @param {Message | undefined} next */
function together(one, next) {
  if (!one || !next || one.sender_id !== next.sender_id) return false;
  if (one.message_type === "system" || next.message_type === "system") return false;
  return Date.parse(next.created_at) - Date.parse(one.created_at) < TOGETHER;
}

/** @param {{my?: import("../types.js").My | null, last_message_at: string | null, created_at: string}} it */
const weight = (it) => (it.my?.pinned ? 1 : 0);

/** The inbox: pinned first, then the newest. @param {Iterable<import("../types.js").Conversation>} all */
export function inbox(all) {
  const time = (/** @type {import("../types.js").Conversation} */ it) =>
    Date.parse(it.last_message_at ?? it.created_at);
  return [...all].sort((one, other) => weight(other) - weight(one) || time(other) - time(one));
}
