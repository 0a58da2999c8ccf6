//! Who has blocked whom, as far as commands must know.

use diesel::{
    dsl::{exists, select},
    prelude::*,
};
use kith_domain::UserId;

use super::{Connection, RunQueryDsl, either};
use crate::{failure::Work, schema::blocks, types::Key};

/// Whether one of two has blocked the other.
#[either]
pub(crate) async fn between(connection: &mut Connection, a: UserId, b: UserId) -> Work<bool> {
    let (a, b) = (Key::from(a), Key::from(b));
    // Two probes of the key: an OR of both would be a scan to some planners.
    let one = blocks::table.filter(blocks::user_id.eq(a)).filter(blocks::blocked_id.eq(b));
    let other = blocks::table.filter(blocks::user_id.eq(b)).filter(blocks::blocked_id.eq(a));
    Ok(select(exists(one).or(exists(other))).get_result(connection).await?)
}

/// Whether one has blocked any of many, or any of them him.
#[either]
pub(super) async fn among(connection: &mut Connection, one: UserId, many: &[UserId]) -> Work<bool> {
    if many.is_empty() {
        return Ok(false);
    }
    let (one, many): (_, Vec<Key>) = (Key::from(one), many.iter().map(|id| (*id).into()).collect());
    let his = blocks::table
        .filter(blocks::user_id.eq(one))
        .filter(blocks::blocked_id.eq_any(many.clone()));
    let theirs =
        blocks::table.filter(blocks::user_id.eq_any(many)).filter(blocks::blocked_id.eq(one));
    Ok(select(exists(his).or(exists(theirs))).get_result(connection).await?)
}
