/** The element of one message. */

import { isEmoji, pieces } from "../core/text.js";
import { attempt, h, icon, iconButton } from "./dom.js";
import { clock, count, list, moment } from "./format.js";
import { QUICK, chooseEmoji } from "./emoji.js";
import { avatar, nameOf, noteOf } from "./people.js";

/** @typedef {import("../types.js").Message} Message */
/** @typedef {import("../types.js").Outgoing} Outgoing */
/** @typedef {import("../core/timeline.js").Row} Row */
/** @typedef {import("./conversation.js").ConversationView} View */

const STATUS = { sent: "Sent", delivered: "Delivered", read: "Read" };

/** Whatever changes how a row looks, but for its status. @param {View} view @param {Row} row */
export function stampOf(view, row) {
  if (row.kind === "system") return noteOf(view.client, /** @type {any} */ (row.message.system));
  if (row.kind === "outgoing") return [row.entry.state, row.entry.error, row.leads, row.ends].join("\u0000");
  if (row.kind !== "message") return row.key;
  const { message, leads, ends } = row;
  const own = message.sender_id === view.client.user;
  const answered = message.reply_to && quoteOf(view, message.reply_to);
  return [
    message.version,
    leads,
    ends,
    !own && nameOf(view.client, message.sender_id),
    answered,
    view.highlighted === message.seq,
  ].join("\u0000");
}

/** @param {View} view @param {Extract<Row, {kind: "message"}>} row */
export function messageRow(view, { message, leads, ends }) {
  const { client } = view;
  const own = message.sender_id === client.user;
  const name = nameOf(client, message.sender_id);
  const named = !own && leads && view.isGroup;
  const mentionsMe = !own && message.mentions.includes(client.user);
  const large = !message.deleted_at && !message.reply_to && isEmoji(message.content ?? "");
  const classes = [
    "message",
    own ? "own" : "other",
    leads && "leads",
    ends && "ends",
    mentionsMe && "mentions-me",
    large && "large",
    message.deleted_at && "deleted",
    view.highlighted === message.seq && "highlighted",
  ];
  return h(
    "li",
    {
      class: classes.filter(Boolean).join(" "),
      tabindex: "-1",
      "data-seq": String(message.seq),
      "aria-label": label(view, message, name),
    },
    view.isGroup && !own && h("span", { class: "message-picture" }, ends && avatar(message.sender_id, name)),
    h(
      "div",
      { class: "stack" },
      h(
        "div",
        { class: "bubble" },
        named && h("span", { class: `author ${hueOf(message.sender_id)}` }, name),
        message.reply_to && !message.deleted_at && quote(view, message.reply_to),
        message.deleted_at ? h("span", { class: "text" }, "This message was deleted.") : text(view, message),
        foot(view, message, own),
        !message.deleted_at && actions(view, message, own),
      ),
      message.reactions.length > 0 && reactions(view, message),
    ),
  );
}

/** @param {View} view @param {Outgoing} entry @param {boolean} leads @param {boolean} ends */
export function outgoingRow(view, entry, leads, ends) {
  const failed = entry.state === "failed";
  return h(
    "li",
    {
      class: `message own outgoing ${leads ? "leads" : ""} ${ends ? "ends" : ""} ${failed ? "failed" : ""}`,
      tabindex: "-1",
      "aria-label": `You: ${entry.content}. ${failed ? "Not sent" : "Sending"}`,
    },
    h(
      "div",
      { class: "stack" },
      h(
        "div",
        { class: "bubble" },
        entry.reply_to && quote(view, entry.reply_to),
        text(view, { content: entry.content, mentions: [] }),
        h(
          "span",
          { class: "foot" },
          h("time", null, clock(entry.created_at)),
          icon(failed ? "warn" : "clock"),
        ),
      ),
      failed &&
        h(
          "div",
          { class: "retry" },
          h("span", null, `Not sent: ${entry.error}`),
          h(
            "button",
            {
              type: "button",
              class: "text-button",
              click: () => view.client.outbox.retry(entry.client_message_id),
            },
            "Try again",
          ),
          h(
            "button",
            {
              type: "button",
              class: "text-button",
              click: () => view.client.outbox.drop(entry.client_message_id),
            },
            "Discard",
          ),
        ),
    ),
  );
}

/** @param {View} view @param {Message} message @param {string} name */
function label(view, message, name) {
  const own = message.sender_id === view.client.user;
  const said = message.deleted_at ? "deleted message" : message.content;
  const status = own && !message.deleted_at ? `. ${STATUS[view.client.store.status(message)]}` : "";
  return `${own ? "You" : name}: ${said}. ${clock(message.created_at)}${status}`;
}

