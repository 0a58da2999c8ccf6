//! Kith at work: a conversation of three people, played against a server that this program starts
//! and takes away again. Each act says what is to be seen and checks that it is so; the first that
//! is not as it says ends the program with an error.
//!
//! `cargo run --example demo`

use std::{
    collections::HashSet,
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::{Duration, Instant},
};

use kith_client::{Client, Selector, Socket, SocketEvent, SocketOptions};
use kith_protocol::{
    frame,
    rest::{Conversation, Login, Message, NewGroup, Register, SendMessage},
};
use kith_server::{Application, config::Config};
use tokio::sync::oneshot;
use uuid::Uuid;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long anything may take.
const SOON: Duration = Duration::from_secs(10);
/// What everybody's password is.
const PASSWORD: &str = "correct horse battery";

#[tokio::main]
async fn main() -> ExitCode {
    let began = Instant::now();
    match tokio::time::timeout(Duration::from_secs(60), demo()).await {
        Ok(Ok(())) => {
            println!("\nAll of it was so. It took {:.1} s.", began.elapsed().as_secs_f32());
            ExitCode::SUCCESS
        }
        Ok(Err(error)) => {
            eprintln!("\nIt was NOT so: {error}");
            ExitCode::FAILURE
        }
        Err(_) => {
            eprintln!("\nIt was NOT so: nothing happened for a minute");
            ExitCode::FAILURE
        }
    }
}

/// Starts a server, plays, stops the server, and leaves nothing behind.
async fn demo() -> Outcome {
    let data = tempfile::tempdir()?;
    let mut config = Config {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        data_dir: data.path().to_owned(),
        ..Config::default()
    };
    // Cheap passwords and a quick end: this is a play.
    config.passwords.memory_kib = 64;
    config.passwords.iterations = 1;
    config.shutdown.close_spread_ms = 0;
    let application = Application::build(&config).await?;
    let url = format!("http://{}", application.address());
    println!("A server of its own listens on {url}; its data lie in {}.", data.path().display());
    let (stop, asked) = oneshot::channel::<()>();
    let server = tokio::spawn(application.run_until(async move { drop(asked.await) }));
    let played = play(&url).await;
    drop(stop);
    server.await??;
    data.close()?;
    played
}

async fn play(url: &str) -> Outcome {
    act("Three people sign up.");
    let mut ann = Person::sign_up(url, "ann").await?;
    let mut bob = Person::sign_up(url, "bob").await?;
    let cat = Person::sign_up(url, "cat").await?;

    let direct = direct_chat(&mut ann, &mut bob).await?;
    let family = group(&mut ann, &mut bob).await?;
    let first = devices(&mut ann, &mut bob, &family).await?;
    edit_and_delete(&mut ann, &mut bob, &first).await?;
    away(&mut ann, &bob, &family).await?;
    said_twice(&ann, &family).await?;
    stranger(&cat, &direct, &family).await?;
    renewed(&mut ann, &mut bob, &family).await?;

    for person in [ann, bob, cat] {
        person.socket.close().await;
    }
    Ok(())
}

async fn direct_chat(ann: &mut Person, bob: &mut Person) -> Outcome<Conversation> {
    act("Ann writes to Bob. He sees it at once, and answers.");
    let direct = ann.client.open_direct(bob.id).await?;
    ann.says(&direct, "Hi Bob!").await?;
    bob.sees("Hi Bob!").await?;
    bob.says(&direct, "Hello Ann.").await?;
    ann.sees("Hello Ann.").await?;
    let page = ann.client.history(direct.id, Selector::Newest, None).await?;
    let numbers: Vec<i64> = page.items.iter().map(|message| message.seq).collect();
    check(numbers == [1, 2], format!("the messages are numbered 1 and 2, not {numbers:?}"))?;
    fact("The server keeps both, numbered 1 and 2.");
    Ok(direct)
}

async fn group(ann: &mut Person, bob: &mut Person) -> Outcome<Conversation> {
    act("Ann makes a group with Bob. It appears on his screen.");
    let new = NewGroup { name: "Family".to_owned(), description: None, members: vec![bob.id] };
    let family = ann.client.create_group(&new).await?;
    bob.waits_for(
        "the group",
        |event| matches!(event, SocketEvent::ConversationChanged(it) if it.id == family.id),
    )
    .await?;
    fact("Bob is in Family now.");
    Ok(family)
}

