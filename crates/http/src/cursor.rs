//! Opaque cursors and sync tokens: what is in them is the server's business, and cannot be changed
//! on the way.

use kith_domain::{Code, ConversationId, Refusal, SessionId, Timestamp, UserId, text::InviteCode};
use kith_ports::{
    DirectoryCursor, InboxCursor, InviteCursor, MemberCursor, Seals, SyncFrom, SyncStage,
    UserCursor,
};
use uuid::Uuid;

/// A place in a list, as bytes.
pub(crate) trait Cursor: Sized {
    /// Names the list, so that a cursor of one does not open another.
    const PURPOSE: &'static str;
    fn encode(&self) -> Vec<u8>;
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// Seals a cursor for its owner.
pub(crate) fn seal<C: Cursor>(seals: &dyn Seals, owner: UserId, cursor: &C) -> String {
    seals.seal(C::PURPOSE, owner, &cursor.encode())
}

/// Opens a cursor that came back.
pub(crate) fn open<C: Cursor>(
    seals: &dyn Seals,
    owner: UserId,
    field: &'static str,
    sealed: &str,
) -> Result<C, Refusal> {
    let bytes = seals.open(C::PURPOSE, owner, sealed);
    bytes.and_then(|bytes| C::decode(&bytes)).ok_or_else(|| {
        Refusal::field(
            field,
            Code::InvalidCursor,
            "is not one that this server gave you for this list: start anew without it",
        )
    })
}

fn uuid(bytes: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(bytes).ok()
}

fn number(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_be_bytes)
}

impl Cursor for InboxCursor {
    const PURPOSE: &'static str = "inbox";

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.pinned)];
        bytes.extend(self.active_at.as_micros().to_be_bytes());
        bytes.extend(self.id.as_uuid().as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            pinned: *bytes.first()? != 0,
            active_at: Timestamp::from_micros(number(bytes.get(1..9)?)?),
            id: ConversationId::from_uuid(uuid(bytes.get(9..)?)?),
        })
    }
}

impl Cursor for MemberCursor {
    const PURPOSE: &'static str = "members";

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.joined_at.as_micros().to_be_bytes().to_vec();
        bytes.extend(self.user_id.as_uuid().as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            joined_at: Timestamp::from_micros(number(bytes.get(..8)?)?),
            user_id: UserId::from_uuid(uuid(bytes.get(8..)?)?),
        })
    }
}

/// Where a page of devices goes on: after this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionCursor(pub(crate) SessionId);

impl Cursor for SessionCursor {
    const PURPOSE: &'static str = "sessions";

    fn encode(&self) -> Vec<u8> {
        self.0.as_uuid().as_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        uuid(bytes).map(SessionId::from_uuid).map(Self)
    }
}

impl Cursor for UserCursor {
    const PURPOSE: &'static str = "users";

    fn encode(&self) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        String::from_utf8(bytes.to_vec()).ok().map(Self)
    }
}

impl Cursor for DirectoryCursor {
    const PURPOSE: &'static str = "directory";

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.id.as_uuid().as_bytes().to_vec();
        bytes.extend(self.name.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            id: ConversationId::from_uuid(uuid(bytes.get(..16)?)?),
            name: String::from_utf8(bytes.get(16..)?.to_vec()).ok()?,
        })
    }
}

impl Cursor for InviteCursor {
    const PURPOSE: &'static str = "invites";

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.created_at.as_micros().to_be_bytes().to_vec();
        bytes.extend(self.code.as_str().as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            created_at: Timestamp::from_micros(number(bytes.get(..8)?)?),
            code: InviteCode::parse(str::from_utf8(bytes.get(8..)?).ok()?).ok()?,
        })
    }
}

/// Where a page of those one has blocked goes on: after this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockCursor(pub(crate) UserId);

impl Cursor for BlockCursor {
    const PURPOSE: &'static str = "blocks";

    fn encode(&self) -> Vec<u8> {
        self.0.as_uuid().as_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        uuid(bytes).map(UserId::from_uuid).map(Self)
    }
}

/// Where a page of the receipts of a message goes on: after this member's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceiptCursor(pub(crate) UserId);

impl Cursor for ReceiptCursor {
    const PURPOSE: &'static str = "receipts";

    fn encode(&self) -> Vec<u8> {
        self.0.as_uuid().as_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        uuid(bytes).map(UserId::from_uuid).map(Self)
    }
}

