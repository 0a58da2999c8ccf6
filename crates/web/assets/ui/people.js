/** How people and conversations are called and pictured. */

import { clusters } from "../core/text.js";
import { ago, counted } from "./format.js";
import { h, icon } from "./dom.js";

/** @param {Client} client @param {string} id */
export const nameOf = (client, id) =>
  id === client.user ? (client.store.me?.display_name ?? "You") : (client.person(id)?.display_name ?? "…");

/** The same, from where one sits. @param {Client} client @param {string} id */
export const youOr = (client, id, you = "You") => (id === client.user ? you : nameOf(client, id));

/** @param {Client} client @param {Conversation} conversation */
export function titleOf(client, { kind, name, peer }) {
  if (kind !== "direct") return name ?? "";
  return peer ? (client.store.people.get(peer.id)?.display_name ?? peer.display_name) : "Deleted account";
}

/** One of eight colours, always the same one. @param {string} id */
export const hueOf = (id) =>
  `hue-${[...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 997, 7) % 8}`;

/** The first letter of a word, or what it begins with where it has none. @param {string} word */
function initial(word) {
  const all = [...clusters.segment(word)];
  return (all.find((it) => /[\p{L}\p{N}]/u.test(it.segment)) ?? all[0])?.segment ?? "";
}

/** A round picture: the first letters, on a colour that stays. @param {string} id @param {string} name @param {string} [kind] */
export function avatar(id, name, kind = "direct") {
  const words = name.trim().split(/\s+/u);
  const letters = [words[0], words.slice(1).at(-1) ?? ""].map(initial).join("");
  const drawn = kind === "channel" && icon("channel");
  // Drawn by the style sheet: they are a picture, not text.
  const shown = { "aria-hidden": "true", "data-letters": drawn ? null : letters.toLocaleUpperCase() };
  return h(`span.avatar.${hueOf(id)}.${kind}`, shown, drawn);
}

/** The picture of a person, and whether he is online. @param {Client} client @param {string} id @param {string} name */
export const portrait = (client, id, name) => picture(avatar(id, name), isOnline(client, id));

/** @param {Client} client @param {Conversation} conversation */
export const pictureOf = (client, conversation) =>
  picture(avatarOf(client, conversation), isOnline(client, conversation.peer?.id));

/** @param {HTMLElement} avatar @param {boolean} online */
const picture = (avatar, online) =>
  h("span.picture", avatar, online && h("span.dot", { role: "img", "aria-label": "online" }));

/** @param {Client} client @param {Conversation} conversation */
export const avatarOf = (client, conversation) =>
  avatar(conversation.peer?.id ?? conversation.id, titleOf(client, conversation), conversation.kind);

/** @param {Client} client @param {string | undefined} id */
export const isOnline = (client, id) => Boolean(id && client.store.presence.get(id)?.online);

/** What stands under a name. @param {Client} client @param {Conversation} conversation */
export function subtitleOf(client, { kind, member_count, peer }) {
  if (kind !== "direct") return counted(member_count, "member", "members");
  const presence = peer && client.store.presence.get(peer.id);
  if (presence?.online) return "online";
  return presence?.last_seen ? `last seen ${ago(presence.last_seen)}` : "";
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

/** What happened, in a note of the server's own. @param {Client} client @param {Message} message */
export function noteOf(client, { system }) {
  if (!system) return "";
  const actor = youOr(client, system.actor_id);
  const whom = system.user_id && youOr(client, system.user_id, "you");
  if (system.event === "renamed") return `${actor} changed the name to “${system.name}”`;
  if (system.event === "member_removed") return `${actor} removed ${whom}`;
  if (system.event === "member_left") return `${actor} left`;
  return system.actor_id === system.user_id ? `${actor} joined` : `${actor} added ${whom}`;
}
