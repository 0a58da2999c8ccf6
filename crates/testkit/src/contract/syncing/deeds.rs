use std::collections::BTreeMap;

use kith_domain::{
    Code, ConversationId, MessageId, UserId,
    conversation::{ConversationPatch, Kind, SettingsPatch},
    group::{MemberChange, Role},
    invite::Invite,
    text::{Emoji, InviteCode},
    user::ProfilePatch,
};
use kith_ports::{
    MessageContext,
    log::{Applied, Change, Command, Entrance, Join, Open, React, Rejected, Send},
};

use super::super::World;
use crate::{
    Numbers,
    build::{self, at, name},
};

/// What people do, at random.
pub(super) struct Deeds {
    numbers: Numbers,
    people: Vec<UserId>,
    rooms: Vec<ConversationId>,
    /// The number of the first of the people.
    first: u64,
    /// Those of the rooms that may be deleted: the first are kept, so that something goes on.
    passing: Vec<ConversationId>,
    messages: Vec<MessageId>,
    /// The present second. Now and then it goes back.
    now: u64,
    done: BTreeMap<&'static str, u32>,
}

/// What is done, and how often among all.
const KINDS: [(&str, u64); 26] = [
    ("send", 18),
    ("answer", 4),
    ("write", 8),
    ("many", 2),
    ("far behind", 1),
    ("edit", 8),
    ("delete", 6),
    ("react", 12),
    ("pin", 4),
    ("settings", 4),
    ("hide", 5),
    ("read", 16),
    ("delivered", 8),
    ("block", 3),
    ("unblock", 3),
    ("leave", 5),
    ("add", 10),
    ("join", 4),
    ("invite", 4),
    ("role", 4),
    ("rename", 3),
    ("create", 2),
    ("remove", 1),
    ("open", 2),
    ("profile", 4),
    ("clock", 2),
];

impl Deeds {
    /// Some rooms to begin with: groups, channels, a direct chat.
    pub(super) async fn begin(
        world: &World,
        (first, people): (u64, Vec<UserId>),
        numbers: Numbers,
    ) -> Self {
        let rooms = vec![
            world.group(&people[..4]).await,
            world.group(&people[1..]).await,
            world.room(Kind::Channel, &people[..3]).await,
            world.room(Kind::Channel, &people).await,
            world.write(people[1], people[0], "hi").await.conversation_id,
        ];
        let (messages, done) = (Vec::new(), BTreeMap::new());
        let (passing, now) = (Vec::new(), 1_000_000);
        Self { numbers, people, rooms, first, passing, messages, now, done }
    }

