//! Those who send and listen while everything breaks.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use kith_client::{
    Error, RawSocket, Selector, Socket, SocketEvent, SocketSender,
    protocol::rest::{Conversation, Message, SendMessage},
};
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use super::record::{Brief, Connection, Fate, Frame, Held, News, Record, Sent, Witness};
use crate::support::Actor;

/// After something failed.
const AGAIN: Duration = Duration::from_millis(50);
/// What is known of each conversation: up to which message, and which change.
type Known = HashMap<Uuid, (i64, i64)>;

/// How far a listener has come, for those who wait for him.
pub(super) type Progress = Arc<Mutex<Option<HashMap<Uuid, i64>>>>;

/// A device that keeps what it is told, and asks for the rest when it comes back.
pub(super) struct Listener {
    actor: Actor,
    token: Option<String>,
    known: Known,
    witness: Witness,
    progress: Progress,
}

impl Listener {
    pub(super) fn new(actor: Actor, progress: Progress) -> Self {
        let witness = Witness { who: actor.id, ..Witness::default() };
        Self { actor, token: None, known: Known::new(), witness, progress }
    }

    /// Listens until it is told to stop, and has caught up for the last time.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Witness {
        while !*stop.borrow() {
            let mut connection = Connection::default();
            connection.lasted = self.connect(&mut connection, &mut stop).await.is_ok();
            self.witness.connections.push(connection);
            *self.progress.lock().unwrap() = None;
            tokio::time::sleep(AGAIN).await;
        }
        while self.catch_up().await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
        self.witness.sees = loop {
            match everything(&self.actor).await {
                Ok(sees) => break sees,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        };
        self.witness
    }

    /// One connection: until it breaks, or until all is over.
    async fn connect(
        &mut self,
        connection: &mut Connection,
        stop: &mut watch::Receiver<bool>,
    ) -> kith_client::Result<()> {
        let (mut socket, _) = self.actor.try_raw().await?;
        self.catch_up().await?;
        connection.began.clone_from(&self.known);
        let seen = self.known.iter().map(|(id, (seq, _))| (*id, *seq)).collect();
        *self.progress.lock().unwrap() = Some(seen);
        loop {
            tokio::select! {
                frame = socket.next_json() => match frame {
                    Ok(frame) => self.take(&frame, connection).await?,
                    Err(Error::TimedOut(_)) => {}
                    Err(error) => return Err(error),
                },
                _ = stop.changed() => break,
            }
        }
        self.hear_out(&mut socket, connection).await
    }

    /// Takes all that was told before now.
    async fn hear_out(
        &mut self,
        socket: &mut RawSocket,
        connection: &mut Connection,
    ) -> kith_client::Result<()> {
        socket.send_json(&json!({"type": "ping", "id": "the end"})).await?;
        loop {
            let frame = socket.next_json().await?;
            if frame["type"] == "pong" {
                return Ok(());
            }
            self.take(&frame, connection).await?;
        }
    }

