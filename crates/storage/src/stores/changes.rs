//! Catching up: what changed in one conversation since a version.

use diesel::prelude::*;
use kith_domain::{
    ConversationId, UserId,
    conversation::{Kind, Seq, Version},
    group::Role,
};
use kith_ports::{Changes, MemberRow as Member, MessageCard};

use super::{
    Connection, RunQueryDsl,
    cards::{Place, dress, place},
    conversations::listed,
    either,
    shown::show,
};
use crate::{
    failure::Work,
    queries::{one_more, people},
    rows::{MemberRow, MessageRow, UserRow},
    schema::{members, messages, users},
    types::Key,
};

/// One who is further behind is better off with the newest page.
const MOST_BEHIND: Version = 1_000;

#[either]
pub(super) async fn changes(
    connection: &mut Connection,
    viewer: UserId,
    id: ConversationId,
    since: Version,
    limit: usize,
) -> Work<Option<Changes>> {
    let Some(place) = place(connection, viewer, id).await? else { return Ok(None) };
    let now = place.head.version;
    let behind = now
        .checked_sub(since)
        .filter(|behind| (0..=MOST_BEHIND).contains(behind))
        .filter(|_| !sees_other_members(&place, since));
    let (until, messages, members) = match behind {
        Some(0) | None => (now, Vec::new(), Vec::new()),
        Some(_) => since_version(connection, viewer, &place, since, limit).await?,
    };
    let Some(card) = dress(connection, viewer, vec![place]).await?.pop() else { return Ok(None) };
    Ok(Some(Changes {
        card,
        version: until,
        has_more: until < now,
        reset: behind.is_none(),
        messages,
        members,
    }))
}

/// Whether the viewer has had another role since then where one's role decides which members one sees:
/// what is missing, or too much, did not change.
fn sees_other_members(place: &Place, since: Version) -> bool {
    let member = &place.member;
    place.conversation.kind == Kind::Channel
        && member.version > since
        && member.version > member.joined_version()
}

/// The changes since, up to about `limit` of them, and the version up to which they are complete.
#[either]
async fn since_version(
    connection: &mut Connection,
    viewer: UserId,
    place: &Place,
    since: Version,
    limit: usize,
) -> Work<(Version, Vec<MessageCard>, Vec<Member>)> {
    let mut messages = changed_messages(connection, place, since, limit).await?;
    let versions = member_versions(connection, place, since, limit).await?;
    let until = cut(
        messages.iter().map(|message| message.version).chain(versions).collect(),
        limit,
        place.head.version,
    );
    messages.retain(|message| message.version <= until);
    let messages = messages.into_iter().map(|message| (place.sight(), message)).collect();
    let messages = show(connection, viewer, messages).await?;
    let members = changed_members(connection, viewer, place, since, until).await?;
    Ok((until, messages, members))
}

/// Up to which version a page goes that may hold `limit` changes. A version is never torn apart:
/// all first members of a group have the same.
fn cut(mut versions: Vec<Version>, limit: usize, now: Version) -> Version {
    if versions.len() <= limit {
        return now;
    }
    versions.sort_unstable();
    versions.get(limit.max(1) - 1).copied().unwrap_or(now)
}

#[either]
async fn changed_messages(
    connection: &mut Connection,
    place: &Place,
    since: Version,
    limit: usize,
) -> Work<Vec<MessageRow>> {
    let id = Key::from(place.conversation.id);
    let first = place.first_visible();
    // Each message took a version of its own, so the new ones are among the last so many.
    let new_from = (place.head.last_seq - (place.head.version - since)).max(first - 1);
    let new = messages::table
        .filter(messages::conversation_id.eq(id))
        .filter(messages::seq.gt(new_from))
        .filter(messages::version.gt(since))
        .filter(diesel::dsl::not(messages::revised))
        // Untouched messages have their versions in the order of their numbers.
        .order(messages::seq.asc())
        .select(MessageRow::as_select());
    let mut all: Vec<MessageRow> = one_more(limit, new).load(connection).await?;
    all.extend(revised_messages(connection, id, first, since, limit).await?);
    all.sort_unstable_by_key(|message| message.version);
    Ok(all)
}

/// Messages from `first` on that were changed after they were sent, and one more than a page holds.
#[either]
pub(crate) async fn revised_messages(
    connection: &mut Connection,
    id: Key,
    first: Seq,
    since: Version,
    limit: usize,
) -> Work<Vec<MessageRow>> {
    let revised = messages::table
        .filter(messages::conversation_id.eq(id))
        .filter(messages::version.gt(since))
        .filter(messages::seq.ge(first))
        // As it stands in the partial index.
        .filter(messages::revised)
        .order(messages::version.asc())
        .select(MessageRow::as_select());
    Ok(one_more(limit, revised).load(connection).await?)
}

#[either]
async fn member_versions(
    connection: &mut Connection,
    place: &Place,
    since: Version,
    limit: usize,
) -> Work<Vec<Version>> {
    let versions = members::table
        .filter(members::conversation_id.eq(Key::from(place.conversation.id)))
        .filter(members::version.gt(since))
        .order(members::version.asc())
        .select(members::version);
    Ok(one_more(limit, versions).load(connection).await?)
}

#[either]
async fn changed_members(
    connection: &mut Connection,
    viewer: UserId,
    place: &Place,
    since: Version,
    until: Version,
) -> Work<Vec<Member>> {
    // Who left before the viewer joined is none of his concern.
    let left_since = members::left_seq.ge(place.member.joined_seq() - 1);
    let rows: Vec<(MemberRow, UserRow)> = people()
        .inner_join(members::table.on(members::user_id.eq(users::id)))
        .filter(members::conversation_id.eq(Key::from(place.conversation.id)))
        .filter(members::version.gt(since))
        .filter(members::version.le(until))
        .filter(members::left_seq.is_null().or(left_since))
        .order((members::version.asc(), members::user_id.asc()))
        .select((MemberRow::as_select(), UserRow::as_select()))
        .load(connection)
        .await?;
    let lists_members = place.lists_members()?;
    let mut all = Vec::with_capacity(rows.len());
    for (row, user) in rows {
        let known = row.has_been_in_charge();
        let mut member = listed((row, user))?;
        // Who may not list a channel's members learns of those in charge, and of himself. One who was in
        // charge is gone from what he sees.
        if !lists_members && member.user.id != viewer {
            if !known {
                continue;
            }
            member.left |= member.role == Role::Member;
        }
        all.push(member);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[3, 2, 4], 3, 9)]
    #[case(&[3, 2, 4], 2, 3)]
    #[case(&[1, 1, 1, 1, 2], 2, 1)]
    #[case(&[5], 0, 5)]
    fn where_a_page_ends(
        #[case] versions: &[Version],
        #[case] limit: usize,
        #[case] until: Version,
    ) {
        assert_eq!(cut(versions.to_vec(), limit, 9), until);
    }
}
