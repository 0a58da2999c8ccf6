use std::collections::{BTreeMap, BTreeSet};

use kith_domain::{
    ConversationId, Timestamp, UserId,
    conversation::{Seq, Version},
    group::{Action, Role, may},
    message::Message,
    receipt::{Status, Watermarks},
    text::Excerpt,
    user::User,
};
use kith_ports::{
    ConversationCard, HistorySelector, MemberMarks, MemberRow, MessageCard, SyncFrom,
    SyncedConversation,
};

use super::super::World;

/// What a client makes of what it is told: the rules for all clients, as a model.
pub(super) struct Client {
    user: UserId,
    from: Option<SyncFrom>,
    chats: BTreeMap<ConversationId, Chat>,
    /// All that were ever seen. Those of people whom one meets in channels alone are not kept up.
    profiles: BTreeMap<UserId, User>,
    /// Those that a sync brought.
    acquaintances: BTreeSet<UserId>,
    people: People,
    /// Those of the pages of a sync that has more.
    coming: People,
}

#[derive(Debug, Default, PartialEq)]
struct People {
    correspondents: BTreeSet<UserId>,
    blocks: BTreeSet<UserId>,
}

struct Chat {
    card: ConversationCard,
    marks: Option<Vec<MemberMarks>>,
    /// What was loaded of its content, once it was opened.
    held: Option<Held>,
}

/// The content of a conversation up to a version: its messages from one of them on, and its members, or
/// those in charge of a channel if one may not list them all.
#[derive(Debug)]
struct Held {
    version: Version,
    from: Seq,
    messages: BTreeMap<Seq, Shown>,
    members: BTreeMap<UserId, (Role, Timestamp, Version)>,
}

/// A message with the beginning of what it answers.
#[derive(Clone, Debug)]
struct Shown {
    message: Message,
    excerpt: Option<Excerpt>,
    /// What it answers was changed since: its beginning is shown no more.
    is_old: bool,
}

impl From<MessageCard> for Shown {
    fn from(card: MessageCard) -> Self {
        Self { message: card.message, excerpt: card.excerpt, is_old: false }
    }
}

impl Chat {
    fn lists_members(&self) -> bool {
        let (kind, posting) = (self.card.conversation.kind, self.card.conversation.posting);
        may(kind, posting, self.card.my.role, Action::ListMembers).is_ok()
    }

    /// Takes a newer card. One whose first message is another begins anew: he came back, or has put
    /// away what there was.
    fn renew(&mut self, card: ConversationCard) {
        if card.my.first_seq != self.card.my.first_seq {
            self.held = None;
        }
        self.card = card;
    }

    fn is_behind(&self) -> bool {
        self.held.as_ref().is_none_or(|held| held.version < self.card.head.version)
    }
}

fn size(limit: u64) -> usize {
    usize::try_from(limit).unwrap()
}

impl Client {
    /// One that has nothing yet.
    pub(super) fn new(user: UserId) -> Self {
        let (people, coming) = (People::default(), People::default());
        let (chats, profiles, acquaintances) = Default::default();
        Self { user, from: None, chats, profiles, acquaintances, people, coming }
    }

    pub(super) const fn user(&self) -> UserId {
        self.user
    }

    /// Loads one page. `true` if the sync has more.
    pub(super) async fn sync_page(&mut self, world: &World, limit: u64) -> bool {
        let body = world.sync(self.user, self.from.take(), size(limit)).await;
        let told: BTreeSet<_> =
            body.conversations.iter().map(|it| it.card.conversation.id).collect();
        assert!(body.removed.iter().all(|id| !told.contains(id)), "an id is in one list only");
        for SyncedConversation { card, marks } in body.conversations {
            let id = card.conversation.id;
            if let Some(peer) = &card.peer {
                self.learn(peer.clone());
            }
            match self.chats.get_mut(&id) {
                Some(chat) => {
                    chat.renew(card);
                    chat.marks = marks;
                }
                None => {
                    self.chats.insert(id, Chat { card, marks, held: None });
                }
            }
        }
        for id in body.removed {
            self.chats.remove(&id);
        }
        for user in body.users {
            self.acquaintances.insert(user.id);
            self.learn(user);
        }
        self.coming.correspondents.extend(body.correspondents);
        self.coming.blocks.extend(body.blocks);
        if !body.has_more {
            self.people = std::mem::take(&mut self.coming);
        }
        self.from = Some(body.next);
        body.has_more
    }

