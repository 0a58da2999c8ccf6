//! A WebSocket that costs next to nothing, since it shares the machine with what it measures: frames
//! are made once and only patched, and what comes is recognised by its first bytes.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use uuid::Uuid;

use crate::{Result, pages::tcp};

/// Any mask is as good as another; the server takes it off all the same.
const MASK: [u8; 4] = [0x5a, 0x17, 0xc3, 0x88];
/// As long as a message of a chat often is.
pub(crate) const CONTENT: &str =
    "Shall we meet at seven by the old bridge? I'll bring the tickets.";
/// The digits in a `client_message_id` that its number decides.
const DIGITS: usize = 12;
/// 10 to the power of `DIGITS`.
const MARKS: u64 = 1_000_000_000_000;
/// Numbers are multiplied by the first to become digits, and digits by the second to become numbers
/// again: their product is 1 modulo `MARKS`. So one mark says nothing of the next, as is usual.
const SCATTER: u64 = 618_033_988_749;
const GATHER: u64 = 777_698_823_749;

/// A `send_message`, ready to be sent but for its number.
pub(crate) struct Template {
    frame: Vec<u8>,
    /// Where the digits stand, and what masks the first of them.
    number_at: usize,
    mask_at: usize,
}

impl Template {
    /// To one person.
    pub(crate) fn new(to: Uuid) -> Self {
        Self::addressed("to", to)
    }

    /// Into a conversation that is there.
    pub(crate) fn into_conversation(id: Uuid) -> Self {
        Self::addressed("conversation_id", id)
    }

    /// `client_message_id` looks like any random UUID: the digits stand at its end.
    fn addressed(field: &str, to: Uuid) -> Self {
        let random = Uuid::new_v4().to_string();
        let mark = &random[..24];
        let zeros = "0".repeat(DIGITS);
        let text = format!(
            r#"{{"type":"send_message","{field}":"{to}","client_message_id":"{mark}{zeros}","content":"{CONTENT}"}}"#
        );
        // The mark ends with a hyphen, so that there is no earlier place where these digits stand.
        let in_text = text.find(&format!("{mark}{zeros}")).unwrap_or_default() + mark.len();
        let frame = masked(text.as_bytes());
        let head = frame.len() - text.len();
        Self { frame, number_at: head + in_text, mask_at: in_text % 4 }
    }

    /// Appends the frame for message `number`.
    pub(crate) fn write(&mut self, number: u64, out: &mut Vec<u8>) {
        let mut rest = times(number, SCATTER);
        for index in (0..DIGITS).rev() {
            let digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            self.frame[self.number_at + index] = digit ^ MASK[(self.mask_at + index) % 4];
            rest /= 10;
        }
        out.extend_from_slice(&self.frame);
    }
}

/// One frame from a client (RFC 6455, 5.2).
pub(super) fn masked(text: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    head(&mut frame, text.len());
    frame.extend_from_slice(&MASK);
    frame.extend(text.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The highest bit beside the length.
const MASKED: u8 = 0x80;

fn head(frame: &mut Vec<u8>, length: usize) {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length), _) if length < 126 => frame.push(MASKED + length),
        (_, Ok(length)) => {
            frame.push(MASKED + 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frame.push(MASKED + 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// What the load looks for among what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An acknowledgement.
    Sent,
    /// Somebody else's message.
    New,
    /// The first frame: nothing is missed from now on.
    Ready,
    /// Anything that does not matter here.
    Other,
    /// The server has more than it can take, and has not taken this message.
    Refused,
    /// Any other refusal: the load asks for nothing that may be refused.
    Error,
}

impl Kind {
    /// `type` is the first field of every frame of the server.
    pub(crate) fn of(text: &[u8]) -> Self {
        let name = text.strip_prefix(br#"{"type":""#).unwrap_or_default();
        if name.starts_with(br#"message_sent""#) {
            Self::Sent
        } else if name.starts_with(br#"new_message""#) {
            Self::New
        } else if name.starts_with(br#"ready""#) {
            Self::Ready
        } else if name.starts_with(br#"error","code":"overloaded""#) {
            Self::Refused
        } else if name.starts_with(br#"error""#) {
            Self::Error
        } else {
            Self::Other
        }
    }
}

/// The number of the message that a frame tells of, out of its `client_message_id`.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    const NAME: &[u8] = br#""client_message_id":""#;
    let at = text.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let digits = text.get(at + 24..at + 24 + DIGITS)?;
    Some(times(std::str::from_utf8(digits).ok()?.parse().ok()?, GATHER))
}

/// Modulo `MARKS`.
fn times(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right) % u128::from(MARKS);
    u64::try_from(product).unwrap_or_default()
}

/// The request for a socket.
fn upgrade(host: &str, token: &str) -> Vec<u8> {
    let request = format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: kith.v1\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    request.into_bytes()
}

/// What stands in a field of a frame that holds text without escapes.
pub(crate) fn text_of<'a>(frame: &'a [u8], field: &str) -> Option<&'a str> {
    let name = format!("\"{field}\":\"");
    let at = frame.windows(name.len()).position(|window| window == name.as_bytes())? + name.len();
    let length = frame[at..].iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&frame[at..at + length]).ok()
}

