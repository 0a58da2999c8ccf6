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

/// After so many frames a worker lets its sockets write.
const BREATHE: usize = 256;

/// Something to deliver, encoded.
#[derive(Debug)]
pub(crate) enum Delivery {
    Event {
        frame: ByteString,
        audience: Audience,
        /// The socket that has been answered already.
        acknowledged: Option<ConnectionId>,
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
}

/// What sockets say of themselves.
#[derive(Debug)]
pub(crate) enum Control {
    Attach(Socket, oneshot::Sender<mpsc::Receiver<Outgoing>>),
    Subscribe(Socket, Vec<Topic>, oneshot::Sender<()>),
    Detach(Socket),
}

/// A person with sockets here.
#[derive(Debug, Default)]
struct Person {
    sockets: SmallVec<[Attached; 2]>,
    /// The topics he is in, for taking him out of them when he goes.
    topics: HashSet<ConversationId>,
    /// Comings and goings since he was attached, which win over what is read for him.
    overtaken: HashMap<ConversationId, i64>,
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
    people: HashMap<UserId, Person>,
    owners: HashMap<ConnectionId, UserId>,
    topics: HashMap<ConversationId, HashSet<UserId>>,
    delivered: usize,
}

impl Shard {
    pub(crate) fn new(queue: usize) -> Self {
        Self {
            queue,
            people: HashMap::new(),
            owners: HashMap::new(),
            topics: HashMap::new(),
            delivered: 0,
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
                    Some(command) => self.control(command),
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
            if self.delivered >= BREATHE {
                self.delivered = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    fn deliver(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Event { frame, audience, acknowledged } => {
                let mut told = Told::default();
                let event = Outgoing::Frame(frame.clone());
                match audience {
                    Audience::Members(id) => {
                        for user in self.topics.get(id).into_iter().flatten() {
                            told.tell(self.people.get(user), &event, |it| {
                                Some(it) != *acknowledged
                            });
                        }
                    }
                    Audience::Users(users) => {
                        for user in users {
                            told.tell(self.people.get(user), &event, |it| {
                                Some(it) != *acknowledged
                            });
                        }
                    }
                }
                self.settle(&told);
            }
            Delivery::Reply(connection, answer) => {
                let owner = self.owners.get(connection).and_then(|user| self.people.get(user));
                let mut told = Told::default();
                told.tell(owner, answer, |it| it == *connection);
                self.settle(&told);
            }
            Delivery::Topic { conversation_id, member_epoch, change } => {
                self.change_topic(*conversation_id, *member_epoch, change);
            }
            Delivery::Close { user_id, session_id, reason } => {
                self.close(*user_id, *session_id, *reason);
            }
        }
    }

    fn change_topic(&mut self, id: ConversationId, epoch: i64, change: &TopicChange) {
        match change {
            TopicChange::Join(users) => {
                for user in users {
                    if let Some(person) = self.people.get_mut(user) {
                        person.overtaken.insert(id, epoch);
                        person.topics.insert(id);
                        self.topics.entry(id).or_default().insert(*user);
                    }
                }
            }
            TopicChange::Leave(users) => {
                for user in users {
                    if let Some(person) = self.people.get_mut(user) {
                        person.overtaken.insert(id, epoch);
                        person.topics.remove(&id);
                        leave(&mut self.topics, id, *user);
                    }
                }
            }
            TopicChange::Doubtful => {
                let listeners = self.topics.get(&id).into_iter().flatten();
                let sockets: Vec<Socket> = listeners
                    .filter_map(|user| self.people.get(user))
                    .flat_map(|person| person.sockets.iter().map(|attached| attached.socket))
                    .collect();
                warn!(conversation = %id, sockets = sockets.len(), "its listeners must read it anew");
                for socket in &sockets {
                    self.detach(socket);
                }
            }
            TopicChange::Dissolve => {
                for user in self.topics.remove(&id).into_iter().flatten() {
                    if let Some(person) = self.people.get_mut(&user) {
                        person.overtaken.insert(id, epoch);
                        person.topics.remove(&id);
                    }
                }
            }
        }
    }

    fn control(&mut self, command: Control) {
        match command {
            Control::Attach(socket, attached) => {
                let (queue, outgoing) = mpsc::channel(self.queue);
                if attached.send(outgoing).is_ok() {
                    self.owners.insert(socket.connection, socket.user_id);
                    let person = self.people.entry(socket.user_id).or_default();
                    person.sockets.push(Attached { socket, queue });
                }
            }
            Control::Subscribe(socket, topics, done) => {
                self.subscribe(&socket, topics);
                let _ = done.send(());
            }
            Control::Detach(socket) => self.detach(&socket),
        }
    }

    fn subscribe(&mut self, socket: &Socket, topics: Vec<Topic>) {
        // What was read for a socket that is gone may be older than all that is known here.
        if !self.owners.contains_key(&socket.connection) {
            return;
        }
        let Some(person) = self.people.get_mut(&socket.user_id) else { return };
        for topic in topics {
            let id = topic.conversation_id;
            let overtaken = person.overtaken.get(&id).is_some_and(|it| *it > topic.member_epoch);
            if !overtaken {
                person.topics.insert(id);
                self.topics.entry(id).or_default().insert(socket.user_id);
            }
        }
    }

    fn detach(&mut self, socket: &Socket) {
        self.owners.remove(&socket.connection);
        let Entry::Occupied(mut person) = self.people.entry(socket.user_id) else { return };
        let sockets = &mut person.get_mut().sockets;
        sockets.retain(|attached| attached.socket.connection != socket.connection);
        if sockets.is_empty() {
            for id in person.remove().topics {
                leave(&mut self.topics, id, socket.user_id);
            }
        }
    }

    fn close(&mut self, user: UserId, session: SessionId, reason: CloseReason) {
        let Some(person) = self.people.get(&user) else { return };
        let of_session = |attached: &&Attached| attached.socket.session_id == session;
        let mut closed: SmallVec<[Socket; 2]> = SmallVec::new();
        for attached in person.sockets.iter().filter(of_session) {
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
        self.delivered += told.frames;
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
    /// Puts a frame into the queues of those of a person's sockets that are `meant`.
    fn tell(
        &mut self,
        person: Option<&Person>,
        frame: &Outgoing,
        meant: impl Fn(ConnectionId) -> bool,
    ) {
        for attached in person.iter().flat_map(|person| &person.sockets) {
            if meant(attached.socket.connection) {
                self.frames += 1;
                if attached.queue.try_send(frame.clone()).is_err() {
                    self.slow.push(attached.socket);
                }
            }
        }
    }
}

fn leave(topics: &mut HashMap<ConversationId, HashSet<UserId>>, id: ConversationId, user: UserId) {
    if let Entry::Occupied(mut topic) = topics.entry(id) {
        topic.get_mut().remove(&user);
        if topic.get().is_empty() {
            topic.remove();
        }
    }
}
