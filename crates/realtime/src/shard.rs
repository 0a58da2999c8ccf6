//! One worker's part of the hub: its own sockets, by person and by topic. No lock, since only the
//! worker's own loop touches it.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use bytestring::ByteString;
use kith_domain::{ConnectionId, ConversationId, SessionId, UserId, event::Audience};
use kith_ports::{
    Topic,
    live::{CloseReason, Outgoing, Socket, TopicChange},
};
use smallvec::SmallVec;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::cluster::{Channel, Interest};

/// After so many deliveries, each of which is at most one frame for a socket, or so many frames in all, a
/// worker lets its sockets write. Frames that meet in a queue are written together.
const BREATHE: (usize, usize) = (256, 4_096);

/// Something to deliver, encoded.
#[derive(Debug)]
pub(crate) enum Delivery {
    Event {
        news: News,
        audience: Audience,
    },
    Reply(ConnectionId, Outgoing),
    Topic {
        conversation_id: ConversationId,
        member_epoch: i64,
        change: TopicChange,
    },
    Close {
        user_id: UserId,
        session_id: SessionId,
        reason: CloseReason,
    },
    /// Nobody knows what was missed: all sockets are let go, to come back and read it anew.
    LetGo,
}

/// An event, encoded, and which of the sockets of its audience get it.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) frame: ByteString,
    /// Where it happened. A socket that carries one conversation gets what happened there alone.
    pub(crate) conversation: Option<ConversationId>,
    /// Left out for a socket that is behind.
    pub(crate) passing: bool,
    /// The socket that has been answered already.
    pub(crate) acknowledged: Option<ConnectionId>,
}

impl News {
    fn concerns(&self, socket: &Socket) -> bool {
        Some(socket.connection) != self.acknowledged
            && (socket.only.is_none() || socket.only == self.conversation)
    }
}

/// What sockets say of themselves.
#[derive(Debug)]
pub(crate) enum Control {
    Attach(Socket, oneshot::Sender<mpsc::Receiver<Outgoing>>),
    Subscribe(Socket, Vec<Topic>, oneshot::Sender<()>),
    Detach(Socket),
}

/// Sockets whose topics are being read: what is read may be older than what is told here.
type Opening = HashMap<ConnectionId, Socket>;

/// A person with sockets here.
#[derive(Debug, Default)]
struct Person {
    sockets: SmallVec<[Attached; 2]>,
    /// The topics he is in, for taking him out of them when he goes.
    topics: HashSet<ConversationId>,
    /// Comings and goings while his topics are read, which win over what is read.
    overtaken: HashMap<ConversationId, i64>,
}

impl Person {
    fn overtake(&mut self, id: ConversationId, epoch: i64, opening: &Opening) {
        if self.is_among(opening) {
            self.overtaken.insert(id, epoch);
        }
    }

    /// Forgets what has been overtaken where nothing is read for him any more.
    fn end_opening(&mut self, opening: &Opening) {
        if !self.overtaken.is_empty() && !self.is_among(opening) {
            self.overtaken = HashMap::new();
        }
    }

    fn is_among(&self, opening: &Opening) -> bool {
        self.sockets.iter().any(|it| opening.contains_key(&it.socket.connection))
    }
}

#[derive(Debug)]
struct Attached {
    socket: Socket,
    queue: mpsc::Sender<Outgoing>,
}

/// One worker's sockets.
#[derive(Debug)]
pub(crate) struct Shard {
    queue: usize,
    interest: Option<Arc<Interest>>,
    people: HashMap<UserId, Person>,
    owners: HashMap<ConnectionId, UserId>,
    opening: Opening,
    topics: HashMap<ConversationId, HashSet<UserId>>,
    /// Since its sockets were let write.
    deliveries: usize,
    frames: usize,
}

impl Shard {
    pub(crate) fn new(queue: usize, interest: Option<Arc<Interest>>) -> Self {
        Self {
            queue,
            interest,
            people: HashMap::new(),
            owners: HashMap::new(),
            opening: HashMap::new(),
            topics: HashMap::new(),
            deliveries: 0,
            frames: 0,
        }
    }

