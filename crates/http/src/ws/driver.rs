//! A socket's driver: the one place where frames are read and written.
//!
//! It runs on the worker that accepted the connection, and owns everything of the socket. Commands
//! go into their lane in the order in which they were read; answers and events come out of one
//! queue, in order. While too many commands are unanswered nothing more is read, so that a client
//! that floods is slowed down by its own connection.

use std::{collections::VecDeque, str::Utf8Error, sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{CloseCode, CloseReason, Item, Message, MessageStream, ProtocolError};
use bytestring::ByteString;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use kith_app::{limits::Verdict, sessions::Principal};
use kith_ports::live::{self, Origin, Outgoing, Socket, WorkerId};
use kith_protocol::frame::{SUBPROTOCOL, ServerFrame, close};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};
use tracing::{Instrument as _, info, info_span};

use super::{
    commands::{self, Finished, id_of},
    counts::Place,
    guard::{self, TooBig},
    session::{Effect, Session, refusal},
};
use crate::{context::Context, problem::Problem};

/// How many commands of a socket may be unanswered before its reading pauses.
const UNANSWERED: usize = 256;
/// How many of them may be under way outside of the lanes.
const UNDER_WAY: usize = 16;
/// How long a frame may take to leave before the peer is given up.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);
/// How long a last word may take to leave.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Answers the upgrade and starts the socket's driver.
pub(super) fn upgrade(
    context: Arc<Context>,
    request: &HttpRequest,
    payload: web::Payload,
    principal: Principal,
    worker: WorkerId,
    place: Place,
) -> Result<HttpResponse, Problem> {
    let bad_handshake = |error: actix_web::Error| {
        Problem::new(
            // Not `status_code`: that of a refused handshake is always 500.
            error.as_response_error().error_response().status(),
            "bad_handshake",
            format!("this is the address of a WebSocket: {error}"),
        )
    };
    let (payload, too_big) = guard::watch(request, payload).map_err(bad_handshake)?;
    let (response, session, stream) =
        actix_ws::handle_with_protocols(request, payload, &[SUBPROTOCOL]).map_err(bad_handshake)?;
    let limit = usize::try_from(guard::MESSAGE_LIMIT).unwrap_or(usize::MAX);
    let socket = Socket {
        connection: context.services.ids.connection(),
        user_id: principal.user_id,
        session_id: principal.session_id,
    };
    let span = info_span!(
        "socket",
        connection_id = %socket.connection,
        user_id = %socket.user_id,
        session_id = %socket.session_id,
    );
    let tracker = context.sockets.clone();
    let driver = Driver {
        peer: Peer { session: Some(session) },
        unanswered: 0,
        writing: false,
        under_way: FuturesUnordered::new(),
        pieces: Vec::new(),
        context,
        principal,
        socket,
        worker,
    };
    let stream = stream.max_frame_size(limit);
    let run = async move {
        driver.run(stream, &too_big).await;
        drop(place);
    };
    actix_web::rt::spawn(tracker.track_future(run.instrument(span)));
    Ok(response)
}

/// How a socket's life ends.
enum End {
    /// The peer went, with or without a word.
    Gone,
    /// It is told why and closed.
    Close(u16, String),
}

impl End {
    fn because(code: u16, reason: &str) -> Self {
        Self::Close(code, reason.to_owned())
    }
}

struct Driver {
    context: Arc<Context>,
    principal: Principal,
    socket: Socket,
    worker: WorkerId,
    peer: Peer,
    unanswered: usize,
    under_way: FuturesUnordered<JoinHandle<Finished>>,
    /// An edit or a deletion is under way: what comes after it must not overtake it.
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

/// The writing half.
struct Peer {
    session: Option<actix_ws::Session>,
}

impl Peer {
    async fn say(&mut self, frame: ByteString) -> Result<(), End> {
        let Some(session) = &mut self.session else { return Err(End::Gone) };
        match tokio::time::timeout(WRITE_PATIENCE, session.text(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::because(close::TOO_SLOW, "slow reader")),
        }
    }

    async fn tell(&mut self, frame: &ServerFrame) -> Result<(), End> {
        self.say(commands::encode(frame)).await
    }

