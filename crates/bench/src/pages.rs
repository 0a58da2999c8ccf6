//! A closed loop over HTTP: each connection asks for a page, and for the next one when it has it.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, unix::SourceFd};

use crate::{Result, interrupt, load::Spans};

/// A connection to the server at `url`, and the name it is addressed by.
pub(crate) fn tcp(url: &str) -> Result<(TcpStream, &str)> {
    let host = url.strip_prefix("http://").ok_or("only http is spoken here")?;
    let address = host.to_socket_addrs()?.next().ok_or("the server has no address")?;
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok((stream, host))
}

/// A request, ready to be sent again and again.
pub(crate) fn request(url: &str, token: &str, path: &str) -> Result<Vec<u8>> {
    let host = url.strip_prefix("http://").ok_or("only http is spoken here")?;
    let text =
        format!("GET /v1{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
    Ok(text.into_bytes())
}

/// What came of it.
pub(crate) struct Answered {
    pub(crate) count: u64,
    pub(crate) span: Duration,
}

struct Connection {
    stream: TcpStream,
    incoming: Vec<u8>,
    next: usize,
}

/// Asks over so many connections at once for `requests` in turn. `sound` judges the bodies of some of
/// the answers. `mark` is called when measuring begins and when it ends.
pub(crate) fn ask(
    url: &str,
    connections: usize,
    requests: &[Vec<u8>],
    sound: fn(&[u8]) -> bool,
    spans: Spans,
    mut mark: impl FnMut() -> Result<()>,
) -> Result<Answered> {
    let mut poll = Poll::new()?;
    let mut open = Vec::new();
    for index in 0..connections {
        let (mut stream, _) = tcp(url)?;
        let next = index * requests.len() / connections;
        stream.write_all(&requests[next])?;
        stream.set_nonblocking(true)?;
        let fd = stream.as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), Token(index), Interest::READABLE)?;
        open.push(Connection { stream, incoming: Vec::new(), next });
    }
    let mut answered = 0;
    let mut run = |until: Instant| -> Result<u64> {
        let mut events = Events::with_capacity(256);
        let mut scratch = vec![0; 64 * 1024];
        let before = answered;
        loop {
            interrupt::check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(answered - before);
            }
            match poll.poll(&mut events, Some(left.min(Duration::from_millis(200)))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                let connection = &mut open[event.token().0];
                connection.fill(&mut scratch)?;
                let Some((status, body)) = answer(&connection.incoming)? else { continue };
                answered += 1;
                if status != 200 || (answered % 499 == 1 && !sound(body)) {
                    let said = String::from_utf8_lossy(body);
                    return Err(format!("the server answered {status}: {said}").into());
                }
                connection.incoming.clear();
                connection.next = (connection.next + 1) % requests.len();
                connection.stream.write_all(&requests[connection.next])?;
            }
        }
    };
    run(Instant::now() + spans.warm_up)?;
    mark()?;
    let start = Instant::now();
    let count = run(start + spans.measured)?;
    let span = start.elapsed();
    mark()?;
    Ok(Answered { count, span })
}

impl Connection {
    fn fill(&mut self, scratch: &mut [u8]) -> Result<()> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err("the server has hung up".into()),
                Ok(read) => self.incoming.extend_from_slice(&scratch[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Status and body of an answer, once it is there whole.
fn answer(bytes: &[u8]) -> Result<Option<(u16, &[u8])>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end])?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let (Some(status), Some(length)) = (status, length) else {
        return Err(format!("an answer without status or length: {head}").into());
    };
    Ok(bytes.get(end + 4..end + 4 + length).map(|body| (status, body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_when_it_is_whole() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx: y\r\n\r\n{}";
        assert_eq!(answer(bytes).unwrap(), Some((200, &b"{}"[..])));
        for cut in 0..bytes.len() {
            assert_eq!(answer(&bytes[..cut]).unwrap(), None, "cut at {cut}");
        }
        assert!(answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
