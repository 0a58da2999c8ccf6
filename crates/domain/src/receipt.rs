//! Watermarks: how far a member has received and read, and what follows for each message.

use crate::conversation::Seq;

/// Which watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// A device says it has the message.
    Delivered,
    /// The member has read it.
    Read,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It is stored.
    Sent,
    /// A device has it.
    Delivered,
    /// It has been read.
    Read,
}

/// Everything up to here was received, everything up to there was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The newest message the member's devices say they have.
    pub delivered: Seq,
    /// The newest message the member has read.
    pub read: Seq,
}

impl Watermarks {
    /// The marks of one who joins, or hides the conversation, when `last_seq` is the newest
    /// message: nothing before that is his to read.
    pub const fn starting_after(last_seq: Seq) -> Self {
        Self { delivered: last_seq, read: last_seq }
    }

    /// The marks after the member has sent `seq` himself. Sending reads what lies before only if
    /// nothing unread lies there.
    #[must_use]
    pub fn after_sending(self, seq: Seq, caught_up: bool) -> Self {
        if caught_up {
            Self { delivered: self.delivered.max(seq), read: self.read.max(seq) }
        } else {
            self
        }
    }

    /// The marks after the member has said that he has received, or read, everything up to `seq`,
    /// while `last_seq` is the newest message. They never go back, nor past what is there; what was
    /// read was received.
    #[must_use]
    pub fn advanced(self, mark: Mark, seq: Seq, last_seq: Seq) -> Self {
        let seq = seq.min(last_seq);
        let delivered = self.delivered.max(seq);
        match mark {
            Mark::Delivered => Self { delivered, ..self },
            Mark::Read => Self { delivered, read: self.read.max(seq) },
        }
    }

    /// The further of two, mark by mark.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        Self { delivered: self.delivered.max(other.delivered), read: self.read.max(other.read) }
    }

    /// The marks as one sees them from whom reading is hidden.
    #[must_use]
    pub const fn without_reading(self) -> Self {
        Self { read: 0, ..self }
    }

    /// How far message `seq` has come with the member.
    pub const fn status_of(&self, seq: Seq) -> Status {
        if self.read >= seq {
            Status::Read
        } else if self.delivered >= seq {
            Status::Delivered
        } else {
            Status::Sent
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sending_reads_nothing_that_lies_unread() {
        let marks = Watermarks { delivered: 5, read: 3 };
        assert_eq!(marks.after_sending(8, false), marks);
        assert_eq!(marks.after_sending(8, true), Watermarks { delivered: 8, read: 8 });
    }

    #[test]
    fn a_message_is_read_delivered_or_sent() {
        let marks = Watermarks { delivered: 5, read: 3 };
        assert_eq!(marks.status_of(3), Status::Read);
        assert_eq!(marks.status_of(5), Status::Delivered);
        assert_eq!(marks.status_of(6), Status::Sent);
        assert_eq!(marks.without_reading().status_of(3), Status::Delivered);
    }

    proptest! {
        #[test]
        fn marks_advance_to_what_is_there_and_never_go_back(
            delivered in 0i64..100, read in 0i64..100, seq in -5i64..200, more in 0i64..20, reads: bool,
        ) {
            let (before, last) = (Watermarks { delivered: delivered.max(read), read }, delivered.max(read) + more);
            let mark = if reads { Mark::Read } else { Mark::Delivered };
            let after = before.advanced(mark, seq, last);
            prop_assert!(after.delivered >= before.delivered && after.read >= before.read);
            prop_assert!(after.read <= after.delivered && after.delivered <= last);
            prop_assert_eq!(after.advanced(mark, seq, last), after);
            prop_assert_eq!(after.merged(before), after);
        }

        #[test]
        fn marks_never_go_back(delivered in 0i64..100, read in 0i64..100, seq in 1i64..100, up: bool) {
            let before = Watermarks { delivered, read };
            let after = before.after_sending(seq, up);
            prop_assert!(after.delivered >= before.delivered && after.read >= before.read);
        }
    }
}
