//! A way to the server that can be cut, and listens for what the server says aside.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use tokio_postgres::config::{Config, Host};

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Nothing.
    Pass,
    /// It is cut when the server next says anything, which is lost.
    CutAnswer,
    /// It is cut when the server answers what holds this text; the answer is lost.
    CutAnswerTo(&'static str),
    /// It is cut instead of passing on what holds this text.
    CutBefore(&'static str),
}

/// What a server says aside.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) message: String,
    /// Where in a function it was said; empty outside of any.
    pub(super) context: String,
}

#[derive(Debug)]
struct State {
    rule: Rule,
    notices: Vec<Notice>,
    open: Vec<Box<dyn Wire>>,
    ended: bool,
}

/// A proxy for one database. Dropped, it ends with all its connections.
#[derive(Debug)]
pub(super) struct Proxy {
    state: Arc<Mutex<State>>,
    config: Config,
    port: u16,
}

impl Proxy {
    /// A proxy for the database that `url` names.
    pub(super) fn new(url: &str) -> Self {
        let config: Config = url.parse().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { rule: Rule::Pass, notices: vec![], open: vec![], ended: false };
        let state = Arc::new(Mutex::new(state));
        let (target, shared) = (Target::of(&config), Arc::clone(&state));
        thread::spawn(move || {
            for client in listener.incoming() {
                if lock(&shared).ended {
                    return;
                }
                // A server that is not there is not there: so is the connection.
                if let (Ok(client), Ok(server)) = (client, target.connect()) {
                    carry(&shared, Box::new(client), server);
                }
            }
        });
        Self { state, config, port }
    }

    /// The address of the database through it.
    pub(super) fn url(&self) -> String {
        let encode = |bytes: &[u8]| form_urlencoded::byte_serialize(bytes).collect::<String>();
        let user = encode(self.config.get_user().unwrap().as_bytes());
        let secret = self.config.get_password().map(|it| format!(":{}", encode(it)));
        let database = encode(self.config.get_dbname().unwrap().as_bytes());
        let (secret, port) = (secret.unwrap_or_default(), self.port);
        format!("postgres://{user}{secret}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// What happens from now on. A cut is made once.
    pub(super) fn set(&self, rule: Rule) {
        lock(&self.state).rule = rule;
    }

    /// Whether a cut that was to be made was made.
    pub(super) fn has_cut(&self) -> bool {
        lock(&self.state).rule == Rule::Pass
    }

    /// What was said aside since this was last asked.
    pub(super) fn notices(&self) -> Vec<Notice> {
        std::mem::take(&mut lock(&self.state).notices)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.ended = true;
        state.open.iter().for_each(|wire| wire.cut());
        drop(state);
        // The one who waits for connections sees that it is over.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the server is.
#[derive(Debug)]
enum Target {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Target {
    fn of(config: &Config) -> Self {
        let port = config.get_ports().first().copied().unwrap_or(5432);
        match &config.get_hosts()[0] {
            Host::Tcp(name) => Self::Tcp(name.clone(), port),
            Host::Unix(path) => Self::Unix(path.join(format!(".s.PGSQL.{port}"))),
        }
    }

    fn connect(&self) -> std::io::Result<Box<dyn Wire>> {
        Ok(match self {
            Self::Tcp(host, port) => Box::new(TcpStream::connect((host.as_str(), *port))?),
            Self::Unix(path) => Box::new(UnixStream::connect(path)?),
        })
    }
}

/// One end of a connection.
trait Wire: Read + Write + std::fmt::Debug + Send {
    fn twin(&self) -> Box<dyn Wire>;
    fn cut(&self);
}

impl Wire for TcpStream {
    fn twin(&self) -> Box<dyn Wire> {
        Box::new(self.try_clone().unwrap())
    }

    fn cut(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Wire for UnixStream {
    fn twin(&self) -> Box<dyn Wire> {
        Box::new(self.try_clone().unwrap())
    }

    fn cut(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

/// Carries both ways until one end is closed.
fn carry(state: &Arc<Mutex<State>>, client: Box<dyn Wire>, server: Box<dyn Wire>) {
    lock(state).open.extend([client.twin(), server.twin()]);
    let (from, to, shared) = (client.twin(), server.twin(), Arc::clone(state));
    thread::spawn(move || {
        pump(from, to, |bytes| {
            let mut state = lock(&shared);
            match state.rule {
                Rule::CutBefore(text) if holds(bytes, text) => {
                    state.rule = Rule::Pass;
                    return false;
                }
                Rule::CutAnswerTo(text) if holds(bytes, text) => state.rule = Rule::CutAnswer,
                _ => {}
            }
            true
        });
    });
    let shared = Arc::clone(state);
    thread::spawn(move || {
        let mut unread = Vec::new();
        pump(server, client, |bytes| {
            unread.extend_from_slice(bytes);
            let mut state = lock(&shared);
            while let Some(notice) = next_message(&mut unread) {
                state.notices.extend(notice);
            }
            if state.rule == Rule::CutAnswer {
                state.rule = Rule::Pass;
                return false;
            }
            true
        });
    });
}

fn pump(mut from: Box<dyn Wire>, mut to: Box<dyn Wire>, mut passes: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !passes(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    from.cut();
    to.cut();
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Takes the first message off what the server said, if it is complete: a notice, or another.
fn next_message(unread: &mut Vec<u8>) -> Option<Option<Notice>> {
    let length = u32::from_be_bytes(unread.get(1..5)?.try_into().unwrap());
    let end = 1 + usize::try_from(length).unwrap();
    if unread.len() < end {
        return None;
    }
    let message: Vec<u8> = unread.drain(..end).collect();
    if message[0] != b'N' {
        return Some(None);
    }
    let field = |code: u8| {
        let mut fields = message[5..].split(|byte| *byte == 0);
        let found = fields.find(|field| field.first() == Some(&code));
        String::from_utf8_lossy(found.unwrap_or(b" ").split_at(1).1).into_owned()
    };
    Some(Some(Notice { message: field(b'M'), context: field(b'W') }))
}
