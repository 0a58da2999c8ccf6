use std::sync::Arc;

use kith_domain::{
    Timestamp,
    conversation::{Conversation, Head, Kind, Version},
    text::Name,
};

/// A conversation in the set.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) conversation: Arc<Conversation>,
    pub(crate) head: Head,
    pub(crate) deleted_at: Option<Timestamp>,
    /// Its version before this batch.
    pub(super) version_before: Version,
    pub(super) head_is: State,
    pub(super) conversation_is: State,
    /// What it is found by has changed: its name, or that it is there.
    pub(super) listing_is_old: bool,
}

/// What a row in the set has to do with the one in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There, and the same.
    Clean,
    /// There, and changed since.
    Changed,
    /// Not there yet.
    New,
}

impl State {
    fn touch(&mut self) {
        if *self == Self::Clean {
            *self = Self::Changed;
        }
    }
}

impl Slot {
    /// A conversation that is being made.
    pub(crate) fn new(conversation: Conversation) -> Self {
        Self {
            head: Head { last_seq: 0, version: 1, member_epoch: 1, last_message_at: None },
            version_before: 0,
            listing_is_old: conversation.kind == Kind::Channel,
            conversation: Arc::new(conversation),
            deleted_at: None,
            head_is: State::New,
            conversation_is: State::New,
        }
    }

    /// One that the database has.
    pub(super) fn found(
        (conversation, head, deleted_at): (Conversation, Head, Option<Timestamp>),
    ) -> Self {
        Self {
            conversation: Arc::new(conversation),
            version_before: head.version,
            head,
            deleted_at,
            head_is: State::Clean,
            conversation_is: State::Clean,
            listing_is_old: false,
        }
    }

    /// Whether anything of it is to be written.
    pub(super) fn is_changed(&self) -> bool {
        (self.head_is, self.conversation_is) != (State::Clean, State::Clean)
    }

    pub(crate) const fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// The conversation, to be changed; its name by [`rename`](Self::rename).
    pub(crate) fn edit(&mut self) -> &mut Conversation {
        self.conversation_is.touch();
        Arc::make_mut(&mut self.conversation)
    }

    /// Gives it a name. `true` if it had another one.
    pub(crate) fn rename(&mut self, name: &Name) -> bool {
        if self.conversation.name.as_ref() == Some(name) {
            return false;
        }
        self.edit().name = Some(name.clone());
        self.listing_is_old = self.conversation.kind == Kind::Channel;
        true
    }

    /// The head, to be changed.
    pub(crate) fn edit_head(&mut self) -> &mut Head {
        self.head_is.touch();
        &mut self.head
    }

    /// Counts a durable change and returns its number.
    pub(crate) fn next_version(&mut self) -> Version {
        let head = self.edit_head();
        head.version += 1;
        head.version
    }

    /// Deletes it for all.
    pub(crate) fn delete(&mut self, at: Timestamp) {
        self.conversation_is.touch();
        self.listing_is_old = true;
        self.deleted_at = Some(at);
    }
}