    async fn close(&mut self, code: u16, reason: String) {
        if let Some(session) = self.session.take() {
            let reason = CloseReason { code: CloseCode::from(code), description: Some(reason) };
            // Whether or not there is room for it, the connection ends with this.
            let _ = tokio::time::timeout(CLOSE_PATIENCE, session.close(Some(reason))).await;
        }
    }
}

impl Driver {
    async fn run(mut self, stream: MessageStream, too_big: &TooBig) {
        let Some(mut queue) =
            self.context.services.subscriptions.attach(self.worker, self.socket).await
        else {
            self.peer.close(close::RESTART, "retry_after_ms=1000".to_owned()).await;
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
            context.services.sessions.ensure_alive(&principal).await?;
            Ok(context.services.store.topics(user).await?)
        });
        let topics = topics.await.map_err(|problem| failed(&problem))?;
        self.context.services.subscriptions.subscribe(self.worker, self.socket, topics).await;
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
        Ok(Session::new(heartbeat, Instant::now(), self.principal.expires_at, remaining))
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
            let may_read =
                !self.writing && self.unanswered < UNANSWERED && self.under_way.len() < UNDER_WAY;
            // Each gets its turn: a stream of events does not keep the socket from being read, nor
            // its heartbeat from being kept.
            let served = tokio::select! {
                () = stop.cancelled() => return self.restart(queue).await,
                outgoing = queue.recv() => self.put_out(outgoing, queue).await,
                Some(finished) = self.under_way.next() => {
                    self.finish(&mut session, &finished);
                    Ok(())
                }
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
                    Some(Outgoing::Close(reason)) => return Err(ended(reason)),
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
            Some(Outgoing::Close(reason)) => Err(ended(reason)),
            None => Err(End::Gone),
        }
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
                let Some(peer) = &mut self.peer.session else { return Err(End::Gone) };
                match tokio::time::timeout(WRITE_PATIENCE, peer.pong(&payload)).await {
                    Ok(Ok(())) => Ok(None),
                    _ => Err(End::Gone),
                }
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
            Effect::Ping => {
                let Some(peer) = &mut self.peer.session else { return Err(End::Gone) };
                match tokio::time::timeout(WRITE_PATIENCE, peer.ping(b"")).await {
                    Ok(Ok(())) => Ok(()),
                    _ => Err(End::Gone),
                }
            }
            Effect::Close { code, reason } => Err(End::because(code, reason)),
            command => self.command(command).await,
        }
    }

    /// Carries out a command, if the person's rate allows it.
    async fn command(&mut self, command: Effect) -> Result<(), End> {
        let writes =
            matches!(command, Effect::Send { .. } | Effect::Edit { .. } | Effect::Delete { .. });
        let services = &self.context.services;
        let user = self.socket.user_id;
        let verdict =
            if writes { services.messaging.allow(user) } else { services.requests.take(user) };
        match verdict {
            Verdict::Within => {}
            Verdict::FarAbove => return Err(End::because(close::RATE_LIMITED, "rate limited")),
            Verdict::Above { retry_after } => {
                let id = id_of(&command);
                return self.peer.tell(&refusal(id, &Problem::rate_limited(retry_after))).await;
            }
        }
        if let Effect::Send { id, message } = command {
            let origin = self.origin(id.clone());
            return match self.context.services.messaging.submit(user, message, origin) {
                Ok(()) => {
                    self.unanswered += 1;
                    Ok(())
                }
                Err(error) => self.peer.tell(&refusal(id, &error.into())).await,
            };
        }
        let context = Arc::clone(&self.context);
        let origin = self.origin(id_of(&command));
        let principal = self.principal;
        let handle =
            context.spawn(commands::answer(Arc::clone(&context), principal, origin, command));
        self.under_way.push(handle);
        self.writing |= writes;
        Ok(())
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
        let retry_after = 500 + rand::random_range(0..2_000);
        End::Close(close::RESTART, format!("retry_after_ms={retry_after}"))
    }
}

/// The hub's last word.
fn ended(reason: live::CloseReason) -> End {
    match reason {
        live::CloseReason::SignedOut => End::because(close::SIGNED_OUT, "signed out"),
        live::CloseReason::TooSlow => End::because(close::TOO_SLOW, "slow reader"),
    }
}

fn failed(problem: &Problem) -> End {
    match problem.status.as_u16() {
        401 => End::because(close::SIGNED_OUT, "signed out"),
        503 => End::because(close::OVERLOADED, &problem.code),
        _ => End::because(1011, &problem.code),
    }
}

/// What came could not be read.
fn broken(error: &ProtocolError, too_big: &TooBig) -> End {
    match error {
        _ if too_big.get() => End::because(1009, "too big"),
        ProtocolError::Overflow => End::because(1009, "too big"),
        // The stream tells text that is not UTF-8 in this way, and reserved bits likewise.
        ProtocolError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            let not_text =
                error.get_ref().and_then(|cause| cause.downcast_ref::<Utf8Error>()).is_some();
            if not_text {
                End::because(1007, "not UTF-8")
            } else {
                End::because(1002, "protocol error")
            }
        }
        ProtocolError::Io(_) => End::Gone,
        _ => End::because(1002, "protocol error"),
    }
}