/// The first number that stands in a field of this name.
pub(crate) fn number_of(frame: &[u8], field: &str) -> Option<u64> {
    let name = format!("\"{field}\":");
    let at = frame.windows(name.len()).position(|window| window == name.as_bytes())? + name.len();
    let length = frame[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&frame[at..at + length]).ok()?.parse().ok()
}

/// One connection, after the handshake.
pub(crate) struct Line {
    pub(crate) stream: TcpStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Line {
    /// Opens a socket and waits until nothing is missed any more (`ready`).
    pub(crate) fn open(url: &str, token: &str) -> Result<Self> {
        let (stream, host) = tcp(url)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let outgoing = upgrade(host, token);
        let mut line = Self { stream, incoming: Vec::new(), outgoing };
        line.flush()?;
        while !line.is_upgraded()? {
            line.wait()?;
        }
        let mut ready = false;
        while !ready {
            line.take(|text| ready |= Kind::of(text) == Kind::Ready)?;
            if !ready {
                line.wait()?;
            }
        }
        Ok(line)
    }

    /// Begins to open a socket, and waits for nothing: `flush` once it is connected, and then whenever
    /// it can be written to; `is_upgraded` whenever something came.
    pub(crate) fn begin(address: SocketAddr, host: &str, token: &str) -> Result<Self> {
        let stream = TcpStream::from(mio::net::TcpStream::connect(address)?);
        Ok(Self { stream, incoming: Vec::new(), outgoing: upgrade(host, token) })
    }

    /// Whether the server has agreed to speak in frames.
    pub(crate) fn is_upgraded(&mut self) -> Result<bool> {
        let Some(end) = self.incoming.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(false);
        };
        if !self.incoming.starts_with(b"HTTP/1.1 101") {
            let said = String::from_utf8_lossy(&self.incoming).into_owned();
            return Err(format!("the server refuses a socket: {said}").into());
        }
        self.incoming.drain(..end + 4);
        Ok(true)
    }

    /// From now on nothing is waited for.
    pub(crate) fn no_waiting(&self) -> Result<()> {
        Ok(self.stream.set_nonblocking(true)?)
    }

    /// Puts a text with what is to go out.
    pub(crate) fn say(&mut self, text: &str) {
        self.outgoing.extend(masked(text.as_bytes()));
    }

    /// Puts the frame for message `number` with what is to go out.
    pub(crate) fn put(&mut self, template: &mut Template, number: u64) {
        template.write(number, &mut self.outgoing);
    }

