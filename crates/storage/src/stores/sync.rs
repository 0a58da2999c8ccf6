//! Healing any absence: what changed for one person since a transaction.
//!
//! It goes by state, not by a list of events: each conversation of the viewer says when it, its
//! head or his place in it were last written. So a sync costs as much as he has conversations,
//! however long he was away.

use diesel::{dsl::not, prelude::*};
use kith_domain::{ConversationId, UserId, conversation::Kind, user::User};
use kith_ports::{SyncBody, SyncFrom, SyncRead};

use super::{
    Connection, RunQueryDsl,
    cards::{Place, dress},
    either, store, users as accounts,
};
use crate::{
    failure::Work,
    queries::{at_most, is_current, is_shown, memberships, one_more},
    rows::{ConversationRow, HeadRow, MemberRow},
    schema::{conversations, heads, members, users},
    types::Key,
};

/// How many profiles a first sync brings.
const FIRST_PROFILES: usize = 1_000;
/// What a sync without a token begins from: every transaction has a higher number.
pub(super) const BEGINNING: i64 = 0;

#[either]
pub(super) async fn sync(
    connection: &mut Connection,
    viewer: UserId,
    from: Option<SyncFrom>,
    limit: usize,
) -> Work<SyncRead> {
    let now = store::horizon(connection).await?;
    let from = from.unwrap_or(SyncFrom { since: BEGINNING, ..now.clone() });
    // A token from the future is of a database that was put back.
    if from.incarnation != now.incarnation || from.since > now.since {
        return Ok(SyncRead::Foreign);
    }
    let since = from.since;
    let (horizon, after) = from.resume.map_or((now.since, None), |(at, id)| (at, Some(id)));

    let rows = touched(connection, viewer, since, after, limit).await?;
    let has_more = rows.len() > limit;
    let mut last = after;
    let (mut places, mut removed) = (Vec::new(), Vec::new());
    for row in rows.into_iter().take(limit) {
        let (member, conversation, head) = row;
        let gone = member.left_seq.is_some() || conversation.deleted_at.is_some();
        let place = Place::new((member, conversation, head))?;
        last = Some(place.conversation.id);
        if gone || place.member.is_hidden(place.head.last_seq) {
            removed.push(place.conversation.id);
        } else {
            places.push(place);
        }
    }
    let users = if has_more { Vec::new() } else { profiles(connection, viewer, since).await? };
    let next = match last.filter(|_| has_more) {
        Some(id) => SyncFrom { since, resume: Some((horizon, id)), ..now },
        None => SyncFrom { since: horizon, resume: None, ..now },
    };
    Ok(SyncRead::Body(Box::new(SyncBody {
        next,
        has_more,
        conversations: dress(connection, viewer, places).await?,
        removed,
        users,
    })))
}

/// The viewer's conversations that were written since, by id, one more than `limit`.
#[either]
async fn touched(
    connection: &mut Connection,
    viewer: UserId,
    since: i64,
    after: Option<ConversationId>,
    limit: usize,
) -> Work<Vec<(MemberRow, ConversationRow, HeadRow)>> {
    let after = after.map_or(Key(uuid::Uuid::nil()), Key::from);
    let his_place = members::changed.ge(since);
    let the_rest = heads::changed.ge(since).or(conversations::changed.ge(since));
    let query = memberships()
        .filter(members::user_id.eq(Key::from(viewer)))
        .filter(members::conversation_id.gt(after))
        .order(members::conversation_id.asc())
        .select((MemberRow::as_select(), ConversationRow::as_select(), HeadRow::as_select()));
    if since == BEGINNING {
        // He has nothing yet that could be taken from him.
        let query = query.filter(is_current()).filter(is_shown());
        return Ok(one_more(limit, query).load(connection).await?);
    }
    // What goes on where he is no more does not concern him, but that it was deleted does.
    let deleted = conversations::deleted_at.is_not_null().and(conversations::changed.ge(since));
    let there = is_current().and(is_shown());
    let gone = not(is_current().and(is_shown()));
    // One that only the other has opened was never his: nothing wrote to his place since.
    let never_shown = conversations::user_a
        .is_not_null()
        .and(members::hidden)
        .and(heads::last_seq.eq(0))
        .and(members::changed.eq(conversations::changed));
    let query = query.filter(not(never_shown)).filter(
        there
            .and(his_place.or(the_rest))
            .or(gone.and(his_place.or(members::left_seq.is_null().and(deleted)))),
    );
    Ok(one_more(limit, query).load(connection).await?)
}

/// Profiles written since, of people with whom the viewer shares a direct chat or a small group.
#[either]
async fn profiles(connection: &mut Connection, viewer: UserId, since: i64) -> Work<Vec<User>> {
    let written = users::table.filter(users::changed.ge(since)).select(users::id);
    let any: Option<Key> = at_most(1, written).get_result(connection).await.optional()?;
    if any.is_none() {
        return Ok(Vec::new());
    }
    let most = if since == BEGINNING { FIRST_PROFILES } else { usize::MAX };
    let ids = accounts::companions(connection, viewer, Kind::Channel, since, most).await?;
    accounts::find(connection, &ids).await
}