    /// Loads pages until there are no more.
    pub(super) async fn sync(&mut self, world: &World, limit: u64) {
        while self.sync_page(world, limit).await {}
    }

    /// A profile stands in one place, whatever brought it. One's own comes in a way of its own.
    fn learn(&mut self, user: User) {
        if user.id == self.user {
            return;
        }
        for chat in self.chats.values_mut() {
            if let Some(peer) = chat.card.peer.as_mut().filter(|peer| peer.id == user.id) {
                *peer = user.clone();
            }
        }
        self.profiles.insert(user.id, user);
    }

    /// Loads what is missing of each conversation whose version moved.
    pub(super) async fn catch_up(&mut self, world: &World, limit: u64) {
        let behind: Vec<_> =
            self.chats.iter().filter(|(_, chat)| chat.is_behind()).map(|(id, _)| *id).collect();
        for id in behind {
            let mut profiles = Vec::new();
            if let Some(chat) = self.chats.get_mut(&id) {
                chat.catch_up(world, self.user, size(limit), &mut profiles).await;
            }
            for user in profiles {
                self.learn(user);
            }
        }
    }

    /// Whether this one is where a fresh one is.
    pub(super) async fn assert_same(&self, world: &World, fresh: &Self) {
        let user = self.user;
        assert_eq!(self.people, fresh.people, "{user}");
        for id in &fresh.acquaintances {
            assert_eq!(self.profiles.get(id), fresh.profiles.get(id), "{user}");
        }
        let ids = |client: &Self| client.chats.keys().copied().collect::<Vec<_>>();
        assert_eq!(ids(self), ids(fresh), "{user}");
        for (chat, fresh) in self.chats.values().zip(fresh.chats.values()) {
            chat.assert_same(world, user, fresh).await;
        }
    }
}

impl Chat {
    async fn catch_up(
        &mut self,
        world: &World,
        viewer: UserId,
        limit: usize,
        profiles: &mut Vec<User>,
    ) {
        let id = self.card.conversation.id;
        loop {
            if self.held.is_none() && !self.load(world, viewer, limit, profiles).await {
                return;
            }
            let Some(since) = self.held.as_ref().map(|held| held.version) else { return };
            let changes = world.stores.conversations.changes(viewer, id, since, limit).await;
            // He is in it no more, as the next sync will tell.
            let Some(changes) = changes.unwrap() else { return };
            assert_eq!(
                changes.has_more,
                !changes.reset && changes.version < changes.card.head.version
            );
            self.renew(changes.card);
            let lists_members = self.lists_members();
            if changes.reset {
                self.held = None;
            }
            let Some(held) = &mut self.held else { continue };
            for card in changes.messages {
                assert!((since + 1..=changes.version).contains(&card.message.version));
                held.show(card);
            }
            for member in changes.members {
                profiles.push(member.user.clone());
                held.take(&member, lists_members);
            }
            held.version = changes.version;
            if !changes.has_more {
                return;
            }
        }
    }