    /// Sends what is to go out, as far as the connection takes it.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let mut from = 0;
        while from < self.outgoing.len() {
            match self.stream.write(&self.outgoing[from..]) {
                Ok(written) => from += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.outgoing.drain(..from);
        Ok(())
    }

    /// Reads what is there, at least something.
    pub(crate) fn wait(&mut self) -> Result<()> {
        let mut scratch = [0; 16 * 1024];
        match self.stream.read(&mut scratch)? {
            0 => Err("the server has hung up".into()),
            read => {
                self.incoming.extend_from_slice(&scratch[..read]);
                Ok(())
            }
        }
    }

    /// Reads what is there, be it nothing, by way of `scratch`.
    pub(crate) fn fill(&mut self, scratch: &mut [u8]) -> Result<()> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err("the server has hung up".into()),
                Ok(read) => {
                    self.incoming.extend_from_slice(&scratch[..read]);
                    if read < scratch.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Hands over each text that has come whole. Pings are answered.
    pub(crate) fn take(&mut self, mut each: impl FnMut(&[u8])) -> Result<()> {
        let mut from = 0;
        while let Some((opcode, start, end)) = frame_at(&self.incoming, from) {
            let payload = &self.incoming[start..end];
            match opcode {
                1 => each(payload),
                9 => {
                    let mut pong = masked(payload);
                    pong[0] = 0x8a;
                    self.outgoing.extend_from_slice(&pong);
                }
                8 => {
                    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                    let code = payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
                    return Err(format!("the server closed a socket: {code:?} {reason}").into());
                }
                _ => {}
            }
            from = end;
        }
        self.incoming.drain(..from);
        Ok(())
    }
}

/// Opcode, start and end of what the frame at `from` holds, if it is there whole.
fn frame_at(bytes: &[u8], from: usize) -> Option<(u8, usize, usize)> {
    let rest = bytes.get(from..)?;
    let (opcode, length) = (rest.first()? & 0x0f, *rest.get(1)?);
    let (head, length) = match length {
        126 => (4, usize::from(u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(rest.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, usize::from(short)),
    };
    (rest.len() >= head + length).then_some((opcode, from + head, from + head + length))
}

#[cfg(test)]
mod tests {
    use kith_protocol::frame::SendMessage;

    use super::*;

    fn unmasked(frame: &[u8]) -> Vec<u8> {
        let length = usize::from(u16::from_be_bytes([frame[2], frame[3]]));
        assert_eq!((frame[0], frame[1], frame.len()), (0x81, 0xfe, 8 + length));
        frame[8..].iter().zip(frame[4..8].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
    }

    #[test]
    fn a_patched_frame_is_a_message_to_the_person() {
        let to = Uuid::from_u128(7);
        let mut template = Template::new(to);
        let mut marks = Vec::new();
        for n in [0, 1, 98_765, 123_456_789_012] {
            let mut out = Vec::new();
            template.write(n, &mut out);
            let text = unmasked(&out);
            assert_eq!(number(&text), Some(n));
            let message: SendMessage = serde_json::from_slice(&text).unwrap();
            assert_eq!((message.to, &*message.content), (Some(to), CONTENT));
            assert_eq!(text_of(&text, "to"), Some(&*to.to_string()));
            let mark = message.client_message_id.unwrap();
            assert_eq!(mark.len(), 36);
            marks.push(mark);
        }
        marks.dedup();
        assert_eq!(marks.len(), 4);
    }

    #[test]
    fn a_group_is_written_to_by_its_own_id() {
        let id = Uuid::from_u128(8);
        let mut out = Vec::new();
        Template::into_conversation(id).write(5, &mut out);
        let message: SendMessage = serde_json::from_slice(&unmasked(&out)).unwrap();
        assert_eq!((message.to, message.conversation_id), (None, Some(id)));
    }

    #[test]
    fn a_field_is_read_as_it_stands() {
        let frame = br#"{"type":"pong","sync_token":"abc-_"}"#;
        assert_eq!(text_of(frame, "sync_token"), Some("abc-_"));
        assert_eq!(text_of(frame, "token"), None);
        assert_eq!(text_of(br#"{"token":"abc"#, "token"), None);
        assert_eq!(number_of(br#"{"reply":{"seq_no":1},"seq":42}"#, "seq"), Some(42));
        assert_eq!(number_of(br#"{"seq":null}"#, "seq"), None);
    }

    #[test]
    fn frames_are_told_apart_by_their_first_bytes() {
        assert_eq!(Kind::of(br#"{"type":"message_sent","message":{}}"#), Kind::Sent);
        assert_eq!(Kind::of(br#"{"type":"new_message","message":{}}"#), Kind::New);
        assert_eq!(Kind::of(br#"{"type":"error","code":"overloaded"}"#), Kind::Refused);
        assert_eq!(Kind::of(br#"{"type":"error","code":"x"}"#), Kind::Error);
        assert_eq!(Kind::of(br#"{"type":"ready","user_id":""}"#), Kind::Ready);
        assert_eq!(Kind::of(br#"{"type":"user_online"}"#), Kind::Other);
        assert_eq!(Kind::of(b""), Kind::Other);
    }

    #[test]
    fn a_frame_is_taken_when_it_is_whole() {
        let mut bytes = vec![0x81, 3, b'a', b'b', b'c', 0x81, 126, 1, 0];
        bytes.extend([b'x'; 256]);
        assert_eq!(frame_at(&bytes, 0), Some((1, 2, 5)));
        assert_eq!(frame_at(&bytes, 5), Some((1, 9, 265)));
        assert_eq!(frame_at(&bytes, 265), None);
        for cut in 5..265 {
            assert_eq!(frame_at(&bytes[..cut], 5), None, "cut at {cut}");
        }
    }
}
