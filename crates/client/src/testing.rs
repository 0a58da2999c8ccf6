//! A server that answers as a test says, and wire objects to answer with.

use std::sync::Arc;

use kith_protocol::rest::{Conversation, Message};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message as WsMessage,
        handshake::server::{ErrorResponse, Request, Response},
    },
};
use uuid::Uuid;

pub(crate) const ME: Uuid = Uuid::from_u128(0xA);
pub(crate) const ROOM: Uuid = Uuid::from_u128(0xC);
const TIME: &str = "2026-11-20T18:43:39.000000Z";

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) token: Option<String>,
    pub(crate) body: String,
}

type Handler = dyn Fn(&Asked) -> (u16, Value) + Send + Sync;

/// A server on a port of its own. Calls are answered by a function; sockets are handed to the test.
pub(crate) struct FakeServer {
    pub(crate) url: String,
    sockets: mpsc::UnboundedReceiver<FakeSocket>,
    task: JoinHandle<()>,
}

/// The server's end of a socket.
pub(crate) struct FakeSocket {
    stream: WebSocketStream<TcpStream>,
    pub(crate) token: String,
}

impl FakeServer {
    pub(crate) async fn start(
        answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (opened, sockets) = mpsc::unbounded_channel();
        let answer: Arc<Handler> = Arc::new(answer);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&answer), opened.clone()));
            }
        });
        Self { url, sockets, task }
    }

    pub(crate) async fn socket(&mut self) -> FakeSocket {
        self.sockets.recv().await.unwrap()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: Arc<Handler>,
    opened: mpsc::UnboundedSender<FakeSocket>,
) {
    let mut head = [0; 4096];
    let read = loop {
        let read = stream.peek(&mut head).await.unwrap();
        if read == 0 || head[..read].windows(4).any(|window| window == b"\r\n\r\n") {
            break read;
        }
        tokio::task::yield_now().await;
    };
    let head = String::from_utf8_lossy(&head[..read]).to_lowercase();
    if head.contains("upgrade: websocket") {
        upgrade(stream, answer, opened).await;
        return;
    }
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    let asked = loop {
        let read = stream.read(&mut buffer).await.unwrap();
        request.extend_from_slice(&buffer[..read]);
        if let Some(asked) = parse(&String::from_utf8_lossy(&request)) {
            break asked;
        }
        if read == 0 {
            return;
        }
    };
    let (status, body) = answer(&asked);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let response = format!(
        "HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\nretry-after: 0\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(response.as_bytes()).await;
}

fn parse(request: &str) -> Option<Asked> {
    let (head, body) = request.split_once("\r\n\r\n")?;
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case(wanted).then(|| value.to_owned())
        })
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    if body.len() < length {
        return None;
    }
    let mut line = head.lines().next()?.split(' ');
    Some(Asked {
        method: line.next()?.to_owned(),
        path: line.next()?.to_owned(),
        token: header("authorization").map(|value| value.replace("Bearer ", "")),
        body: body.to_owned(),
    })
}

#[expect(clippy::result_large_err, reason = "the library's type")]
async fn upgrade(
    stream: TcpStream,
    answer: Arc<Handler>,
    opened: mpsc::UnboundedSender<FakeSocket>,
) {
    let mut token = String::new();
    let check = |request: &Request, mut response: Response| {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        if let Some((_, bearer)) =
            header("sec-websocket-protocol").and_then(|value| value.split_once("bearer."))
        {
            bearer.clone_into(&mut token);
            response.headers_mut().insert("sec-websocket-protocol", "kith.v1".parse().unwrap());
        } else if let Some(bearer) = header("authorization") {
            token = bearer.replace("Bearer ", "");
        }
        let asked = Asked {
            method: "GET".into(),
            path: request.uri().to_string(),
            token: Some(token.clone()),
            body: String::new(),
        };
        match answer(&asked) {
            (200, _) => Ok(response),
            (status, body) => {
                let mut refused = ErrorResponse::new(Some(body.to_string()));
                *refused.status_mut() = status.try_into().unwrap();
                Err(refused)
            }
        }
    };
    if let Ok(stream) = accept_hdr_async(stream, check).await {
        let _ = opened.send(FakeSocket { stream, token });
    }
}

