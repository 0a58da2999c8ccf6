//! For whom nothing changed: told of many in one look, as when a node has ended and all its clients
//! come to another.

use std::collections::HashMap;

use diesel::{
    result::Error as DieselError,
    sql_types::{Array, BigInt, Integer, Nullable, SmallInt},
};
use diesel_async::RunQueryDsl;
use kith_domain::{UserId, conversation::Kind};
use kith_ports::{StoreResult, SyncBody, SyncRequest};

use super::{
    Backend, Connection, Postgres,
    store::{self, MAKINGS, Makings, MakingsSql},
    stores::{sync::people_of, users::MOST_OF_SMALL},
};
use crate::{
    failure::Work,
    rows::kind_number,
    statement::statement,
    types::{Key, sql::Id},
};

statement! {
    /// Finds those for whom nothing changed since, with whom each has direct chats that hold a message,
    /// and whom he has blocked; and what a sync token is made of: at least one row.
    ///
    /// What is not his any more, or hidden, counts as the rest does: a sync tells what it means to him.
    /// Of profiles the newest changes are looked through. Whoever asks since before those is told
    /// nothing, so that the others are. The other end of their range makes the planner expect little, as
    /// it mostly is.
    Unchanged {
        viewers: Vec<Key>,
        since: Vec<i64>,
        earliest: i64,
        latest: i64,
        small: i32,
        channel: i16,
    } -> (MakingsSql, Nullable<(Id, BigInt, Array<Id>, Array<Id>)>) {
        "WITH asked AS (SELECT * FROM unnest(",
        {viewers: Array<Id>}, ", ", {since: Array<BigInt>},
        ") AS asked (viewer, since)), \
         written AS MATERIALIZED (SELECT id, changed FROM users WHERE changed >= ", {earliest: BigInt},
        " AND changed <= ", {latest: BigInt}, " ORDER BY changed DESC LIMIT 33), \
         concerned AS MATERIALIZED (SELECT mine.user_id, max(written.changed) AS changed FROM written \
         JOIN members AS theirs ON theirs.user_id = written.id AND theirs.left_seq IS NULL \
         JOIN conversations ON conversations.id = theirs.conversation_id \
         AND conversations.deleted_at IS NULL AND conversations.member_count <= ",
        {small: Integer}, " AND conversations.kind <> ", {channel: SmallInt},
        " JOIN members AS mine ON mine.conversation_id = theirs.conversation_id \
         AND mine.user_id <> theirs.user_id GROUP BY mine.user_id) \
         SELECT ", MAKINGS, ", quiet.viewer, quiet.since, quiet.others, quiet.blocks \
         FROM store LEFT JOIN (SELECT asked.viewer, asked.since, \
         ARRAY(SELECT CASE WHEN conversations.user_a = asked.viewer THEN conversations.user_b \
         ELSE conversations.user_a END AS other FROM members \
         JOIN conversations ON conversations.id = members.conversation_id \
         AND conversations.user_a IS NOT NULL AND conversations.deleted_at IS NULL \
         JOIN heads ON heads.conversation_id = members.conversation_id AND heads.last_seq > 0 \
         WHERE members.user_id = asked.viewer AND members.left_seq IS NULL \
         AND (SELECT true FROM blocks WHERE blocks.user_id = conversations.user_a \
         AND blocks.blocked_id = conversations.user_b) IS NULL \
         AND (SELECT true FROM blocks WHERE blocks.user_id = conversations.user_b \
         AND blocks.blocked_id = conversations.user_a) IS NULL ORDER BY other) AS others, \
         ARRAY(SELECT blocked_id FROM blocks WHERE user_id = asked.viewer ORDER BY blocked_id) AS blocks \
         FROM asked CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM members \
         JOIN heads ON heads.conversation_id = members.conversation_id \
         JOIN conversations ON conversations.id = members.conversation_id \
         WHERE members.user_id = asked.viewer AND (members.changed >= asked.since \
         OR (members.left_seq IS NULL AND (heads.changed >= asked.since \
         OR conversations.changed >= asked.since)))) AS changed OFFSET 0) AS his \
         WHERE NOT his.changed AND ((SELECT count(*) FROM written) < 33 \
         OR asked.since > (SELECT min(changed) FROM written)) \
         AND asked.since > coalesce((SELECT concerned.changed FROM concerned \
         WHERE concerned.user_id = asked.viewer), -1)) AS quiet ON true WHERE store.id = 1",
    }
}

/// It is told of many together.
pub(super) const IS_TOLD: bool = true;

/// One for whom nothing changed: he, since when, with whom he has chats, whom he has blocked.
type Quiet = (Key, i64, Vec<Key>, Vec<Key>);

/// See [`unchanged`](kith_ports::ConversationStore::unchanged).
pub(super) async fn of_many(
    store: &Postgres,
    asked: Vec<SyncRequest>,
) -> StoreResult<Vec<Option<SyncBody>>> {
    query!(store, unchanged(asked))
}

async fn unchanged(
    connection: &mut Connection,
    asked: Vec<SyncRequest>,
) -> Work<Vec<Option<SyncBody>>> {
    let quiet = Unchanged {
        viewers: &asked.iter().map(|it| it.viewer.into()).collect(),
        since: &asked.iter().map(|it| it.from.since).collect(),
        earliest: &asked.iter().map(|it| it.from.since).min().unwrap_or(i64::MAX),
        latest: &i64::MAX,
        small: &MOST_OF_SMALL,
        channel: &kind_number(Kind::Channel),
    };
    let rows: Vec<(Makings, Option<Quiet>)> = quiet.load(connection).await?;
    let Some((makings, _)) = rows.as_slice().first().cloned() else {
        return Err(DieselError::NotFound.into());
    };
    let now = store::made_of(makings)?;
    let people = |keys: Vec<Key>| keys.into_iter().map(UserId::from).collect::<Vec<_>>();
    let found: HashMap<(UserId, i64), _> = rows
        .into_iter()
        .filter_map(|(_, quiet)| quiet)
        .map(|(viewer, since, others, blocks)| {
            ((UserId::from(viewer), since), (people(others), people(blocks)))
        })
        .collect();
    let page = |it: &SyncRequest| {
        // A page in the midst of a sync, or a token of another database, is a sync's own.
        let is_plain = it.from.resume.is_none()
            && it.from.incarnation == now.incarnation
            && it.from.since <= now.since;
        let his = found.get(&(it.viewer, it.from.since)).filter(|_| is_plain);
        let (correspondents, blocks) = his?.clone();
        (correspondents.len() + blocks.len() <= people_of(it.limit)).then(|| SyncBody {
            next: now.clone(),
            has_more: false,
            conversations: Vec::new(),
            removed: Vec::new(),
            users: Vec::new(),
            correspondents,
            blocks,
        })
    };
    Ok(asked.iter().map(page).collect())
}
