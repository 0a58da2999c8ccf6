/** Windows that ask or tell one thing. */

import { api } from "../net/api.js";
import { every, fill, h, icon, iconButton, reason, refocus, showToasts } from "./dom.js";
import { check, empty, field, form, listing, row } from "./forms.js";
import { moment } from "./format.js";
import { avatar, nameOf } from "./people.js";

/** Opens a window. It goes when it is closed. @param {string} title @param {...Child} children */
export function dialog(title, ...children) {
  // A press that begins in the window, as when one marks a text, does not close it.
  let outside = false;
  const opener = document.activeElement;
  const close = () => {
    const said = every(element, ".toast");
    element.remove();
    showToasts(said);
    // What had the focus may be hidden, or made anew.
    if (document.activeElement === document.body) refocus(opener);
  };
  const element = h(
    "dialog",
    {
      "aria-label": title,
      close,
      pointerdown: ({ target, currentTarget }) => (outside = target === currentTarget),
      click: ({ target, currentTarget }) => outside && target === currentTarget && currentTarget.close(),
    },
    h(
      "div.dialog-body",
      h(
        "header.dialog-head",
        h("h2", { dir: "auto", tabindex: -1 }, title),
        iconButton("close", "Close", ({ currentTarget }) => currentTarget.closest("dialog")?.close()),
      ),
      ...children,
    ),
    h("div.toasts", { role: "status" }),
  );
  document.body.append(element);
  element.showModal();
  showToasts(every(document, ".toast"));
  // It begins with what it is for, not with what closes it.
  const first = every(element, "[autofocus], input, select, summary, button, h2");
  (first.find((it) => it.autofocus) ?? first.find((it) => !it.closest("header")) ?? first[0]).focus();
  return element;
}

/** @param {string} question @param {string} yes @param {"danger" | "harmless"} [kind] @param {string} [more] @returns {Promise<boolean>} */
export function confirm(question, yes, kind = "danger", more) {
  return new Promise((resolve) => {
    const element = dialog(
      question,
      more && h("p.muted", more),
      h(
        "div.buttons",
        h("button.secondary", { click: () => element.close() }, "Cancel"),
        h(`button.primary.${kind}`, { autofocus: true, click: () => element.close("yes") }, yes),
      ),
    );
    // A key that is held down is no answer.
    element.addEventListener("keydown", (event) => event.repeat && event.preventDefault());
    element.addEventListener("close", () => resolve(element.returnValue === "yes"));
  });
}

/** @param {Shell} shell */
export function newConversation(shell) {
  /** @param {string} shape @param {string} title @param {string} text @param {() => void} open */
  const choice = (shape, title, text, open) =>
    row("button.choice", { click: () => (element.close(), open()) }, icon(shape), title, text);
  const element = dialog(
    "New conversation",
    choice("plus", "Chat", "With one person", () => newChat(shell)),
    choice("people", "Group", "Private, for those you add", () => newGroup(shell)),
    choice("channel", "Channel", "Listed, open to everyone", () => newChannel(shell)),
    choice("link", "Join by link", "You have been invited", () => joinByLink(shell)),
  );
}

/** @param {Shell} shell */
function newChat(shell) {
  const choose = (/** @type {Profile} */ person) => {
    element.close();
    shell.talkTo(person.id);
  };
  const element = dialog("New chat", peoplePicker(shell.client, choose).element);
}

/** @param {Shell} shell */
function newGroup(shell) {
  const chosen = chosenPeople(shell.client);
  const create = async (/** @type {Record<string, string>} */ { name }) => {
    const member_ids = [...chosen.ids.keys()];
    const made = await api.post("/conversations", { kind: "group", name, member_ids });
    element.close();
    shell.show(made);
    shell.client.sync();
  };
  const element = dialog("New group", form("Create group", create, nameField(), chosen.element));
}

/** @param {Shell} shell */
function newChannel(shell) {
  const create = async (/** @type {Record<string, string>} */ { name, description, admins }) => {
    const about = description ? { description } : {};
    const made = await api.post("/channels", { name, ...about, posting: posting(admins) });
    element.close();
    shell.show(made);
  };
  const about = field("description", "What is it about?", { maxlength: 512 });
  const element = dialog("New channel", form("Create channel", create, nameField(), about, onlyAdmins()));
}

/** @param {string} [value] */
export const nameField = (value = "") => field("name", "Name", { maxlength: 64, required: true, value });