    /// How often what was done, as far as it was allowed.
    pub(super) const fn done(&self) -> &BTreeMap<&'static str, u32> {
        &self.done
    }

    /// Does something, unless it is not allowed.
    pub(super) async fn next(&mut self, world: &World) {
        let mut place = self.numbers.below(KINDS.iter().map(|(_, often)| often).sum());
        let (kind, _) = KINDS
            .iter()
            .find(|(_, often)| {
                let found = place < *often;
                place = place.saturating_sub(*often);
                found
            })
            .unwrap();
        if self.perform(world, kind).await.is_some() {
            *self.done.entry(kind).or_default() += 1;
        }
    }

    /// Does what was not done yet, so that nothing is left out.
    pub(super) async fn make_up(&mut self, world: &World) {
        for (kind, _) in KINDS {
            let mut tries = 0;
            while !self.done.contains_key(kind) {
                tries += 1;
                assert!(tries < 1_000, "nobody may {kind}");
                // Too many may have parted for anything to be done.
                self.perform(world, "unblock").await;
                if self.perform(world, kind).await.is_some() {
                    self.done.insert(kind, 1);
                }
            }
        }
    }

    async fn perform(&mut self, world: &World, kind: &str) -> Option<()> {
        let who = *self.numbers.pick(&self.people);
        let room = *self.numbers.pick(&self.rooms);
        match kind {
            "send" => self.send(world, who, room, None).await,
            "answer" => {
                let answered = self.message(world, who).await?.message;
                self.send(world, who, answered.conversation_id, Some(answered.id)).await
            }
            "write" => self.write(world, who).await,
            "many" => self.many(world, who, room, 30).await,
            "far behind" => self.many(world, who, room, 1_050).await,
            "edit" | "delete" | "react" | "pin" => self.revise(world, who, kind).await,
            "hide" => self.apply(world, room, Change::Hide { member: who }).await,
            "settings" => {
                let patch = SettingsPatch {
                    pinned: Some(self.numbers.once_in(2)),
                    archived: self.numbers.once_in(2).then_some(self.numbers.once_in(2)),
                    muted_until: self.numbers.once_in(2).then_some(Some(at(self.now + 60))),
                };
                self.apply(world, room, Change::Settings { member: who, patch }).await
            }
            "read" | "delivered" => self.advance(world, kind).await,
            "block" | "unblock" => self.block(world, who, kind).await,
            "leave" | "add" | "role" => self.change_member(world, room, kind).await,
            "join" => {
                let join = Join { user: who, by: Entrance::Open, note: world.new_message_id() };
                self.apply(world, room, Change::Join(join)).await
            }
            "invite" => self.invite(world, room, who).await,
            "rename" => self.rename(world, room).await,
            "create" => self.create(world, who).await,
            "remove" => {
                let room = self.passing.pop()?;
                self.rooms.retain(|id| *id != room);
                let member_epoch = self.epochs(world, room).await?.1;
                self.apply(world, room, Change::Remove { member_epoch }).await
            }
            "open" => {
                let peer = *self.numbers.pick(&self.people);
                let open = Change::Open(Open { by: who, peer });
                self.apply(world, ConversationId::direct(who, peer), open).await
            }
            "profile" => self.profile(world, who).await,
            _ => {
                self.now = self.now.saturating_sub(86_400);
                Some(())
            }
        }
    }

    /// The next second.
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// `None` if it was refused.
    async fn apply(&mut self, world: &World, id: ConversationId, change: Change) -> Option<()> {
        let command = Command { conversation_id: id, at: at(self.tick()), change };
        self.apply_all(world, vec![command]).await
    }

    async fn apply_all(&mut self, world: &World, batch: Vec<Command>) -> Option<()> {
        let mut done = None;
        for outcome in world.apply_all(batch).await {
            match outcome {
                Ok(Applied::Sent { message, .. }) => self.messages.push(message.id),
                Ok(_) => {}
                Err(Rejected::Stale) => panic!("nobody else does anything"),
                Err(Rejected::Refused(_)) => continue,
            }
            done = Some(());
        }
        done
    }

    async fn epochs(&self, world: &World, id: ConversationId) -> Option<(i64, i64)> {
        let snapshot = world.stores.conversations.snapshot(id, &[]).await.unwrap()?;
        Some((snapshot.conversation.settings_epoch, snapshot.head.member_epoch))
    }

    /// A message that one sees, mostly one of the last.
    async fn message(&mut self, world: &World, viewer: UserId) -> Option<MessageContext> {
        let last =
            self.messages.len().saturating_sub(if self.numbers.once_in(3) { 400 } else { 12 });
        let id = *self.numbers.pick(self.messages.get(last..).filter(|it| !it.is_empty())?);
        world.stores.messages.message(viewer, id).await.unwrap()
    }

    fn words(&mut self) -> String {
        let [one, two, three] = [0, 1, 2].map(|n| self.first + n);
        match self.numbers.below(4) {
            0 => String::from("hi"),
            1 => format!("hello @user_{one}"),
            2 => format!("@user_{two}, @user_{three}: look"),
            _ => String::from("ok"),
        }
    }

    async fn send(
        &mut self,
        world: &World,
        who: UserId,
        room: ConversationId,
        reply_to: Option<MessageId>,
    ) -> Option<()> {
        let words = self.words();
        let send = Send { reply_to, ..build::send(world.next(), who, &words) };
        self.apply(world, room, Change::Send(send)).await
    }

    async fn write(&mut self, world: &World, who: UserId) -> Option<()> {
        let to = *self.numbers.pick(&self.people);
        let (words, n) = (self.words(), world.next());
        let command = build::write_to(to, n, who, &words);
        let id = command.conversation_id;
        self.apply(world, id, command.change).await?;
        if !self.rooms.contains(&id) {
            self.rooms.push(id);
        }
        Some(())
    }

    async fn many(
        &mut self,
        world: &World,
        who: UserId,
        room: ConversationId,
        count: usize,
    ) -> Option<()> {
        let now = at(self.tick());
        let send = |_| Command { at: now, ..build::send_to(room, world.next(), who, "again") };
        self.apply_all(world, (0..count).map(send).collect()).await
    }

    async fn revise(&mut self, world: &World, who: UserId, kind: &str) -> Option<()> {
        let MessageContext { message, member_epoch, .. } = self.message(world, who).await?;
        if message.is_system() || (message.deleted_at.is_some() && kind != "delete") {
            return None;
        }
        let (id, room) = (message.id, message.conversation_id);
        let change = match kind {
            "edit" => Change::Edit {
                message_id: id,
                content: build::content(&self.words()),
                member_epoch,
            },
            "delete" => Change::Delete { message_id: id, member_epoch },
            "pin" => {
                let pinned = message.pinned_at.is_none();
                Change::Pin { message_id: id, pinned, member_epoch }
            }
            _ => Change::React(React {
                message_id: id,
                by: who,
                emoji: Emoji::parse(self.numbers.pick::<&str>(&["👍", "🎉"])).unwrap(),
                given: !self.numbers.once_in(3),
            }),
        };
        self.apply(world, room, change).await
    }

    async fn advance(&mut self, world: &World, kind: &str) -> Option<()> {
        let mut batch = BTreeMap::new();
        for _ in 0..=self.numbers.below(4) {
            let (who, room) = (*self.numbers.pick(&self.people), *self.numbers.pick(&self.rooms));
            let last = world.card(who, room).await.map_or(3, |card| card.head.last_seq);
            let seq = (last - self.numbers.below(4).cast_signed()).max(0);
            let to = if kind == "read" { (0, seq) } else { (seq, 0) };
            let mut advance = world.advancing(who, room, to);
            advance.at = at(self.tick());
            batch.insert((room, who), advance);
        }
        let batch: Vec<_> = batch.into_values().collect();
        let told = world.stores.receipts.advance(batch.into()).await.unwrap();
        told.iter().flatten().any(|it| it.before != it.after).then_some(())
    }

    async fn block(&mut self, world: &World, who: UserId, kind: &str) -> Option<()> {
        let whom = *self.numbers.pick(&self.people);
        if whom == who {
            return None;
        }
        if kind == "unblock" {
            world.stores.blocks.unblock(who, whom).await.unwrap();
        } else {
            assert!(world.stores.blocks.block(who, whom, at(self.tick())).await.unwrap());
        }
        Some(())
    }

    /// Somebody goes, comes, or has another role; but not the first person, who keeps the rooms.
    async fn change_member(
        &mut self,
        world: &World,
        room: ConversationId,
        kind: &str,
    ) -> Option<()> {
        let whom = *self.numbers.pick(&self.people[1..]);
        let roles = [Role::Member, Role::Member, Role::Admin];
        let change = match kind {
            "leave" => MemberChange::Leaves(whom),
            "add" => MemberChange::Joins(whom, *self.numbers.pick(&roles)),
            _ => MemberChange::Becomes(whom, *self.numbers.pick(&roles)),
        };
        let snapshot = world.stores.conversations.snapshot(room, &[whom]).await.unwrap()?;
        let by = if self.numbers.once_in(2) { whom } else { self.people[0] };
        if snapshot.conversation.kind == Kind::Direct
            || snapshot.members.is_empty() != (kind == "add")
        {
            return None;
        }
        let (changes, member_epoch) =
            (vec![(change, world.new_message_id())], snapshot.head.member_epoch);
        self.apply(world, room, Change::Members { by, changes, member_epoch }).await
    }

    /// Somebody comes in by an invite.
    async fn invite(&mut self, world: &World, room: ConversationId, user: UserId) -> Option<()> {
        let code = InviteCode::parse(&format!("an-invite-to-{:010}", world.next())).unwrap();
        let invite = Invite {
            code: code.clone(),
            conversation_id: room,
            created_by: self.people[0],
            created_at: at(self.tick()),
            expires_at: None,
            max_uses: Some(1),
            uses: 0,
        };
        if world.card(user, room).await.is_some()
            || !world.stores.invites.create(invite).await.unwrap()
        {
            return None;
        }
        let join = Join { user, by: Entrance::Invite(code), note: world.new_message_id() };
        self.apply(world, room, Change::Join(join)).await
    }

    async fn rename(&mut self, world: &World, room: ConversationId) -> Option<()> {
        let (by, n) = (self.people[0], self.numbers.below(9));
        let patch =
            ConversationPatch { name: Some(name(&format!("Called {n}"))), ..Default::default() };
        let (settings_epoch, member_epoch) = self.epochs(world, room).await?;
        if world.head(room).await.0.kind == Kind::Direct {
            return None;
        }
        let note = world.new_message_id();
        let update = Change::Update { by, note, patch, member_epoch, settings_epoch };
        self.apply(world, room, update).await
    }

    async fn create(&mut self, world: &World, who: UserId) -> Option<()> {
        let kind = *self.numbers.pick(&[Kind::Group, Kind::Group, Kind::Channel]);
        let others: Vec<_> =
            self.people.iter().copied().filter(|other| *other != who).step_by(2).collect();
        let command = build::create(build::room(world.next(), kind, who), &others);
        let id = command.conversation_id;
        match world.apply(command).await {
            Ok(_) => {
                self.rooms.push(id);
                self.passing.push(id);
                Some(())
            }
            Err(Rejected::Refused(refusal)) => {
                assert_eq!(refusal.code, Code::Blocked);
                None
            }
            Err(Rejected::Stale) => panic!("nobody else does anything"),
        }
    }

    async fn profile(&mut self, world: &World, who: UserId) -> Option<()> {
        let display_name = Some(name(&format!("Name {}", self.numbers.below(99))));
        let read_receipts = self.numbers.once_in(2).then_some(self.numbers.once_in(2));
        let patch = ProfilePatch { display_name, read_receipts, ..ProfilePatch::default() };
        world.stores.users.update(who, patch).await.unwrap().map(drop)
    }
}
