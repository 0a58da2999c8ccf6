/** What stands beside a conversation: who is in it, and what can be done with it. */

import { api } from "../net/api.js";
import { allMembers } from "./conversation.js";
import { chosenPeople, confirm, dialog } from "./dialogs.js";
import { attempt, fill, h, iconButton, toast } from "./dom.js";
import { menu } from "./emoji.js";
import { counted, moment } from "./format.js";
import { avatar, isMuted, isOnline, subtitleOf, titleOf } from "./people.js";
import { field } from "./sign-in.js";

/** @typedef {import("../types.js").Conversation} Conversation */
/** @typedef {import("../types.js").Member} Member */

/** What is muted without an end is muted until then. */
const FOR_GOOD = "2100-01-01T00:00:00Z";
const ROLES = { member: "", admin: "Admin", owner: "Owner" };

export class Panel {
  /** @param {import("./conversation.js").ConversationView} view */
  constructor(view) {
    this.view = view;
    this.client = view.client;
    /** What it was made from. */
    this.stamp = "";
    this.body = h("div", { class: "panel-body" });
    this.element = h(
      "aside",
      { class: "panel", "aria-label": "Details" },
      h(
        "header",
        { class: "bar" },
        iconButton("close", "Close details", () => view.togglePanel()),
        h("h2", null, "Details"),
      ),
      this.body,
    );
    this.changed();
  }

  /** The conversation may look different. */
  changed() {
    const conversation = this.view.conversation;
    if (!conversation) return;
    const { peer, my } = conversation;
    const blocked = Boolean(peer && this.client.store.blocks.has(peer.id));
    const stamp = JSON.stringify([
      titleOf(this.client, conversation),
      conversation.description,
      conversation.member_count,
      conversation.posting,
      my?.role,
      my?.pinned,
      my?.muted_until,
      blocked,
      subtitleOf(this.client, conversation),
    ]);
    if (stamp === this.stamp) return;
    this.stamp = stamp;
    const title = titleOf(this.client, conversation);
    const about = peer
      ? (this.client.store.people.get(peer.id)?.about ?? peer.about)
      : conversation.description;
    fill(
      this.body,
      h(
        "div",
        { class: "panel-head" },
        avatar(peer?.id ?? conversation.id, title, conversation.kind),
        h("h3", null, title),
        h(
          "p",
          { class: "muted" },
          [peer?.username && `@${peer.username}`, subtitleOf(this.client, conversation)]
            .filter(Boolean)
            .join(" · "),
        ),
        about && h("p", { class: "about", dir: "auto" }, about),
      ),
      this.#settings(conversation),
      peer ? this.#block(peer.id, blocked) : this.#group(conversation),
    );
  }

