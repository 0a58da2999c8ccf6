//! Whom a text mentions.

use diesel::prelude::*;
use kith_domain::{ConversationId, UserId, text::Content};

use super::{Connection, RunQueryDsl, either, working_set::WorkingSet};
use crate::{failure::Work, schema::users, types::Key};

/// The names that a text may mention. A text without a mention is looked at no further.
pub(crate) fn names(content: &Content) -> Vec<String> {
    if content.as_str().contains('@') { content.mentioned() } else { Vec::new() }
}

/// The members with these names, in the order of their ids.
#[either]
pub(crate) async fn members_named(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    names: Vec<String>,
) -> Work<Vec<UserId>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let named = accounts(set.connection, names).await?;
    set.meet(id, &named).await?;
    let mut members = Vec::with_capacity(named.len());
    for user in named {
        if set.person(id, user).await?.present().is_some() {
            members.push(user);
        }
    }
    Ok(members)
}

#[either]
async fn accounts(connection: &mut Connection, names: Vec<String>) -> Work<Vec<UserId>> {
    // An erased account has no name.
    let ids: Vec<Key> = users::table
        .filter(users::username_key.eq_any(names))
        .order(users::id.asc())
        .select(users::id)
        .load(connection)
        .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}
