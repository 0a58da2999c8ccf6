//! What people might do: sensible or not.

use std::collections::HashMap;

use kith_domain::{
    ConversationId, MessageId, UserId,
    conversation::{ConversationPatch, SettingsPatch},
    group::{MemberChange, Role},
    message::{Digest, MessageKind},
};
use kith_ports::log::{Applied, Change, Command, Entrance, Join, Rejected};
use kith_testkit::{
    Numbers,
    build::{self, at, note_id, user_id},
    contract::World,
};

use super::{NOBODY, PEOPLE, rooms};

/// Anybody, or nobody.
fn anybody(numbers: &mut Numbers) -> UserId {
    match numbers.below(PEOPLE + 1) {
        0 => user_id(NOBODY),
        n => user_id(n),
    }
}

/// A message of anybody to anywhere, often with a client id that was used before, often in answer to
/// something; or one of those before once more, with the same text or another.
pub(super) fn message(numbers: &mut Numbers, n: u64, before: &[Command]) -> Command {
    if !before.is_empty() && numbers.once_in(6) {
        let mut again = numbers.pick(before).clone();
        if let Change::Send(send) = &mut again.change {
            send.id = build::message_id(n);
            if numbers.once_in(3) {
                send.content = build::content("something else");
                send.digest = Digest::of(MessageKind::Text, &send.content, send.reply_to);
            }
        }
        return again;
    }
    let sender = anybody(numbers);
    let text = numbers.pick(&["hi", "ho", "@user_1 @USER_3, @user_2 @nobody", "a@user_2 @user_6."]);
    let mut command = if numbers.once_in(3) {
        build::write_to(anybody(numbers), n, sender, text)
    } else {
        build::send_to(*numbers.pick(&rooms()), n, sender, text)
    };
    if let Change::Send(send) = &mut command.change {
        if numbers.once_in(4) {
            let used = numbers.below(n);
            send.client_message_id = build::client_message_id(&format!("c-{used}"));
        }
        if numbers.once_in(3) {
            send.reply_to = Some(build::message_id(numbers.below(n + 2)));
            send.digest = Digest::of(MessageKind::Text, &send.content, send.reply_to);
        }
    }
    command
}

/// What those know who decide.
#[derive(Default)]
pub(super) struct Known {
    /// The epochs of members and settings.
    epochs: HashMap<ConversationId, (i64, i64)>,
    /// Messages, in the order of their sending.
    messages: Vec<(ConversationId, MessageId)>,
}

impl Known {
    /// Reads the epochs.
    pub(super) async fn read(&mut self, world: &World) {
        let chats = self.messages.iter().map(|(id, _)| *id);
        let ids: Vec<ConversationId> = rooms()[..3].iter().copied().chain(chats).collect();
        for id in ids {
            let (conversation, head) = world.head(id).await;
            self.epochs.insert(id, (head.member_epoch, conversation.settings_epoch));
        }
    }

    /// Takes note of what came of commands.
    pub(super) fn learn(&mut self, outcomes: &[Result<Applied, Rejected>]) {
        for outcome in outcomes.iter().flatten() {
            if let Applied::Sent { message, .. } = outcome {
                self.messages.push((message.conversation_id, message.id));
            }
        }
    }

    /// One that is no send: decided on what is known, which may be old by then.
    pub(super) fn command(&self, numbers: &mut Numbers, n: u64) -> Command {
        let change = |conversation_id, change| Command { conversation_id, at: at(n), change };
        if numbers.once_in(2) {
            let (id, what) = self.about_a_message(numbers);
            return change(id, what);
        }
        if numbers.once_in(6) {
            let (by, peer) = (anybody(numbers), anybody(numbers));
            return Command { at: at(n), ..build::open(by, peer) };
        }
        let id = *numbers.pick(&rooms());
        change(id, self.about_a_room(numbers, id, n))
    }

    /// An edit, a deletion, a pin, or a reaction; often to one of the last.
    fn about_a_message(&self, numbers: &mut Numbers) -> (ConversationId, Change) {
        let from = self.messages.len().saturating_sub(if numbers.once_in(3) { 200 } else { 3 });
        let (id, message_id) = *numbers.pick(&self.messages[from..]);
        let member_epoch = self.epochs[&id].0;
        let what = match numbers.below(8) {
            0 => {
                let content = build::content(numbers.pick::<&str>(&["@user_2 @user_4", "edited"]));
                Change::Edit { message_id, content, member_epoch }
            }
            1 => Change::Delete { message_id, member_epoch },
            2 => {
                let pinned = numbers.once_in(2);
                Change::Pin { message_id, pinned, member_epoch }
            }
            _ => {
                let emoji = numbers.pick(&["👍", "🎉"]);
                let mut reaction = build::reaction(message_id, anybody(numbers), emoji);
                if let Change::React(react) = &mut reaction {
                    react.given = !numbers.once_in(3);
                }
                reaction
            }
        };
        (id, what)
    }

    /// Who comes and goes, names, and what one sets for oneself.
    fn about_a_room(&self, numbers: &mut Numbers, id: ConversationId, n: u64) -> Change {
        let (user, (member_epoch, settings_epoch)) =
            (anybody(numbers), self.epochs.get(&id).copied().unwrap_or_default());
        match numbers.below(6) {
            0 => {
                let changes = [MemberChange::Leaves(user), MemberChange::Joins(user, Role::Admin)];
                build::members(anybody(numbers), &changes, 2 * n, member_epoch)
            }
            1 => {
                let name = build::name(numbers.pick::<&str>(&["One name", "Another name"]));
                let patch = ConversationPatch { name: Some(name), ..Default::default() };
                let (by, note) = (user, note_id(1_000_000 + n));
                Change::Update { by, note, patch, member_epoch, settings_epoch }
            }
            2 => Change::Hide { member: user },
            3 => {
                let pinned = Some(numbers.once_in(2));
                let patch = SettingsPatch { pinned, ..SettingsPatch::default() };
                Change::Settings { member: user, patch }
            }
            _ => Change::Join(Join { user, by: Entrance::Open, note: note_id(2_000_000 + n) }),
        }
    }
}
