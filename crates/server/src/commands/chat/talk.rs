//! The conversation itself: lines, events and acknowledgements meet here.

use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use kith_client::{Client, Error, Socket, SocketOptions};
use kith_protocol::{
    Time, frame,
    rest::{Me, Message},
};
use time::UtcOffset;
use tokio::{
    io::{AsyncBufRead, AsyncWrite},
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{
    book::Book,
    command::Command,
    desk::{self, Desk},
    text,
};
use crate::Failure;

/// How many typed messages may wait for their acknowledgement before no more lines are read.
const TYPED: usize = 64;
/// How many receipts may wait for their acknowledgement before more are left out.
const MARKS: usize = 64;
/// How long the end waits for acknowledgements: of what was typed, and of what was piped.
const FAREWELL: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(30));
/// How long signing out may take.
const SIGN_OUT: Duration = Duration::from_secs(3);

/// Whether there is a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Not yet.
    Starting,
    /// Yes.
    Up,
    /// Not any more; the client tries again by itself.
    Lost,
}

/// A message that was sent, or was not.
pub(super) struct Sent {
    number: u64,
    text: String,
    /// It was typed while there was no connection.
    late: bool,
    outcome: kith_client::Result<Message>,
}

/// Somebody who is signed in and talks.
pub(super) struct Talk<R, W> {
    pub(super) desk: Desk<R, W>,
    pub(super) client: Client,
    pub(super) me: Uuid,
    pub(super) book: Book,
    /// Where lines go.
    pub(super) current: Option<Uuid>,
    pub(super) link: Link,
    /// What the history has shown, so that it is not shown again as news.
    pub(super) read: HashMap<Uuid, RangeInclusive<i64>>,
    /// The `client_message_id`s of what was sent from here.
    pub(super) own: HashSet<String>,
    /// The newest edit that was shown of each conversation.
    pub(super) edits: HashMap<Uuid, Time>,
    /// The newest coming or going of a member that was told of, by conversation.
    pub(super) told: HashMap<Uuid, i64>,
    pub(super) online: HashMap<Uuid, bool>,
    /// How much is unread of what was there at the start.
    pub(super) unread: HashMap<Uuid, u32>,
    pub(super) greeted: bool,
    offset: UtcOffset,
    socket: Socket,
    number: u64,
    on_way: FuturesUnordered<BoxFuture<'static, Sent>>,
    /// The texts on the way, by number.
    texts: HashMap<u64, String>,
    /// Receipts on the way.
    marks: FuturesUnordered<BoxFuture<'static, ()>>,
    failed: usize,
}

impl<R, W> Talk<R, W>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
{
    pub(super) fn begin(desk: Desk<R, W>, client: Client, me: &Me, offset: UtcOffset) -> Self {
        let mut book = Book::default();
        book.know(me.id, &me.username);
        let socket = Socket::connect(client.clone(), SocketOptions::default());
        Self {
            desk,
            client,
            me: me.id,
            book,
            current: None,
            link: Link::Starting,
            read: HashMap::new(),
            own: HashSet::new(),
            edits: HashMap::new(),
            told: HashMap::new(),
            online: HashMap::new(),
            unread: HashMap::new(),
            greeted: false,
            offset,
            socket,
            number: 0,
            on_way: FuturesUnordered::new(),
            texts: HashMap::new(),
            marks: FuturesUnordered::new(),
            failed: 0,
        }
    }

    /// Talks until the input ends, `/quit`, or `stop`.
    pub(super) async fn run(
        &mut self,
        to: Option<&str>,
        mut stop: impl Future<Output = ()> + Unpin,
    ) -> Result<(), Failure> {
        while !self.greeted {
            self.desk.screen.prompt("").await?;
            tokio::select! {
                event = self.socket.next() => self.on_event(event).await?,
                () = &mut stop => return Ok(()),
            }
        }
        if let Some(name) = to
            && !self.go_to(name).await?
            && !self.desk.screen.ends().typed
        {
            return Err(Failure::Command(format!("--to {name}: there is no such person or group")));
        }
        // A script's lines are done one after the other.
        let most = if self.desk.screen.ends().typed { TYPED } else { 1 };
        loop {
            let prompt = self.prompt().await;
            self.desk.screen.prompt(&prompt).await?;
            tokio::select! {
                line = self.desk.input.next_segment(), if self.on_way.len() < most => {
                    let Some(line) = line? else { break };
                    self.desk.screen.answered();
                    if self.on_line(line).await? {
                        break;
                    }
                }
                event = self.socket.next() => self.on_event(event).await?,
                Some(sent) = self.on_way.next() => self.on_sent(sent).await?,
                Some(()) = self.marks.next() => {}
                () = &mut stop => break,
            }
        }
        self.desk.screen.leave().await?;
        self.drain().await
    }