    /// Serves the worker's sockets until the hub is closed.
    pub(crate) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Arc<Vec<Delivery>>>,
        mut commands: mpsc::UnboundedReceiver<Control>,
    ) {
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => {
                        if matches!(command, Control::Subscribe(..)) {
                            // What was handed over before may not be for him who listens from now on.
                            for _ in 0..inbox.len() {
                                let Ok(batch) = inbox.try_recv() else { break };
                                self.deliver_all(&batch).await;
                            }
                        }
                        self.control(command);
                    }
                    None => return,
                },
                batch = inbox.recv() => match batch {
                    Some(batch) => self.deliver_all(&batch).await,
                    None => return,
                },
            }
        }
    }

    async fn deliver_all(&mut self, batch: &[Delivery]) {
        for delivery in batch {
            self.deliver(delivery);
            self.deliveries += 1;
            if self.deliveries >= BREATHE.0 || self.frames >= BREATHE.1 {
                (self.deliveries, self.frames) = (0, 0);
                tokio::task::yield_now().await;
            }
        }
    }

    fn deliver(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Event { news, audience } => {
                let mut told = Told::default();
                match audience {
                    Audience::Members(id) => {
                        for user in self.topics.get(id).into_iter().flatten() {
                            told.tell(self.people.get(user), news);
                        }
                    }
                    Audience::Others(id, one) => {
                        for user in self.topics.get(id).into_iter().flatten() {
                            if user != one {
                                told.tell(self.people.get(user), news);
                            }
                        }
                    }
                    Audience::Users(users) => {
                        for user in users {
                            told.tell(self.people.get(user), news);
                        }
                    }
                }
                self.settle(&told);
            }
            Delivery::Reply(connection, answer) => {
                let owner = self.owners.get(connection).and_then(|user| self.people.get(user));
                let mut told = Told::default();
                told.answer(owner, *connection, answer);
                self.settle(&told);
            }
            Delivery::Topic { conversation_id, member_epoch, change } => {
                self.change_topic(*conversation_id, *member_epoch, change);
            }
            Delivery::Close { user_id, session_id, reason } => {
                self.end(*user_id, |socket| socket.session_id == *session_id, *reason);
            }
            Delivery::LetGo => {
                let people: Vec<UserId> = self.people.keys().copied().collect();
                for user in people {
                    self.end(user, |_| true, CloseReason::Missed);
                }
            }
        }
    }

    fn change_topic(&mut self, id: ConversationId, epoch: i64, change: &TopicChange) {
        match change {
            TopicChange::Join(users) => {
                for user in users {
                    if let Some(person) = self.people.get_mut(user) {
                        person.overtake(id, epoch, &self.opening);
                        person.topics.insert(id);
                        self.enter(id, *user);
                    }
                }
            }
            TopicChange::Leave(users) => {
                for user in users {
                    if let Some(person) = self.people.get_mut(user) {
                        person.overtake(id, epoch, &self.opening);
                        person.topics.remove(&id);
                        self.leave(id, *user);
                    }
                    self.end(*user, |socket| socket.only == Some(id), CloseReason::RightLost);
                }
            }
            TopicChange::Doubtful => {
                warn!(conversation = %id, "its listeners must read it anew");
                for user in self.empty(id) {
                    if let Some(person) = self.people.get_mut(&user) {
                        // He stays known by sockets that carry another conversation.
                        person.topics.remove(&id);
                        self.end(
                            user,
                            |it| it.only.is_none_or(|only| only == id),
                            CloseReason::Missed,
                        );
                    }
                }
                let opening: Vec<Socket> = self.opening.values().copied().collect();
                for socket in opening.iter().filter(|it| it.only.is_none_or(|only| only == id)) {
                    let one = socket.connection;
                    self.end(socket.user_id, |it| it.connection == one, CloseReason::Missed);
                }
            }
            TopicChange::Dissolve => {
                let mut users = self.empty(id);
                users.extend(self.opening.values().map(|socket| socket.user_id));
                for user in users {
                    if let Some(person) = self.people.get_mut(&user) {
                        person.overtake(id, epoch, &self.opening);
                        person.topics.remove(&id);
                    }
                    self.end(user, |socket| socket.only == Some(id), CloseReason::RightLost);
                }
            }
        }
    }

    fn control(&mut self, command: Control) {
        match command {
            Control::Attach(socket, attached) => {
                let (queue, outgoing) = mpsc::channel(self.queue);
                self.attach(socket, queue);
                if attached.send(outgoing).is_err() {
                    self.detach(&socket);
                }
            }
            Control::Subscribe(socket, topics, done) => {
                self.subscribe(&socket, topics);
                let _ = done.send(());
            }
            Control::Detach(socket) => self.detach(&socket),
        }
    }

    fn attach(&mut self, socket: Socket, queue: mpsc::Sender<Outgoing>) {
        self.owners.insert(socket.connection, socket.user_id);
        self.opening.insert(socket.connection, socket);
        let person = self.people.entry(socket.user_id).or_default();
        person.sockets.push(Attached { socket, queue });
        if person.sockets.len() == 1 {
            self.want(Channel::User(socket.user_id));
        }
    }

    fn subscribe(&mut self, socket: &Socket, topics: Vec<Topic>) {
        // What was read for a socket that is gone may be older than all that is known here.
        if !self.owners.contains_key(&socket.connection) {
            return;
        }
        self.opening.remove(&socket.connection);
        let Some(person) = self.people.get_mut(&socket.user_id) else { return };
        let mut entered = Vec::new();
        for topic in topics {
            let id = topic.conversation_id;
            let overtaken = person.overtaken.get(&id).is_some_and(|it| *it > topic.member_epoch);
            if !overtaken {
                person.topics.insert(id);
                entered.push(id);
            }
        }
        // Direct chats have no topic, and nobody leaves them.
        let lost = socket.only.filter(|id| !id.is_direct() && !person.topics.contains(id));
        person.end_opening(&self.opening);
        for id in entered {
            self.enter(id, socket.user_id);
        }
        if lost.is_some() {
            let one = socket.connection;
            self.end(socket.user_id, |it| it.connection == one, CloseReason::RightLost);
        }
    }

    fn detach(&mut self, socket: &Socket) {
        self.owners.remove(&socket.connection);
        self.opening.remove(&socket.connection);
        let Entry::Occupied(mut person) = self.people.entry(socket.user_id) else { return };
        person.get_mut().sockets.retain(|it| it.socket.connection != socket.connection);
        person.get_mut().end_opening(&self.opening);
        if person.get().sockets.is_empty() {
            for id in person.remove().topics {
                self.leave(id, socket.user_id);
            }
            self.release(Channel::User(socket.user_id));
        }
    }

    /// A person listens to a topic.
    fn enter(&mut self, id: ConversationId, user: UserId) {
        let listeners = self.topics.entry(id).or_default();
        let first = listeners.is_empty();
        listeners.insert(user);
        if first {
            self.want(Channel::Conversation(id));
        }
    }

    /// A person listens to a topic no more.
    fn leave(&mut self, id: ConversationId, user: UserId) {
        if let Entry::Occupied(mut topic) = self.topics.entry(id) {
            topic.get_mut().remove(&user);
            if topic.get().is_empty() {
                topic.remove();
                self.release(Channel::Conversation(id));
            }
        }
    }

    /// Nobody listens to a topic any more. Those who did.
    fn empty(&mut self, id: ConversationId) -> HashSet<UserId> {
        let listeners = self.topics.remove(&id);
        if listeners.is_some() {
            self.release(Channel::Conversation(id));
        }
        listeners.unwrap_or_default()
    }

    fn want(&self, channel: Channel) {
        if let Some(interest) = &self.interest {
            interest.want(channel);
        }
    }

    fn release(&self, channel: Channel) {
        if let Some(interest) = &self.interest {
            interest.release(channel);
        }
    }

    /// Ends those of a person's sockets that are `meant`, with a last word.
    fn end(&mut self, user: UserId, meant: impl Fn(&Socket) -> bool, reason: CloseReason) {
        let Some(person) = self.people.get(&user) else { return };
        let mut closed: SmallVec<[Socket; 2]> = SmallVec::new();
        for attached in person.sockets.iter().filter(|attached| meant(&attached.socket)) {
            // Where there is no room for a last word, the queue ends without one.
            let _ = attached.queue.try_send(Outgoing::Close(reason));
            closed.push(attached.socket);
        }
        for socket in &closed {
            self.detach(socket);
        }
    }

    /// Counts what was delivered and lets go of sockets whose queue is full. Their drivers see the
    /// queue end without a last word, which means [`CloseReason::TooSlow`].
    fn settle(&mut self, told: &Told) {
        self.frames += told.frames;
        for socket in &told.slow {
            warn!(connection = %socket.connection, user = %socket.user_id, "a socket cannot keep up");
            self.detach(socket);
        }
    }
}

