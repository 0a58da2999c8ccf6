/**
 * What goes over the wire, as far as this client reads it. The contract is docs/api.md.
 *
 * @typedef {"direct" | "group" | "channel"} Kind
 * @typedef {"member" | "admin" | "owner"} Role
 * @typedef {"sent" | "delivered" | "read"} Status
 *
 * @typedef {object} Profile
 * @property {string} id
 * @property {string | null} username null once the account is erased
 * @property {string} display_name
 * @property {string | null} [about]
 * @property {boolean | null} [online] null where it is hidden
 * @property {string | null} [last_seen]
 *
 * @typedef {object} Me
 * @property {string} id
 * @property {string} username
 * @property {string} email
 * @property {string} display_name
 * @property {string | null} about
 * @property {"everyone" | "contacts" | "nobody"} last_seen_visibility
 * @property {boolean} read_receipts
 *
 * @typedef {object} Reaction
 * @property {string} emoji
 * @property {number} count
 * @property {string[]} user_ids the first twenty
 *
 * @typedef {object} SystemEvent
 * @property {"member_added" | "member_removed" | "member_left" | "renamed"} event
 * @property {string} actor_id
 * @property {string} [user_id]
 * @property {string} [name]
 *
 * @typedef {object} Message
 * @property {string} id
 * @property {string} conversation_id
 * @property {number} seq
 * @property {number} version
 * @property {string} sender_id
 * @property {string} client_message_id
 * @property {"text" | "image" | "file" | "system"} message_type
 * @property {string | null} content
 * @property {{id: string, seq: number, sender_id: string, excerpt?: string} | null} reply_to
 * @property {string[]} mentions
 * @property {Reaction[]} reactions
 * @property {SystemEvent | null} system
 * @property {string} created_at
 * @property {string | null} edited_at
 * @property {string | null} deleted_at
 * @property {string | null} pinned_at
 * @property {Status} [status] of one's own, from REST alone
 *
 * @typedef {object} My
 * @property {Role} role
 * @property {number} first_seq
 * @property {number} read_seq
 * @property {number} delivered_seq
 * @property {number} unread_count
 * @property {number} unread_mentions
 * @property {string | null} muted_until
 * @property {boolean} pinned
 * @property {boolean} archived
 *
 * @typedef {object} Conversation
 * @property {string} id
 * @property {Kind} kind
 * @property {string | null} name
 * @property {string | null} description
 * @property {string} created_at
 * @property {number} member_count
 * @property {"everyone" | "admins"} posting
 * @property {number} last_seq
 * @property {number} version
 * @property {string | null} last_message_at
 * @property {Message | null} [last_message]
 * @property {Profile | null} [peer]
 * @property {My | null} [my]
 * @property {{user_id: string, delivered_seq: number, read_seq: number}[]} [receipts]
 *
 * @typedef {object} Member
 * @property {string} user_id
 * @property {string | null} username
 * @property {string} display_name
 * @property {Role} role
 * @property {string} joined_at
 *
 * @typedef {object} Page
 * @property {Message[]} items
 * @property {boolean} has_before
 * @property {boolean} has_after
 * @property {number} version
 *
 * @typedef {object} SyncPage
 * @property {string} token
 * @property {boolean} has_more
 * @property {Conversation[]} conversations
 * @property {string[]} removed
 * @property {Profile[]} users
 * @property {{user_id: string, online: boolean | null, last_seen: string | null}[]} presence
 * @property {string[]} blocks
 * @property {Me} me
 *
 * A message that waits to be sent. It is kept until the server has confirmed it.
 * @typedef {object} Outgoing
 * @property {string} client_message_id
 * @property {string} conversation_id
 * @property {string} content
 * @property {{id: string, seq: number, sender_id: string, excerpt?: string} | null} reply_to
 * @property {number} created_at milliseconds
 * @property {number} order
 * @property {"pending" | "failed"} state
 * @property {string} [error] why it was refused
 *
 * A frame of the socket: flat, told apart by `type`.
 * @typedef {{type: string, id?: string, [field: string]: any}} Frame
 */
export {};
