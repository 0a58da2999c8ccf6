//! How far the members of small conversations have received and read, as one of them may see it.

use std::collections::HashMap;

use diesel::{prelude::*, sql_types::BigInt};
use kith_domain::{ConversationId, UserId, receipt::Watermarks};
use kith_ports::MemberMarks;

use super::{
    Backend, Connection, RunQueryDsl, blocks::blocked_among, either, log::blocks::between,
};
use crate::{
    failure::Work,
    schema::{members, users},
    statement::statement,
    types::{Key, sql::Id},
};

statement! {
    /// Says that something of a conversation is another, though not what its version counts.
    TouchHead { conversation_id: Key, changed: i64 } {
        "UPDATE heads SET changed = ", {changed: BigInt},
        " WHERE conversation_id = ", {conversation_id: Id},
    }
}

/// The marks of all others who are in each of the conversations now, in the order of their ids. None
/// of the conversations may be large.
///
/// Nobody sees how far those have read who hide it, and who hides it sees it of nobody. Of one from
/// whom one has parted nothing is known: not even that something has reached him since.
#[either]
pub(super) async fn of_others(
    connection: &mut Connection,
    viewer: UserId,
    ids: &[Key],
) -> Work<HashMap<ConversationId, Vec<MemberMarks>>> {
    let query = members::table
        .inner_join(users::table.on(users::id.eq(members::user_id)))
        .filter(members::left_seq.is_null())
        .order((members::conversation_id.asc(), members::user_id.asc()))
        .select((
            members::conversation_id,
            members::user_id,
            members::delivered_seq,
            members::read_seq,
            users::read_receipts,
        ));
    let rows: Vec<Row> = match ids {
        [] => Vec::new(),
        // The plan for one is kept; a list is planned each time.
        [id] => query.filter(members::conversation_id.eq(id)).load(connection).await?,
        ids => query.filter(members::conversation_id.eq_any(ids)).load(connection).await?,
    };
    let viewer = Key::from(viewer);
    let sees_reading = rows.iter().all(|(_, user, .., open)| *user != viewer || *open);
    let parted = parted_among(connection, viewer, &rows).await?;
    let mut all: HashMap<ConversationId, Vec<MemberMarks>> = HashMap::new();
    for (id, user, delivered, read, open) in rows {
        let id = ConversationId::from(id);
        let is_blocked = id.is_direct() && parted.binary_search(&user.into()).is_ok();
        let of_conversation = all.entry(id).or_default();
        if user != viewer {
            let marks = shown(Watermarks { delivered, read }, open && sees_reading, is_blocked);
            of_conversation.push(MemberMarks { user_id: user.into(), marks });
        }
    }
    Ok(all)
}

/// A member, and how far he is: the conversation, he, what he received and read, whether he shows it.
type Row = (Key, Key, i64, i64, bool);

/// Those in direct chats with the viewer from whom he has parted. Where there are none, none is asked
/// for.
#[either]
async fn parted_among(connection: &mut Connection, viewer: Key, rows: &[Row]) -> Work<Vec<UserId>> {
    let peers: Vec<Key> = rows
        .iter()
        .filter(|(id, user, ..)| *user != viewer && ConversationId::from(*id).is_direct())
        .map(|(_, user, ..)| *user)
        .collect();
    match peers.as_slice() {
        [] => Ok(Vec::new()),
        [peer] => {
            let peer = UserId::from(*peer);
            let parted = between(connection, viewer.into(), peer).await?;
            Ok(parted.then_some(peer).into_iter().collect())
        }
        peers => blocked_among(connection, viewer.into(), peers).await,
    }
}

/// Another's marks, as they are shown.
pub(super) fn shown(marks: Watermarks, shows_reading: bool, is_blocked: bool) -> Watermarks {
    if is_blocked {
        Watermarks { delivered: 0, read: 0 }
    } else if shows_reading {
        marks
    } else {
        marks.without_reading()
    }
}

/// What all of them have reached; nothing if there is nobody.
pub(super) fn reached_by_all(others: &[MemberMarks]) -> Watermarks {
    let least = |mark: fn(&Watermarks) -> i64| {
        others.iter().map(|other| mark(&other.marks)).min().unwrap_or_default()
    };
    Watermarks { delivered: least(|marks| marks.delivered), read: least(|marks| marks.read) }
}
