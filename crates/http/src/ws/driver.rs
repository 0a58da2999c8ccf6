//! A socket's driver: the one place where frames are read and written.
//!
//! It runs on the worker that accepted the connection, and owns everything of the socket. Commands
//! go into their lane in the order in which they were read; answers and events come out of one
//! queue, in order. While too many commands are unanswered nothing more is read, so that a client
//! that floods is slowed down by its own connection.

use std::{collections::VecDeque, sync::Arc};

use actix_ws::{Item, Message, MessageStream};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use kith_app::{limits::Verdict, messaging, sessions::Principal};
use kith_ports::live::{self, Origin, Outgoing, Socket, WorkerId};
use kith_protocol::frame::{ServerFrame, close};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};
use tracing::info;

use super::{
    commands::{self, Finished},
    guard::TooBig,
    peer::{End, Peer, broken, come_back, ended, failed},
    session::{Effect, Scope, Session, refusal},
    typist::{Stroke, Typist},
};
use crate::{context::Context, problem::Problem};

/// How many commands of a socket may be unanswered before its reading pauses.
const UNANSWERED: usize = 256;
/// How many of them may be under way outside of the lanes.
const UNDER_WAY: usize = 16;
/// What is said to one who cannot be served now.
const COME_BACK: &str = "retry_after_ms=1000";
/// How many receipts may be on their way into the store.
const MARKS: usize = 256;

/// A socket, and all that is under way for it.
pub(super) struct Driver {
    context: Arc<Context>,
    principal: Principal,
    socket: Socket,
    worker: WorkerId,
    peer: Peer,
    typist: Typist,
    unanswered: usize,
    under_way: FuturesUnordered<JoinHandle<Finished>>,
    /// Receipts: their order does not matter, and nothing waits for them.
    marks: FuturesUnordered<JoinHandle<()>>,
    /// An edit, a deletion or a reaction is under way: what comes after it must not overtake it.
    writing: bool,
    /// The pieces of a message that comes in pieces.
    pieces: Vec<u8>,
}

/// What others know of the socket, until this is dropped: its place in the hub, and that the person
/// is here.
struct Attached {
    context: Arc<Context>,
    worker: WorkerId,
    socket: Socket,
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.context.services.subscriptions.detach(self.worker, self.socket);
        self.context.services.presence.left(self.socket.user_id);
    }
}

impl Driver {
    /// Drives a socket that has been opened.
    pub(super) fn new(
        context: Arc<Context>,
        session: actix_ws::Session,
        principal: Principal,
        socket: Socket,
        worker: WorkerId,
    ) -> Self {
        Self {
            peer: Peer::new(session),
            typist: Typist::new(Arc::clone(&context), socket),
            unanswered: 0,
            writing: false,
            under_way: FuturesUnordered::new(),
            marks: FuturesUnordered::new(),
            pieces: Vec::new(),
            context,
            principal,
            socket,
            worker,
        }
    }

    /// Serves the socket until it ends.
    pub(super) async fn run(mut self, stream: MessageStream, too_big: &TooBig) {
        let Some(mut queue) =
            self.context.services.subscriptions.attach(self.worker, self.socket).await
        else {
            self.peer.close(close::RESTART, COME_BACK.to_owned()).await;
            return;
        };
        let (context, user) = (Arc::clone(&self.context), self.socket.user_id);
        let arrived =
            self.context.spawn(async move { context.services.presence.arrived(user).await });
        // Counted, whether or not it could be told.
        let _ = arrived.await;
        let context = Arc::clone(&self.context);
        let attached = Attached { context, worker: self.worker, socket: self.socket };
        info!("client connected");
        let end = match self.open().await {
            Ok(session) => self.serve(session, stream, &mut queue, too_big).await,
            Err(end) => end,
        };
        drop(attached);
        self.typist.hush();
        match end {
            End::Gone => info!("client disconnected"),
            End::Close(code, reason) => {
                info!(code, reason, "client disconnected");
                self.peer.close(code, reason).await;
            }
        }
    }

