//! What a socket says of typing: carried out in the order in which it was said, beside all else that
//! the socket does.

use std::sync::Arc;

use kith_app::{Error, messaging::Target};
use kith_domain::ConversationId;
use kith_ports::live::{Origin, Reply, Socket};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::commands;
use crate::{context::Context, problem::Problem};

/// How much may wait. A start that others need not hear of takes no time.
const WAITING: usize = 32;

/// Something that bears on who types.
#[derive(Debug)]
pub(super) enum Stroke {
    /// The client said that its person types, or does no more.
    Said { target: Target, typing: bool, origin: Origin },
    /// A message was sent there.
    Sent(ConversationId),
}

/// One socket's typing. When it is over, so is the typing.
pub(super) struct Typist {
    context: Arc<Context>,
    socket: Socket,
    /// Most sockets listen: there is nobody to carry this out before it is needed.
    line: Option<mpsc::Sender<Stroke>>,
}

impl Typist {
    pub(super) const fn new(context: Arc<Context>, socket: Socket) -> Self {
        Self { context, socket, line: None }
    }

    /// Puts a stroke behind those that wait.
    pub(super) fn stroke(&mut self, stroke: Stroke) -> Result<(), Error> {
        let (context, socket) = (&self.context, self.socket);
        let line = self.line.get_or_insert_with(|| {
            let (line, strokes) = mpsc::channel(WAITING);
            context.spawn(run(Arc::clone(context), socket, strokes));
            line
        });
        line.try_send(stroke).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded,
            TrySendError::Closed(_) => Error::Internal(None),
        })
    }

    /// A message was sent: not before what was said of typing earlier.
    pub(super) fn sent(&mut self, place: ConversationId) {
        // Where there is no line, nothing was ever said on it; where it is full, what waits on it is
        // ended by time.
        if self.line.is_none() || self.stroke(Stroke::Sent(place)).is_err() {
            self.context.services.typing.sent(self.socket.user_id, place);
        }
    }

    /// Nothing more will be said.
    pub(super) fn hush(&mut self) {
        self.line = None;
    }
}

async fn run(context: Arc<Context>, socket: Socket, mut strokes: mpsc::Receiver<Stroke>) {
    let typing = &context.services.typing;
    while let Some(stroke) = strokes.recv().await {
        match stroke {
            Stroke::Sent(place) => typing.sent(socket.user_id, place),
            Stroke::Said { target, typing: true, origin } => {
                let started = typing.start(socket.user_id, target, socket.connection).await;
                let outcome = started.map(|()| Reply::Done).map_err(Problem::from);
                commands::reply(&context, origin, outcome).await;
            }
            Stroke::Said { target, typing: false, origin } => {
                typing.stop(socket.user_id, target, socket.connection);
                commands::reply(&context, origin, Ok(Reply::Done)).await;
            }
        }
    }
    typing.disconnected(socket.user_id, socket.connection);
}
