//! What each frame does.

use std::time::Duration;

use kith_protocol::frame::{MemberFrame, ServerFrame};
use serde::Deserialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Conversation, Effect, Fetch, MemberChange, Message, Outcome, SocketEvent, State};
use crate::{
    error::FrameError,
    state::{pending::Answered, room::Room},
};

/// A frame of a newer server: what can be understood of any durable event.
#[derive(Deserialize)]
struct Stranger {
    #[serde(rename = "type")]
    kind: String,
    conversation_id: Option<Uuid>,
    version: Option<i64>,
}

impl State {
    /// Takes a text frame. One that is not understood is passed over: if it was a change of a
    /// conversation, that is fetched.
    pub(crate) fn on_text(&mut self, text: &str, now: Instant) {
        match serde_json::from_str::<ServerFrame>(text) {
            Ok(frame) => self.on_frame(frame, now),
            Err(error) => {
                if let Ok(Stranger { kind, conversation_id: Some(id), version: Some(version) }) =
                    serde_json::from_str(text)
                {
                    tracing::debug!(kind, "a frame of a newer server");
                    self.in_room(id, now, |room, _| room.want(0, version));
                } else {
                    tracing::debug!(%error, "an unknown frame is passed over");
                }
            }
        }
    }

    /// Takes a frame.
    pub(crate) fn on_frame(&mut self, frame: ServerFrame, now: Instant) {
        match frame {
            ServerFrame::Ready { connection_id, session_id, user_id, .. } => {
                self.me = Some(user_id);
                self.ready = true;
                self.announce = true;
                self.show(SocketEvent::Connected { connection_id, session_id, user_id });
                self.effects.extend(self.pending.resume().into_iter().map(Effect::Send));
                self.begin_sync();
            }
            ServerFrame::MessageSent { id, message } => {
                self.answer(id.as_deref(), || Outcome::Sent(Box::new(message.clone())));
                self.on_message(message, now);
            }
            ServerFrame::NewMessage { message } => self.on_message(message, now),
            ServerFrame::MessageUpdated { message } => {
                let paused = self.paused;
                self.in_room(message.conversation_id, now, |room, shown| {
                    room.want(0, message.version);
                    if !paused {
                        room.on_newer(message, shown);
                    }
                });
            }
            ServerFrame::MessageDeleted { conversation_id, message_id, seq, version } => {
                let paused = self.paused;
                self.in_room(conversation_id, now, |room, shown| {
                    room.want(0, version);
                    let event = SocketEvent::Deleted { conversation_id, message_id, seq, version };
                    if !paused {
                        room.on_deleted(seq, version, event, shown);
                    }
                });
            }
            ServerFrame::ConversationCreated { conversation } => {
                self.entered.insert(conversation.id);
                self.on_conversation(conversation, now);
            }
            ServerFrame::ConversationUpdated { conversation } => {
                self.on_conversation(conversation, now);
            }
            ServerFrame::ConversationRemoved { conversation_id } => {
                self.entered.remove(&conversation_id);
                self.forget(conversation_id);
                self.show(SocketEvent::ConversationRemoved { conversation_id });
            }
            ServerFrame::MemberAdded(member) => self.on_member(MemberChange::Added, member, now),
            ServerFrame::MemberUpdated(member) => {
                self.on_member(MemberChange::Updated, member, now);
            }
            ServerFrame::MemberRemoved(member) => {
                self.on_member(MemberChange::Removed, member, now);
            }
            ServerFrame::UserOnline { user_id, last_seen } => {
                self.show(SocketEvent::Presence { user_id, online: Some(true), last_seen });
            }
            ServerFrame::UserOffline { user_id, last_seen } => {
                self.show(SocketEvent::Presence { user_id, online: Some(false), last_seen });
            }
            ServerFrame::UserUpdated { user } => {
                self.show(SocketEvent::UserChanged(Box::new(user)));
            }
            ServerFrame::Pong { id, sync_token } => {
                self.answer(id.as_deref(), || Outcome::Pong(sync_token.clone()));
            }
            ServerFrame::Ok { id } => self.answer(Some(&id), || Outcome::Done),
            ServerFrame::Error { id: Some(id), code, message, errors, retry_after_ms } => {
                let retry_after = retry_after_ms.map(Duration::from_millis);
                if !self.pending.postpone(&id, &code, retry_after, now) {
                    let refused = FrameError { code, message, errors, retry_after };
                    self.answer(Some(&id), || Outcome::Refused(Box::new(refused)));
                }
            }
            ServerFrame::TokenExpiring { .. } => self.effects.push(Effect::Fetch(Fetch::Token)),
            ServerFrame::Resync {} => self.begin_sync(),
            ServerFrame::ReactionAdded(ref reaction)
            | ServerFrame::ReactionRemoved(ref reaction) => {
                let (id, version) = (reaction.conversation_id, reaction.version);
                self.show(SocketEvent::Frame(Box::new(frame)));
                self.in_room(id, now, |room, _| {
                    room.want(0, version);
                    room.saw(version);
                });
            }
            other @ (ServerFrame::Error { .. }
            | ServerFrame::Sync { .. }
            | ServerFrame::ReceiptUpdate { .. }
            | ServerFrame::UserTyping(_)
            | ServerFrame::UserStoppedTyping(_)
            | ServerFrame::SettingsUpdated { .. }) => {
                self.show(SocketEvent::Frame(Box::new(other)));
            }
        }
    }

    fn on_message(&mut self, message: Message, now: Instant) {
        let paused = self.paused;
        self.in_room(message.conversation_id, now, |room, shown| {
            room.want(message.seq, message.version);
            // Before it is known where to begin, this message may be what tells.
            if !paused || !room.is_based() {
                room.on_message(message, shown);
            }
        });
    }

    fn on_conversation(&mut self, conversation: Conversation, now: Instant) {
        let (seq, version) = (conversation.last_seq, conversation.version);
        let id = conversation.id;
        self.show(SocketEvent::ConversationChanged(Box::new(conversation)));
        self.in_room(id, now, |room, _| {
            room.want(seq, version);
            room.saw(version);
        });
    }

    fn on_member(&mut self, change: MemberChange, member: MemberFrame, now: Instant) {
        let (id, version) = (member.conversation_id, member.version);
        let gone = change == MemberChange::Removed && Some(member.user_id) == self.me;
        self.show(SocketEvent::Member(change, member));
        if gone {
            self.forget(id);
        } else {
            self.in_room(id, now, |room, _| {
                room.want(0, version);
                room.saw(version);
            });
        }
    }

    /// Lets a conversation take something, shows what it shows, and plans what it lacks. One that
    /// is unknown is asked about at once, a gap after a moment.
    fn in_room(
        &mut self,
        id: Uuid,
        now: Instant,
        take: impl FnOnce(&mut Room, &mut Vec<SocketEvent>),
    ) {
        let room = self.rooms.entry(id).or_default();
        let mut shown = Vec::new();
        take(room, &mut shown);
        room.advance(&mut shown);
        let known = room.is_based();
        self.effects.extend(shown.into_iter().map(Effect::Event));
        let wait = if known { self.gap(id) } else { Duration::ZERO };
        self.settle(id, now, wait);
    }

    fn answer(&mut self, id: Option<&str>, outcome: impl FnOnce() -> Outcome) {
        if let Some(Answered(number)) = id.and_then(|id| self.pending.answered(id)) {
            self.effects.push(Effect::Resolve(number, outcome()));
        }
    }
}