    /// Subscribes to what the person is in, then says `ready`: from here on nothing is missed.
    async fn open(&mut self) -> Result<Session, End> {
        let user = self.socket.user_id;
        let (context, principal) = (Arc::clone(&self.context), self.principal);
        let topics = self.context.run(async move {
            // The session may have ended between the check of the token and the attachment; from
            // here on the hub says so.
            context.services.openings.topics(&principal).await
        });
        let mut topics = topics.await.map_err(|problem| failed(&problem))?;
        if let Some(only) = self.socket.only {
            topics.retain(|topic| topic.conversation_id == only);
        }
        let subscriptions = Arc::clone(&self.context.services.subscriptions);
        if !subscriptions.subscribe(self.worker, self.socket, topics).await {
            return Err(End::Close(close::RESTART, COME_BACK.to_owned()));
        }
        let now = self.context.services.clock.now();
        let heartbeat = self.context.settings.heartbeat;
        let ready = ServerFrame::Ready {
            connection_id: *self.socket.connection.as_uuid(),
            session_id: *self.socket.session_id.as_uuid(),
            user_id: *user.as_uuid(),
            server_time: now.into(),
            heartbeat_seconds: heartbeat.as_secs(),
            token_expires_at: self.principal.expires_at.into(),
        };
        self.peer.tell(&ready).await?;
        let remaining = self.principal.expires_at.since(now);
        let scope = Scope { user, only: self.socket.only };
        Ok(Session::new(scope, heartbeat, Instant::now(), self.principal.expires_at, remaining))
    }

    async fn serve(
        &mut self,
        mut session: Session,
        mut stream: MessageStream,
        queue: &mut mpsc::Receiver<Outgoing>,
        too_big: &TooBig,
    ) -> End {
        let stop = self.context.stop.clone();
        let mut effects = VecDeque::new();
        loop {
            while let Some(effect) = effects.pop_front() {
                if let Err(end) = self.carry_out(effect).await {
                    return end;
                }
            }
            let may_read = !self.writing
                && self.unanswered < UNANSWERED
                && self.under_way.len() < UNDER_WAY
                && self.marks.len() < MARKS;
            // Each gets its turn: a stream of events does not keep the socket from being read, nor
            // its heartbeat from being kept.
            let served = tokio::select! {
                () = stop.cancelled() => return self.restart(queue).await,
                outgoing = queue.recv() => self.put_out(outgoing, queue).await,
                Some(finished) = self.under_way.next() => {
                    self.finish(&mut session, &finished);
                    Ok(())
                }
                Some(_) = self.marks.next() => Ok(()),
                () = tokio::time::sleep_until(session.next_tick()) => {
                    effects.extend(session.tick(Instant::now()));
                    Ok(())
                }
                message = stream.recv(), if may_read => match message {
                    Some(Ok(message)) => {
                        session.heard();
                        self.take(&mut session, message).await.map(|effect| effects.extend(effect))
                    }
                    Some(Err(error)) => Err(broken(&error, too_big)),
                    None => Err(End::Gone),
                },
            };
            if let Err(end) = served {
                return end;
            }
        }
    }

    /// Writes an event or an answer.
    async fn put_out(
        &mut self,
        outgoing: Option<Outgoing>,
        queue: &mut mpsc::Receiver<Outgoing>,
    ) -> Result<(), End> {
        // The hub lets go of a socket by ending its queue: with a last word, or because it is full.
        if outgoing.is_none() || queue.is_closed() {
            let mut last = outgoing;
            loop {
                match last {
                    Some(Outgoing::Close(reason)) => return Err(self.let_go(reason).await),
                    Some(_) => last = queue.try_recv().ok(),
                    None => return Err(ended(live::CloseReason::TooSlow)),
                }
            }
        }
        match outgoing {
            Some(Outgoing::Frame(frame)) => self.peer.say(frame).await,
            Some(Outgoing::Answer(frame)) => {
                self.unanswered = self.unanswered.saturating_sub(1);
                self.peer.say(frame).await
            }
            Some(Outgoing::Close(reason)) => Err(self.let_go(reason).await),
            None => Err(End::Gone),
        }
    }

    async fn let_go(&mut self, reason: live::CloseReason) -> End {
        if reason == live::CloseReason::Missed
            && let Err(end) = self.peer.tell(&ServerFrame::Resync {}).await
        {
            return end;
        }
        ended(reason)
    }

    fn finish(
        &mut self,
        session: &mut Session,
        finished: &Result<Finished, tokio::task::JoinError>,
    ) {
        if matches!(finished, Ok(Finished::Written) | Err(_)) {
            self.writing = false;
        }
        if let Ok(Finished::Renewed(expires_at)) = *finished {
            let remaining = expires_at.since(self.context.services.clock.now());
            session.renewed(Instant::now(), expires_at, remaining);
        }
    }

    /// Reads one message.
    async fn take(
        &mut self,
        session: &mut Session,
        message: Message,
    ) -> Result<Option<Effect>, End> {
        match message {
            Message::Text(text) => Ok(Some(session.text(&text))),
            Message::Binary(_) => Ok(Some(Session::binary())),
            Message::Ping(payload) => {
                self.within_rate()?;
                self.peer.pong(&payload).await.map(|()| None)
            }
            Message::Pong(_) => {
                self.within_rate()?;
                Ok(None)
            }
            Message::Continuation(piece) => self.piece(session, piece),
            Message::Close(_) => Err(End::because(1000, "")),
            Message::Nop => Ok(None),
        }
    }