/** @param {View} view @param {{content: string | null, mentions: string[]}} message */
function text(view, message) {
  const named = (/** @type {string} */ username) =>
    message.mentions.find(
      (id) =>
        (id === view.client.user ? view.client.store.me : view.client.person(id))?.username?.toLowerCase() ===
        username,
    );
  const found = pieces(message.content ?? "", named).map((piece) => {
    if (piece.kind === "link")
      return h("a", { href: piece.href, target: "_blank", rel: "noopener noreferrer" }, piece.text);
    if (piece.kind === "mention")
      return h("span", { class: `mention ${piece.user === view.client.user ? "me" : ""}` }, piece.text);
    return piece.text;
  });
  return h("span", { class: "text", dir: "auto" }, found);
}

/** @param {View} view @param {{id: string, seq: number, sender_id: string, excerpt?: string}} answered */
function quoteOf(view, answered) {
  const message = view.room?.at(answered.seq);
  if (message?.deleted_at) return "Deleted message";
  return message?.content?.slice(0, 200) ?? answered.excerpt ?? "An earlier message";
}

/** @param {View} view @param {{id: string, seq: number, sender_id: string, excerpt?: string}} answered */
function quote(view, answered) {
  return h(
    "button",
    { type: "button", class: "quote", click: () => view.jump(answered.seq) },
    h(
      "strong",
      null,
      answered.sender_id === view.client.user ? "You" : nameOf(view.client, answered.sender_id),
    ),
    h("span", null, quoteOf(view, answered)),
  );
}

/** @param {View} view @param {Message} message @param {boolean} own */
function foot(view, message, own) {
  const status = own && !message.deleted_at && view.client.store.status(message);
  return h(
    "span",
    { class: "foot" },
    message.pinned_at && icon("pin"),
    message.edited_at &&
      !message.deleted_at &&
      h("span", { title: `Edited ${moment(message.edited_at)}` }, "edited"),
    h("time", { datetime: message.created_at, title: moment(message.created_at) }, clock(message.created_at)),
    status && tickOf(status),
  );
}

/**
 * Shows how far one's own message has come. That changes often, and while one may be pressing a button
 * of the message: its element stays.
 * @param {View} view
 * @param {HTMLElement | null} row
 * @param {Message} message
 */
export function showStatus(view, row, message) {
  const tick = row?.querySelector(".foot > .tick");
  const status = view.client.store.status(message);
  if (!row || !tick || tick.classList.contains(status)) return;
  tick.replaceWith(tickOf(status));
  row.setAttribute("aria-label", label(view, message, ""));
}

/** @param {import("../types.js").Status} status */
const tickOf = (status) =>
  h(
    "span",
    { class: `tick ${status}`, role: "img", "aria-label": STATUS[status] },
    icon(status === "sent" ? "sent" : "twice"),
  );

/** @param {View} view @param {Message} message */
function reactions(view, message) {
  return h(
    "div",
    { class: "reactions" },
    message.reactions.map(({ emoji, count: given, user_ids }) => {
      const mine = user_ids.includes(view.client.user);
      const names = list(user_ids.map((id) => (id === view.client.user ? "You" : nameOf(view.client, id))));
      return h(
        "button",
        {
          type: "button",
          class: `reaction ${mine ? "mine" : ""}`,
          "aria-pressed": String(mine),
          title: names,
          "aria-label": `${emoji}, ${given}: ${names}`,
          click: () => attempt(() => view.client.react(message, emoji)),
        },
        emoji,
        " ",
        h("span", null, count(given)),
      );
    }),
  );
}

/** @param {View} view @param {Message} message @param {boolean} own */
function actions(view, message, own) {
  const react = (/** @type {string} */ emoji) => attempt(() => view.client.react(message, emoji));
  return h(
    "div",
    { class: "actions", role: "toolbar", "aria-label": "Message actions" },
    iconButton("smile", "React", (event) =>
      chooseEmoji(/** @type {HTMLElement} */ (event.currentTarget), QUICK, react),
    ),
    iconButton("reply", "Reply", () => view.composer.answer(message)),
    own && view.mayEdit(message) && iconButton("edit", "Edit", () => view.composer.edit(message)),
    iconButton("more", "More", (event) =>
      view.menu(message, /** @type {HTMLElement} */ (event.currentTarget)),
    ),
  );
}

/** @param {string} id */
const hueOf = (id) => avatar(id, "x").className.replace("avatar ", "").replace(" direct", "");
