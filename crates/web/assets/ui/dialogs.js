/** Windows that ask or tell one thing. */

import { api } from "../net/api.js";
import { every, fill, h, icon, iconButton, refocus, showToasts } from "./dom.js";
import { check, field, form, listing, row } from "./forms.js";
import { moment } from "./format.js";
import { tick } from "./message.js";
import { avatar, nameOf } from "./people.js";
import { Search } from "./search.js";

/** Opens a window. It goes when it is closed. @param {string} title @param {...Child} children */
export function dialog(title, ...children) {
  const opener = document.activeElement;
  const close = () => {
    const said = every(element, ".toast");
    element.remove();
    showToasts(said);
    // What had the focus may be hidden, or made anew.
    if (document.activeElement === document.body) refocus(opener);
  };
  /** @type {HTMLDialogElement} */
  const element = h(
    "dialog",
    {
      "aria-label": title,
      closedby: "any",
      close,
    },
    h(
      "div.dialog-body",
      h(
        "header.dialog-head",
        h("h2", { dir: "auto", tabindex: -1 }, title),
        iconButton("close", "Close", () => element.close()),
      ),
      ...children,
    ),
    h("div.toasts", { role: "status" }),
  );
  // What was said before has been said.
  for (const said of every(document, ".toast")) said.remove();
  document.body.append(element);
  element.showModal();
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

/**
 * Asks for something with a form in a window, which closes once it is done. Resolves with the answer.
 * @param {string} title @param {string} label of the button
 * @param {(given: Record<string, string>) => unknown} send @param {...Child} children
 * @returns {Promise<any>}
 */
export const ask = (title, label, send, ...children) =>
  new Promise((resolve) => {
    const done = async (/** @type {Record<string, string>} */ given) => {
      const answer = await send(given);
      element.close();
      resolve(answer);
    };
    const element = dialog(title, form(label, done, children));
  });

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
  const { input, results } = peopleSearch(shell.client, choose);
  const element = dialog("New chat", h("div.people-search", input, results));
}

/** @param {Shell} shell */
async function newGroup(shell) {
  const { ids, element } = chosenPeople(shell.client);
  const made = await ask(
    "New group",
    "Create group",
    ({ name }) => api.post("/conversations", { kind: "group", name, member_ids: [...ids.keys()] }),
    nameField(),
    element,
  );
  shell.show(made);
  shell.client.sync();
}

/** @param {Shell} shell */
async function newChannel(shell) {
  const made = await ask(
    "New channel",
    "Create channel",
    ({ name, description, admins }) =>
      api.post("/channels", { name, description: description || undefined, posting: posting(admins) }),
    nameField(),
    field("description", "What is it about?", { maxlength: 512 }),
    onlyAdmins(),
  );
  shell.show(made);
}

/** @param {string} [value] */
export const nameField = (value = "") => field("name", "Name", { maxlength: 64, required: true, value });

/** @param {boolean} [checked] */
export const onlyAdmins = (checked = false) => check("Only admins write", { name: "admins", checked });

/** @param {string | undefined} admins what the check box gave */
export const posting = (admins) => (admins ? "admins" : "everyone");

/** @param {Shell} shell */
function joinByLink(shell) {
  // The last part of its path.
  const codeOf = (/** @type {string} */ link) => /([^/?#]+)\/*(?:[?#].*)?$/.exec(link.replace(/\s/g, ""))?.[1] ?? "";
  const link = field("link", "Invite link or code", { autocomplete: "off", required: true });
  ask("Join by link", "Join", (given) => shell.joinByInvite(codeOf(given.link)), link);
}

/** People by name; not oneself. @param {Client} client @param {string} text @returns {Promise<Profile[]>} */
export async function findPeople(client, text) {
  const { items } = await api.get(`/users?q=${encodeURIComponent(text)}&limit=20`);
  return items.filter((/** @type {Profile} */ it) => it.id !== client.user);
}

/**
 * A search for people; at first it shows those one talks to.
 * @param {Client} client @param {(person: Profile) => void} choose @param {Map<string, Profile>} [chosen]
 */
function peopleSearch(client, choose, chosen) {
  const contacts = () => {
    const all = [...client.store.conversations.values()];
    return all.flatMap((it) => (it.peer?.username ? [it.peer] : [])).slice(0, 20);
  };
  const found = (/** @type {Profile[]} */ people) => [
    {
      found: people.map((it) => ({
        picture: avatar(it.id, it.display_name),
        name: it.display_name,
        under: `@${it.username}`,
        chosen: chosen?.has(it.id),
        choose: () => (choose(it), search.input.focus()),
      })),
    },
  ];
  const search = new Search("picker", {
    label: "Search people",
    placeholder: "Name or user name",
    none: "Nobody by this name.",
    here: (text) => found(text ? [] : contacts()),
    ask: async (text) => found(await findPeople(client, text)),
  });
  search.show();
  return search;
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
      search.clear();
      search.input.focus();
    };
    return h("button.chip", { "aria-label": `Take ${display_name} out`, click: remove }, display_name, " ×");
  };
  const show = () => fill(chips, [...ids.values()].map(chip));
  const toggle = (/** @type {Profile} */ person) => {
    if (!ids.delete(person.id)) ids.set(person.id, person);
    show();
  };
  const search = peopleSearch(client, toggle, ids);
  return { ids, element: h("div.people-search", chips, search.input, search.results) };
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
    return row("li", null, avatar(it.user_id, name), name, said(it), tick(it.status));
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
