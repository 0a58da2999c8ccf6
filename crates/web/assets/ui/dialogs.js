/** Windows that ask or tell one thing. */

import { api } from "../net/api.js";
import { attempt, fill, h, icon, iconButton } from "./dom.js";
import { moment } from "./format.js";
import { avatar, nameOf } from "./people.js";
import { field } from "./sign-in.js";

/** @typedef {import("./shell.js").Shell} Shell */
/** @typedef {import("../net/client.js").Client} Client */
/** @typedef {import("../types.js").Profile} Profile */

/**
 * Opens a window. It goes when it is closed.
 * @param {string} title
 * @param {...import("./dom.js").Child} children
 */
export function dialog(title, ...children) {
  const element = h(
    "dialog",
    {
      "aria-label": title,
      close: () => element.remove(),
      click: (/** @type {Event} */ event) => event.target === element && element.close(),
    },
    h(
      "div",
      { class: "dialog-body" },
      h(
        "header",
        { class: "dialog-head" },
        h("h2", null, title),
        iconButton("close", "Close", () => element.close()),
      ),
      ...children,
    ),
  );
  document.body.append(element);
  element.showModal();
  return element;
}

/** @param {string} question @param {string} yes @returns {Promise<boolean>} */
export function confirm(question, yes) {
  return new Promise((resolve) => {
    let answer = false;
    const choose = () => {
      answer = true;
      element.close();
    };
    const element = dialog(
      question,
      h(
        "div",
        { class: "buttons" },
        h("button", { type: "button", class: "secondary", click: () => element.close() }, "Cancel"),
        h("button", { type: "button", class: "primary danger", autofocus: true, click: choose }, yes),
      ),
    );
    element.addEventListener("close", () => resolve(answer));
  });
}

/** @param {Shell} shell */
export function newConversation(shell) {
  const choice = (
    /** @type {string} */ shape,
    /** @type {string} */ title,
    /** @type {string} */ text,
    /** @type {() => void} */ open,
  ) =>
    h(
      "button",
      {
        type: "button",
        class: "row choice",
        click: () => {
          element.close();
          open();
        },
      },
      icon(shape),
      h(
        "span",
        { class: "row-text" },
        h("span", { class: "row-title" }, title),
        h("span", { class: "row-line" }, text),
      ),
    );
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
  const picker = peoplePicker(shell.client, (person) => {
    element.close();
    shell.talkTo(person.id);
  });
  const element = dialog("New chat", picker);
}

/** @param {Shell} shell */
function newGroup(shell) {
  const chosen = chosenPeople(shell.client);
  const form = h(
    "form",
    { submit: create },
    field("name", "Name", { maxlength: "64", required: "" }),
    chosen.element,
    h("div", { class: "buttons" }, h("button", { class: "primary" }, "Create group")),
  );
  const element = dialog("New group", form);

  /** @param {Event} event */
  function create(event) {
    event.preventDefault();
    const name = String(new FormData(form).get("name")).trim();
    attempt(async () => {
      const made = await api.post("/conversations", {
        kind: "group",
        name,
        member_ids: [...chosen.ids.keys()],
      });
      element.close();
      shell.go(shell.client.put(made).id);
      shell.client.sync();
    });
  }
}

/** @param {Shell} shell */
function newChannel(shell) {
  const form = h(
    "form",
    { submit: create },
    field("name", "Name", { maxlength: "64", required: "" }),
    field("description", "What is it about?", { maxlength: "512" }),
    h("label", { class: "check" }, h("input", { type: "checkbox", name: "admins" }), "Only admins write"),
    h("div", { class: "buttons" }, h("button", { class: "primary" }, "Create channel")),
  );
  const element = dialog("New channel", form);

  /** @param {Event} event */
  function create(event) {
    event.preventDefault();
    const given = new FormData(form);
    const description = String(given.get("description")).trim();
    attempt(async () => {
      const made = await api.post("/channels", {
        name: String(given.get("name")).trim(),
        ...(description && { description }),
        posting: given.has("admins") ? "admins" : "everyone",
      });
      element.close();
      shell.go(shell.client.put(made).id);
    });
  }
}

