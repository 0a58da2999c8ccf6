/** What is being written, as it is kept with every letter. */

/** @type {Draft} */
export const NOTHING = { text: "", answers: null, edits: null };

/** @param {string | null} kept @returns {Draft} */
export function draftOf(kept) {
  try {
    return { ...NOTHING, ...JSON.parse(kept ?? "{}") };
  } catch {
    return NOTHING;
  }
}

/** What is kept; null where nothing is being written. @param {Draft} draft */
export const kept = (draft) => (draft.text || draft.answers || draft.edits ? JSON.stringify(draft) : null);

/** What stands in the composer. @param {Draft} draft */
export const written = ({ text, edits }) => edits?.text ?? text;

/** What an answer keeps of the message it answers. @param {Message} message @returns {Quoted} */
export const quoted = ({ id, seq, sender_id, content }) => ({
  id,
  seq,
  sender_id,
  excerpt: excerpt(content),
});

/** The beginning of a text, as long as the server's own. @param {string | null | undefined} text */
export const excerpt = (text) => text?.slice(0, 200);
