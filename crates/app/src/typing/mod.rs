//! Typing: who writes just now, told to those who would read it.
//!
//! Nothing of it is stored. Who may type is read when it is passed on, and for one person in one
//! conversation that is once a while at most.

mod board;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kith_domain::{
    Code, ConnectionId, ConversationId, Refusal, UserId,
    event::TypingEvent,
    group::{self, Action},
    user::User,
};
use kith_ports::{
    BlockStore, ConversationStore, Snapshot, UserStore,
    live::{Dispatch, EventBus},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use self::board::{Board, Key, Verdict, Word};
use crate::{Result, messaging::Target};

/// How typing is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypingOptions {
    /// The least time between two words on one person in one conversation.
    pub resend: Duration,
    /// How long one types who says no more of it.
    pub lifetime: Duration,
}

impl Default for TypingOptions {
    fn default() -> Self {
        Self { resend: Duration::from_secs(1), lifetime: Duration::from_secs(6) }
    }
}

/// The ports this needs.
#[derive(Clone)]
pub struct Ports {
    /// Who is in a conversation, and may write there.
    pub conversations: Arc<dyn ConversationStore>,
    /// Names, and whether the other one is still there.
    pub users: Arc<dyn UserStore>,
    /// Who wants to hear nothing of whom.
    pub blocks: Arc<dyn BlockStore>,
    /// Tells the others.
    pub bus: Arc<dyn EventBus>,
}

/// Who types on the sockets of this node.
#[derive(Clone)]
pub struct Typing {
    ports: Ports,
    shared: Arc<Shared>,
    ended: CancellationToken,
}

struct Shared {
    board: Mutex<Board>,
    /// How many are on the board.
    typists: AtomicUsize,
    /// There is something to tell, or an earlier end to wait for.
    news: Notify,
}

impl Shared {
    fn on_board<T>(&self, change: impl FnOnce(&mut Board) -> T) -> T {
        // What is on it is told by what it holds: a change that was cut off is mended by the next.
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut board);
        self.typists.store(board.len(), Ordering::Release);
        changed
    }

    fn nobody_types(&self) -> bool {
        self.typists.load(Ordering::Acquire) == 0
    }

    /// Changes the board, if anyone is on it, and wakes the task if that changed anything.
    fn hear(&self, change: impl FnOnce(&mut Board) -> bool) {
        if !self.nobody_types() && self.on_board(change) {
            self.news.notify_one();
        }
    }
}

impl Typing {
    /// Starts what ends typing that nobody ends, as a task of `tasks`, until `stop` is cancelled.
    pub fn start_service(
        ports: Ports,
        options: TypingOptions,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let shared = Arc::new(Shared {
            board: Mutex::new(Board::new(options)),
            typists: AtomicUsize::new(0),
            news: Notify::new(),
        });
        let ended = CancellationToken::new();
        tasks.spawn(tell(shared.clone(), ports.bus.clone(), stop, ended.clone().drop_guard()));
        Self { ports, shared, ended }
    }

    /// A device of `user` types. Passed on if it is news; where nobody is told of typing, nothing
    /// happens.
    pub async fn start(
        &self,
        user: UserId,
        target: Target,
        connection: ConnectionId,
    ) -> Result<()> {
        let id = target.conversation(user)?;
        let key = (id, user);
        if !self.shared.on_board(|board| board.start(key, connection, Instant::now())) {
            return Ok(());
        }
        let mut turn = Turn { shared: &self.shared, key, verdict: Verdict::Refused };
        turn.verdict = match self.judge(user, id, target).await? {
            Some(word) => Verdict::Tell(word),
            None => Verdict::Silent,
        };
        Ok(())
    }

    /// A device of `user` types no more.
    pub fn stop(&self, user: UserId, target: Target, connection: ConnectionId) {
        if let Ok(id) = target.conversation(user) {
            self.shared.hear(|board| board.stop((id, user), connection));
        }
    }

    /// `user` has sent something: that ends his typing there, on whichever device.
    pub fn sent(&self, user: UserId, conversation: ConversationId) {
        self.shared.hear(|board| board.end((conversation, user)));
    }

    /// A device of `user` is gone.
    pub fn disconnected(&self, user: UserId, connection: ConnectionId) {
        self.shared.hear(|board| board.disconnected(user, connection));
    }

    /// Waits until the task has ended.
    pub async fn crashed(&self) {
        self.ended.cancelled().await;
    }

    /// What is told of `user` typing there, and to whom; `None`: nothing, and nobody.
    async fn judge(
        &self,
        user: UserId,
        id: ConversationId,
        target: Target,
    ) -> Result<Option<Word>> {
        let Some(snapshot) = self.ports.conversations.snapshot(id, &[user]).await? else {
            // To a person one has never written to one may type, and nobody hears of it.
            return match target {
                Target::Person(peer) => {
                    self.reach(user, peer).await?;
                    Ok(None)
                }
                Target::Conversation(_) | Target::Group(_) => Err(Refusal::not_a_member().into()),
            };
        };
        let Snapshot { conversation, .. } = &snapshot;
        let role = snapshot.role_of(user).ok_or_else(Refusal::not_a_member)?;
        group::may(conversation.kind, conversation.posting, role, Action::Send)?;
        if !conversation.is_small() {
            return Ok(None);
        }
        let me = match conversation.peer_of(user) {
            Some(peer) => self.reach(user, peer).await?,
            None => self.ports.users.find(&[user]).await?.pop(),
        };
        let username = me.and_then(|me| me.username).ok_or_else(Refusal::not_a_member)?;
        Ok(Some(Word {
            event: TypingEvent { conversation_id: id, user_id: user, username },
            audience: conversation.audience_but(user),
        }))
    }

    /// That `user` may write to `peer`; gives who `user` is.
    async fn reach(&self, user: UserId, peer: UserId) -> Result<Option<User>> {
        let found = self.ports.users.find(&[user, peer]).await?;
        let (mine, others): (Vec<User>, Vec<User>) =
            found.into_iter().partition(|found| found.id == user);
        let Some(other) = others.first() else {
            let message = "is not the id of an account";
            return Err(Refusal::wrong_field("to", Code::UnknownUser, message).into());
        };
        if other.is_deleted() {
            let detail = "the account of the other one was deleted";
            return Err(Refusal::new(Code::PeerDeleted, detail).into());
        }
        if !self.ports.blocks.blocked_among(user, &[peer]).await?.is_empty() {
            return Err(Refusal::blocked().into());
        }
        Ok(mine.into_iter().next())
    }
}

/// A judgement under way. Cut off, it ends as one that was refused.
struct Turn<'a> {
    shared: &'a Shared,
    key: Key,
    verdict: Verdict,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let verdict = std::mem::replace(&mut self.verdict, Verdict::Refused);
        self.shared.on_board(|board| board.judged(self.key, verdict));
        self.shared.news.notify_one();
    }
}

/// Tells what there is to tell, and ends what nobody ends.
async fn tell(
    shared: Arc<Shared>,
    bus: Arc<dyn EventBus>,
    stop: CancellationToken,
    _ended: DropGuard,
) {
    let mut news: Vec<Dispatch> = Vec::new();
    loop {
        let next = shared.on_board(|board| board.take(Instant::now(), &mut news));
        if !news.is_empty() {
            bus.publish(std::mem::take(&mut news)).await;
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.news.notified() => {}
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
    }
}

#[cfg(test)]
mod tests;
