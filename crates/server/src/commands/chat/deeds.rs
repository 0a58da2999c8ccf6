//! What the commands do.

use kith_client::{Selector, rest::Inbox};
use kith_protocol::rest::{Conversation, Kind, NewGroup, Profile};
use tokio::io::{AsyncBufRead, AsyncWrite};
use uuid::Uuid;

use super::{
    book::answer,
    command::{Command, HELP, bare},
    news::gist,
    talk::Talk,
    text,
};
use crate::Failure;

/// How much history is shown on entering a conversation.
const GLIMPSE: u32 = 5;
/// How many lines a list has at most.
const LIST: u32 = 50;

/// Goes on with what the server answered, or says why it did not.
macro_rules! or_say {
    ($talk:ident, $asked:expr, $otherwise:expr) => {
        match answer($asked).await {
            Ok(answered) => answered,
            Err(error) => {
                $talk.desk.say(&format!("! {}", text::explain(&error))).await?;
                return Ok($otherwise);
            }
        }
    };
}

impl<R, W> Talk<R, W>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
{
    /// Does what a command says.
    pub(super) async fn act(&mut self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Nothing | Command::Say(_) | Command::Quit => {}
            Command::Help => self.desk.say(HELP).await?,
            Command::People(prefix) => self.people(&prefix).await?,
            Command::To(name) => drop(self.go_to(&name).await?),
            Command::Groups => self.list(Some(Kind::Group)).await?,
            Command::Inbox => self.list(None).await?,
            Command::New { name, members } => self.new_group(name, &members).await?,
            Command::Add(name) => self.add(&name).await?,
            Command::Leave => self.leave().await?,
            Command::History(number) => match self.current {
                Some(id) => drop(self.history(id, number).await?),
                None => self.desk.say("! of what? /to NAME first").await?,
            },
        }
        Ok(())
    }

    async fn people(&mut self, prefix: &str) -> Result<(), Failure> {
        let page = or_say!(self, self.client.users(prefix, None, Some(LIST)), ());
        for profile in page.items.iter().filter(|it| it.id != self.me) {
            self.book.meet(profile);
            self.desk.say(&person(profile)).await?;
        }
        if page.items.iter().all(|it| it.id == self.me) {
            self.note("nobody else has a name that begins so").await?;
        }
        if page.next_cursor.is_some() {
            self.note("and more; a longer beginning shows fewer").await?;
        }
        Ok(())
    }

    async fn list(&mut self, kind: Option<Kind>) -> Result<(), Failure> {
        let inbox = Inbox { kind, limit: Some(LIST), ..Inbox::default() };
        let page = or_say!(self, self.client.conversations(&inbox), ());
        for conversation in &page.items {
            self.book.note(conversation);
            let label = self.book.label(&self.client, conversation.id).await;
            self.desk.say(&entry(conversation, &label)).await?;
        }
        match (page.items.is_empty(), kind) {
            (true, Some(_)) => self.note("no groups yet: /new NAME @a @b makes one").await?,
            (true, None) => self.note("no conversations yet: /to NAME begins one").await?,
            (false, _) => {}
        }
        if page.next_cursor.is_some() {
            self.note("and older ones").await?;
        }
        Ok(())
    }

    /// Turns to a person or a group. Says whether there is one.
    pub(super) async fn go_to(&mut self, name: &str) -> Result<bool, Failure> {
        let (group, named) = (name.strip_prefix('#'), bare(name));
        let groups =
            if named == name { self.book.groups(group.unwrap_or(name)) } else { Vec::new() };
        if group.is_none() {
            let found = self.book.person(&self.client, named).await;
            if let Some(profile) = or_say!(self, std::future::ready(found), false) {
                if profile.id == self.me {
                    self.desk.say("! that is yourself").await?;
                    return Ok(false);
                }
                let chat = or_say!(self, self.client.open_direct(profile.id), false);
                self.book.note(&chat);
                if let Some(online) = profile.online {
                    self.online.insert(profile.id, online);
                }
                self.enter(chat.id, profile.online).await?;
                if !groups.is_empty() {
                    let named = text::one_line(named);
                    self.note(&format!("the group of that name is #{named}")).await?;
                }
                return Ok(true);
            }
        }
        let Some(id) = groups.first() else {
            let name = text::one_line(name);
            let advice = "/people PREFIX finds people, /groups lists your groups";
            self.desk.say(&format!("! there is no {name}: {advice}")).await?;
            return Ok(false);
        };
        if groups.len() > 1 {
            self.note("several of your groups have this name; this is the last one used").await?;
        }
        self.enter(*id, None).await?;
        Ok(true)
    }

    async fn enter(&mut self, id: Uuid, online: Option<bool>) -> Result<(), Failure> {
        self.current = Some(id);
        let label = text::one_line(&self.book.label(&self.client, id).await);
        let there = match online {
            Some(true) => ", who is online",
            Some(false) => ", who is offline",
            None => "",
        };
        self.note(&format!("now talking to {label}{there}")).await?;
        if self.history(id, GLIMPSE).await? == Some(0) {
            self.note("no messages yet; type the first").await?;
        }
        Ok(())
    }

    /// Shows the newest messages. Gives how many there were, if the server said.
    async fn history(&mut self, id: Uuid, number: u32) -> Result<Option<usize>, Failure> {
        let page = or_say!(self, self.client.history(id, Selector::Newest, Some(number)), None);
        for message in &page.items {
            self.show(message, id).await?;
        }
        if let (Some(first), Some(last)) = (page.items.first(), page.items.last()) {
            self.read.insert(id, first.seq..=last.seq);
        }
        if let Some(last) = page.items.iter().rev().find(|message| message.sender_id != self.me) {
            self.mark(last);
        }
        Ok(Some(page.items.len()))
    }

    async fn new_group(&mut self, name: String, members: &[String]) -> Result<(), Failure> {
        let mut ids = Vec::new();
        for member in members {
            let Some(profile) = self.find(member).await? else { return Ok(()) };
            ids.push(profile.id);
        }
        let group = NewGroup { name, description: None, members: ids };
        let made = or_say!(self, self.client.create_group(&group), ());
        self.book.note(&made);
        self.enter(made.id, None).await
    }

    async fn add(&mut self, name: &str) -> Result<(), Failure> {
        let Some(id) = self.group().await? else { return Ok(()) };
        let Some(profile) = self.find(name).await? else { return Ok(()) };
        // The server's word on it follows.
        or_say!(self, self.client.add_members(id, &[profile.id]), ());
        Ok(())
    }

    async fn leave(&mut self) -> Result<(), Failure> {
        let Some(id) = self.group().await? else { return Ok(()) };
        or_say!(self, self.client.leave(id), ());
        let label = text::one_line(&self.book.label(&self.client, id).await);
        self.book.forget(id);
        self.current = None;
        self.note(&format!("you left {label}")).await
    }

    /// The group one is in, or a word on that.
    async fn group(&mut self) -> Result<Option<Uuid>, Failure> {
        let group = self
            .current
            .filter(|id| self.book.room(*id).is_some_and(|room| room.kind != Kind::Direct));
        if group.is_none() {
            self.desk.say("! this works in a group only: /groups lists yours").await?;
        }
        Ok(group)
    }

    /// The person of this name, or a word on that.
    async fn find(&mut self, name: &str) -> Result<Option<Profile>, Failure> {
        let found = self.book.person(&self.client, name).await;
        let found = or_say!(self, std::future::ready(found), None);
        if found.is_none() {
            let name = text::one_line(name);
            self.desk.say(&format!("! there is no {name}: /people PREFIX finds people")).await?;
        }
        Ok(found)
    }
}

/// `  ann — Ann Lee (online)`
fn person(profile: &Profile) -> String {
    let username = profile.username.as_deref().unwrap_or_default();
    let mut line = format!("  {}", text::one_line(username));
    if profile.display_name != username {
        line.push_str(" — ");
        line.push_str(&text::one_line(&profile.display_name));
    }
    if profile.online == Some(true) {
        line.push_str(" (online)");
    }
    line
}

/// `  Family (3 members, 2 unread) — hi`
fn entry(conversation: &Conversation, label: &str) -> String {
    let mut facts = Vec::new();
    if conversation.kind != Kind::Direct {
        let members = conversation.member_count;
        facts.push(format!("{members} {}", if members == 1 { "member" } else { "members" }));
    }
    let unread = conversation.my.as_ref().map_or(0, |my| my.unread_count);
    if unread > 0 {
        facts.push(format!("{unread} unread"));
    }
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    let gist = conversation.last_message.as_ref().map(gist).filter(|gist| !gist.is_empty());
    let gist = gist.map(|gist| format!(" — {gist}")).unwrap_or_default();
    format!("  {}{facts}{gist}", text::one_line(label))
}
