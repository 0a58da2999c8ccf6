/** What the tests are made from. */

/** @param {number} seq @param {Partial<Message>} [more] @returns {Message} */
export const message = (seq, more = {}) => ({
  id: `m${seq}`,
  conversation_id: "c",
  seq,
  version: seq,
  sender_id: "bob",
  client_message_id: `c${seq}`,
  message_type: "text",
  content: `message ${seq}`,
  reply_to: null,
  mentions: [],
  reactions: [],
  system: null,
  created_at: new Date(Date.UTC(2026, 0, 1, 12, seq)).toISOString(),
  edited_at: null,
  deleted_at: null,
  pinned_at: null,
  ...more,
});

/** @param {Message[]} items @param {Partial<Page>} [more] @returns {Page} */
export const page = (items, more = {}) => ({
  items,
  has_before: false,
  has_after: false,
  version: items.at(-1)?.version ?? 0,
  ...more,
});

/** @param {Partial<Conversation>} [more] @param {Partial<My>} [my] @returns {Conversation} */
export const conversation = (more = {}, my = {}) => ({
  id: "c",
  kind: "group",
  name: "Family",
  description: null,
  created_at: "2026-01-01T00:00:00Z",
  member_count: 3,
  posting: "everyone",
  last_seq: 0,
  version: 0,
  last_message_at: null,
  my: {
    role: "member",
    first_seq: 1,
    read_seq: 0,
    delivered_seq: 0,
    unread_count: 0,
    unread_mentions: 0,
    muted_until: null,
    pinned: false,
    archived: false,
    ...my,
  },
  ...more,
});
