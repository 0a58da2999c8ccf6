/*
 * What goes over the wire, as far as this client reads it, and what its rooms hand each other. The
 * contract is docs/api.md. This is for `tsc` alone and is not served.
 */

type Client = import("./assets/net/client.js").Client;
type Shell = import("./assets/ui/shell.js").Shell;
type View = import("./assets/ui/conversation.js").ConversationView;

// The wire

type Status = "sent" | "delivered" | "read";

interface Profile {
  id: string;
  /** Null once the account is erased. */
  username: string | null;
  display_name: string;
  about?: string | null;
  /** Null where it is hidden. */
  online?: boolean | null;
  last_seen?: string | null;
}

interface Me {
  id: string;
  username: string;
  email: string;
  display_name: string;
  about: string | null;
  last_seen_visibility: "everyone" | "contacts" | "nobody";
  read_receipts: boolean;
}

interface Reaction {
  emoji: string;
  count: number;
  /** The first twenty. */
  user_ids: string[];
}

interface SystemEvent {
  event: "member_added" | "member_removed" | "member_left" | "renamed";
  actor_id: string;
  user_id?: string;
  name?: string;
}

/** The message that one answers. */
interface Quoted {
  id: string;
  seq: number;
  sender_id: string;
  excerpt?: string;
}

interface Message {
  id: string;
  conversation_id: string;
  seq: number;
  version: number;
  sender_id: string;
  client_message_id: string;
  message_type: "text" | "image" | "file" | "system";
  content: string | null;
  reply_to: Quoted | null;
  mentions: string[];
  reactions: Reaction[];
  system: SystemEvent | null;
  created_at: string;
  edited_at: string | null;
  deleted_at: string | null;
  pinned_at: string | null;
  /** Of one's own, from REST alone. */
  status?: Status;
  /** What is shown as a message, and is none yet. */
  waiting?: Outgoing;
}

interface My {
  role: "member" | "admin" | "owner";
  first_seq: number;
  read_seq: number;
  delivered_seq: number;
  unread_count: number;
  unread_mentions: number;
  muted_until: string | null;
  pinned: boolean;
  archived: boolean;
}

interface Conversation {
  id: string;
  kind: "direct" | "group" | "channel";
  name: string | null;
  description: string | null;
  created_at: string;
  member_count: number;
  posting: "everyone" | "admins";
  last_seq: number;
  version: number;
  last_message_at: string | null;
  last_message?: Message | null;
  peer?: Profile | null;
  my?: My | null;
  /** How far the other members have come. */
  receipts?: { user_id: string; delivered_seq: number; read_seq: number }[];
}

interface Member {
  user_id: string;
  username: string | null;
  display_name: string;
  role: My["role"];
}

interface Receipt {
  user_id: string;
  status: Status;
  delivered_at: string | null;
  read_at: string | null;
}

interface Invite {
  code: string;
  expires_at: string | null;
  uses: number;
  max_uses: number | null;
}

interface Device {
  id: string;
  device_name: string | null;
  address: string | null;
  last_used_at: string;
  current: boolean;
}

interface Page {
  items: Message[];
  has_before: boolean;
  has_after: boolean;
  version: number;
}

interface SyncPage {
  token: string;
  has_more: boolean;
  conversations: Conversation[];
  removed: string[];
  users: Profile[];
  presence: { user_id: string; online: boolean | null; last_seen: string | null }[];
  blocks: string[];
  me: Me;
}

/** A frame of the socket: flat, told apart by `type`. */
type Frame = { type: string; id?: string; [field: string]: any };

// Inside

/** A message that waits to be sent. It is kept until the server has confirmed it. */
interface Outgoing {
  client_message_id: string;
  conversation_id: string;
  content: string;
  reply_to: Quoted | null;
  /** Milliseconds. */
  created_at: number;
  order: number;
  state: "pending" | "failed";
  /** Why it was refused. */
  error?: string;
}

/** Where the outbox keeps its entries. */
interface Shelf {
  /** Resolves when it is on disk. */
  put(entry: Outgoing): Promise<void>;
  delete(id: string, conversation: string): Promise<void>;
  all(): Promise<Outgoing[]>;
}

/** What is being written in a conversation: a message, and on top of it a change of an older one. */
interface Draft {
  text: string;
  answers: Quoted | null;
  edits: { id: string; before: string; text: string } | null;
}

/** What of the store has changed. */
type Topic = "connection" | "list" | "people" | "me" | "blocks" | `room:${string}` | `typing:${string}`;

/**
 * What the server should be asked or told: to sync again, what changed in a room, what has arrived, who
 * somebody is now. And to look again whether somebody still types.
 */
type Wish =
  | { want: "sync" }
  | { want: "changes" | "delivered" | "typists"; conversation: string }
  | { want: "person"; user: string };

/** How far somebody has come in a conversation. */
interface Mark {
  delivered: number;
  read: number;
}

/** A part of a text. */
interface Piece {
  kind: "text" | "link" | "mention";
  text: string;
  user?: string;
}

interface MessageRow {
  kind: "message";
  key: string;
  message: Message;
  leads: boolean;
  ends: boolean;
}

/** A row of a conversation. */
type Row =
  | MessageRow
  | { kind: "day"; key: string; at: Date }
  | { kind: "line"; key: string }
  | { kind: "system"; key: string; message: Message };

// Elements

type Child = Node | string | false | null | undefined | Child[];
type TagName<S extends string> = S extends `${infer T}.${string}` ? T : S;
/** What a tag with classes makes: `a.row` a link. */
type Made<S extends string> =
  TagName<S> extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[TagName<S>] : HTMLElement;
type Listeners<E> = {
  [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K] & { currentTarget: E }) => unknown;
};
/** Listeners and attributes. */
type Properties<E> = Listeners<E> & Record<string, unknown>;
type Press = (event: MouseEvent & { currentTarget: HTMLElement }) => unknown;
