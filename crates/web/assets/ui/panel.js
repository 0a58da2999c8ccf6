/** What stands beside a conversation: who is in it, and what can be done with it. */

import { isMuted } from "../core/timeline.js";
import { api, listOf } from "../net/api.js";
import { ask, chosenPeople, confirm, dialog, nameField, onlyAdmins, posting } from "./dialogs.js";
import { attempt, copy, h, iconButton, refill, stamp, toast } from "./dom.js";
import { field, form, listing, row, toggle } from "./forms.js";
import { counted, moment } from "./format.js";
import { menu } from "./menu.js";
import { avatarOf, portrait, subtitleOf, titleOf } from "./people.js";

/** What is muted without an end is muted until then. */
const FOR_GOOD = "2100-01-01T00:00:00Z";
const ROLES = { member: "", admin: "Admin", owner: "Owner" };
const RANKS = { owner: 0, admin: 1, member: 2 };
const WEEK = 7 * 86_400;

/** @param {string | undefined} role */
export const leads = (role) => role === "admin" || role === "owner";

export class Panel {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
    this.client = view.client;
    /** Another one whenever members may look different. */
    this.turn = 0;
    this.body = h("div.panel-body");
    this.members = listing(
      `/conversations/${view.id}/members`,
      (member) => this.#member(member),
      "",
      (/** @type {Member} */ one, /** @type {Member} */ other) => RANKS[one.role] - RANKS[other.role],
    );
    this.members.element.className = "members";
    this.members.element.ariaLabel = "Members";
    this.element = h(
      "aside.panel",
      { "aria-label": "Details" },
      h(
        "header.bar",
        iconButton("close", "Close details", () => view.togglePanel()),
        h("h2", "Details"),
      ),
      this.body,
    );
    this.changed();
  }

  /** The conversation may look different. */
  changed() {
    const { client, view } = this;
    const { conversation } = view;
    if (!conversation) return;
    const { peer, my, description, member_count, posting } = conversation;
    const title = titleOf(client, conversation);
    const under = subtitleOf(client, conversation);
    const blocked = Boolean(peer && client.store.blocks.has(peer.id));
    const about = peer ? (client.store.people.get(peer.id)?.about ?? peer.about) : description;
    const own = [client.store.me?.display_name, my?.role, my?.pinned, my?.archived, isMuted(conversation)];
    refill(this.body, stamp(title, under, blocked, about, member_count, posting, this.turn, ...own), () => [
      h(
        "div.panel-head",
        avatarOf(client, conversation),
        h("h3", { dir: "auto" }, title),
        h("p.muted", [peer?.username && `@${peer.username}`, under].filter(Boolean).join(" · ")),
        about && h("p.about", { dir: "auto" }, about),
      ),
      this.#settings(conversation),
      peer ? this.#block(peer.id, blocked) : this.#group(conversation),
    ]);
  }

  /** @param {Conversation} conversation */
  #settings({ id, my, ...conversation }) {
    const change = (/** @type {Partial<My>} */ patch) =>
      attempt(async () => this.client.put(await api.patch(`/conversations/${id}/settings`, patch)));
    const muted = isMuted({ id, my, ...conversation });
    const [pinned, archived] = [Boolean(my?.pinned), Boolean(my?.archived)];
    return h(
      "section.switches",
      toggle("Muted", muted, () => change({ muted_until: muted ? null : FOR_GOOD })),
      toggle("Pinned to the top", pinned, () => change({ pinned: !pinned })),
      toggle("Archived", archived, () => change({ archived: !archived })),
    );
  }

  /** @param {string} peer @param {boolean} blocked */
  #block(peer, blocked) {
    const change = async () => {
      if (!blocked && !(await confirm("Block this person? Neither will reach the other.", "Block"))) return;
      await attempt(() => this.client.block(peer, blocked ? "delete" : "put"));
    };
    const hide = "Hide this conversation, with what it holds? It comes back with the next message.";
    return h(
      "section",
      deed(blocked ? "Unblock" : "Block", change, !blocked),
      deed("Hide conversation", () =>
        this.#leaving(hide, "Hide", () => api.delete(`/conversations/${this.view.id}`)),
      ),
    );
  }

  /** @param {Conversation} conversation */
  #group(conversation) {
    const { id, kind, name, my, member_count } = conversation;
    const path = `/${kind}s/${id}`;
    // Those who are there stay until those who come are known.
    this.members.show();
    const leave = async () => {
      if (my?.role === "owner" && member_count > 1 && (await this.#isOnlyOwner()))
        toast(`You are the only owner. Make somebody else owner first, or delete the ${kind}.`);
      else this.#leaving(`Leave “${name}”?`, "Leave", () => api.post(`${path}/leave`));
    };
    const whole = `Delete “${name}” for everyone, with all its messages?`;
    const end = () => this.#leaving(whole, "Delete", () => api.delete(path));
    return h(
      "div",
      leads(my?.role) &&
        h(
          "section",
          deed("Edit name and description", () => this.#edit(conversation)),
          deed("Add people", () => this.#add(id)),
          deed("Invite by link", () => this.#invites(id)),
        ),
      h(
        "section",
        deed(`Leave ${kind}`, leave, true),
        my?.role === "owner" && deed(`Delete ${kind} for everyone`, end, true),
      ),
      // At the end: as they come in, nothing else moves.
      h("section", h("h4", counted(member_count, "member", "members")), this.members.element),
    );
  }

  /** Whether nobody else is owner. Of very many members not all are asked for: the server knows. */
  async #isOnlyOwner() {
    const { id, member_count = 0 } = this.view.conversation ?? {};
    const members = await listOf(`/conversations/${id}/members`).catch(() => []);
    return members.length >= member_count && members.filter((it) => it.role === "owner").length === 1;
  }

  /** @param {Member} member */
  #member(member) {
    const { user_id: id, display_name, username, role } = member;
    const own = id === this.client.user;
    const deeds = own ? [] : this.#deedsWith(member);
    return row(
      "li",
      null,
      portrait(this.client, id, display_name),
      display_name,
      own ? `@${username} · you` : username ? `@${username}` : "deleted account",
      role !== "member" && h("span.role", ROLES[role]),
      deeds.length > 0 &&
        iconButton("more", `What to do with ${display_name}`, ({ currentTarget }) =>
          menu(currentTarget, deeds),
        ),
    );
  }

  /** @param {Member} member */
  #deedsWith({ user_id, username, display_name, role }) {
    const { id, my } = this.view.conversation ?? {};
    const path = `/conversations/${id}/members/${user_id}`;
    const give = (/** @type {string} */ role) => () => this.#change(() => api.patch(path, { role }));
    const remove = async () => {
      if (await confirm(`Remove ${display_name}?`, "Remove")) this.#change(() => api.delete(path));
    };
    const owner = my?.role === "owner";
    const may = owner || (my?.role === "admin" && role !== "owner");
    const deeds = [
      username !== null && { label: "Message", choose: () => this.view.shell.talkTo(user_id) },
      may && role !== "admin" && { label: "Make admin", choose: give("admin") },
      may && role !== "member" && { label: "Make member", choose: give("member") },
      owner && role !== "owner" && { label: "Make owner", choose: give("owner") },
      may && { label: "Remove", kind: "danger", choose: remove },
    ];
    return deeds.filter((it) => it !== false);
  }

  /** Does something that changes who is in it. @param {() => unknown} work */
  async #change(work) {
    if (!(await attempt(work))) return;
    this.turn++;
    this.changed();
    this.client.sync();
  }

  /** @param {Conversation} conversation */
  async #edit({ id, name, description, posting: now }) {
    await ask(
      "Name and description",
      "Save",
      ({ name, description, admins }) =>
        api.patch(`/conversations/${id}`, { name, description: description || null, posting: posting(admins) }),
      nameField(name ?? ""),
      field("description", "Description", { maxlength: 512, value: description }),
      onlyAdmins(now === "admins"),
    );
    this.client.sync();
  }

  /** @param {string} id */
  async #add(id) {
    const { ids, element } = chosenPeople(this.client);
    const add = () => ids.size && api.post(`/conversations/${id}/members`, { user_ids: [...ids.keys()] });
    await ask("Add people", "Add", add, element);
    this.#change(() => {});
  }

  /** @param {string} id */
  #invites(id) {
    const path = `/conversations/${id}/invites`;
    const item = (/** @type {Invite} */ { code, expires_at, uses, max_uses }) => {
      const link = `${location.origin}/invite/${code}`;
      const until = expires_at ? `until ${moment(expires_at)}` : "without end";
      const used = `used ${uses}${max_uses ? ` of ${max_uses}` : ""} times, ${until}`;
      const revoke = () => attempt(() => api.delete(`${path}/${code}`).then(list.show));
      return row(
        "li",
        null,
        null,
        h("a.invite-link", { href: link }, link),
        used,
        iconButton("copy", "Copy link", () => copy(link)),
        iconButton("bin", "Take back", revoke),
      );
    };
    const list = listing(path, item, "No links yet.");
    const make = () => api.post(path, { expires_in: WEEK }).then(list.show);
    dialog(
      "Invite by link",
      h("p.muted", "Whoever has a link can come in. It is good for a week."),
      list.element,
      form("New link", make),
    );
    list.show();
  }

  /** Does something after which the conversation is gone from the list. @param {string} question @param {string} yes @param {() => Promise<unknown>} work */
  async #leaving(question, yes, work) {
    if (!(await confirm(question, yes))) return;
    this.view.left = true;
    this.view.left = await attempt(work);
    if (this.view.left) this.view.shell.go(null);
  }
}

/** @param {string} label @param {() => unknown} choose @param {boolean} [danger] */
const deed = (label, choose, danger = false) =>
  h(`button.deed${danger ? ".danger" : ""}`, { click: choose }, label);