    /// Signs out, and says how it went.
    pub(super) async fn end(mut self, ended: Result<(), Failure>) -> Result<(), Failure> {
        let left = self.desk.screen.leave().await;
        self.socket.close().await;
        // Without a connection, the session is left to run out.
        let _ = timeout(SIGN_OUT, self.client.logout()).await;
        ended?;
        left?;
        match self.failed {
            0 => Ok(()),
            1 => Err(Failure::Command("one message was not sent".to_owned())),
            many => Err(Failure::Command(format!("{many} messages were not sent"))),
        }
    }

    async fn prompt(&mut self) -> String {
        match self.current {
            Some(id) => format!("{}> ", text::one_line(&self.book.label(&self.client, id).await)),
            None => "> ".to_owned(),
        }
    }

    /// Does what a line says. Says whether it was the last.
    async fn on_line(&mut self, line: Vec<u8>) -> Result<bool, Failure> {
        let command = desk::text(line)
            .map_err(str::to_owned)
            .and_then(|line| Command::parse(&line).map_err(|advice| format!("! {advice}")));
        match command {
            Ok(Command::Quit) => return Ok(true),
            Ok(Command::Say(text)) => self.send(text).await?,
            Ok(command) => self.act(command).await?,
            Err(advice) => self.desk.say(&text::one_line(&advice)).await?,
        }
        Ok(false)
    }

    async fn send(&mut self, content: String) -> Result<(), Failure> {
        let Some(conversation) = self.current else {
            self.failed += usize::from(!self.desk.screen.ends().typed);
            let advice = "! to whom? /to NAME first; /people PREFIX finds people";
            return Ok(self.desk.say(advice).await?);
        };
        let late = self.link != Link::Up;
        if late {
            self.desk.say("  … goes out when the connection is back").await?;
        }
        self.number += 1;
        let number = self.number;
        let client_message_id = Uuid::new_v4().to_string();
        self.own.insert(client_message_id.clone());
        self.texts.insert(number, content.clone());
        let message = frame::SendMessage {
            conversation_id: Some(conversation),
            content: content.clone(),
            client_message_id: Some(client_message_id),
            ..frame::SendMessage::default()
        };
        let sender = self.socket.sender();
        let sending = async move {
            let outcome = sender.send(message).await;
            Sent { number, text: content, late, outcome }
        };
        self.on_way.push(sending.boxed());
        Ok(())
    }

    async fn on_sent(&mut self, sent: Sent) -> Result<(), Failure> {
        self.texts.remove(&sent.number);
        let line = match sent.outcome {
            Ok(message) => {
                let clock = self.clock(message.created_at);
                // Where the line stands just above, it need not be said again.
                let obvious =
                    self.desk.screen.ends().looked_at && !sent.late && self.on_way.is_empty();
                let what = if obvious { String::new() } else { text::excerpt(&sent.text) };
                format!("  ✓ {clock} {what}").trim_end().to_owned()
            }
            Err(error) => {
                self.failed += usize::from(!self.desk.screen.ends().typed);
                not_sent(&sent.text, &error)
            }
        };
        Ok(self.desk.say(&line).await?)
    }

    /// Tells the server that a message was shown: as read where one is looking, else as received.
    pub(super) fn mark(&mut self, message: &Message) {
        if message.sender_id == self.me || self.marks.len() >= MARKS {
            return;
        }
        let (sender, id) = (self.socket.sender(), message.id);
        let here = self.current == Some(message.conversation_id);
        let marking = async move {
            // The next one says it again.
            let _ = if here { sender.read(id).await } else { sender.delivered(id).await };
        };
        self.marks.push(marking.boxed());
    }

    /// Waits a little for what is on its way.
    async fn drain(&mut self) -> Result<(), Failure> {
        let wait = if self.desk.screen.ends().typed { FAREWELL.0 } else { FAREWELL.1 };
        let mut late = std::pin::pin!(sleep(wait));
        while !self.on_way.is_empty() || !self.marks.is_empty() {
            self.desk.screen.prompt("").await?;
            tokio::select! {
                Some(sent) = self.on_way.next() => self.on_sent(sent).await?,
                Some(()) = self.marks.next() => {}
                event = self.socket.next() => self.on_event(event).await?,
                () = &mut late => break,
            }
        }
        let mut unsure: Vec<_> = std::mem::take(&mut self.texts).into_iter().collect();
        unsure.sort_unstable();
        for (_, unsure) in unsure {
            self.failed += 1;
            let line = format!("! not confirmed by the server: {}", text::excerpt(&unsure));
            self.desk.say(&line).await?;
        }
        Ok(())
    }

    pub(super) fn clock(&self, time: Time) -> String {
        text::clock(time, self.offset)
    }
}

fn not_sent(content: &str, error: &Error) -> String {
    format!("! not sent: {}: {}", text::excerpt(content), text::explain(error))
}