    /// One piece of a message; the guard has seen to it that they are not too many or too long.
    fn piece(&mut self, session: &mut Session, piece: Item) -> Result<Option<Effect>, End> {
        match piece {
            Item::FirstText(bytes) => {
                self.pieces = bytes.to_vec();
                Ok(None)
            }
            Item::FirstBinary(_) => Ok(Some(Session::binary())),
            Item::Continue(bytes) => {
                self.pieces.extend_from_slice(&bytes);
                Ok(None)
            }
            Item::Last(bytes) => {
                self.pieces.extend_from_slice(&bytes);
                let text = String::from_utf8(std::mem::take(&mut self.pieces));
                match text {
                    Ok(text) => Ok(Some(session.text(&text))),
                    Err(_) => Err(End::because(1007, "not UTF-8")),
                }
            }
        }
    }

    fn within_rate(&self) -> Result<(), End> {
        match self.context.services.requests.take(self.socket.user_id) {
            Verdict::FarAbove => Err(End::because(close::RATE_LIMITED, "rate limited")),
            Verdict::Within | Verdict::Above { .. } => Ok(()),
        }
    }

    async fn carry_out(&mut self, effect: Effect) -> Result<(), End> {
        match effect {
            Effect::Say(frame) => {
                self.within_rate()?;
                self.peer.tell(&frame).await
            }
            Effect::Ping => self.peer.ping().await,
            Effect::Close { code, reason } => Err(End::because(code, reason)),
            command => self.command(command).await,
        }
    }

    /// Carries out a command, if the person's rate allows it.
    async fn command(&mut self, command: Effect) -> Result<(), End> {
        let writes = command.writes();
        let services = &self.context.services;
        let user = self.socket.user_id;
        let verdict =
            if writes { services.messaging.allow(user) } else { services.requests.take(user) };
        match verdict {
            Verdict::Within => {}
            Verdict::FarAbove => return Err(End::because(close::RATE_LIMITED, "rate limited")),
            Verdict::Above { retry_after } => {
                let refused = refusal(command.id(), &Problem::rate_limited(retry_after));
                return self.peer.tell(&refused).await;
            }
        }
        let origin = self.origin(command.id());
        match command {
            Effect::Send { id, message } => return self.send(id, message, origin).await,
            Effect::Typing { id, target, typing } => {
                let stroke = Stroke::Said { target, typing, origin };
                if let Err(error) = self.typist.stroke(stroke) {
                    return self.peer.tell(&refusal(id, &error.into())).await;
                }
            }
            Effect::Mark { up_to, mark, .. } => {
                let context = Arc::clone(&self.context);
                let marked = commands::mark(context, self.socket, origin, up_to, mark);
                self.marks.push(self.context.spawn(marked));
            }
            command => {
                let context = Arc::clone(&self.context);
                let only = self.socket.only;
                let done = commands::answer(context, self.principal, only, origin, command);
                self.under_way.push(self.context.spawn(done));
                self.writing |= writes;
            }
        }
        Ok(())
    }

    /// Puts a message into its lane. Its sender types no more.
    async fn send(
        &mut self,
        id: Option<String>,
        message: messaging::Outgoing,
        origin: Origin,
    ) -> Result<(), End> {
        let user = self.socket.user_id;
        let place = message.target.conversation(user).map_err(kith_app::Error::from);
        let submitted = place.and_then(|place| {
            self.context.services.messaging.submit(user, message, origin)?;
            Ok(place)
        });
        match submitted {
            Ok(place) => {
                self.unanswered += 1;
                self.typist.sent(place);
                Ok(())
            }
            Err(error) => self.peer.tell(&refusal(id, &error.into())).await,
        }
    }

    fn origin(&self, id: Option<String>) -> Origin {
        Origin { connection: self.socket.connection, frame_id: id.map(String::into_boxed_str) }
    }

    /// The server stops: clients come back at different moments. Until this one's has come, it is
    /// told what it has coming; what it says is not heard any more.
    async fn restart(&mut self, queue: &mut mpsc::Receiver<Outgoing>) -> End {
        let spread = self.context.settings.close_spread;
        let last = tokio::time::sleep(spread.mul_f64(rand::random::<f64>()));
        let mut last = std::pin::pin!(last);
        loop {
            let told = tokio::select! {
                () = &mut last => break,
                outgoing = queue.recv() => self.put_out(outgoing, queue).await,
            };
            if let Err(end) = told {
                return end;
            }
        }
        while let Ok(outgoing) = queue.try_recv() {
            if let Err(end) = self.put_out(Some(outgoing), queue).await {
                return end;
            }
        }
        come_back()
    }
}