/// What became of one delivery.
#[derive(Default)]
struct Told {
    frames: usize,
    slow: SmallVec<[Socket; 2]>,
}

impl Told {
    /// Puts an event into the queues of those of a person's sockets that it concerns.
    fn tell(&mut self, person: Option<&Person>, news: &News) {
        for attached in person.iter().flat_map(|person| &person.sockets) {
            let left_out = news.passing && is_behind(&attached.queue);
            if news.concerns(&attached.socket) && !left_out {
                self.put(attached, Outgoing::Frame(news.frame.clone()));
            }
        }
    }

    /// Puts an answer into the queue of the one socket it is for.
    fn answer(&mut self, person: Option<&Person>, to: ConnectionId, answer: &Outgoing) {
        let mut sockets = person.iter().flat_map(|person| &person.sockets);
        if let Some(attached) = sockets.find(|attached| attached.socket.connection == to) {
            self.put(attached, answer.clone());
        }
    }

    fn put(&mut self, attached: &Attached, outgoing: Outgoing) {
        self.frames += 1;
        if attached.queue.try_send(outgoing).is_err() {
            self.slow.push(attached.socket);
        }
    }
}

/// The last quarter of a queue is kept for what must not be lost.
fn is_behind(queue: &mpsc::Sender<Outgoing>) -> bool {
    queue.capacity() <= queue.max_capacity() / 4
}