/// The stages of a paged sync, by number.
const CONVERSATIONS: u8 = 0;
const PEOPLE: u8 = 1;

impl Cursor for SyncFrom {
    const PURPOSE: &'static str = "sync";

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.incarnation.to_vec();
        bytes.extend(self.since.to_be_bytes());
        if let Some((horizon, stage)) = &self.resume {
            bytes.extend(horizon.to_be_bytes());
            let (stage, after) = match stage {
                SyncStage::Conversations(after) => (CONVERSATIONS, Some(*after.as_uuid())),
                SyncStage::People(after) => (PEOPLE, after.map(|after| *after.as_uuid())),
            };
            bytes.push(stage);
            bytes.extend(after.iter().flat_map(Uuid::as_bytes));
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let resume = match bytes.get(24..)? {
            [] => None,
            rest => {
                let stage = match (*rest.get(8)?, rest.get(9..)?) {
                    (CONVERSATIONS, after) => {
                        SyncStage::Conversations(ConversationId::from_uuid(uuid(after)?))
                    }
                    (PEOPLE, []) => SyncStage::People(None),
                    (PEOPLE, after) => SyncStage::People(Some(UserId::from_uuid(uuid(after)?))),
                    _ => return None,
                };
                Some((number(rest.get(..8)?)?, stage))
            }
        };
        Some(Self {
            incarnation: bytes.get(..16)?.try_into().ok()?,
            since: number(bytes.get(16..24)?)?,
            resume,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_cursor_comes_back(n: i64, m: i64, id: u128, flag: bool, name in "[a-z0-9_]{3,32}") {
            let conversation = ConversationId::from_uuid(Uuid::from_u128(id));
            let inbox = InboxCursor {
                pinned: flag, active_at: Timestamp::from_micros(n), id: conversation,
            };
            prop_assert_eq!(InboxCursor::decode(&inbox.encode()), Some(inbox));
            let member = MemberCursor {
                joined_at: Timestamp::from_micros(n),
                user_id: UserId::from_uuid(Uuid::from_u128(id)),
            };
            prop_assert_eq!(MemberCursor::decode(&member.encode()), Some(member));
            let user = UserCursor(name);
            prop_assert_eq!(UserCursor::decode(&user.encode()), Some(user.clone()));
            let directory = DirectoryCursor { name: user.0, id: conversation };
            prop_assert_eq!(DirectoryCursor::decode(&directory.encode()), Some(directory.clone()));
            let someone = member.user_id;
            let block = BlockCursor(someone);
            prop_assert_eq!(BlockCursor::decode(&block.encode()), Some(block));
            let receipt = ReceiptCursor(someone);
            prop_assert_eq!(ReceiptCursor::decode(&receipt.encode()), Some(receipt));
        }

        #[test]
        fn an_invites_place_comes_back(at: i64, code in "[A-Za-z0-9_-]{16,64}") {
            let invite = InviteCursor {
                created_at: Timestamp::from_micros(at), code: InviteCode::parse(&code).unwrap(),
            };
            prop_assert_eq!(InviteCursor::decode(&invite.encode()), Some(invite.clone()));
        }

        #[test]
        fn a_sync_goes_on_where_it_was(n: i64, m: i64, id: u128, stage in 0..4) {
            let user = UserId::from_uuid(Uuid::from_u128(id));
            let stage = match stage {
                0 => None,
                1 => Some(SyncStage::Conversations(ConversationId::from_uuid(*user.as_uuid()))),
                2 => Some(SyncStage::People(None)),
                _ => Some(SyncStage::People(Some(user))),
            };
            let sync = SyncFrom {
                incarnation: id.to_be_bytes(), since: n, resume: stage.map(|stage| (m, stage)),
            };
            prop_assert_eq!(SyncFrom::decode(&sync.encode()), Some(sync.clone()));
        }

        #[test]
        fn no_bytes_bring_it_down(bytes: Vec<u8>) {
            let _ = InboxCursor::decode(&bytes);
            let _ = MemberCursor::decode(&bytes);
            let _ = DirectoryCursor::decode(&bytes);
            let _ = InviteCursor::decode(&bytes);
            let _ = BlockCursor::decode(&bytes);
            let _ = SyncFrom::decode(&bytes);
        }
    }
}
