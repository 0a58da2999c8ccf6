//! Who has to do with whom: chats, rooms they share, blocks between them.

use std::collections::HashMap;

use diesel::{dsl::case_when, prelude::*, sql_types::Bool};
use kith_domain::{ConversationId, UserId, conversation::Kind};

use super::{Connection, RunQueryDsl, blocks, either, users::MOST_OF_SMALL};
use crate::{
    failure::Work,
    queries::{IsShownToMe, at_most, is_current, memberships},
    rows::kind_number,
    schema::{conversations, heads, members, messages, users},
    types::Key,
};

/// The two of a direct chat.
type Pair = (Option<Key>, Option<Key>);

#[either]
pub(super) async fn contacts(
    connection: &mut Connection,
    ids: &[UserId],
) -> Work<Vec<Vec<UserId>>> {
    let keys: Vec<Key> = ids.iter().copied().map(Key::from).collect();
    let written = messages::table
        .filter(messages::conversation_id.eq(conversations::id))
        .filter(messages::sender_id.eq(members::user_id))
        // A column of the index alone: with any other, the conversation would be walked through.
        .select(messages::seq);
    let pairs: Vec<(Key, Pair)> = members::table
        .inner_join(conversations::table.on(conversations::id.eq(members::conversation_id)))
        .filter(members::user_id.eq_any(keys))
        .filter(conversations::user_a.is_not_null())
        .filter(diesel::dsl::exists(written))
        .select((members::user_id, (conversations::user_a, conversations::user_b)))
        .load(connection)
        .await?;
    let partings = blocks::partings(connection, ids).await?;
    let mut contacts: HashMap<UserId, Vec<UserId>> = HashMap::new();
    for (id, pair) in pairs {
        let others = peers(vec![pair], id);
        let id = id.into();
        let others = others.into_iter().filter(|other| !partings.contains(&(id, *other)));
        contacts.entry(id).or_default().extend(others);
    }
    Ok(ids.iter().map(|id| contacts.get(id).cloned().unwrap_or_default()).collect())
}

/// Those of `others` whom `id` has not blocked, and who have not blocked him.
#[either]
async fn without_blocks(
    connection: &mut Connection,
    id: UserId,
    mut others: Vec<UserId>,
) -> Work<Vec<UserId>> {
    let partings = blocks::partings(connection, &[id]).await?;
    others.retain(|other| !partings.contains(&(id, *other)));
    Ok(others)
}

/// Makes the query for the direct chats of one person that hold a message: who the two are.
macro_rules! chats_of {
    ($key:ident) => {
        memberships()
            .filter(members::user_id.eq($key))
            .filter(is_current())
            .filter(conversations::user_a.is_not_null())
            .filter(heads::last_seq.gt(0))
            .select((conversations::user_a, conversations::user_b))
    };
}

#[either]
pub(super) async fn correspondents(connection: &mut Connection, id: UserId) -> Work<Vec<UserId>> {
    let key = Key::from(id);
    let pairs = chats_of!(key).load(connection).await?;
    without_blocks(connection, id, peers(pairs, key)).await
}

#[either]
pub(super) async fn acquaintances(connection: &mut Connection, id: UserId) -> Work<Vec<UserId>> {
    let key = Key::from(id);
    let mut all = peers(chats_of!(key).load(connection).await?, key);
    let others = Companions { direct: false, hidden: true, written: Written::Ever, after: None };
    all.extend(companions(connection, id, others, usize::MAX).await?);
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

#[either]
pub(super) async fn have_written_to(
    connection: &mut Connection,
    viewer: UserId,
    owners: &[UserId],
) -> Work<Vec<UserId>> {
    let own = Key::from(viewer);
    // A direct chat's id follows from its two.
    let others = owners.iter().filter(|owner| **owner != viewer);
    let chats: Vec<Key> =
        others.map(|owner| ConversationId::direct(*owner, viewer).into()).collect();
    let other = case_when(conversations::user_a.eq(own), conversations::user_b)
        .otherwise(conversations::user_a);
    let written = messages::table
        .filter(messages::conversation_id.eq(conversations::id))
        .filter(messages::sender_id.nullable().eq(other))
        // A column of the index alone, as above.
        .select(messages::seq);
    let pairs: Vec<Pair> = conversations::table
        .filter(conversations::id.eq_any(chats))
        .filter(diesel::dsl::exists(written))
        .select((conversations::user_a, conversations::user_b))
        .load(connection)
        .await?;
    without_blocks(connection, viewer, peers(pairs, own)).await
}

/// The others of the pairs of direct chats.
fn peers(pairs: Vec<Pair>, own: Key) -> Vec<UserId> {
    pairs
        .into_iter()
        .filter_map(|(a, b)| if a == Some(own) { b } else { a })
        .map(Into::into)
        .collect()
}

/// Which of those who share a small group with somebody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Companions {
    /// Also those who share a direct chat alone.
    pub(super) direct: bool,
    /// Also those who share one alone that he has hidden.
    pub(super) hidden: bool,
    /// What was written of them.
    pub(super) written: Written,
    /// Those after this one.
    pub(super) after: Option<UserId>,
}

/// What must have been written of a companion.
#[derive(Clone, Copy, Debug)]
pub(super) enum Written {
    /// Anything, at any time.
    Ever,
    /// His profile, since then.
    Profile(i64),
    /// What they share, or who is in it, since then.
    Shared(i64),
}

/// Those with whom `id` shares a small group or direct chat, in the order of their ids; at most `most`.
#[either]
pub(super) async fn companions(
    connection: &mut Connection,
    id: UserId,
    who: Companions,
    most: usize,
) -> Work<Vec<UserId>> {
    let (mine, theirs) = diesel::alias!(members as mine, members as theirs);
    let their_id = theirs.field(members::user_id);
    let other_kind = if who.direct { Kind::Channel } else { Kind::Direct };
    let query = mine
        .inner_join(
            conversations::table.on(conversations::id.eq(mine.field(members::conversation_id))),
        )
        .inner_join(theirs.on(theirs.field(members::conversation_id).eq(conversations::id)))
        .filter(mine.field(members::user_id).eq(Key::from(id)))
        .filter(mine.field(members::left_seq).is_null())
        .filter(who.hidden.into_sql::<Bool>().or(IsShownToMe))
        .filter(theirs.field(members::left_seq).is_null())
        .filter(their_id.ne(Key::from(id)))
        .filter(their_id.gt(who.after.map_or(Key::LEAST, Key::from)))
        .filter(conversations::deleted_at.is_null())
        .filter(conversations::kind.ne(kind_number(Kind::Channel)))
        .filter(conversations::kind.ne(kind_number(other_kind)))
        .filter(conversations::member_count.le(MOST_OF_SMALL))
        .order(their_id.asc())
        .select(their_id)
        .distinct();
    let ids: Vec<Key> = match who.written {
        Written::Ever => at_most(most, query).load(connection).await?,
        Written::Profile(since) => {
            let of_them = query
                .inner_join(users::table.on(users::id.eq(their_id)))
                .filter(users::changed.ge(since));
            at_most(most, of_them).load(connection).await?
        }
        Written::Shared(since) => {
            let there = query.filter(conversations::changed.ge(since));
            at_most(most, there).load(connection).await?
        }
    };
    Ok(ids.into_iter().map(Into::into).collect())
}