    /// Loads the newest page and the members. `false` if he is in it no more.
    async fn load(
        &mut self,
        world: &World,
        viewer: UserId,
        limit: usize,
        profiles: &mut Vec<User>,
    ) -> bool {
        let id = self.card.conversation.id;
        let newest = HistorySelector::Newest;
        let page = world.stores.messages.history(viewer, id, newest, limit).await.unwrap();
        let Some(page) = page else { return false };
        let messages: BTreeMap<_, _> =
            page.items.into_iter().map(|card| (card.message.seq, card.into())).collect();
        let from = messages.keys().next().copied().unwrap_or(1);
        let mut held = Held { version: page.version, from, messages, members: BTreeMap::new() };
        let mut after = None;
        loop {
            let page = world.stores.conversations.members(viewer, id, after, limit).await.unwrap();
            let Some(page) = page else { return false };
            for member in page.items {
                profiles.push(member.user.clone());
                held.take(&member, true);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        self.held = Some(held);
        true
    }

    async fn assert_same(&self, world: &World, viewer: UserId, fresh: &Self) {
        let id = self.card.conversation.id;
        assert_eq!(self.card, fresh.card, "{viewer}");
        assert_eq!(self.marks, fresh.marks, "{viewer} {id}");
        let (Some(held), Some(of_fresh)) = (&self.held, &fresh.held) else {
            panic!("{viewer} has not opened {id}");
        };
        assert_eq!(held.version, of_fresh.version, "{viewer} {id}");
        assert_eq!(held.members, of_fresh.members, "{viewer} {id}");
        let lists_members = self.lists_members();
        let (mut seqs, mut after) = (Vec::new(), held.from - 1);
        loop {
            let selector = HistorySelector::After(after);
            let page = world.stores.messages.history(viewer, id, selector, 100).await;
            let page = page.unwrap().unwrap();
            for card in page.items {
                after = card.message.seq;
                seqs.push(after);
                let shown =
                    held.messages.get(&after).unwrap_or_else(|| panic!("{viewer} {card:?}"));
                assert_eq!(shown.message, card.message, "{viewer} {id}");
                if !shown.is_old {
                    assert_eq!(shown.excerpt, card.excerpt, "{viewer} {id} {after}");
                }
                if lists_members {
                    assert_eq!(card.status, self.status(viewer, &card.message), "{viewer} {id}");
                }
            }
            if !page.has_after {
                break;
            }
        }
        assert!(held.messages.keys().eq(&seqs), "{viewer} {id}");
        for shown in held.messages.values().rev().take(3) {
            self.assert_received(world, viewer, &shown.message).await;
        }
    }

    /// Who has a message, and how far, is what the marks say: of those who were there when it came.
    async fn assert_received(&self, world: &World, viewer: UserId, message: &Message) {
        let Some(marks) = &self.marks else { return };
        let receipts = world.receipts(viewer, message.id, 2).await.unwrap();
        let mut others = marks.iter().filter(|other| other.user_id != message.sender_id);
        for receipt in receipts.iter().filter(|receipt| receipt.user_id != viewer) {
            // Both in the order of the ids.
            let other = others.find(|other| other.user_id == receipt.user_id).unwrap();
            assert_eq!(receipt.status, other.marks.status_of(message.seq), "{viewer} {message:?}");
        }
        let own = receipts.iter().any(|receipt| receipt.user_id == viewer);
        let sees_himself = message.sender_id != viewer
            && (self.lists_members() || self.card.my.role > Role::Member);
        // In a channel he sees what came before him, but has no receipt of it.
        assert!(
            own == sees_himself || message.seq < self.card.my.first_seq,
            "{viewer} {message:?}"
        );
    }

    /// How far a message has come, as the marks say.
    fn status(&self, viewer: UserId, message: &Message) -> Option<Status> {
        if message.sender_id != viewer || message.is_system() {
            return None;
        }
        let others = self.marks.as_ref()?.iter().map(|other| other.marks);
        let least = others.reduce(|least, marks| Watermarks {
            delivered: least.delivered.min(marks.delivered),
            read: least.read.min(marks.read),
        });
        Some(least.map_or(Status::Sent, |marks| marks.status_of(message.seq)))
    }
}

impl Held {
    /// Takes a message that changed. Those that answer it no longer show its beginning.
    fn show(&mut self, card: MessageCard) {
        let changed = card.message.id;
        for shown in self.messages.values_mut() {
            if shown.message.reply_to.is_some_and(|answered| answered.id == changed) {
                shown.is_old = true;
            }
        }
        if card.message.seq >= self.from {
            self.messages.insert(card.message.seq, card.into());
        }
    }

    /// Takes a member. One who may not list them keeps those in charge, though he is told of himself.
    fn take(&mut self, member: &MemberRow, lists_members: bool) {
        if member.left || (!lists_members && member.role == Role::Member) {
            self.members.remove(&member.user.id);
        } else {
            let place = (member.role, member.joined_at, member.version);
            self.members.insert(member.user.id, place);
        }
    }
}
