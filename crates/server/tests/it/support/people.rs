//! People with accounts, and what they do.

use kith_client::{
    Answer, Client, Credential, Method, RawSocket, Selector, Socket, SocketOptions,
    protocol::{
        frame, rest,
        rest::{Conversation, Message, NewGroup},
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Everybody's.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A message with a text and nothing else.
pub(crate) fn say(text: impl Into<String>) -> rest::SendMessage {
    rest::SendMessage { content: text.into(), ..Default::default() }
}

/// A message without what is personal, as frames tell it to all alike.
pub(crate) fn as_told(message: Message) -> Message {
    let reply_to = message.reply_to.map(|reply| rest::ReplyRef { excerpt: None, ..reply });
    Message { status: None, reply_to, ..message }
}

/// A person on one device.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) client: Client,
    pub(crate) id: Uuid,
    pub(crate) name: String,
}

impl Actor {
    /// Makes an account.
    pub(crate) async fn register(client: &Client, name: &str) -> Self {
        let account = rest::Register {
            username: name.to_owned(),
            email: format!("{name}@example.org"),
            password: PASSWORD.to_owned(),
            display_name: None,
            device_name: None,
        };
        let client = client.anonymous();
        let answer = client.register(&account).await.unwrap();
        Self { client, id: answer.user.id, name: name.to_owned() }
    }

    /// The same person on another device.
    pub(crate) async fn device(&self) -> Self {
        let client = self.client.anonymous();
        let login = rest::Login {
            username: Some(self.name.clone()),
            password: PASSWORD.to_owned(),
            ..Default::default()
        };
        client.login(&login).await.unwrap();
        Self { client, ..self.clone() }
    }

    /// The same session at another address.
    pub(crate) fn at(&self, url: &str) -> Self {
        let tokens = self.client.tokens().unwrap();
        Self { client: Client::new(url).unwrap().with_tokens(tokens), ..self.clone() }
    }

    /// The access token.
    pub(crate) fn token(&self) -> String {
        self.client.tokens().unwrap().access
    }

    /// The direct chat with another person.
    pub(crate) async fn open_direct(&self, other: &Actor) -> Uuid {
        self.client.open_direct(other.id).await.unwrap().id
    }

    /// A group with these members.
    pub(crate) async fn group(&self, name: &str, members: &[&Actor]) -> Uuid {
        let members = members.iter().map(|actor| actor.id).collect();
        let group = NewGroup { name: name.to_owned(), description: None, members };
        self.client.create_group(&group).await.unwrap().id
    }

    /// A conversation, as this person sees it.
    pub(crate) async fn sees(&self, id: Uuid) -> Conversation {
        self.client.conversation(id).await.unwrap()
    }

    /// Sends a text by REST. Gives the message as frames tell it.
    pub(crate) async fn send(&self, conversation: Uuid, text: &str) -> Message {
        as_told(self.client.send(conversation, &say(text)).await.unwrap())
    }

    /// What people wrote on the newest page.
    pub(crate) async fn texts(&self, conversation: Uuid) -> Vec<String> {
        let page = self.client.history(conversation, Selector::Newest, Some(100)).await.unwrap();
        let said = page.items.into_iter().filter(|message| message.system.is_none());
        said.map(|message| message.content.unwrap_or_default()).collect()
    }

    /// Everything of a conversation, oldest first.
    pub(crate) async fn history(&self, conversation: Uuid) -> Vec<Message> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let selector = Selector::After(after);
            let page = self.client.history(conversation, selector, Some(100)).await.unwrap();
            all.extend(page.items);
            after = all.last().map_or(0, |message: &Message| message.seq);
            if !page.has_more {
                return all;
            }
        }
    }

    /// A plain socket that has said `ready`.
    pub(crate) async fn raw(&self) -> RawSocket {
        self.raw_with_ready().await.0
    }

    /// A plain socket and its `ready`.
    pub(crate) async fn raw_with_ready(&self) -> (RawSocket, Value) {
        self.try_raw().await.unwrap()
    }

    /// The same, from a server that may be going.
    pub(crate) async fn try_raw(&self) -> kith_client::Result<(RawSocket, Value)> {
        let credential = self.token();
        let mut socket = RawSocket::connect(
            self.client.base_url(),
            "/v1/ws",
            Credential::Header(&credential),
            &[],
        )
        .await?;
        let ready = socket.next_json().await?;
        assert_eq!(ready["type"], "ready");
        Ok((socket, ready))
    }

    /// A socket that reconnects and catches up.
    pub(crate) fn socket(&self) -> Socket {
        let options = SocketOptions {
            first_wait: std::time::Duration::from_millis(10),
            longest_wait: std::time::Duration::from_millis(100),
            ..SocketOptions::default()
        };
        Socket::connect(self.client.clone(), options)
    }

    /// Any request, and the answer as it came.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.client.ask(method, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask("PATCH", path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, None).await
    }

    /// A send to a conversation, for a socket.
    pub(crate) fn frame(conversation: Uuid, text: &str) -> frame::SendMessage {
        frame::SendMessage {
            conversation_id: Some(conversation),
            content: text.to_owned(),
            ..Default::default()
        }
    }
}

/// Asking for anything.
pub(crate) trait Ask {
    /// Makes a request; its answer may be anything.
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer;
}

impl Ask for Client {
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.request(method, path, body.as_ref()).await.unwrap()
    }
}

/// Everything that a socket has been sent so far.
pub(crate) async fn heard(socket: &mut RawSocket) -> Vec<Value> {
    socket.send_json(&json!({"type": "ping", "id": "so far"})).await.unwrap();
    let mut frames = Vec::new();
    loop {
        let frame = socket.next_json().await.unwrap();
        if frame["type"] == "pong" {
            return frames;
        }
        frames.push(frame);
    }
}

/// The next frame of a type; others are passed over.
pub(crate) async fn next_of(socket: &mut RawSocket, kind: &str) -> Value {
    loop {
        let frame = socket.next_json().await.unwrap();
        if frame["type"] == kind {
            return frame;
        }
    }
}

/// Gives a command and waits for its answer. Whatever comes before that is passed over.
pub(crate) async fn command(socket: &mut RawSocket, mut frame: Value) -> Value {
    frame["id"] = json!("command");
    socket.send_json(&frame).await.unwrap();
    loop {
        let answer = socket.next_json().await.unwrap();
        if answer["id"] == "command" {
            return answer;
        }
    }
}
