//! What comes from the server by itself.

use std::collections::hash_map::Entry;

use kith_client::{MemberChange, SocketEvent};
use kith_protocol::{
    frame::{MemberFrame, ServerFrame},
    rest::{Conversation, Kind, Message, MessageType, SystemEvent, SystemEventKind},
};
use tokio::io::{AsyncBufRead, AsyncWrite};
use uuid::Uuid;

use super::{
    talk::{Link, Talk},
    text::{self, Line},
};
use crate::Failure;

impl<R, W> Talk<R, W>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
{
    /// Shows an event. `None` is the end of them.
    pub(super) async fn on_event(&mut self, event: Option<SocketEvent>) -> Result<(), Failure> {
        let Some(event) = event else {
            return Err(Failure::Command("the connection is over; start again".to_owned()));
        };
        match event {
            SocketEvent::Connected { .. } => self.on_connected().await?,
            SocketEvent::CaughtUp if !self.greeted => self.greet().await?,
            SocketEvent::Disconnected { .. } => {
                self.link = Link::Lost;
                self.note("connection lost, trying again…").await?;
            }
            SocketEvent::SignedOut { reason } => {
                return Err(Failure::Command(format!(
                    "signed out by the server ({}); start again",
                    text::one_line(&reason)
                )));
            }
            SocketEvent::Message(message) => self.on_message(&message).await?,
            SocketEvent::Updated(message) => self.on_updated(&message).await?,
            SocketEvent::Deleted { message_id, .. } => {
                if let Ok(message) = super::book::answer(self.client.message(message_id)).await {
                    self.show(&message, message.conversation_id).await?;
                }
            }
            SocketEvent::Reset { conversation_id } => {
                let label = self.book.label(&self.client, conversation_id).await;
                let label = text::one_line(&label);
                self.note(&format!("much has changed in {label}; /history shows it")).await?;
            }
            SocketEvent::ConversationChanged(conversation) => {
                self.on_conversation(&conversation).await?;
            }
            SocketEvent::ConversationRemoved { conversation_id } => {
                self.on_removed(conversation_id).await?;
            }
            SocketEvent::Member(MemberChange::Removed, member) if member.user_id == self.me => {
                self.on_removed(member.conversation_id).await?;
            }
            SocketEvent::Presence { user_id, online: Some(online), .. } => {
                self.on_presence(user_id, online).await?;
            }
            SocketEvent::UserChanged(profile) => drop(self.book.meet(&profile)),
            SocketEvent::Frame(frame) => {
                if let ServerFrame::Error { message, .. } = *frame {
                    self.desk.say(&format!("! {}", text::one_line(&message))).await?;
                }
            }
            SocketEvent::Member(change, member) => self.on_member(change, &member).await?,
            _ => {}
        }
        Ok(())
    }