/// A message that two devices of one person and another person see.
async fn devices(ann: &mut Person, bob: &mut Person, family: &Conversation) -> Outcome<Message> {
    act("Bob has a tablet too. What Ann writes comes to both of his devices, once each.");
    let mut tablet = bob.another_device("bob's tablet").await?;
    let message = ann.says(family, "Dinner at seven?").await?;
    bob.sees("Dinner at seven?").await?;
    tablet.sees("Dinner at seven?").await?;
    tablet.says(family, "I cook.").await?;
    bob.sees("I cook.").await?;
    ann.sees("I cook.").await?;
    fact("And what Bob writes on the tablet stands on his phone as well.");
    tablet.socket.close().await;
    Ok(message)
}

async fn edit_and_delete(ann: &mut Person, bob: &mut Person, first: &Message) -> Outcome {
    act("Ann corrects her message, then takes it back.");
    ann.socket.edit(first.id, "Dinner at eight?").await?;
    bob.waits_for("the correction", |event| {
        matches!(event, SocketEvent::Updated(it)
            if it.id == first.id && it.content.as_deref() == Some("Dinner at eight?"))
    })
    .await?;
    fact("Bob sees: Dinner at eight? (edited)");
    ann.socket.delete(first.id).await?;
    bob.waits_for(
        "the deletion",
        |event| matches!(event, SocketEvent::Deleted { message_id, .. } if *message_id == first.id),
    )
    .await?;
    let left = bob.client.message(first.id).await?;
    check(left.content.is_none() && left.deleted_at.is_some(), "the text is still there")?;
    fact("Bob sees: (deleted). The server keeps the number, not the text.");
    Ok(())
}

/// A device that was away asks what changed since it was last there.
async fn away(ann: &mut Person, bob: &Person, family: &Conversation) -> Outcome {
    act("Bob's old phone is switched off, misses 250 messages, and catches up.");
    let phone = bob.client.sync(None, None).await?;
    let known = phone.conversations.iter().find(|it| it.id == family.id);
    let (mut since, mut last) =
        known.map(|it| (it.version, it.last_seq)).ok_or("sync does not name the group")?;
    for number in 1..=250 {
        let sent = ann.say(family, format!("Message {number}")).await?;
        ann.spoken(&sent);
    }
    let news = bob.client.sync(Some(&phone.token), None).await?;
    check(news.conversations.iter().any(|it| it.id == family.id), "sync does not name the group")?;
    let mut pages = 0;
    loop {
        let changes = bob.client.changes(family.id, since, None).await?;
        pages += 1;
        for message in &changes.messages {
            last += 1;
            check(message.seq == last, format!("number {last} is missing before {}", message.seq))?;
        }
        since = changes.version;
        if !changes.has_more {
            break;
        }
    }
    let newest = bob.client.conversation(family.id).await?.last_seq;
    check(last == newest, format!("it has all up to {last}, but there are {newest}"))?;
    fact(&format!("It has all 250 in {pages} pages, in order, none missing and none twice."));
    Ok(())
}

async fn said_twice(ann: &Person, family: &Conversation) -> Outcome {
    act(
        "Ann's train enters a tunnel: her phone does not know whether a message went out, and sends it again.",
    );
    let message = SendMessage {
        content: "On my way".to_owned(),
        client_message_id: Some(Uuid::new_v4().to_string()),
        ..SendMessage::default()
    };
    let first = ann.client.send(family.id, &message).await?;
    let second = ann.client.send(family.id, &message).await?;
    check((first.id, first.seq) == (second.id, second.seq), "there are two messages")?;
    let page = ann.client.history(family.id, Selector::Newest, Some(10)).await?;
    let copies = page.items.iter().filter(|it| it.content.as_deref() == Some("On my way")).count();
    check(copies == 1, format!("it stands there {copies} times"))?;
    fact(&format!(
        "One message, number {}, because both had the same client_message_id.",
        first.seq
    ));
    Ok(())
}

async fn stranger(cat: &Person, direct: &Conversation, family: &Conversation) -> Outcome {
    act("Cat is in neither conversation. She may not read, and not write.");
    for there in [direct, family] {
        let read = cat.client.history(there.id, Selector::Newest, None).await;
        refused(read, 404, "not_found")?;
        let message = SendMessage { content: "Let me in".to_owned(), ..SendMessage::default() };
        refused(cat.client.send(there.id, &message).await, 403, "not_a_member")?;
    }
    fact("Refused: 404 not_found, as if there were nothing; 403 not_a_member.");
    Ok(())
}

