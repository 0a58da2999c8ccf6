use diesel::prelude::*;
use kith_domain::{
    ConversationId, Timestamp, UserId,
    conversation::{Seq, Version},
    group::Role,
    receipt::Watermarks,
};

use super::{Connection, RunQueryDsl, either};
use crate::{
    failure::Work,
    queries::kept_account,
    rows::{MemberRow, role_number},
    schema::{members, users},
    types::{Key, Moment},
};

/// Whether an account can take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Living,
    Erased,
    Unknown,
}

/// An account, as a conversation sees it.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) standing: Standing,
    /// The place in the conversation, also of one who has left.
    pub(super) place: Option<MemberRow>,
    pub(super) place_is: PlaceState,
    /// He came, or went.
    pub(super) has_moved: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlaceState {
    Clean,
    /// Only the marks were moved.
    #[allow(dead_code, reason = "as `mark` below")]
    Marked,
    /// Anything may be different.
    Changed,
}

impl Person {
    /// One whose account is there, or was.
    pub(super) fn met(deleted_at: Option<Moment>, place: Option<MemberRow>) -> Self {
        let standing = if deleted_at.is_some() { Standing::Erased } else { Standing::Living };
        Self { standing, place, place_is: PlaceState::Clean, has_moved: false }
    }

    /// One who has no account.
    const fn unknown() -> Self {
        let (standing, place_is) = (Standing::Unknown, PlaceState::Clean);
        Self { standing, place: None, place_is, has_moved: false }
    }

    /// One who comes into a conversation that is being made.
    pub(super) const fn placed(place: MemberRow) -> Self {
        let (standing, place_is) = (Standing::Living, PlaceState::Changed);
        Self { standing, place: Some(place), place_is, has_moved: true }
    }

    /// The place he has, or had when he left.
    pub(crate) const fn place(&self) -> Option<&MemberRow> {
        self.place.as_ref()
    }

    /// The place of one who is in it now.
    pub(crate) fn current(&self) -> Option<&MemberRow> {
        self.place.as_ref().filter(|place| place.left_seq.is_none())
    }

    /// The place of one who is in it now, and whose account lives.
    pub(crate) fn present(&self) -> Option<&MemberRow> {
        self.current().filter(|_| self.standing == Standing::Living)
    }

    /// The place of one who is in it now, to be changed.
    pub(crate) fn edit(&mut self) -> Option<&mut MemberRow> {
        let place = self.place.as_mut().filter(|place| place.left_seq.is_none())?;
        self.place_is = PlaceState::Changed;
        Some(place)
    }

    /// Gives one who comes a place, instead of any he had.
    pub(crate) fn come(&mut self, place: MemberRow) {
        self.place = Some(place);
        self.place_is = PlaceState::Changed;
        self.has_moved = true;
    }

    /// The place of one who goes, to be changed.
    pub(crate) fn go(&mut self) -> Option<&mut MemberRow> {
        self.has_moved |= self.current().is_some();
        self.edit()
    }

    /// Hides it for one who is in it now, with all up to `last_seq`. His marks stay: he has read
    /// nothing by it.
    pub(crate) fn hide(&mut self, last_seq: Seq) {
        if let Some(place) = self.edit() {
            (place.hidden, place.first_seq) = (true, last_seq + 1);
        }
    }

    /// Moves the marks of one who is in it now.
    #[allow(dead_code, reason = "on PostgreSQL the function that appends moves them")]
    pub(crate) fn mark(&mut self, marks: Watermarks, at: Timestamp) {
        let Some(place) = self.place.as_mut().filter(|place| place.marks() != marks) else {
            return;
        };
        if place.delivered_seq != marks.delivered {
            (place.delivered_seq, place.delivered_at) = (marks.delivered, Some(at.into()));
        }
        if place.read_seq != marks.read {
            (place.read_seq, place.read_at) = (marks.read, Some(at.into()));
        }
        if self.place_is == PlaceState::Clean {
            self.place_is = PlaceState::Marked;
        }
    }
}

/// The place of one who comes in while `last_seq` is the newest message.
pub(crate) fn new_place(
    conversation: ConversationId,
    user: UserId,
    role: Role,
    at: Timestamp,
    (last_seq, version): (Seq, Version),
) -> MemberRow {
    let Watermarks { delivered, read } = Watermarks::starting_after(last_seq);
    MemberRow {
        conversation_id: conversation.into(),
        user_id: user.into(),
        role: role_number(role),
        joined_at: at.into(),
        first_seq: last_seq + 1,
        left_seq: None,
        version,
        delivered_seq: delivered,
        delivered_at: None,
        read_seq: read,
        read_at: None,
        muted_until: None,
        pinned: false,
        archived: false,
        hidden: false,
        joined_seq: Some(last_seq + 1),
        joined_version: Some(version),
    }
}

#[either]
pub(super) async fn find_person(
    connection: &mut Connection,
    id: ConversationId,
    user: UserId,
) -> Work<Person> {
    let his_place = members::user_id.eq(users::id).and(members::conversation_id.eq(Key::from(id)));
    let account = users::table
        .left_join(members::table.on(his_place))
        .filter(users::id.eq(Key::from(user)))
        .select((users::deleted_at, Option::<MemberRow>::as_select()));
    // One who is being erased is waited for: his conversations are left after that.
    let row: Option<(Option<Moment>, Option<MemberRow>)> =
        kept_account(account).get_result(connection).await.optional()?;
    Ok(match row {
        None => Person::unknown(),
        Some((deleted_at, place)) => Person::met(deleted_at, place),
    })
}