/** @param {Shell} shell */
export function joinByLink(shell) {
  const form = h(
    "form",
    { submit: join },
    field("link", "Invite link or code", { autocomplete: "off", required: "" }),
    h("div", { class: "buttons" }, h("button", { class: "primary" }, "Join")),
  );
  const element = dialog("Join by link", form);

  /** @param {Event} event */
  function join(event) {
    event.preventDefault();
    const code = String(new FormData(form).get("link")).trim().split("/").pop() ?? "";
    element.close();
    shell.joinByInvite(code);
  }
}

/** A search for people. @param {Client} client @param {(person: Profile) => void} choose */
export function peoplePicker(client, choose) {
  let asked = 0;
  const results = h("ul", { class: "picker" });
  const search = async () => {
    const turn = ++asked;
    const text = input.value.trim();
    const found = text ? (await api.get(`/users?q=${encodeURIComponent(text)}&limit=20`)).items : contacts();
    if (turn !== asked) return;
    const others = found.filter((/** @type {Profile} */ it) => it.id !== client.user);
    fill(
      results,
      others.map(row),
      !others.length && h("li", { class: "empty" }, text ? "Nobody by this name." : "Type a name."),
    );
  };
  const contacts = () =>
    [...client.store.conversations.values()]
      .flatMap((it) => (it.peer?.username ? [it.peer] : []))
      .slice(0, 20);
  const row = (/** @type {Profile} */ it) =>
    h(
      "li",
      null,
      h(
        "button",
        { type: "button", class: "row", click: () => choose(it) },
        avatar(it.id, it.display_name),
        h(
          "span",
          { class: "row-text" },
          h("span", { class: "row-title" }, it.display_name),
          h("span", { class: "row-line" }, `@${it.username}`),
        ),
      ),
    );
  const input = h("input", {
    type: "search",
    placeholder: "Name or user name",
    "aria-label": "Search people",
    autocomplete: "off",
    input: () => attempt(search),
  });
  attempt(search);
  return h("div", { class: "people-picker" }, input, results);
}

/** A search that collects people. @param {Client} client */
export function chosenPeople(client) {
  /** @type {Map<string, Profile>} */
  const ids = new Map();
  const chips = h("div", { class: "chips", "aria-label": "Chosen people", role: "group" });
  const show = () =>
    fill(
      chips,
      [...ids.values()].map((it) =>
        h(
          "button",
          {
            type: "button",
            class: "chip",
            "aria-label": `Take ${it.display_name} out`,
            click: () => {
              ids.delete(it.id);
              show();
            },
          },
          it.display_name,
          " ×",
        ),
      ),
    );
  const picker = peoplePicker(client, (person) => {
    ids.set(person.id, person);
    show();
  });
  return { ids, element: h("div", null, chips, picker) };
}

/** Who has received and read a message, and when. @param {Client} client @param {import("../types.js").Message} message */
export function messageDetails(client, message) {
  const list = h("ul", { class: "picker" }, h("li", { class: "empty" }, "Loading…"));
  dialog(
    "Message details",
    h("p", { class: "quoted", dir: "auto" }, message.content ?? ""),
    h("p", { class: "muted" }, `Sent ${moment(message.created_at)}`),
    list,
  );
  attempt(async () => {
    const { items } = await api.get(`/messages/${message.id}/receipts`);
    const said = (/** @type {any} */ it) =>
      it.status === "read"
        ? `Read${it.read_at ? ` ${moment(it.read_at)}` : ""}`
        : it.status === "delivered"
          ? `Delivered${it.delivered_at ? ` ${moment(it.delivered_at)}` : ""}`
          : "Not delivered yet";
    const row = (/** @type {any} */ it) => {
      const name = nameOf(client, it.user_id);
      return h(
        "li",
        { class: "row" },
        avatar(it.user_id, name),
        h(
          "span",
          { class: "row-text" },
          h("span", { class: "row-title" }, name),
          h("span", { class: "row-line" }, said(it)),
        ),
        h("span", { class: `tick ${it.status}` }, icon(it.status === "sent" ? "sent" : "twice")),
      );
    };
    fill(list, items.length ? items.map(row) : h("li", { class: "empty" }, "Receipts are not kept here."));
  });
}
