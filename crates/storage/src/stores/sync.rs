//! Healing any absence: what changed for one person since a transaction.
//!
//! It goes by state, not by a list of events: each conversation of the viewer says when it, its
//! head or his place in it were last written. So a sync costs as much as he has conversations,
//! however long he was away.

use std::collections::{BTreeSet, HashSet};

use diesel::{
    dsl::{not, sql},
    prelude::*,
    sql_types::Bool,
};
use kith_domain::{ConversationId, UserId, user::User};
use kith_ports::{SyncBody, SyncFrom, SyncRead, SyncStage, SyncedConversation};

use super::{
    Connection, RunQueryDsl,
    acquaintances::{Companions, Written, companions, correspondents},
    blocks,
    cards::{Place, dress},
    either, marks, store, users as accounts,
};
use crate::{
    failure::Work,
    queries::{IN_CHARGE, at_most, is_current, is_shown, memberships, one_more},
    rows::{ConversationRow, HeadRow, MemberRow},
    schema::{conversations, heads, members, users},
    types::Key,
};

/// What a sync without a token begins from: every transaction has a higher number.
const BEGINNING: i64 = 0;

/// How many people a page brings that brings `limit` conversations. They are shorter, and each page of
/// them begins with a look at all; but the smallest page has one of each.
pub(crate) const fn people_of(limit: usize) -> usize {
    limit.saturating_mul(8).saturating_sub(7)
}

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
    let (horizon, stage) = match from.resume {
        Some((horizon, stage)) => (horizon, stage),
        None => (now.since, SyncStage::Conversations(Key::LEAST.into())),
    };

    let (told, stage) = match stage {
        SyncStage::Conversations(after) => {
            let told = changed_conversations(connection, viewer, since, after, limit).await?;
            let stage = told.next.map_or(SyncStage::People(None), SyncStage::Conversations);
            (told, stage)
        }
        people @ SyncStage::People(_) => (Told::default(), people),
    };
    let people = match stage {
        SyncStage::Conversations(_) => None,
        SyncStage::People(after) => {
            Some(people(connection, viewer, since, after, people_of(limit)).await?)
        }
    };
    let unfinished = match &people {
        None => Some(stage),
        Some(people) => people.next.map(|last| SyncStage::People(Some(last))),
    };
    let People { users, correspondents, blocks, .. } = people.unwrap_or_default();
    Ok(SyncRead::Body(Box::new(SyncBody {
        next: match unfinished {
            Some(stage) => SyncFrom { since, resume: Some((horizon, stage)), ..now },
            None => SyncFrom { since: horizon, resume: None, ..now },
        },
        has_more: unfinished.is_some(),
        conversations: told.conversations,
        removed: told.removed,
        users,
        correspondents,
        blocks,
    })))
}

/// The conversations of a page.
#[derive(Default)]
struct Told {
    conversations: Vec<SyncedConversation>,
    removed: Vec<ConversationId>,
    /// The last one, if there are more.
    next: Option<ConversationId>,
}

#[either]
async fn changed_conversations(
    connection: &mut Connection,
    viewer: UserId,
    since: i64,
    after: ConversationId,
    limit: usize,
) -> Work<Told> {
    let rows = touched(connection, viewer, since, after, limit).await?;
    let has_more = rows.len() > limit;
    let mut last = None;
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
    let small: Vec<Key> = places
        .iter()
        .filter(|place| place.conversation.is_small())
        .map(|place| place.conversation.id.into())
        .collect();
    let mut marks = marks::of_others(connection, viewer, &small).await?;
    let mut narrow = Vec::new();
    for place in places.iter().filter(|place| place.conversation.is_small()) {
        if !place.lists_members()? {
            narrow.push(place.conversation.id);
        }
    }
    let in_charge = in_charge(connection, &narrow).await?;
    for id in narrow {
        if let Some(marks) = marks.get_mut(&id) {
            marks.retain(|of| in_charge.contains(&(id, of.user_id)));
        }
    }
    let conversations = dress(connection, viewer, places)
        .await?
        .into_iter()
        .map(|card| {
            let of_others = marks.remove(&card.conversation.id).unwrap_or_default();
            SyncedConversation { marks: card.conversation.is_small().then_some(of_others), card }
        })
        .collect();
    Ok(Told { conversations, removed, next: last.filter(|_| has_more) })
}