impl FakeSocket {
    pub(crate) async fn say(&mut self, frame: &Value) {
        use futures_util::SinkExt;
        self.stream.send(WsMessage::text(frame.to_string())).await.unwrap();
    }

    pub(crate) async fn ready(&mut self) {
        self.say(&ready()).await;
    }

    /// The next text frame.
    pub(crate) async fn hear(&mut self) -> Value {
        use futures_util::StreamExt;
        loop {
            if let WsMessage::Text(text) = self.stream.next().await.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Whether the client closes as the protocol wants it.
    pub(crate) async fn farewell(&mut self) -> bool {
        use futures_util::StreamExt;
        while let Some(Ok(message)) = self.stream.next().await {
            if message.is_close() {
                return true;
            }
        }
        false
    }

    pub(crate) async fn close(mut self, code: u16, reason: &str) {
        use tokio_tungstenite::tungstenite::protocol::CloseFrame;
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        self.stream.close(Some(frame)).await.unwrap();
    }
}

pub(crate) fn ready() -> Value {
    json!({
        "type": "ready", "connection_id": Uuid::nil(), "session_id": Uuid::nil(), "user_id": ME,
        "server_time": TIME, "heartbeat_seconds": 25, "token_expires_at": TIME,
    })
}

pub(crate) fn me() -> Value {
    json!({
        "id": ME, "username": "ann", "email": "ann@example.org", "display_name": "Ann",
        "about": null, "avatar_url": null, "last_seen_visibility": "everyone",
        "read_receipts": true, "created_at": TIME,
    })
}

pub(crate) fn login(access: &str, refresh: &str) -> Value {
    json!({
        "token": access, "token_type": "Bearer", "expires_in": 900, "refresh_token": refresh,
        "user": me(),
    })
}

pub(crate) fn problem(status: u16, code: &str) -> (u16, Value) {
    let body = json!({
        "type": format!("urn:kith:problem:{code}"), "title": "No", "status": status,
        "detail": "no", "code": code, "request_id": "r",
    });
    (status, body)
}

pub(crate) fn message(room: Uuid, seq: i64, version: i64) -> Message {
    serde_json::from_value(json!({
        "id": Uuid::from_u128((room.as_u128() << 64) | u128::from(seq.unsigned_abs())),
        "conversation_id": room, "seq": seq, "version": version, "sender_id": ME,
        "client_message_id": format!("c-{seq}"), "message_type": "text",
        "content": format!("{seq} in form {version}"), "attachments": [], "reply_to": null,
        "mentions": [], "reactions": [], "system": null, "created_at": TIME, "edited_at": null,
        "deleted_at": null, "pinned_at": null,
    }))
    .unwrap()
}

pub(crate) fn tombstone(room: Uuid, seq: i64, version: i64) -> Message {
    let deleted_at = Some(serde_json::from_value(json!(TIME)).unwrap());
    Message { content: None, deleted_at, ..message(room, seq, version) }
}

pub(crate) fn conversation(id: Uuid, first_seq: i64, last_seq: i64, version: i64) -> Conversation {
    serde_json::from_value(json!({
        "id": id, "kind": "group", "name": "Family", "description": null, "avatar_url": null,
        "created_by": ME, "created_at": TIME, "updated_at": TIME, "member_count": 2,
        "posting": "everyone", "last_seq": last_seq, "version": version, "last_message_at": null,
        "my": {
            "role": "member", "first_seq": first_seq, "read_seq": 0, "delivered_seq": 0,
            "unread_count": 0, "unread_mentions": 0, "muted_until": null, "pinned": false,
            "archived": false, "hidden": false,
        },
    }))
    .unwrap()
}

pub(crate) fn sync(token: &str, conversations: &[Conversation]) -> Value {
    json!({
        "token": token, "has_more": false, "conversations": conversations, "removed": [],
        "users": [], "presence": [], "blocks": [], "me": me(),
    })
}
