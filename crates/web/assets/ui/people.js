/** How people and conversations are called and pictured. */

import { ago, counted } from "./format.js";
import { h, icon } from "./dom.js";

/** @typedef {import("../net/client.js").Client} Client */
/** @typedef {import("../types.js").Conversation} Conversation */

/** @param {Client} client @param {string} id */
export function nameOf(client, id) {
  if (id === client.user) return client.store.me?.display_name ?? "You";
  return client.person(id)?.display_name ?? "…";
}

/** @param {Client} client @param {Conversation} conversation */
export function titleOf(client, conversation) {
  if (conversation.kind !== "direct") return conversation.name ?? "";
  const peer = conversation.peer;
  return peer ? (client.store.people.get(peer.id)?.display_name ?? peer.display_name) : "Deleted account";
}

/** A round picture: the first letters, on a colour that stays. @param {string} id @param {string} name @param {string} [kind] */
export function avatar(id, name, kind = "direct") {
  const hue = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 997, 7) % 8;
  const words = name.trim().split(/\s+/u);
  const letters = [words[0], words.length > 1 ? words[words.length - 1] : ""]
    .map((word) => [...word][0] ?? "")
    .join("");
  const drawn = kind === "channel" ? icon("channel") : null;
  // Drawn by the style sheet: they are a picture, not text.
  return h(
    "span",
    {
      class: `avatar hue-${hue} ${kind}`,
      "aria-hidden": "true",
      "data-letters": drawn ? null : letters.toLocaleUpperCase(),
    },
    drawn,
  );
}

/** @param {Client} client @param {string | undefined} id */
export const isOnline = (client, id) => Boolean(id && client.store.presence.get(id)?.online);

/** What stands under a name. @param {Client} client @param {Conversation} conversation */
export function subtitleOf(client, conversation) {
  if (conversation.kind !== "direct") return counted(conversation.member_count, "member", "members");
  const presence = conversation.peer && client.store.presence.get(conversation.peer.id);
  if (presence?.online) return "online";
  return presence?.last_seen ? `last seen ${ago(presence.last_seen)}` : "";
}

/** @param {Client} client @param {Conversation} conversation */
export function isMuted(client, conversation) {
  const until = conversation.my?.muted_until;
  return Boolean(until && Date.parse(until) > Date.now());
}

/** Who types, as a sentence. @param {Client} client @param {string} id @param {boolean} named */
export function typingLine(client, id, named) {
  const typists = client.store.typists(id, Date.now());
  if (!typists.length) return "";
  if (!named) return "typing…";
  if (typists.length > 2) return "several people are typing…";
  const names = typists.map((user) => nameOf(client, user)).join(" and ");
  return `${names} ${typists.length > 1 ? "are" : "is"} typing…`;
}

/** What happened, in a note of the server's own. @param {Client} client @param {import("../types.js").SystemEvent} system */
export function noteOf(client, system) {
  const actor = system.actor_id === client.user ? "You" : nameOf(client, system.actor_id);
  const whom = system.user_id === client.user ? "you" : nameOf(client, system.user_id ?? "");
  if (system.event === "renamed") return `${actor} changed the name to “${system.name}”`;
  if (system.event === "member_removed") return `${actor} removed ${whom}`;
  if (system.event === "member_left") return `${actor} left`;
  return system.actor_id === system.user_id ? `${actor} joined` : `${actor} added ${whom}`;
}
