//! A WebSocket peer made of bytes, for what no library would do.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use super::{Actor, soon};

/// A connection on which a WebSocket was asked for.
pub(crate) struct Tcp {
    stream: TcpStream,
    /// The head of the answer to the upgrade, in lower case.
    pub(crate) head: String,
}

impl Tcp {
    /// Asks for a WebSocket at `path` with further headers (each ending with a line break), and
    /// reads the head of the answer. `window` bounds what the system buffers for this peer.
    pub(crate) async fn upgrade(
        host: &str,
        path: &str,
        headers: &str,
        window: Option<u32>,
    ) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(window) = window {
            socket.set_recv_buffer_size(window).unwrap();
        }
        let mut stream = socket.connect(host.parse().unwrap()).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             {headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon("the answer to an upgrade", stream.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        Self { stream, head }
    }

    /// Opens a socket for `actor`.
    pub(crate) async fn open(host: &str, actor: &Actor, window: Option<u32>) -> Self {
        let headers = format!("Authorization: Bearer {}\r\n", actor.token());
        let tcp = Self::upgrade(host, "/v1/ws", &headers, window).await;
        assert!(tcp.head.starts_with("http/1.1 101"), "{}", tcp.head);
        tcp
    }

    /// Writes bytes as they are.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next frame: its opcode and payload. `None` when the connection has ended.
    pub(crate) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.stream.read_u8().await.ok()?;
        let length = match self.stream.read_u8().await.ok()? {
            126 => u64::from(self.stream.read_u16().await.ok()?),
            127 => self.stream.read_u64().await.ok()?,
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).ok()?];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some((first & 0x0f, payload))
    }

    /// Reads on without answering anything, until the server closes: the code, 1006 if the
    /// connection just ended.
    pub(crate) async fn closed(&mut self) -> u16 {
        let reading = async {
            loop {
                match self.frame().await {
                    Some((8, payload)) if payload.len() >= 2 => {
                        return u16::from_be_bytes([payload[0], payload[1]]);
                    }
                    Some((8, _)) => return 1005,
                    Some(_) => {}
                    None => return 1006,
                }
            }
        };
        soon("the end of a connection", reading).await
    }
}
