/** One's own account: profile, privacy, blocked people, devices, password. */

import { api } from "../net/api.js";
import { confirm, dialog } from "./dialogs.js";
import { attempt, fill, h, iconButton, toast } from "./dom.js";
import { ago } from "./format.js";
import { avatar } from "./people.js";
import { field } from "./sign-in.js";

/** @typedef {import("./shell.js").Shell} Shell */

/** @param {Shell} shell */
export function settings(shell) {
  const { client } = shell;
  const { me } = client.store;
  if (!me) return;
  const signOut = async (/** @type {"here" | "everywhere"} */ where) => {
    const question = where === "here" ? "Sign out on this device?" : "Sign out on all your devices?";
    const waiting = client.outbox.entries.size ? " Messages that are not sent yet will be lost." : "";
    if (await confirm(question + waiting, "Sign out")) attempt(() => client.signOut(where));
  };
  dialog(
    "Settings",
    h(
      "div",
      { class: "account" },
      avatar(me.id, me.display_name),
      h(
        "div",
        null,
        h("strong", null, me.display_name),
        h("p", { class: "muted" }, `@${me.username} · ${me.email}`),
      ),
    ),
    profile(shell),
    privacy(shell),
    blocked(shell),
    devices(shell),
    password(),
    h(
      "section",
      { class: "buttons" },
      h("button", { type: "button", class: "secondary", click: () => signOut("here") }, "Sign out"),
      h(
        "button",
        { type: "button", class: "secondary danger", click: () => signOut("everywhere") },
        "Sign out everywhere",
      ),
    ),
  );
}

/** Saves one's own account. @param {Shell} shell @param {object} patch */
function save(shell, patch) {
  return attempt(async () => {
    shell.client.store.me = await api.patch("/users/me", patch);
    shell.client.store.touch("me", "list");
    toast("Saved.");
  });
}

/** @param {string} title @param {...import("./dom.js").Child} children */
const section = (title, ...children) =>
  h("details", { class: "section" }, h("summary", null, title), ...children);

/** @param {Shell} shell */
function profile(shell) {
  const { me } = shell.client.store;
  const form = h(
    "form",
    {
      submit: (/** @type {Event} */ event) => {
        event.preventDefault();
        const given = new FormData(form);
        save(shell, {
          display_name: String(given.get("display_name")).trim(),
          about: String(given.get("about")).trim() || null,
        });
      },
    },
    field("display_name", "Name", { maxlength: "64", value: me?.display_name ?? "" }),
    field("about", "About you", { maxlength: "512", value: me?.about ?? "" }),
    h("div", { class: "buttons" }, h("button", { class: "primary" }, "Save")),
  );
  return section("Profile", form);
}

/** @param {Shell} shell */
function privacy(shell) {
  const { me } = shell.client.store;
  const choices = [
    ["everyone", "Everyone"],
    ["contacts", "People I have written to"],
    ["nobody", "Nobody"],
  ];
  const seen = h(
    "select",
    { change: () => save(shell, { last_seen_visibility: seen.value }) },
    choices.map(([value, label]) =>
      h("option", { value, selected: value === me?.last_seen_visibility }, label),
    ),
  );
  const receipts = h("input", {
    type: "checkbox",
    checked: me?.read_receipts,
    change: () => save(shell, { read_receipts: receipts.checked }),
  });
  return section(
    "Privacy",
    h("label", { class: "field" }, h("span", null, "Who sees that I am online"), seen),
    h("label", { class: "check" }, receipts, "Tell others what I have read"),
    h("p", { class: "muted" }, "Whoever does not tell is not told either."),
  );
}

/** @param {Shell} shell */
function blocked(shell) {
  const list = h("ul", { class: "picker" });
  const show = async () => {
    const { items } = await api.get("/users/me/blocks?limit=100");
    const row = (/** @type {import("../types.js").Profile} */ it) => {
      const unblock = () =>
        attempt(async () => {
          await api.delete(`/users/${it.id}/block`);
          shell.client.sync();
          await show();
        });
      return h(
        "li",
        { class: "row" },
        avatar(it.id, it.display_name),
        h("span", { class: "row-text" }, h("span", { class: "row-title" }, it.display_name)),
        h("button", { type: "button", class: "text-button", click: unblock }, "Unblock"),
      );
    };
    fill(list, items.length ? items.map(row) : h("li", { class: "empty" }, "You have blocked nobody."));
  };
  const element = section("Blocked people", list);
  element.addEventListener("toggle", () => element.open && attempt(show));
  return element;
}

/** @param {Shell} shell */
function devices(shell) {
  const list = h("ul", { class: "picker" });
  const show = async () => {
    const { items } = await api.get("/auth/sessions?limit=100");
    const row = (
      /** @type {{id: string, device_name: string | null, address: string | null, last_used_at: string, current: boolean}} */ it,
    ) => {
      const end = () =>
        attempt(async () => {
          await api.delete(`/auth/sessions/${it.id}`);
          await show();
        });
      const under = [it.address, it.current ? "this device" : `last used ${ago(it.last_used_at)}`]
        .filter(Boolean)
        .join(" · ");
      return h(
        "li",
        { class: "row" },
        h(
          "span",
          { class: "row-text" },
          h("span", { class: "row-title" }, it.device_name ?? "Unnamed device"),
          h("span", { class: "row-line" }, under),
        ),
        !it.current && iconButton("close", "Sign this device out", end),
      );
    };
    fill(list, items.map(row));
  };
  const others = () =>
    attempt(async () => {
      await shell.client.signOut("others");
      await show();
    });
  const element = section(
    "Devices",
    list,
    h(
      "div",
      { class: "buttons" },
      h("button", { type: "button", class: "secondary", click: others }, "Sign out all others"),
    ),
  );
  element.addEventListener("toggle", () => element.open && attempt(show));
  return element;
}

function password() {
  const form = h(
    "form",
    {
      submit: (/** @type {Event} */ event) => {
        event.preventDefault();
        attempt(async () => {
          await api.put("/auth/password", Object.fromEntries(new FormData(form)));
          form.reset();
          toast("Changed. Your other devices are signed out.");
        });
      },
    },
    field("current_password", "Password now", { type: "password", autocomplete: "current-password" }),
    field("new_password", "New password", { type: "password", autocomplete: "new-password" }),
    h("div", { class: "buttons" }, h("button", { class: "primary" }, "Change password")),
  );
  return section("Password", form);
}
