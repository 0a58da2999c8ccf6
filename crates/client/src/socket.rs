//! A live connection that goes on by itself.
//!
//! It reconnects after a random, growing wait, sends again what was not acknowledged, and fetches
//! what was missed, so that each message is shown exactly once and in order. What is to be done is
//! decided elsewhere (`state`); here it is only done.

mod driver;
mod fate;
mod fetch;

use std::time::Duration;

use kith_protocol::{frame::SendMessage, rest::Message};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    event::SocketEvent,
    rest::Client,
    state::{Command, Outcome},
};

/// How a [`Socket`] behaves.
#[derive(Clone, Debug)]
pub struct SocketOptions {
    /// The bound of the first wait before connecting again; doubled by each failure.
    pub first_wait: Duration,
    /// The bound of the longest wait.
    pub longest_wait: Duration,
    /// Carry this conversation alone.
    pub conversation: Option<Uuid>,
    /// How many events wait for the application before new messages are left for later.
    pub events: usize,
    /// Send the token as a browser must, in `Sec-WebSocket-Protocol`, instead of `Authorization`.
    pub token_in_subprotocol: bool,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(10),
            conversation: None,
            events: 1024,
            token_in_subprotocol: true,
        }
    }
}

/// A live connection. One task stands behind it and ends with it.
#[derive(Debug)]
pub struct Socket {
    events: mpsc::Receiver<SocketEvent>,
    sender: SocketSender,
    task: JoinHandle<()>,
}

/// Gives commands to a [`Socket`], from anywhere. They wait while there is no connection.
#[derive(Clone, Debug)]
pub struct SocketSender {
    orders: mpsc::Sender<Order>,
}

/// A command and who waits for its answer.
#[derive(Debug)]
enum Order {
    Do(Command, oneshot::Sender<Result<Outcome>>),
    Close,
}

impl Socket {
    /// Connects, now and whenever the connection breaks, as whoever `client` is signed in as.
    ///
    /// The first thing it shows is where it stands: `Connected`, then every conversation as
    /// `ConversationChanged`, then `CaughtUp`. Messages older than the connection are not shown;
    /// they are history.
    pub fn connect(client: Client, options: SocketOptions) -> Self {
        let (orders, taken) = mpsc::channel(64);
        let (show, events) = mpsc::channel(options.events.max(1));
        let task = tokio::spawn(driver::run(client, options, taken, show));
        Self { events, sender: SocketSender { orders }, task }
    }

    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<SocketEvent> {
        self.events.recv().await
    }

    /// The next event that `wanted` accepts, passing over others.
    ///
    /// # Errors
    /// `TimedOut` if it does not come `within` that time; `Ended` if it never will.
    pub async fn wait_for(
        &mut self,
        within: Duration,
        mut wanted: impl FnMut(&SocketEvent) -> bool,
    ) -> Result<SocketEvent> {
        let search = async {
            while let Some(event) = self.next().await {
                if wanted(&event) {
                    return Ok(event);
                }
            }
            Err(Error::Ended)
        };
        tokio::time::timeout(within, search).await.map_err(|_| Error::TimedOut(within))?
    }

    /// A handle that gives commands while events are read elsewhere.
    pub fn sender(&self) -> SocketSender {
        self.sender.clone()
    }

    /// See [`SocketSender::send`].
    pub async fn send(&self, message: SendMessage) -> Result<Message> {
        self.sender.send(message).await
    }

    /// See [`SocketSender::edit`].
    pub async fn edit(&self, message_id: Uuid, content: impl Into<String>) -> Result<()> {
        self.sender.edit(message_id, content).await
    }

    /// See [`SocketSender::delete`].
    pub async fn delete(&self, message_id: Uuid) -> Result<()> {
        self.sender.delete(message_id).await
    }

    /// See [`SocketSender::ping`].
    pub async fn ping(&self) -> Result<String> {
        self.sender.ping().await
    }

    /// Closes the connection as the protocol wants it, and ends. Dropping just ends.
    pub async fn close(mut self) {
        if self.sender.orders.send(Order::Close).await.is_ok() {
            // Nobody reads any more; a driver that waits for that would not end.
            self.events.close();
            let _ = tokio::time::timeout(Duration::from_secs(3), &mut self.task).await;
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SocketSender {
    /// Sends a message; done when it is durable.
    ///
    /// It gets a random `client_message_id` unless it has one, and is sent again after the
    /// connection broke, until there is an answer. If the caller stops waiting, it may still be
    /// sent. Your own messages are shown as events too.
    ///
    /// # Errors
    /// `Refused` with the server's reason; `Ended` if the socket ends before there is an answer.
    pub async fn send(&self, message: SendMessage) -> Result<Message> {
        match self.give(Command::Send(message)).await? {
            Outcome::Sent(message) => Ok(*message),
            other => Err(misfit(&other)),
        }
    }

    /// Gives a message another text.
    ///
    /// # Errors
    /// As for `send`; `Interrupted` if the connection broke before the answer.
    pub async fn edit(&self, message_id: Uuid, content: impl Into<String>) -> Result<()> {
        self.done(Command::Edit { message_id, content: content.into() }).await
    }

    /// Deletes a message for everyone.
    ///
    /// # Errors
    /// As for `edit`.
    pub async fn delete(&self, message_id: Uuid) -> Result<()> {
        self.done(Command::Delete { message_id }).await
    }

    /// Reacts to a message with one emoji.
    ///
    /// # Errors
    /// As for `edit`.
    pub async fn react(&self, message_id: Uuid, emoji: impl Into<String>) -> Result<()> {
        self.done(Command::React { message_id, emoji: emoji.into() }).await
    }

    /// Takes a reaction back.
    ///
    /// # Errors
    /// As for `edit`.
    pub async fn unreact(&self, message_id: Uuid, emoji: impl Into<String>) -> Result<()> {
        self.done(Command::Unreact { message_id, emoji: emoji.into() }).await
    }

    /// Says that this device has a message, and all before it.
    ///
    /// # Errors
    /// As for `edit`.
    pub async fn delivered(&self, message_id: Uuid) -> Result<()> {
        self.done(Command::Delivered { message_id }).await
    }

    /// Says that a message, and all before it, has been read.
    ///
    /// # Errors
    /// As for `edit`.
    pub async fn read(&self, message_id: Uuid) -> Result<()> {
        self.done(Command::Read { message_id }).await
    }

    /// Says that one types in a conversation, or does no more. While one goes on, say it again every
    /// few seconds: the server ends it after six.
    ///
    /// # Errors
    /// As for `edit`.
    pub async fn typing(&self, conversation_id: Uuid, typing: bool) -> Result<()> {
        self.done(Command::Typing { conversation_id, typing }).await
    }

    /// Asks for a sign of life; gives a sync token: what came before it has been sent to this
    /// socket.
    ///
    /// # Errors
    /// As for `edit`.
    pub async fn ping(&self) -> Result<String> {
        match self.give(Command::Ping).await? {
            Outcome::Pong(token) => Ok(token),
            other => Err(misfit(&other)),
        }
    }

    async fn done(&self, command: Command) -> Result<()> {
        match self.give(command).await? {
            Outcome::Done => Ok(()),
            other => Err(misfit(&other)),
        }
    }

    async fn give(&self, command: Command) -> Result<Outcome> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Do(command, reply)).await.map_err(|_| Error::Ended)?;
        answer.await.map_err(|_| Error::Ended)?
    }
}

fn misfit(outcome: &Outcome) -> Error {
    Error::unexpected(format!("the answer is for another command: {outcome:?}"))
}

#[cfg(test)]
mod tests;
