/** One's own account: profile, privacy, blocked people, devices, password, and its end. */

import { api } from "../net/api.js";
import { confirm, dialog } from "./dialogs.js";
import { attempt, fill, h, iconButton, toast } from "./dom.js";
import { check, field, form, listing, row, section } from "./forms.js";
import { ago } from "./format.js";
import { avatar } from "./people.js";

/** @param {Shell} shell */
export function settings({ client }) {
  const { me } = client.store;
  if (!me) return;
  const signOut = async (/** @type {"here" | "everywhere"} */ where) => {
    const question = where === "here" ? "Sign out on this device?" : "Sign out on all your devices?";
    const isLosing = client.outbox.entries.size || client.hasDrafts;
    const waiting = isLosing ? " Drafts, and messages that are not sent yet, will be lost." : "";
    if (await confirm(question + waiting, "Sign out")) attempt(() => client.signOut(where));
  };
  const head = h("div.account");
  const show = () => {
    const { id, display_name, username, email } = client.store.me ?? me;
    const name = h("strong", { dir: "auto" }, display_name);
    fill(head, avatar(id, display_name), h("div", name, h("p.muted", `@${username} · ${email}`)));
  };
  show();
  dialog(
    "Settings",
    head,
    profile(client, me, show),
    privacy(client, me),
    blocked(client),
    devices(client),
    password(),
    erasure(client),
    h(
      "section.buttons",
      h("button.secondary", { click: () => signOut("here") }, "Sign out"),
      h("button.secondary.danger", { click: () => signOut("everywhere") }, "Sign out everywhere"),
    ),
  );
}

/** @param {Client} client @param {Partial<Me>} patch */
async function save({ store }, patch) {
  store.me = await api.patch("/users/me", patch);
  store.touch("me", "list");
  toast("Saved.");
}

/** @param {Client} client @param {Me} me @param {() => void} saved */
const profile = (client, me, saved) =>
  section(
    "Profile",
    null,
    form(
      "Save",
      ({ display_name, about }) => save(client, { display_name, about: about || null }).then(saved),
      field("display_name", "Name", { maxlength: 64, value: me.display_name }),
      field("about", "About you", { maxlength: 512, value: me.about }),
    ),
  );

/** @param {Client} client @param {Me} me */
function privacy(client, me) {
  const change = (/** @type {Partial<Me>} */ patch) => attempt(() => save(client, patch));
  const option = (/** @type {Me["last_seen_visibility"]} */ value, /** @type {string} */ label) =>
    h("option", { value, selected: value === me.last_seen_visibility }, label);
  const seen = h(
    "select",
    {
      change: ({ currentTarget: { value } }) => change({ last_seen_visibility: /** @type {any} */ (value) }),
    },
    option("everyone", "Everyone"),
    option("contacts", "People I have written to"),
    option("nobody", "Nobody"),
  );
  const receipts = check("Tell others what I have read", {
    checked: me.read_receipts,
    change: ({ currentTarget }) => change({ read_receipts: currentTarget.checked }),
  });
  return section(
    "Privacy",
    null,
    h("label.field", h("span", "Who sees that I am online"), seen),
    receipts,
    h("p.muted", "Whoever does not tell is not told either."),
  );
}

/** @param {Client} client */
function blocked(client) {
  const item = (/** @type {Profile} */ { id, display_name }) => {
    const unblock = async () => {
      await client.block(id, "delete");
      await list.show();
    };
    const button = h("button.text-button", { click: () => attempt(unblock) }, "Unblock");
    return row("li", null, avatar(id, display_name), display_name, "", button);
  };
  const list = listing("/users/me/blocks", item, "You have blocked nobody.");
  return section("Blocked people", list.show, list.element);
}

/** @param {Client} client */
function devices(client) {
  const item = (/** @type {Device} */ { id, device_name, address, current, last_used_at }) => {
    const used = current ? "this device" : `last used ${ago(last_used_at)}`;
    const under = [address, used].filter(Boolean).join(" · ");
    const end = () => attempt(() => api.delete(`/auth/sessions/${id}`).then(list.show));
    const button = !current && iconButton("close", "Sign this device out", end);
    return row("li", null, null, device_name ?? "Unnamed device", under, button);
  };
  const list = listing("/auth/sessions", item, "");
  const others = () => attempt(() => client.signOut("others").then(list.show));
  return section(
    "Devices",
    list.show,
    list.element,
    h("div.buttons", h("button.secondary", { click: others }, "Sign out all others")),
  );
}

function password() {
  const element = form(
    "Change password",
    async (given) => {
      await api.put("/auth/password", given);
      element.reset();
      toast("Changed. Your other devices are signed out.");
    },
    field("current_password", "Password now", { type: "password", autocomplete: "current-password" }),
    field("new_password", "New password", { type: "password", autocomplete: "new-password" }),
  );
  return section("Password", null, element);
}

/** @param {Client} client */
function erasure(client) {
  const erase = async (/** @type {Record<string, string>} */ { password, messages }) => {
    const what = messages ? "your account and all you have written" : "your account";
    if (!(await confirm(`Delete ${what} for good? Nobody can bring it back.`, "Delete for good"))) return;
    await api.delete(`/users/me${messages ? "?messages=delete" : ""}`, { password });
    await client.ended();
  };
  const element = form(
    "Delete account",
    erase,
    h(
      "p.muted",
      "Your name and address are free again. What you have written stays for others, under no name.",
    ),
    check("Delete what I have written, too", { name: "messages" }),
    field("password", "Password", { type: "password", autocomplete: "current-password", required: true }),
  );
  element.querySelector(".primary")?.classList.add("danger");
  return section("Delete account", null, element);
}