  /** One's own settings. @param {Conversation} conversation */
  #settings(conversation) {
    const change = (/** @type {object} */ patch) =>
      attempt(async () =>
        this.client.put(await api.patch(`/conversations/${conversation.id}/settings`, patch)),
      );
    const muted = isMuted(this.client, conversation);
    return h(
      "section",
      { class: "switches" },
      this.#switch("Muted", muted, () => change({ muted_until: muted ? null : FOR_GOOD })),
      this.#switch("Pinned to the top", Boolean(conversation.my?.pinned), () =>
        change({ pinned: !conversation.my?.pinned }),
      ),
    );
  }

  /** @param {string} label @param {boolean} on @param {() => void} change */
  #switch(label, on, change) {
    return h(
      "button",
      { type: "button", class: "switch-row", role: "switch", "aria-checked": String(on), click: change },
      h("span", null, label),
      h("span", { class: "switch-knob", "aria-hidden": "true" }),
    );
  }

  /** @param {string} peer @param {boolean} blocked */
  #block(peer, blocked) {
    const change = async () => {
      if (!blocked && !(await confirm("Block this person? Neither will reach the other.", "Block"))) return;
      await attempt(() => (blocked ? api.delete(`/users/${peer}/block`) : api.put(`/users/${peer}/block`)));
      this.client.sync();
    };
    return h(
      "section",
      null,
      this.#deed(blocked ? "Unblock" : "Block", change, !blocked),
      this.#deed("Hide conversation", () => this.#hide()),
    );
  }

  /** @param {Conversation} conversation */
  #group(conversation) {
    const role = conversation.my?.role;
    const leads = role === "admin" || role === "owner";
    const what = conversation.kind;
    const members = h("ul", { class: "members", "aria-label": "Members" });
    this.#loadMembers(conversation, members);
    return h(
      "div",
      null,
      leads &&
        h(
          "section",
          null,
          this.#deed("Edit name and description", () => this.#edit(conversation)),
          this.#deed("Add people", () => this.#add(conversation)),
          this.#deed("Invite by link", () => this.#invites(conversation)),
        ),
      h("section", null, h("h4", null, counted(conversation.member_count, "member", "members")), members),
      h(
        "section",
        null,
        this.#deed(`Leave ${what}`, () => this.#leave(conversation), true),
        role === "owner" && this.#deed(`Delete ${what} for everyone`, () => this.#delete(conversation), true),
      ),
    );
  }

  /** @param {string} label @param {() => void} choose @param {boolean} [danger] */
  #deed(label, choose, danger = false) {
    return h("button", { type: "button", class: `deed ${danger ? "danger" : ""}`, click: choose }, label);
  }

  /** @param {Conversation} conversation @param {HTMLElement} list */
  async #loadMembers(conversation, list) {
    const members = await allMembers(conversation.id).catch(() => []);
    const rank = { owner: 0, admin: 1, member: 2 };
    members.sort((one, other) => rank[one.role] - rank[other.role]);
    fill(
      list,
      members.map((member) => this.#member(conversation, member)),
    );
  }

  /** @param {Conversation} conversation @param {Member} member */
  #member(conversation, member) {
    const { user_id: id } = member;
    const own = id === this.client.user;
    const deeds = own ? [] : this.#deedsWith(conversation, member);
    return h(
      "li",
      { class: "row" },
      h(
        "span",
        { class: "picture" },
        avatar(id, member.display_name),
        isOnline(this.client, id) && h("span", { class: "dot", role: "img", "aria-label": "online" }),
      ),
      h(
        "span",
        { class: "row-text" },
        h("span", { class: "row-title" }, member.display_name, own && " (you)"),
        h("span", { class: "row-line" }, member.username ? `@${member.username}` : "deleted account"),
      ),
      member.role !== "member" && h("span", { class: "role" }, ROLES[member.role]),
      deeds.length > 0 &&
        iconButton("more", `What to do with ${member.display_name}`, (event) =>
          menu(/** @type {HTMLElement} */ (event.currentTarget), deeds),
        ),
    );
  }

  /** @param {Conversation} conversation @param {Member} member */
  #deedsWith({ id, my }, member) {
    const path = `/conversations/${id}/members/${member.user_id}`;
    const role = (/** @type {string} */ role) => () => void this.#change(() => api.patch(path, { role }));
    const remove = async () => {
      if (await confirm(`Remove ${member.display_name}?`, "Remove")) this.#change(() => api.delete(path));
    };
    const owner = my?.role === "owner";
    const leads = owner || (my?.role === "admin" && member.role !== "owner");
    const deeds = [
      member.username !== null && {
        label: "Message",
        choose: () => void this.view.shell.talkTo(member.user_id),
      },
      leads && member.role !== "admin" && { label: "Make admin", choose: role("admin") },
      leads && member.role !== "member" && { label: "Make member", choose: role("member") },
      owner && member.role !== "owner" && { label: "Make owner", choose: role("owner") },
      leads && { label: "Remove", danger: true, choose: remove },
    ];
    return deeds.filter((deed) => deed !== false);
  }

  /** Does something that changes who is in it. @param {() => Promise<any>} work */
  async #change(work) {
    await attempt(work);
    this.stamp = "";
    this.changed();
    this.client.sync();
  }

  /** @param {Conversation} conversation */
  #edit(conversation) {
    const form = h(
      "form",
      { submit: save },
      field("name", "Name", { maxlength: "64", required: "", value: conversation.name ?? "" }),
      field("description", "Description", { maxlength: "512", value: conversation.description ?? "" }),
      h(
        "label",
        { class: "check" },
        h("input", { type: "checkbox", name: "admins", checked: conversation.posting === "admins" }),
        "Only admins write",
      ),
      h("div", { class: "buttons" }, h("button", { class: "primary" }, "Save")),
    );
    const element = dialog("Name and description", form);
    const client = this.client;

    /** @param {Event} event */
    function save(event) {
      event.preventDefault();
      const given = new FormData(form);
      const patch = {
        name: String(given.get("name")).trim(),
        description: String(given.get("description")).trim() || null,
        posting: given.has("admins") ? "admins" : "everyone",
      };
      attempt(async () => {
        await api.patch(`/conversations/${conversation.id}`, patch);
        element.close();
        client.sync();
      });
    }
  }

  /** @param {Conversation} conversation */
  #add(conversation) {
    const chosen = chosenPeople(this.client);
    const add = () =>
      attempt(async () => {
        await api.post(`/conversations/${conversation.id}/members`, { user_ids: [...chosen.ids.keys()] });
        element.close();
        this.#change(async () => {});
      });
    const element = dialog(
      "Add people",
      chosen.element,
      h("div", { class: "buttons" }, h("button", { type: "button", class: "primary", click: add }, "Add")),
    );
  }

  /** @param {Conversation} conversation */
  #invites({ id }) {
    const list = h("ul", { class: "picker" });
    const show = () =>
      attempt(async () => {
        const { items } = await api.get(`/conversations/${id}/invites`);
        fill(list, items.length ? items.map(row) : h("li", { class: "empty" }, "No links yet."));
      });
    const row = (
      /** @type {{code: string, expires_at: string | null, uses: number, max_uses: number | null}} */ it,
    ) => {
      const link = `${location.origin}/invite/${it.code}`;
      const until = it.expires_at ? `until ${moment(it.expires_at)}` : "without end";
      const copy = () => attempt(() => navigator.clipboard.writeText(link).then(() => toast("Copied.")));
      const revoke = () => attempt(() => api.delete(`/conversations/${id}/invites/${it.code}`).then(show));
      return h(
        "li",
        { class: "row" },
        h(
          "span",
          { class: "row-text" },
          h("a", { class: "row-title invite-link", href: link }, link),
          h(
            "span",
            { class: "row-line" },
            `used ${it.uses}${it.max_uses ? ` of ${it.max_uses}` : ""} times, ${until}`,
          ),
        ),
        iconButton("copy", "Copy link", copy),
        iconButton("bin", "Take back", revoke),
      );
    };
    const make = () =>
      attempt(() => api.post(`/conversations/${id}/invites`, { expires_in: 7 * 86_400 }).then(show));
    dialog(
      "Invite by link",
      h("p", { class: "muted" }, "Whoever has a link can come in. It is good for a week."),
      list,
      h(
        "div",
        { class: "buttons" },
        h("button", { type: "button", class: "primary", click: make }, "New link"),
      ),
    );
    show();
  }

  async #hide() {
    if (
      !(await confirm(
        "Hide this conversation, with what it holds? It comes back with the next message.",
        "Hide",
      ))
    )
      return;
    await attempt(async () => {
      await api.delete(`/conversations/${this.view.id}`);
      this.view.shell.go(null);
    });
  }

  /** @param {Conversation} conversation */
  async #leave(conversation) {
    if (!(await confirm(`Leave “${conversation.name}”?`, "Leave"))) return;
    await attempt(async () => {
      await api.post(`/${conversation.kind}s/${conversation.id}/leave`);
      this.view.shell.go(null);
    });
  }

  /** @param {Conversation} conversation */
  async #delete(conversation) {
    if (!(await confirm(`Delete “${conversation.name}” for everyone, with all its messages?`, "Delete")))
      return;
    await attempt(async () => {
      await api.delete(`/${conversation.kind}s/${conversation.id}`);
      this.view.shell.go(null);
    });
  }
}
