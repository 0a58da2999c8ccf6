use kith_protocol::rest::{
    AddMembers, Changes, Conversation, ConversationPatch, Invite, Items, Kind, Member, My,
    NewChannel, NewConversation, NewGroup, NewInvite, Role, RoleChange, SettingsPatch, Sync, UpTo,
};
use uuid::Uuid;

use super::{Client, call::Call};
use crate::error::Result;

/// Which part of the inbox.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    /// Only archived ones, or only others; both if left out.
    pub archived: Option<bool>,
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// Conversations, their members, and what changed.
impl Client {
    /// The chat with one other person, made if it is missing.
    pub async fn open_direct(&self, user_id: Uuid) -> Result<Conversation> {
        let new = NewConversation::Direct { user_id };
        self.call(Call::post("/conversations").json(&new)?).await
    }

    /// Makes a group.
    pub async fn create_group(&self, group: &NewGroup) -> Result<Conversation> {
        self.call(Call::post("/groups").json(group)?).await
    }

    /// Makes a channel.
    pub async fn create_channel(&self, channel: &NewChannel) -> Result<Conversation> {
        self.call(Call::post("/channels").json(channel)?).await
    }

    /// Channels whose name, or a word of whose name, begins with `q`; all of them without one.
    pub async fn channels(
        &self,
        q: Option<&str>,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Items<Conversation>> {
        let call = Call::get("/channels").query("q", q);
        self.call(call.query("cursor", cursor).query("limit", limit)).await
    }

    /// Comes into a channel.
    pub async fn join_channel(&self, id: Uuid) -> Result<Conversation> {
        self.call(Call::post(format!("/channels/{id}/join"))).await
    }

    /// Leaves a channel.
    pub async fn leave_channel(&self, id: Uuid) -> Result<()> {
        self.done(Call::post(format!("/channels/{id}/leave"))).await
    }

    /// Deletes a channel for all.
    pub async fn delete_channel(&self, id: Uuid) -> Result<()> {
        self.done(Call::delete(format!("/channels/{id}"))).await
    }

    /// Makes an invite into a group or channel.
    pub async fn invite(&self, id: Uuid, invite: &NewInvite) -> Result<Invite> {
        self.call(Call::post(format!("/conversations/{id}/invites")).json(invite)?).await
    }

    /// The invites into a group or channel.
    pub async fn invites(&self, id: Uuid) -> Result<Items<Invite>> {
        self.call(Call::get(format!("/conversations/{id}/invites"))).await
    }

    /// Takes an invite back.
    pub async fn revoke_invite(&self, id: Uuid, code: &str) -> Result<()> {
        self.done(Call::delete(format!("/conversations/{id}/invites/{code}"))).await
    }

    /// Comes in by an invite.
    pub async fn join_by_invite(&self, code: &str) -> Result<Conversation> {
        self.call(Call::post(format!("/invites/{code}/join"))).await
    }

    /// Changes one's own settings of a conversation.
    pub async fn settings(&self, id: Uuid, patch: &SettingsPatch) -> Result<Conversation> {
        self.call(Call::patch(format!("/conversations/{id}/settings")).json(patch)?).await
    }

    /// Says that everything up to a number has been read. Gives one's own place.
    pub async fn read_up_to(&self, id: Uuid, seq: i64) -> Result<My> {
        self.call(Call::put(format!("/conversations/{id}/read")).json(&UpTo { seq })?).await
    }

    /// Says that a device has everything up to a number. Gives one's own place.
    pub async fn delivered_up_to(&self, id: Uuid, seq: i64) -> Result<My> {
        self.call(Call::put(format!("/conversations/{id}/delivered")).json(&UpTo { seq })?).await
    }

    /// The inbox: pinned first, then newest activity.
    pub async fn conversations(&self, inbox: &Inbox) -> Result<Items<Conversation>> {
        let kind = inbox.kind.map(|kind| match kind {
            Kind::Direct => "direct",
            Kind::Group => "group",
            Kind::Channel => "channel",
        });
        let call = Call::get("/conversations")
            .query("archived", inbox.archived)
            .query("kind", kind)
            .query("cursor", inbox.cursor.as_deref())
            .query("limit", inbox.limit);
        self.call(call).await
    }

    /// One conversation.
    pub async fn conversation(&self, id: Uuid) -> Result<Conversation> {
        self.call(Call::get(format!("/conversations/{id}"))).await
    }

    /// Changes name, description or rules.
    pub async fn update_conversation(
        &self,
        id: Uuid,
        patch: &ConversationPatch,
    ) -> Result<Conversation> {
        self.call(Call::patch(format!("/conversations/{id}")).json(patch)?).await
    }

    /// Takes a conversation out of one's own inbox, with what it holds so far.
    pub async fn hide(&self, id: Uuid) -> Result<()> {
        self.done(Call::delete(format!("/conversations/{id}"))).await
    }

    /// Deletes a group for all.
    pub async fn delete_group(&self, id: Uuid) -> Result<()> {
        self.done(Call::delete(format!("/groups/{id}"))).await
    }

    /// The members.
    pub async fn members(
        &self,
        id: Uuid,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Items<Member>> {
        let call = Call::get(format!("/conversations/{id}/members"));
        self.call(call.query("cursor", cursor).query("limit", limit)).await
    }

    /// Adds people. Gives them as members.
    pub async fn add_members(&self, id: Uuid, user_ids: &[Uuid]) -> Result<Items<Member>> {
        let body = AddMembers { user_id: None, user_ids: Some(user_ids.to_vec()) };
        self.call(Call::post(format!("/conversations/{id}/members")).json(&body)?).await
    }

    /// Removes a member; oneself: leaves.
    pub async fn remove_member(&self, id: Uuid, user_id: Uuid) -> Result<()> {
        self.done(Call::delete(format!("/conversations/{id}/members/{user_id}"))).await
    }

    /// Gives a member another role.
    pub async fn change_role(&self, id: Uuid, user_id: Uuid, role: Role) -> Result<Member> {
        let path = format!("/conversations/{id}/members/{user_id}");
        self.call(Call::patch(path).json(&RoleChange { role })?).await
    }

    /// Leaves a group.
    pub async fn leave(&self, id: Uuid) -> Result<()> {
        self.done(Call::post(format!("/groups/{id}/leave"))).await
    }

    /// What changed in a conversation since a version.
    pub async fn changes(&self, id: Uuid, since: i64, limit: Option<u32>) -> Result<Changes> {
        let call = Call::get(format!("/conversations/{id}/changes"));
        self.call(call.query("since", Some(since)).query("limit", limit)).await
    }

    /// What changed in all conversations since a token; everything, without one.
    pub async fn sync(&self, since: Option<&str>, limit: Option<u32>) -> Result<Sync> {
        self.call(Call::get("/sync").query("since", since).query("limit", limit)).await
    }
}