    async fn take(
        &mut self,
        frame: &Value,
        connection: &mut Connection,
    ) -> kith_client::Result<()> {
        let Some(frame) = read(frame) else { return Ok(()) };
        let id = frame.conversation;
        let held = &mut self.witness.holds;
        connection.frames.push(frame.clone());
        match frame.news {
            News::Sent(brief) | News::Updated(brief) => {
                if let Some(seen) = &mut *self.progress.lock().unwrap() {
                    let seen = seen.entry(id).or_default();
                    *seen = brief.seq.max(*seen);
                }
                put(held.entry(id).or_default(), brief);
            }
            News::Touched { seq, version } => {
                if let Some(brief) = held.get_mut(&id).and_then(|held| held.get_mut(&seq))
                    && brief.version < version
                {
                    // What it is now, the next sync says.
                    let message = self.actor.client.message(brief.id).await;
                    match message {
                        Ok(message) => *brief = Brief::from(&message),
                        Err(error) if error.status() == Some(404) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            News::Entered { .. } => self.load(id).await?,
            News::Left => {
                self.known.remove(&id);
                held.remove(&id);
            }
            News::Member { .. } => {}
        }
        Ok(())
    }

    /// Asks for what was missed.
    async fn catch_up(&mut self) -> kith_client::Result<()> {
        loop {
            let page = match self.actor.client.sync(self.token.as_deref(), Some(100)).await {
                Err(error) if error.code() == Some("invalid_cursor") => {
                    self.token = None;
                    continue;
                }
                page => page?,
            };
            for conversation in page.conversations {
                self.renew(&conversation).await?;
            }
            for id in page.removed {
                self.known.remove(&id);
                self.witness.holds.remove(&id);
            }
            self.token = Some(page.token);
            if !page.has_more {
                return Ok(());
            }
        }
    }

    /// Asks for what changed in one conversation.
    async fn renew(&mut self, conversation: &Conversation) -> kith_client::Result<()> {
        let id = conversation.id;
        let Some((_, mut since)) = self.known.get(&id).copied() else { return self.load(id).await };
        let first = conversation.my.as_ref().map_or(1, |my| my.first_seq);
        loop {
            let changes = match self.actor.client.changes(id, since, Some(100)).await {
                // Removed meanwhile: the next sync says so.
                Err(error) if error.status() == Some(404) => return Ok(()),
                changes => changes?,
            };
            if changes.reset {
                return self.load(id).await;
            }
            let held = self.witness.holds.entry(id).or_default();
            held.retain(|seq, _| *seq >= first);
            changes.messages.iter().for_each(|it| put(held, Brief::from(it)));
            since = changes.version;
            self.known.insert(id, (changes.conversation.last_seq, since));
            if !changes.has_more {
                return Ok(());
            }
        }
    }

    /// Begins with a conversation, or begins again.
    async fn load(&mut self, id: Uuid) -> kith_client::Result<()> {
        match history(&self.actor, id).await {
            Ok((held, version)) => {
                let last = held.last_key_value().map_or(0, |(seq, _)| *seq);
                self.known.insert(id, (last, version));
                self.witness.holds.insert(id, held);
                Ok(())
            }
            Err(error) if error.status() == Some(404) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn put(held: &mut BTreeMap<i64, Brief>, brief: Brief) {
    if held.get(&brief.seq).is_none_or(|it| it.version < brief.version) {
        held.insert(brief.seq, brief);
    }
}

/// What a frame says of a conversation, if it is one that is compared.
fn read(frame: &Value) -> Option<Frame> {
    let number = |field: &str| frame[field].as_i64();
    let message = || serde_json::from_value::<Message>(frame["message"].clone()).ok();
    let mut conversation = frame["conversation_id"].as_str();
    let news = match frame["type"].as_str()? {
        kind @ ("new_message" | "message_updated") => {
            conversation = frame["message"]["conversation_id"].as_str();
            let brief = Brief::from(&message()?);
            if kind == "new_message" { News::Sent(brief) } else { News::Updated(brief) }
        }
        "message_deleted" | "reaction_added" | "reaction_removed" => {
            News::Touched { seq: number("seq")?, version: number("version")? }
        }
        "member_added" | "member_updated" | "member_removed" => {
            let user = frame["user_id"].as_str()?.parse().ok()?;
            News::Member { user, version: number("version")? }
        }
        "conversation_created" => {
            let made = &frame["conversation"];
            conversation = made["id"].as_str();
            News::Entered { seq: made["last_seq"].as_i64()?, version: made["version"].as_i64()? }
        }
        "conversation_removed" => News::Left,
        _ => return None,
    };
    Some(Frame { conversation: conversation?.parse().ok()?, news })
}

/// All that one may see of a conversation, and the change it is at.
async fn history(actor: &Actor, id: Uuid) -> kith_client::Result<(BTreeMap<i64, Brief>, i64)> {
    let (mut held, mut version) = (BTreeMap::new(), None);
    loop {
        let after = held.last_key_value().map_or(0, |(seq, _)| *seq);
        let page = actor.client.history(id, Selector::After(after), Some(100)).await?;
        held.extend(page.items.iter().map(|it| (it.seq, Brief::from(it))));
        let version = *version.get_or_insert(page.version);
        if !page.has_more {
            return Ok((held, version));
        }
    }
}

/// All that one may see.
async fn everything(actor: &Actor) -> kith_client::Result<Held> {
    let mut held = Held::new();
    for conversation in
        actor.client.conversations(&kith_client::rest::Inbox::default()).await?.items
    {
        held.insert(conversation.id, history(actor, conversation.id).await?.0);
    }
    Ok(held)
}

/// What all say together.
pub(super) type Shared = Arc<Mutex<Record>>;

/// Somebody who writes, changes and deletes.
pub(super) struct Sender {
    pub(super) actor: Actor,
    pub(super) places: Vec<Uuid>,
    pub(super) record: Shared,
    pub(super) random: StdRng,
    pub(super) said: u64,
    pub(super) own: Vec<Uuid>,
}

/// Nobody may be kept waiting for so long.
const PATIENCE: Duration = Duration::from_secs(40);

impl Sender {
    /// Goes on until it is told to stop. What went wrong, in words.
    pub(super) async fn run(
        mut self,
        socket: SocketSender,
        stop: watch::Receiver<bool>,
    ) -> Result<(), String> {
        while !*stop.borrow() {
            let roll = self.random.random_range(0..100);
            let step = async {
                match roll {
                    0..60 => self.send(&socket).await,
                    60..75 => self.send_by_rest().await,
                    75..88 => self.edit(&socket).await,
                    88..94 => self.delete(&socket).await,
                    _ => self.react(&socket).await,
                }
            };
            tokio::time::timeout(PATIENCE, step)
                .await
                .map_err(|_| format!("{} got no answer to {roll}", self.actor.name))??;
            let pace = Duration::from_millis(self.random.random_range(1..60));
            tokio::time::sleep(pace).await;
        }
        Ok(())
    }

    fn next(&mut self) -> (Uuid, String) {
        self.said += 1;
        let place = *self.places.choose(&mut self.random).unwrap();
        (place, format!("{}-{}", self.actor.name, self.said))
    }

    fn acknowledged(&mut self, place: Uuid, text: &str, message: &Message) {
        self.own.push(message.id);
        let record = &mut *self.record.lock().unwrap();
        record.sent.push(Sent {
            who: self.actor.id,
            conversation: place,
            client_message_id: text.to_owned(),
            id: message.id,
            seq: message.seq,
        });
        let fate = Fate { last: Some(text.to_owned()), ..Fate::default() };
        record.fates.insert(message.id, fate);
    }

    async fn send(&mut self, socket: &SocketSender) -> Result<(), String> {
        let (place, text) = self.next();
        let mut frame = Actor::frame(place, &text);
        frame.client_message_id = Some(text.clone());
        loop {
            match socket.send(frame.clone()).await {
                Ok(message) => break self.acknowledged(place, &text, &message),
                Err(error) if is_for_members(&error) => break,
                // A node that stands still keeps others waiting, who cannot take much then.
                Err(error) if error.code() == Some("overloaded") => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => return Err(format!("{text} was refused: {error}")),
            }
        }
        Ok(())
    }

    /// Sends until there is an answer, and once more.
    async fn send_by_rest(&mut self) -> Result<(), String> {
        let (place, text) = self.next();
        let message = send_by_rest(&self.actor, place, &text).await?;
        let Some(message) = message else { return Ok(()) };
        self.acknowledged(place, &text, &message);
        match send_by_rest(&self.actor, place, &text).await? {
            Some(again) if again.id == message.id => Ok(()),
            again => Err(format!("{text} was sent again as {again:?}")),
        }
    }

    fn fate(&self, id: Uuid, change: impl FnOnce(&mut Fate)) {
        change(self.record.lock().unwrap().fates.entry(id).or_default());
    }

    fn any_of_own(&mut self) -> Option<Uuid> {
        // One of the newest.
        let newest = &self.own[self.own.len().saturating_sub(20)..];
        newest.choose(&mut self.random).copied()
    }

    async fn edit(&mut self, socket: &SocketSender) -> Result<(), String> {
        let Some(id) = self.any_of_own() else { return Ok(()) };
        let text = self.next().1;
        let outcome = socket.edit(id, &*text).await;
        self.fate(id, |fate| match outcome {
            Ok(()) => fate.last = Some(text),
            Err(Error::Refused(refused)) if refused.code != "outcome_unknown" => {}
            Err(_) => drop(fate.perhaps.insert(Some(text))),
        });
        Ok(())
    }

    async fn delete(&mut self, socket: &SocketSender) -> Result<(), String> {
        let Some(id) = self.any_of_own() else { return Ok(()) };
        let outcome = socket.delete(id).await;
        self.fate(id, |fate| match outcome {
            // Nothing changes it any more.
            Ok(()) => *fate = Fate::default(),
            Err(Error::Refused(refused)) if refused.code != "outcome_unknown" => {}
            Err(_) => drop(fate.perhaps.insert(None)),
        });
        Ok(())
    }

    async fn react(&mut self, socket: &SocketSender) -> Result<(), String> {
        if let Some(id) = self.any_of_own() {
            // It changes the number of the change and nothing else.
            let _ = socket.react(id, "👍").await;
        }
        Ok(())
    }
}

/// Whether a refusal is what one gets who is in it no more.
fn is_for_members(error: &Error) -> bool {
    error.code() == Some("not_a_member")
}

/// Sends until there is an answer. `None` for one who is not in it.
async fn send_by_rest(actor: &Actor, place: Uuid, text: &str) -> Result<Option<Message>, String> {
    let body = SendMessage {
        content: text.to_owned(),
        client_message_id: Some(text.to_owned()),
        ..SendMessage::default()
    };
    loop {
        match actor.client.send(place, &body).await {
            Ok(message) => return Ok(Some(message)),
            Err(error) if is_for_members(&error) => return Ok(None),
            Err(error) if error.status().is_some_and(|it| (400..500).contains(&it)) => {
                return Err(format!("{text} was refused: {error}"));
            }
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// A client that reconnects by itself shows what is new until it is told to stop.
pub(super) async fn show(
    mut socket: Socket,
    mut stop: watch::Receiver<bool>,
) -> Result<HashMap<Uuid, Vec<i64>>, String> {
    let mut shown: HashMap<Uuid, Vec<i64>> = HashMap::new();
    loop {
        let event = tokio::select! {
            event = socket.next() => event,
            _ = stop.changed() => return Ok(shown),
        };
        match event {
            Some(SocketEvent::Message(message)) => {
                shown.entry(message.conversation_id).or_default().push(message.seq);
            }
            Some(SocketEvent::SignedOut { reason }) => return Err(format!("signed out: {reason}")),
            Some(_) => {}
            None => return Err("a client has ended".to_owned()),
        }
    }
}

/// Removes members and adds them again, at any node, until it is told to stop.
pub(super) async fn govern(
    owner: Actor,
    groups: Vec<Uuid>,
    people: Vec<Uuid>,
    mut random: StdRng,
    stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        let (group, member) =
            (*groups.choose(&mut random).unwrap(), *people.choose(&mut random).unwrap());
        // What becomes of it is in the history.
        if random.random_bool(0.5) {
            let _ = owner.client.remove_member(group, member).await;
        } else {
            let _ = owner.client.add_members(group, &[member]).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(20..500))).await;
    }
}
