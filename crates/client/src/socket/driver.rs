//! The task behind a socket: it carries out what the state says.

use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    ops::ControlFlow,
    time::Duration,
};

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use kith_protocol::frame::ClientFrame;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::Message as WsMessage;

use super::{
    Order, SocketOptions,
    fate::{Fate, closed, refused},
    fetch::ask,
};
use crate::{
    backoff::Backoff,
    connect::{self, Ws},
    error::{Error, Result},
    event::SocketEvent,
    rest::Client,
    state::{Effect, Fetch, Fetched, Outcome, State},
};

/// How many commands may wait for their answers before no more are taken.
const COMMANDS: usize = 256;
/// How many questions are asked at once.
const FETCHES: usize = 4;
/// How long the server may take to say `ready`.
const READY: Duration = Duration::from_secs(15);
/// How often a sign of life is sent.
const PING: Duration = Duration::from_secs(25);
/// A connection on which nothing came for so long is dead: the server pings more often.
const SILENCE: Duration = Duration::from_secs(60);
/// How long the server may take to answer a close.
const FAREWELL: Duration = Duration::from_secs(1);

type Writer = SplitSink<Ws, WsMessage>;
type Reader = SplitStream<Ws>;

/// Runs until the socket is dropped or closed, or nobody is signed in any more.
pub(super) async fn run(
    client: Client,
    options: SocketOptions,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<SocketEvent>,
) {
    let driver = Driver {
        state: State::new(rand::random()),
        client,
        backoff: Backoff::new(options.first_wait, options.longest_wait),
        options,
        orders,
        events,
        outbox: VecDeque::new(),
        outgoing: VecDeque::new(),
        waiting: HashMap::new(),
        fetches: JoinSet::new(),
        queued: VecDeque::new(),
        token: None,
        renewed: false,
        told: false,
    };
    driver.run().await;
}

struct Driver {
    client: Client,
    options: SocketOptions,
    state: State,
    backoff: Backoff,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<SocketEvent>,
    /// What the application has not taken yet.
    outbox: VecDeque<SocketEvent>,
    /// What is to be written.
    outgoing: VecDeque<ClientFrame>,
    waiting: HashMap<u64, oneshot::Sender<Result<Outcome>>>,
    fetches: JoinSet<(Fetch, Fetched)>,
    queued: VecDeque<Fetch>,
    /// The access token of this connection.
    token: Option<String>,
    /// The token was renewed because the server did not take it; if it does not take the next one
    /// either, there is no point in going on.
    renewed: bool,
    /// The application knows that there is no connection.
    told: bool,
}

/// Nobody wants the socket any more.
struct Unwanted;

/// What to do about it.
enum Verdict {
    Again(String, Duration),
    SignedOut(String),
    Unwanted,
}

impl Driver {
    async fn run(mut self) {
        loop {
            let fate = match self.connection().await {
                ControlFlow::Continue(fate) => fate,
                ControlFlow::Break(Unwanted) => return,
            };
            self.state.on_disconnected();
            self.outgoing.clear();
            self.carry_out();
            let (reason, wait) = match self.weigh(fate).await {
                Verdict::Again(reason, wait) => (reason, wait),
                Verdict::SignedOut(reason) => {
                    self.outbox.push_back(SocketEvent::SignedOut { reason });
                    self.bid_farewell().await;
                    return;
                }
                Verdict::Unwanted => return,
            };
            if !std::mem::replace(&mut self.told, true) {
                self.outbox.push_back(SocketEvent::Disconnected { reason, retry_in: wait });
            }
            if self.meanwhile(sleep(wait)).await.is_err() {
                return;
            }
        }
    }

    /// Connects and stays connected. Breaks if nobody wants the socket any more.
    async fn connection(&mut self) -> ControlFlow<Unwanted, Fate> {
        let Some(tokens) = self.client.tokens() else {
            let reason = "nobody is signed in".to_owned();
            return ControlFlow::Continue(Fate::SignedOut { reason });
        };
        self.token = Some(tokens.access.clone());
        let path = match self.options.conversation {
            Some(id) => format!("/v1/ws/{id}"),
            None => "/v1/ws".to_owned(),
        };
        let url = connect::socket_url(self.client.base_url(), &path);
        let header = if self.options.token_in_subprotocol {
            connect::subprotocol(&tokens.access)
        } else {
            connect::bearer(&tokens.access)
        };
        let opening = async move { connect::open(&url, &[header]).await };
        match self.meanwhile(opening).await {
            Err(Unwanted) => ControlFlow::Break(Unwanted),
            Ok(Ok(socket)) => {
                let (writer, reader) = socket.split();
                self.live(writer, reader).await
            }
            Ok(Err(error)) => ControlFlow::Continue(refused(&error)),
        }
    }