async fn renewed(ann: &mut Person, bob: &mut Person, family: &Conversation) -> Outcome {
    act("Ann's token is renewed in the middle of her conversation, which goes on.");
    let old = ann.client.tokens().ok_or("Ann is not signed in")?;
    let new = ann.client.refresh().await?;
    check(new.refresh != old.refresh, "the refresh token is the same")?;
    check(ann.client.me().await?.id == ann.id, "she is somebody else")?;
    ann.says(family, "Still here").await?;
    bob.sees("Still here").await?;
    let forged = ann.client.anonymous().with_tokens(kith_client::Tokens {
        access: "not.a.token".to_owned(),
        refresh: "nor this".to_owned(),
    });
    refused(forged.me().await, 401, "unauthenticated")?;
    fact("A token that the server did not make is refused: 401 unauthenticated.");
    Ok(())
}

/// Somebody with a device.
struct Person {
    name: &'static str,
    id: Uuid,
    client: Client,
    socket: Socket,
    /// The messages that were on the screen.
    seen: HashSet<Uuid>,
}

impl Person {
    async fn sign_up(url: &str, name: &'static str) -> Outcome<Self> {
        let client = Client::new(url)?;
        let account = Register {
            username: name.to_owned(),
            email: format!("{name}@example.org"),
            password: PASSWORD.to_owned(),
            display_name: None,
            device_name: Some("phone".to_owned()),
        };
        let answer = client.register(&account).await?;
        let person = Self::connect(name, answer.user.id, client).await?;
        fact(&format!("{name} has an account and is connected."));
        Ok(person)
    }

    /// The same person, signed in once more.
    async fn another_device(&self, device: &str) -> Outcome<Self> {
        let client = self.client.anonymous();
        let login = Login {
            username: Some(self.name.to_owned()),
            password: PASSWORD.to_owned(),
            device_name: Some(device.to_owned()),
            ..Login::default()
        };
        let answer = client.login(&login).await?;
        Self::connect(self.name, answer.user.id, client).await
    }

    async fn connect(name: &'static str, id: Uuid, client: Client) -> Outcome<Self> {
        let mut socket = Socket::connect(client.clone(), SocketOptions::default());
        socket.wait_for(SOON, |event| *event == SocketEvent::CaughtUp).await?;
        Ok(Self { name, id, client, socket, seen: HashSet::new() })
    }

    async fn say(&self, there: &Conversation, content: String) -> Outcome<Message> {
        let message = frame::SendMessage {
            conversation_id: Some(there.id),
            content,
            ..frame::SendMessage::default()
        };
        Ok(self.socket.send(message).await?)
    }

    /// Sends a message, and tells of it.
    async fn says(&self, there: &Conversation, content: &str) -> Outcome<Message> {
        let message = self.say(there, content.to_owned()).await?;
        fact(&format!("{}: {content}", self.name));
        Ok(message)
    }

    /// Tells of a few of many messages.
    fn spoken(&self, message: &Message) {
        if let Some(content) = message.content.as_deref()
            && matches!(content, "Message 1" | "Message 250")
        {
            fact(&format!("{}: {content}", self.name));
        }
    }

    /// Waits until the message is on the screen.
    async fn sees(&mut self, content: &str) -> Outcome {
        self.waits_for(content, |event| {
            matches!(event, SocketEvent::Message(it) if it.content.as_deref() == Some(content))
        })
        .await
    }

    /// Waits for an event. A message that comes a second time is an error.
    async fn waits_for(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&SocketEvent) -> bool,
    ) -> Outcome {
        let Self { name, socket, seen, .. } = self;
        let mut twice = None;
        let came = socket.wait_for(SOON, |event| {
            if let SocketEvent::Message(message) = event
                && !seen.insert(message.id)
            {
                twice = Some(message.seq);
            }
            twice.is_some() || wanted(event)
        });
        came.await.map_err(|error| format!("{name} did not see {what}: {error}"))?;
        check(twice.is_none(), format!("{name} saw message {} twice", twice.unwrap_or_default()))
    }
}

fn act(what: &str) {
    println!("\n* {what}");
}

fn fact(what: &str) {
    println!("    {what}");
}

fn check(holds: bool, otherwise: impl Into<String>) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise.into().into()) }
}

fn refused<T>(asked: kith_client::Result<T>, status: u16, code: &str) -> Outcome {
    match asked {
        Err(error) if error.status() == Some(status) && error.code() == Some(code) => Ok(()),
        Err(error) => Err(format!("{status} {code} was to come, but {error}").into()),
        Ok(_) => Err(format!("{status} {code} was to come, but it was allowed").into()),
    }
}