/** @param {boolean} [checked] */
export const onlyAdmins = (checked = false) => check("Only admins write", { name: "admins", checked });

/** @param {string | undefined} admins what the check box gave */
export const posting = (admins) => (admins ? "admins" : "everyone");

/** @param {Shell} shell */
function joinByLink(shell) {
  const join = async (/** @type {Record<string, string>} */ { link }) => {
    // The last part of its path.
    const code = /([^/?#]+)\/*(?:[?#].*)?$/.exec(link.replace(/\s/g, ""))?.[1] ?? "";
    await shell.joinByInvite(code);
    element.close();
  };
  const link = field("link", "Invite link or code", { autocomplete: "off", required: true });
  const element = dialog("Join by link", form("Join", join, link));
}

/**
 * A search for people. What it shows belongs to what is typed.
 * @param {Client} client @param {(person: Profile) => void} choose @param {Map<string, Profile>} [chosen]
 */
function peoplePicker(client, choose, chosen) {
  let asked = 0;
  const results = h("ul.picker");
  const contacts = () => {
    const all = [...client.store.conversations.values()];
    return all.flatMap((it) => (it.peer?.username ? [it.peer] : [])).slice(0, 20);
  };
  /** @returns {Promise<void>} */
  const search = async () => {
    const turn = ++asked;
    const text = input.value.trim().slice(0, 64);
    if (text) fill(results, empty("Searching…"));
    const path = `/users?q=${encodeURIComponent(text)}&limit=20`;
    const answer = text && (await api.get(path).catch((error) => error));
    if (turn !== asked) return;
    if (answer instanceof Error) return fill(results, empty(reason(answer)));
    /** @type {Profile[]} */
    const found = answer ? answer.items : contacts();
    const others = found.filter((it) => it.id !== client.user);
    fill(results, others.map(item), !others.length && empty(text ? "Nobody by this name." : "Type a name."));
  };
  const item = (/** @type {Profile} */ it) => {
    const isChosen = chosen?.has(it.id);
    const look = { "aria-pressed": chosen && String(isChosen), click: () => (choose(it), anew()) };
    const picture = avatar(it.id, it.display_name);
    return h("li", row("button", look, picture, it.display_name, `@${it.username}`, isChosen && icon("sent")));
  };
  const anew = () => {
    input.value = "";
    input.focus();
    search();
  };
  const input = h("input", {
    type: "search",
    placeholder: "Name or user name",
    "aria-label": "Search people",
    autocomplete: "off",
    input: search,
    keydown: (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      results.querySelector("button")?.click();
    },
  });
  search();
  return { element: h("div.people-picker", input, results), anew };
}

/** A search that collects people. @param {Client} client */
export function chosenPeople(client) {
  /** @type {Map<string, Profile>} */
  const ids = new Map();
  const chips = h("div.chips", { "aria-label": "Chosen people", role: "group" });
  const chip = (/** @type {Profile} */ { id, display_name }) => {
    const remove = () => {
      ids.delete(id);
      show();
      picker.anew();
    };
    return h("button.chip", { "aria-label": `Take ${display_name} out`, click: remove }, display_name, " ×");
  };
  const show = () => fill(chips, [...ids.values()].map(chip));
  const toggle = (/** @type {Profile} */ person) => {
    if (!ids.delete(person.id)) ids.set(person.id, person);
    show();
  };
  const picker = peoplePicker(client, toggle, ids);
  return { ids, element: h("div", chips, picker.element) };
}

/** Who has received and read a message, and when. @param {Client} client @param {Message} message */
export function messageDetails(client, message) {
  const said = (/** @type {Receipt} */ { status, read_at, delivered_at }) => {
    const at = status === "read" ? read_at : delivered_at;
    if (status === "sent") return "Not delivered yet";
    return `${status === "read" ? "Read" : "Delivered"}${at ? ` ${moment(at)}` : ""}`;
  };
  const item = (/** @type {Receipt} */ it) => {
    const name = nameOf(client, it.user_id);
    const tick = h(`span.tick.${it.status}`, icon(it.status === "sent" ? "sent" : "twice"));
    return row("li", null, avatar(it.user_id, name), name, said(it), tick);
  };
  const receipts = listing(`/messages/${message.id}/receipts`, item, "Receipts are not kept here.");
  dialog(
    "Message details",
    h("p.quoted", { dir: "auto" }, message.content),
    h("p.muted", `Sent ${moment(message.created_at)}`),
    receipts.element,
  );
  receipts.show();
}