    /// Lets the state meet the connection until one of them is over.
    async fn live(
        &mut self,
        mut writer: Writer,
        mut reader: Reader,
    ) -> ControlFlow<Unwanted, Fate> {
        let connected = Instant::now();
        let mut heard = connected;
        let mut unflushed = false;
        let mut ping = interval_at(connected + PING, PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let fate = loop {
            let writing = !self.outgoing.is_empty();
            tokio::select! {
                message = reader.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(WsMessage::Text(text))) => {
                            self.state.on_text(&text, heard);
                            self.carry_out();
                        }
                        Some(Ok(WsMessage::Close(frame))) => break closed(frame.as_ref()),
                        // Pings are answered by the library, with the next flush.
                        Some(Ok(_)) => unflushed = true,
                        Some(Err(error)) => break Fate::again(error.to_string()),
                        None => break Fate::again("the connection ended"),
                    }
                }
                done = poll_fn(|cx| {
                    if writing { writer.poll_ready_unpin(cx) } else { writer.poll_flush_unpin(cx) }
                }), if writing || unflushed => {
                    unflushed = writing;
                    let frame = self.outgoing.pop_front().filter(|_| writing);
                    let text = frame.and_then(|frame| serde_json::to_string(&frame).ok());
                    let done = match text {
                        Some(text) => done.and_then(|()| writer.start_send_unpin(text.into())),
                        None => done,
                    };
                    if let Err(error) = done {
                        break Fate::again(error.to_string());
                    }
                }
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE {
                        break Fate::again("no sign of life from the server");
                    }
                    self.outgoing.push_back(ClientFrame::Ping(kith_protocol::frame::Ping::default()));
                }
                () = sleep_until(connected + READY), if !self.state.is_ready() => {
                    break Fate::again("the server did not say `ready`");
                }
                step = self.step() => {
                    if step.is_err() {
                        let goodbye = async {
                            let _ = writer.send(WsMessage::Close(None)).await;
                            while let Some(Ok(_)) = reader.next().await {}
                        };
                        let _ = timeout(FAREWELL, goodbye).await;
                        return ControlFlow::Break(Unwanted);
                    }
                }
            }
            if self.state.is_ready() {
                self.backoff.reset();
                self.told = false;
                self.renewed = false;
            }
        };
        // The answer to the server's close is in the library's buffer.
        let _ = timeout(FAREWELL, writer.close()).await;
        ControlFlow::Continue(fate)
    }

    /// What to do after a connection ended.
    async fn weigh(&mut self, fate: Fate) -> Verdict {
        match fate {
            Fate::SignedOut { reason } => Verdict::SignedOut(reason),
            Fate::Again { reason, wait, floor } => {
                let wait = wait.unwrap_or_else(|| self.backoff.next(floor));
                Verdict::Again(reason, wait)
            }
            Fate::Rejected { reason } if self.renewed => Verdict::SignedOut(reason),
            Fate::Rejected { reason } => {
                let (client, stale) = (self.client.clone(), self.token.clone());
                let renewing = async move { client.renew(stale).await };
                match self.meanwhile(renewing).await {
                    Err(Unwanted) => Verdict::Unwanted,
                    Ok(Ok(_)) => {
                        self.renewed = true;
                        Verdict::Again(reason, Duration::ZERO)
                    }
                    Ok(Err(_)) if self.client.tokens().is_none() => Verdict::SignedOut(reason),
                    Ok(Err(_)) => Verdict::Again(reason, self.backoff.next(Duration::ZERO)),
                }
            }
        }
    }

    /// Does what is to be done in any case until `work` is done.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Unwanted> {
        let mut work = Box::pin(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                step = self.step() => step?,
            }
        }
    }

    /// One thing that does not need the connection. Nothing is lost if it is given up.
    async fn step(&mut self) -> Result<(), Unwanted> {
        let Self { state, events, outbox, orders, fetches, waiting, token, .. } = self;
        let deadline = state.deadline();
        tokio::select! {
            permit = events.reserve(), if !outbox.is_empty() => {
                let permit = permit.map_err(|_| Unwanted)?;
                if let Some(event) = outbox.pop_front() {
                    permit.send(event);
                }
            }
            order = orders.recv(), if state.pending() < COMMANDS => match order {
                Some(Order::Do(command, reply)) => {
                    waiting.insert(state.submit(command), reply);
                }
                Some(Order::Close) | None => return Err(Unwanted),
            },
            Some(done) = fetches.join_next() => {
                // A fetch does not panic; if one did, its conversation waits for the next sync.
                if let Ok((fetch, fetched)) = done {
                    if let Fetched::Token(newer) = &fetched {
                        *token = Some(newer.clone());
                    }
                    state.on_fetched(&fetch, fetched, Instant::now());
                }
            }
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                state.on_time(Instant::now());
            }
            // Nothing to do but for the connection.
            else => std::future::pending().await,
        }
        self.carry_out();
        Ok(())
    }

    /// Does what the state says.
    fn carry_out(&mut self) {
        for effect in self.state.take_effects() {
            match effect {
                Effect::Send(frame) => self.outgoing.push_back(frame),
                Effect::Event(event) => self.outbox.push_back(event),
                Effect::Fetch(fetch) => self.queued.push_back(fetch),
                Effect::Resolve(id, outcome) => {
                    if let Some(reply) = self.waiting.remove(&id) {
                        // Whoever asked may have stopped waiting.
                        let _ = reply.send(match outcome {
                            Outcome::Refused(refused) => Err(Error::Refused(refused)),
                            Outcome::Interrupted => Err(Error::Interrupted),
                            done => Ok(done),
                        });
                    }
                }
            }
        }
        self.state.pause(self.outbox.len() >= self.options.events);
        while self.fetches.len() < FETCHES
            && let Some(fetch) = self.queued.pop_front()
        {
            let (client, token) = (self.client.clone(), self.token.clone());
            self.fetches.spawn(async move {
                let fetched = ask(&client, &fetch, token).await;
                (fetch, fetched)
            });
        }
    }

    /// Shows what is left, if somebody still reads.
    async fn bid_farewell(mut self) {
        for event in self.outbox.drain(..) {
            if self.events.send(event).await.is_err() {
                return;
            }
        }
    }
}
