/** The element of one message. */

import { excerpt } from "../core/draft.js";
import { isEmoji, pieces } from "../core/text.js";
import { attempt, h, icon, iconButton, stamp } from "./dom.js";
import { clock, count, day, language, list, moment } from "./format.js";
import { chooseEmoji } from "./menu.js";
import { avatar, hueOf, nameOf, noteOf, youOr } from "./people.js";

const STATUS = { pending: "Sending", failed: "Not sent", sent: "Sent", delivered: "Delivered", read: "Read" };
const TICKS = { pending: "clock", failed: "warn", sent: "sent", delivered: "twice", read: "twice" };

/** Whatever changes how a row looks, but for the status of a message. @param {View} view @param {Row} row */
export function stampOf(view, row) {
  const { client } = view;
  if (row.kind === "day") return day(row.at);
  if (row.kind === "line") return "";
  if (row.kind === "system") return noteOf(client, row.message);
  const { message, leads, ends } = row;
  return stamp(
    message.version,
    message.waiting?.state,
    leads,
    ends,
    view.highlighted === message.seq,
    view.mayWrite,
    view.mayEdit(message),
    message.reply_to && quoteOf(view, message.reply_to),
    // Whoever is not known yet is asked for.
    nameOf(client, message.sender_id),
    namesOf(client, message.mentions),
    ...message.reactions.map((it) => namesOf(client, it.user_ids)),
  );
}

/** @param {View} view @param {MessageRow} row */
export function messageRow(view, { message, leads, ends }) {
  const { client } = view;
  const { sender_id: sender, deleted_at: deleted, reactions, reply_to, waiting } = message;
  const own = sender === client.user;
  const name = nameOf(client, sender);
  const classes = [
    own ? "own" : "other",
    leads && "leads",
    ends && "ends",
    !own && message.mentions.includes(client.user) && "mentions-me",
    !deleted && !reply_to && isEmoji(message.content ?? "") && "large",
    deleted && "deleted",
    view.highlighted === message.seq && "highlighted",
    waiting && "outgoing",
    waiting?.state === "failed" && "failed",
  ];
  return h(
    `li.message.${classes.filter(Boolean).join(".")}`,
    { tabindex: -1, "data-seq": waiting ? null : message.seq, "aria-label": label(view, message) },
    view.isGroup && !own && h("span.message-picture", ends && avatar(sender, name)),
    h(
      "div.stack",
      h(
        "div.bubble",
        !own && leads && view.isGroup && h(`span.author.${hueOf(sender)}`, { dir: "auto" }, name),
        !deleted && reply_to && quote(view, reply_to),
        deleted ? h("span.text", "This message was deleted.") : text(client, message),
        foot(view, message, own),
        !deleted && !waiting && actions(view, message),
      ),
      waiting?.state === "failed" && retry(view, waiting),
      reactions.length > 0 &&
        h(
          "div.reactions",
          reactions.map((it) => reaction(client, message, it)),
        ),
    ),
  );
}

/** One has to say whether it is tried again. @param {View} view @param {Outgoing} entry */
function retry(view, { client_message_id: id, error }) {
  const { outbox } = view.client;
  return h(
    "div.retry",
    h("span", `Not sent: ${error}`),
    h("button.text-button", { click: () => outbox.retry(id) }, "Try again"),
    h("button.text-button", { click: () => (outbox.drop(id), view.focus()) }, "Discard"),
  );
}

/** @param {View} view @param {Message} message */
export function label({ client }, message) {
  const { sender_id, deleted_at, content, created_at, waiting } = message;
  const said = `${youOr(client, sender_id)}: ${deleted_at ? "deleted message" : content}`;
  const status = sender_id === client.user && !deleted_at && STATUS[statusOf(client, message)];
  return [said, !waiting && clock(created_at), status].filter(Boolean).join(". ");
}

