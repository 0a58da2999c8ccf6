//! Watermarks: how far a member has received and read.

use crate::conversation::Seq;

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

    proptest! {
        #[test]
        fn marks_never_go_back(delivered in 0i64..100, read in 0i64..100, seq in 1i64..100, up: bool) {
            let before = Watermarks { delivered, read };
            let after = before.after_sending(seq, up);
            prop_assert!(after.delivered >= before.delivered && after.read >= before.read);
        }
    }
}
