//! Live delivery: what happened, to the sockets that should hear of it.

use std::{future::Future, pin::Pin, sync::Arc};

use async_trait::async_trait;
use bytestring::ByteString;
use kith_domain::{
    ConnectionId, ConversationId, Refusal, SessionId, Timestamp, UserId,
    event::{Audience, Event},
    message::Message,
};
use tokio::sync::mpsc;

use crate::{reads::Topic, tail::TailPosition};

/// The socket a command came from, and the client's own mark on its frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Which socket.
    pub connection: ConnectionId,
    /// The `id` of the frame, echoed in the answer.
    pub frame_id: Option<Box<str>>,
}

/// Something for sockets.
#[derive(Clone, Debug)]
pub enum Dispatch {
    /// An event for all sockets of an audience. The socket it came from, if any, gets its
    /// acknowledgement in the same place of the order instead: for a message that was sent the
    /// message, for anything else that it is done.
    Event {
        /// What happened.
        event: Event,
        /// Whom it concerns.
        audience: Audience,
        /// Where it came from.
        origin: Option<Origin>,
    },
    /// An answer to one socket alone, in order with the events.
    Reply {
        /// Which socket.
        origin: Origin,
        /// The answer.
        reply: Reply,
    },
    /// Members of a group or channel come and go: whose sockets get its events from here on.
    Topic {
        /// Which group or channel.
        conversation_id: ConversationId,
        /// Its member epoch after the change.
        member_epoch: i64,
        /// Who comes or goes.
        change: TopicChange,
    },
    /// Closes the sockets of a session that has ended.
    Close {
        /// Whose.
        user_id: UserId,
        /// Which session.
        session_id: SessionId,
        /// Why.
        reason: CloseReason,
    },
}

/// Who comes into a topic or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicChange {
    /// These come.
    Join(Vec<UserId>),
    /// These go.
    Leave(Vec<UserId>),
    /// All go: the conversation was deleted.
    Dissolve,
    /// Nobody knows who came or went: the sockets of all who listen are let go, to come back and
    /// read it anew.
    Doubtful,
}

/// The answer to a command that came over a socket.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The message is durable.
    Sent(Arc<Message>),
    /// Done. Told only when the command had an id.
    Done,
    /// The answer is no.
    Refused(Refusal),
    /// It failed for no fault of the client's.
    Failed(Failure),
    /// A frame that is encoded already.
    Frame(ByteString),
}

/// How a command fails for no fault of the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// More is waiting than the server takes: try later.
    Overloaded,
    /// The database cannot be reached: try later.
    Unavailable,
    /// It may have happened or not: the same command again is harmless, and tells.
    OutcomeUnknown,
    /// The server is at fault.
    Internal,
}

/// Why a socket is closed by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Signed out, or the token ended.
    SignedOut,
    /// The reader cannot keep up.
    TooSlow,
    /// Nobody knows what it was not told: its person comes back, and reads it anew.
    Missed,
    /// The person is no more in the one conversation that the socket carries.
    RightLost,
}

/// What a socket gets.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// Any other frame.
    Frame(ByteString),
    /// A lane's answer to a command of this socket: one for each that was submitted.
    Answer(ByteString),
    /// The last thing it gets.
    Close(CloseReason),
}

/// Tells the sockets what happened.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait EventBus: Send + Sync {
    /// Hands over in order; waits while the sockets' workers are behind.
    ///
    /// # Contract
    /// What is handed over by one caller MUST reach each socket in that order. Events MUST be
    /// encoded once, whatever the number of sockets. A socket that cannot take a durable event
    /// MUST be closed with [`CloseReason::TooSlow`], never passed over; a passing one
    /// ([`Event::is_passing`]) is left out instead.
    async fn publish(&self, batch: Vec<Dispatch>);
}

/// A socket that wants to hear.
#[derive(Clone, Copy, Debug)]
pub struct Socket {
    /// Which.
    pub connection: ConnectionId,
    /// Whose.
    pub user_id: UserId,
    /// Of which device.
    pub session_id: SessionId,
    /// The one conversation whose events it carries; `None`: all that concerns its user.
    pub only: Option<ConversationId>,
}

/// One of the threads that own sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerId(pub usize);

/// The loop that a worker must run to serve its sockets. It ends when the hub is closed.
pub type WorkerLoop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The sockets' side of live delivery.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Subscriptions: Send + Sync {
    /// Adds a worker. Its loop must run on the thread whose sockets are attached to it.
    fn add_worker(&self) -> (WorkerId, WorkerLoop);

    /// Attaches a socket: from now on it gets what concerns its user. `None` once the hub is closed.
    ///
    /// Group topics follow with [`subscribe`](Self::subscribe); changes of members that happen in
    /// between are kept and win over what was read.
    async fn attach(&self, worker: WorkerId, socket: Socket) -> Option<mpsc::Receiver<Outgoing>>;

    /// Names the groups and channels of a socket's user, as read after it was attached. For a
    /// socket that is attached no more, nothing happens. `false` if it cannot hear of them now: it is
    /// taken away.
    async fn subscribe(&self, worker: WorkerId, socket: Socket, topics: Vec<Topic>) -> bool;

    /// Takes a socket away.
    fn detach(&self, worker: WorkerId, socket: Socket);

    /// Whether sockets hear at once of what happens anywhere. If not, they hear of it later.
    fn is_whole(&self) -> bool;

    /// Up to where all that other nodes have stored in conversations has been told. `None` where there
    /// are no others.
    fn told(&self) -> Option<TailPosition>;
}

/// What a board finds, that nobody has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// He was on a node that died, and was last there then.
    Gone(UserId, Timestamp),
    /// His node was taken for dead, and is not.
    Here(UserId),
}

/// Who is online.
///
/// A person is told to be away only after a grace, so that a reconnecting device is no news.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PresenceBoard: Send + Sync {
    /// A device came. `true` if the person was away until now: others are to be told.
    async fn arrive(&self, user: UserId) -> bool;
    /// A device went. `true` if it was the last: [`settle`](Self::settle) after the grace.
    async fn leave(&self, user: UserId) -> bool;
    /// The grace is over. `true` if the person is away from now on: others are to be told.
    async fn settle(&self, user: UserId) -> bool;
    /// Which of these people are online, in the order given.
    async fn online(&self, users: &[UserId]) -> Vec<bool>;
    /// What the board itself has found of people, of which others are to be told. Waits until there is
    /// some; `None` where there are no other nodes.
    async fn found(&self) -> Option<Vec<Found>>;
}
