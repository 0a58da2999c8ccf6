//! What the core needs from outside, as traits.
//!
//! A port exists for what crosses the process's edge or is not deterministic: stores, live
//! delivery, presence, clock, ids, passwords, tokens. All are object-safe and used behind
//! `Arc<dyn …>`. With the feature `mock`, each has a mock (`MockUserStore`, …).
//!
//! # How to write a store
//!
//! 1. **Each method is one atomic step**: it happens wholly or not at all, also when the caller
//!    stops waiting. No transaction crosses a port.
//! 2. **A lookup answers `Ok(None)`** for what is not there. "Not found" is the caller's word.
//! 3. **Who may see it is part of the statement.** A method that takes a `viewer` answers for him:
//!    what he may not see is not there.
//! 4. **Decisions come with a guard.** A use case reads, asks the domain, and saves what it decided
//!    together with the epoch it read. A store MUST compare the epoch inside the transaction that
//!    writes, after it has locked the head, and answer "stale" if it moved.
//! 5. **Errors are told apart** as [`StoreError`] says. A write whose commit was sent but not
//!    answered is [`StoreError::OutcomeUnknown`], never a plain failure.
//! 6. A row that cannot be read is [`StoreError::Corrupt`], naming table, key and column. It is
//!    never skipped.
//!
//! `kith_testkit::contract` holds these promises as tests: run it on every new store.

mod blocks;
mod error;
mod identity;
mod invites;
pub mod live;
pub mod log;
mod process;
mod reads;
mod receipts;
pub mod tail;
mod tally;

pub use blocks::BlockStore;
pub use error::{Constraint, StoreError, StoreResult};
pub use identity::{
    AccessClaims, AccessTokens, Credentials, LoginName, NewAccount, PasswordHasher, PasswordsBusy,
    RefreshClaims, RefreshTokens, Seals, SessionStore, TokenError, TokenHash, UserCursor,
    UserStore,
};
pub use invites::{InviteCursor, InviteStore};
pub use process::{Clock, Ids};
pub use reads::{
    Catalog, Changes, ConversationCard, ConversationStore, DirectoryCursor, HistoryPage,
    HistorySelector, InboxCursor, InboxFilter, Listing, MemberCursor, MemberMarks, MemberRow,
    MemberSnapshot, MessageCard, MessageContext, MessageStore, Page, Snapshot, SyncBody, SyncFrom,
    SyncRead, SyncRequest, SyncStage, SyncedConversation, Topic, Unread,
};
pub use receipts::{Advance, Advanced, Receipt, ReceiptStore};
pub use tally::Tally;

#[cfg(feature = "mock")]
pub use {
    blocks::MockBlockStore,
    identity::{
        MockAccessTokens, MockPasswordHasher, MockRefreshTokens, MockSeals, MockSessionStore,
        MockUserStore,
    },
    invites::MockInviteStore,
    process::{MockClock, MockIds},
    reads::{MockConversationStore, MockMessageStore},
    receipts::MockReceiptStore,
    tally::MockTally,
};
