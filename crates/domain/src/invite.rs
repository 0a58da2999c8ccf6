//! Invites: a code that lets whoever has it come in.

use crate::{
    id::{ConversationId, UserId},
    text::InviteCode,
    time::Timestamp,
};

/// An invite into a group or channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// What it is redeemed by.
    pub code: InviteCode,
    /// Where it leads.
    pub conversation_id: ConversationId,
    /// Who made it.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// How many may come in by it; `None`: any number.
    pub max_uses: Option<u32>,
    /// How many have come in by it.
    pub uses: u32,
}

impl Invite {
    /// Whether one more may come in by it at `now`.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
            && self.max_uses.is_none_or(|most| self.uses < most)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use uuid::Uuid;

    use super::*;

    #[rstest]
    #[case(None, None, 9, true)]
    #[case(Some(11), None, 0, true)]
    #[case(Some(10), None, 0, false)]
    #[case(None, Some(2), 1, true)]
    #[case(None, Some(2), 2, false)]
    fn an_invite_ends(
        #[case] expires_at: Option<i64>,
        #[case] max_uses: Option<u32>,
        #[case] uses: u32,
        #[case] good: bool,
    ) {
        let invite = Invite {
            code: InviteCode::parse("0123456789abcdef").unwrap(),
            conversation_id: ConversationId::from_uuid(Uuid::from_u128(1)),
            created_by: UserId::from_uuid(Uuid::from_u128(2)),
            created_at: Timestamp::from_micros(0),
            expires_at: expires_at.map(Timestamp::from_micros),
            max_uses,
            uses,
        };
        assert_eq!(invite.is_good(Timestamp::from_micros(10)), good);
    }
}
