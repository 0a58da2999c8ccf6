//! Invites into groups and channels. Coming in by one is a command of the log.

use async_trait::async_trait;
use diesel::prelude::*;
use kith_domain::{
    ConversationId, UserId,
    group::{Action, may},
    invite::Invite,
    text::InviteCode,
};
use kith_ports::{InviteCursor, InviteStore, Page, StoreError, StoreResult};

use super::{Connection, RunQueryDsl, Store, cards, either};
use crate::{
    failure::Work,
    queries::{locked, one_more},
    rows::InviteRow,
    schema::{conversations, heads, invites},
    types::{Key, Moment},
};

#[async_trait]
impl InviteStore for Store {
    async fn create(&self, invite: Invite) -> StoreResult<bool> {
        transact!(self, create(invite))
    }

    async fn list(
        &self,
        conversation: ConversationId,
        after: Option<InviteCursor>,
        limit: usize,
    ) -> StoreResult<Page<Invite, InviteCursor>> {
        query!(self, list(conversation, after, limit))
    }

    async fn find(&self, code: InviteCode) -> StoreResult<Option<Invite>> {
        query!(self, find(&code))
    }

    async fn revoke(
        &self,
        by: UserId,
        conversation: ConversationId,
        code: InviteCode,
    ) -> StoreResult<bool> {
        transact!(self, revoke(by, conversation, &code))
    }
}

/// Whether one may give out invites, and may until this transaction ends.
#[either]
async fn may_invite(
    connection: &mut Connection,
    user: UserId,
    conversation: ConversationId,
) -> Work<bool> {
    // Roles change under the head's lock.
    let head = heads::table
        .filter(heads::conversation_id.eq(Key::from(conversation)))
        .select(heads::conversation_id);
    if locked(head).get_result::<Key>(connection).await.optional()?.is_none() {
        return Ok(false);
    }
    let Some(place) = cards::place(connection, user, conversation).await? else {
        return Ok(false);
    };
    let (kind, posting) = (place.conversation.kind, place.conversation.posting);
    Ok(may(kind, posting, place.member.role()?, Action::Invite).is_ok())
}

#[either]
async fn create(connection: &mut Connection, invite: Invite) -> Work<bool> {
    if !may_invite(connection, invite.created_by, invite.conversation_id).await? {
        return Ok(false);
    }
    diesel::insert_into(invites::table).values(InviteRow::from(invite)).execute(connection).await?;
    Ok(true)
}

#[either]
async fn list(
    connection: &mut Connection,
    conversation: ConversationId,
    after: Option<InviteCursor>,
    limit: usize,
) -> Work<Page<Invite, InviteCursor>> {
    let mut query = invites::table
        .filter(invites::conversation_id.eq(Key::from(conversation)))
        .order((invites::created_at.desc(), invites::code.desc()))
        .select(InviteRow::as_select())
        .into_boxed();
    if let Some(InviteCursor { created_at, code }) = after {
        let created_at = Moment::from(created_at);
        let same_time =
            invites::created_at.eq(created_at).and(invites::code.lt(code.as_str().to_owned()));
        // The first condition says nothing new, but where in the index to begin.
        query = query
            .filter(invites::created_at.le(created_at))
            .filter(invites::created_at.lt(created_at).or(same_time));
    }
    let rows: Vec<InviteRow> = one_more(limit, query).load(connection).await?;
    let has_more = rows.len() > limit;
    let items: Vec<Invite> =
        rows.into_iter().take(limit).map(TryInto::try_into).collect::<Result<_, StoreError>>()?;
    let next = items
        .last()
        .filter(|_| has_more)
        .map(|last| InviteCursor { created_at: last.created_at, code: last.code.clone() });
    Ok(Page { items, next })
}

#[either]
async fn find(connection: &mut Connection, code: &InviteCode) -> Work<Option<Invite>> {
    let row: Option<InviteRow> = invites::table
        .inner_join(conversations::table.on(conversations::id.eq(invites::conversation_id)))
        .filter(invites::code.eq(code.as_str()))
        .filter(conversations::deleted_at.is_null())
        .select(InviteRow::as_select())
        .get_result(connection)
        .await
        .optional()?;
    Ok(row.map(TryInto::try_into).transpose()?)
}

#[either]
async fn revoke(
    connection: &mut Connection,
    by: UserId,
    conversation: ConversationId,
    code: &InviteCode,
) -> Work<bool> {
    if !may_invite(connection, by, conversation).await? {
        return Ok(false);
    }
    let invite = invites::table
        .filter(invites::code.eq(code.as_str()))
        .filter(invites::conversation_id.eq(Key::from(conversation)));
    Ok(diesel::delete(invite).execute(connection).await? > 0)
}