/** @param {Client} client @param {Message} message */
const statusOf = (client, message) => message.waiting?.state ?? client.store.status(message);

/** @param {Client} client @param {Pick<Message, "content" | "mentions">} message */
function text(client, { content, mentions }) {
  const { me } = client.store;
  const named = (/** @type {string} */ name) =>
    mentions.find((id) => (id === me?.id ? me : client.person(id))?.username?.toLowerCase() === name);
  const found = pieces(content ?? "", named).map(({ kind, text, user }) => {
    if (kind === "link") return h("a", { href: text, dir: "ltr", target: "_blank", rel: "noopener noreferrer" }, text);
    return kind === "mention" ? h(`span.mention${user === me?.id ? ".me" : ""}`, text) : text;
  });
  return h("span.text", { dir: "auto" }, found);
}

/** @param {View} view @param {Quoted} answered */
function quoteOf(view, answered) {
  const message = view.room?.at(answered.seq);
  if (message?.deleted_at) return "Deleted message";
  return excerpt(message?.content) ?? answered.excerpt ?? "An earlier message";
}

/** @param {View} view @param {Quoted} answered */
const quote = (view, answered) =>
  h(
    "button.quote",
    { click: () => view.jump(answered.seq) },
    h("strong", { dir: "auto" }, youOr(view.client, answered.sender_id)),
    h("span", { dir: "auto" }, quoteOf(view, answered)),
  );

/** @param {View} view @param {Message} message @param {boolean} own */
function foot({ client }, message, own) {
  const { pinned_at, edited_at, created_at, deleted_at } = message;
  return h(
    "span.foot",
    { title: moment(created_at) },
    pinned_at && icon("pin"),
    edited_at && !deleted_at && h("span", { title: `Edited ${moment(edited_at)}` }, "edited"),
    h("time", { datetime: created_at, lang: language }, clock(created_at)),
    own && !deleted_at && tick(statusOf(client, message)),
  );
}

/**
 * Shows how far one's own message has come. That changes often, and while one may be pressing a button
 * of the message: its element stays.
 * @param {View} view @param {Element} row @param {Message} message
 */
export function showStatus(view, row, message) {
  const shown = row.querySelector(".foot > .tick");
  const status = statusOf(view.client, message);
  if (!shown || shown.classList.contains(status)) return;
  shown.replaceWith(tick(status));
  row.ariaLabel = label(view, message);
}

/** @param {keyof typeof STATUS} status */
export const tick = (status) =>
  h(`span.tick.${status}`, { role: "img", "aria-label": STATUS[status] }, icon(TICKS[status]));

/** @param {Client} client @param {Message} message @param {Reaction} reaction */
function reaction(client, message, { emoji, count: given, user_ids }) {
  const mine = user_ids.includes(client.user);
  const names = namesOf(client, user_ids);
  return h(
    `button.reaction${mine ? ".mine" : ""}`,
    {
      "aria-pressed": String(mine),
      title: names,
      "aria-label": `${emoji}, ${given}: ${names}`,
      click: () => attempt(() => client.react(message, emoji)),
    },
    `${emoji} `,
    h("span", count(given)),
  );
}

/** @param {Client} client @param {string[]} ids */
const namesOf = (client, ids) => list(ids.map((id) => youOr(client, id)));

/** @param {View} view @param {Message} message */
function actions(view, message) {
  const react = (/** @type {string} */ emoji) => attempt(() => view.client.react(message, emoji));
  return h(
    "div.actions",
    { role: "toolbar", "aria-label": "Message actions" },
    iconButton("smile", "React", ({ currentTarget }) => chooseEmoji(currentTarget, react)),
    view.mayWrite && iconButton("reply", "Reply", () => view.composer.answer(message)),
    view.mayEdit(message) && iconButton("edit", "Edit", () => view.composer.edit(message)),
    iconButton("more", "More", ({ currentTarget }) => view.menu(message, currentTarget)),
  );
}