/// Who is in charge of conversations: in a channel nobody else is known to those who may not list its
/// members.
#[either]
async fn in_charge(
    connection: &mut Connection,
    ids: &[ConversationId],
) -> Work<HashSet<(ConversationId, UserId)>> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let ids: Vec<Key> = ids.iter().copied().map(Key::from).collect();
    let rows: Vec<(Key, Key)> = members::table
        .filter(members::conversation_id.eq_any(ids))
        .filter(members::left_seq.is_null())
        .filter(sql::<Bool>(IN_CHARGE))
        .select((members::conversation_id, members::user_id))
        .load(connection)
        .await?;
    Ok(rows.into_iter().map(|(id, user)| (id.into(), user.into())).collect())
}

/// The viewer's conversations that were written since, by id, one more than `limit`.
#[either]
async fn touched(
    connection: &mut Connection,
    viewer: UserId,
    since: i64,
    after: ConversationId,
    limit: usize,
) -> Work<Vec<(MemberRow, ConversationRow, HeadRow)>> {
    let after = Key::from(after);
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

/// The people of a page.
#[derive(Default)]
struct People {
    users: Vec<User>,
    correspondents: Vec<UserId>,
    blocks: Vec<UserId>,
    /// The last one, if there are more.
    next: Option<UserId>,
}

/// People after one of them, in the order of their ids, whatever there is to be told of them.
#[either]
async fn people(
    connection: &mut Connection,
    viewer: UserId,
    since: i64,
    after: Option<UserId>,
    limit: usize,
) -> Work<People> {
    let changed = changed_profiles(connection, viewer, since, after, limit).await?;
    let mut correspondents = correspondents(connection, viewer).await?;
    correspondents.retain(|id| Some(*id) > after);
    let mut blocks = blocks::next(connection, viewer, after, limit).await?;
    let ids: BTreeSet<UserId> =
        [&changed, &correspondents, &blocks].into_iter().flatten().copied().collect();
    let last = ids.iter().copied().take(limit).next_back();
    let is_told = |id: &UserId| Some(*id) <= last;
    let changed: Vec<UserId> = changed.into_iter().filter(is_told).collect();
    let mut users = accounts::find(connection, &changed).await?;
    users.sort_unstable_by_key(|user| user.id);
    correspondents.retain(is_told);
    correspondents.sort_unstable();
    blocks.retain(is_told);
    Ok(People { users, correspondents, blocks, next: last.filter(|_| ids.len() > limit) })
}

/// Those whose profiles were written since, of the people with whom the viewer shares a direct chat or
/// a small group, as long as it is in his inbox: one more than `limit`.
///
/// Also all those of a conversation that was itself written since, with who is in it: there may be
/// some whom he did not meet before, or not since it was large.
#[either]
async fn changed_profiles(
    connection: &mut Connection,
    viewer: UserId,
    since: i64,
    after: Option<UserId>,
    limit: usize,
) -> Work<Vec<UserId>> {
    let most = limit.saturating_add(1);
    // Of those whom he meets in what is hidden alone, he hears when it comes back.
    let who = |written| Companions { direct: true, hidden: false, written, after };
    if since == BEGINNING {
        // All were written since: nobody's profile need be looked at.
        return companions(connection, viewer, who(Written::Ever), most).await;
    }
    let mut found = companions(connection, viewer, who(Written::Shared(since)), most).await?;
    let written = users::table.filter(users::changed.ge(since)).select(users::id);
    let any: Option<Key> = at_most(1, written).get_result(connection).await.optional()?;
    if any.is_some() {
        found.extend(companions(connection, viewer, who(Written::Profile(since)), most).await?);
        found.sort_unstable();
        found.dedup();
        found.truncate(most);
    }
    Ok(found)
}