    /// Shows a line that is nobody's message.
    pub(super) async fn note(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.desk.say(&format!("— {text}")).await?)
    }

    async fn on_connected(&mut self) -> Result<(), Failure> {
        match std::mem::replace(&mut self.link, Link::Up) {
            Link::Lost => self.note("back").await,
            Link::Starting | Link::Up => Ok(()),
        }
    }

    async fn greet(&mut self) -> Result<(), Failure> {
        self.greeted = true;
        let name = self.book.name(&self.client, self.me).await;
        let server = text::one_line(self.client.base_url());
        self.note(&format!("signed in as {} at {server}", text::one_line(&name))).await?;
        let mut unread = Vec::new();
        for (id, count) in self.unread.clone() {
            let label = text::one_line(&self.book.label(&self.client, id).await);
            unread.push(format!("{label} ({count})"));
        }
        unread.sort_unstable();
        if !unread.is_empty() {
            self.note(&format!("unread: {}", unread.join(", "))).await?;
        }
        let here: Vec<Uuid> =
            self.online.iter().filter(|(_, online)| **online).map(|(id, _)| *id).collect();
        let mut names = Vec::new();
        for id in here.into_iter().filter(|id| *id != self.me) {
            names.push(text::one_line(&self.book.name(&self.client, id).await));
        }
        names.sort_unstable();
        if !names.is_empty() {
            self.note(&format!("online: {}", names.join(", "))).await?;
        }
        if self.book.is_empty() {
            self.note("nobody to talk to yet: /people PREFIX finds people, /to NAME begins")
                .await?;
        }
        self.note("/help lists the commands").await
    }

    async fn on_message(&mut self, message: &Message) -> Result<(), Failure> {
        let id = message.conversation_id;
        self.mark(message);
        // Members who come and go are told of already.
        let told = message.system.as_ref().is_some_and(|it| it.event != SystemEventKind::Renamed);
        let sent_here =
            message.sender_id == self.me && self.own.contains(&message.client_message_id);
        let read = self.read.get(&id).is_some_and(|read| read.contains(&message.seq));
        if sent_here || read || told {
            return Ok(());
        }
        self.show(message, id).await
    }

    async fn on_updated(&mut self, message: &Message) -> Result<(), Failure> {
        let Some(edited_at) = message.edited_at else { return Ok(()) };
        // Other changes of an edited message come the same way.
        match self.edits.entry(message.conversation_id) {
            Entry::Occupied(shown) if *shown.get() >= edited_at => return Ok(()),
            Entry::Occupied(mut shown) => drop(shown.insert(edited_at)),
            Entry::Vacant(none) => drop(none.insert(edited_at)),
        }
        self.show(message, message.conversation_id).await
    }

    async fn on_conversation(&mut self, conversation: &Conversation) -> Result<(), Failure> {
        let new = self.book.note(conversation);
        if let Some(my) = conversation.my.as_ref().filter(|my| !self.greeted && my.unread_count > 0)
        {
            self.unread.insert(conversation.id, my.unread_count);
        }
        if new && self.greeted && conversation.kind != Kind::Direct {
            let name = text::one_line(conversation.name.as_deref().unwrap_or_default());
            self.note(&format!("you are in the group {name} now: /to {name}")).await?;
        }
        Ok(())
    }

    async fn on_removed(&mut self, id: Uuid) -> Result<(), Failure> {
        let label = self.book.room(id).is_some();
        let label = if label { Some(self.book.label(&self.client, id).await) } else { None };
        let direct = self.book.forget(id).is_some_and(|room| room.kind == Kind::Direct);
        if self.current == Some(id) {
            self.current = None;
        }
        match label {
            Some(label) if !direct => {
                self.note(&format!("you are not in {} any more", text::one_line(&label))).await
            }
            _ => Ok(()),
        }
    }

    async fn on_member(
        &mut self,
        change: MemberChange,
        member: &MemberFrame,
    ) -> Result<(), Failure> {
        let id = member.conversation_id;
        let told = self.told.get(&id).is_some_and(|told| *told >= member.version);
        let what = match change {
            MemberChange::Added => "is in",
            MemberChange::Removed => "is no longer in",
            MemberChange::Updated => return Ok(()),
        };
        if told || member.user_id == self.me || self.book.room(id).is_none() {
            return Ok(());
        }
        self.told.insert(id, member.version);
        let name = text::one_line(&self.book.name(&self.client, member.user_id).await);
        let label = text::one_line(&self.book.label(&self.client, id).await);
        self.note(&format!("{name} {what} {label}")).await
    }

    async fn on_presence(&mut self, id: Uuid, online: bool) -> Result<(), Failure> {
        let before = self.online.insert(id, online).unwrap_or(false);
        if id == self.me || !self.greeted || before == online {
            return Ok(());
        }
        let name = text::one_line(&self.book.name(&self.client, id).await);
        self.note(&format!("{name} is {}", if online { "online" } else { "offline" })).await
    }

    /// Shows a message that stands in `room`.
    pub(super) async fn show(&mut self, message: &Message, room: Uuid) -> Result<(), Failure> {
        let from = self.book.name(&self.client, message.sender_id).await;
        let place = self.place(message, room).await;
        let clock = self.clock(message.created_at);
        if let Some(event) = &message.system {
            let place = place.map(|place| format!("[{}] ", text::one_line(&place)));
            let what = self.happening(event).await;
            let line = format!("{clock} {}— {what}", place.unwrap_or_default());
            return Ok(self.desk.say(&line).await?);
        }
        let content = match (&message.content, message.deleted_at) {
            (Some(content), None) => content.as_str(),
            (_, Some(_)) => "(deleted)",
            (None, None) => text::stand_in(message.message_type),
        };
        let line = Line {
            clock: &clock,
            place: place.as_deref(),
            from: &from,
            content,
            edited: message.edited_at.is_some() && message.deleted_at.is_none(),
        };
        Ok(self.desk.say(&text::message(&line)).await?)
    }

    /// Where a message stands, if that must be said.
    async fn place(&mut self, message: &Message, room: Uuid) -> Option<String> {
        if self.current == Some(room) {
            return None;
        }
        let label = self.book.label(&self.client, room).await;
        match self.book.room(room).map(|room| room.kind) {
            Some(Kind::Direct) if message.sender_id == self.me => Some(format!("to {label}")),
            Some(Kind::Direct) => Some("to you".to_owned()),
            _ => Some(label),
        }
    }

    /// `ann added bob`
    async fn happening(&mut self, event: &SystemEvent) -> String {
        let actor = self.book.name(&self.client, event.actor_id).await;
        let whom = match event.user_id {
            Some(id) => self.book.name(&self.client, id).await,
            None => String::new(),
        };
        let name = event.name.as_deref().unwrap_or_default();
        text::one_line(&match event.event {
            SystemEventKind::MemberAdded => format!("{actor} added {whom}"),
            SystemEventKind::MemberRemoved => format!("{actor} removed {whom}"),
            SystemEventKind::MemberLeft => format!("{actor} left"),
            SystemEventKind::Renamed => format!("{actor} named the group {name}"),
        })
    }
}

/// A message in a list of conversations.
pub(super) fn gist(message: &Message) -> String {
    match (&message.content, message.message_type) {
        (Some(content), _) => text::excerpt(content),
        (None, MessageType::System) => String::new(),
        (None, kind) => text::stand_in(kind).to_owned(),
    }
}
