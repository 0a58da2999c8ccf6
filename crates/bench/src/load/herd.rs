//! Many clients that lose their node at the same moment, and come back all at once.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    net::{SocketAddr, ToSocketAddrs as _},
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use kith_protocol::frame::ServerFrame;
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use uuid::Uuid;

use super::{
    histogram,
    stage::sign_up,
    wire::{Kind, Line, text_of},
};
use crate::{Result, interrupt, stats::whole_micros};

/// How long it may take until the last one is back.
const PATIENCE: Duration = Duration::from_secs(120);
/// Who is turned away comes again so much later, and who is not answered asks again, unless he is told
/// when to.
const PAUSE: Duration = Duration::from_millis(250);
/// How many come at once while nothing is measured.
const AT_ONCE: usize = 64;

/// How a client gets to where it may ask, and what it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Without a node.
    Away,
    /// On the way: not yet agreed to speak in frames, or not yet `ready`.
    Coming,
    /// Has asked what it missed.
    Asking,
    /// Has been told: it is as it was before.
    Back,
}

struct Member {
    id: Uuid,
    access: String,
    /// Up to where it knows everything.
    sync: Option<String>,
    line: Option<Line>,
    /// Where that leads.
    node: Option<SocketAddr>,
    upgraded: bool,
    state: State,
}

impl Member {
    /// Asks what it missed, if it has a socket: it sees by that if it has none any more.
    fn ask(&mut self) {
        if let Some(line) = &mut self.line {
            line.say(&question(self.sync.as_deref()));
            let _ = line.flush();
        }
    }
}

/// The clients.
pub(crate) struct Herd {
    members: Vec<Member>,
}

/// How they came back.
pub(crate) struct Return {
    /// From the loss of the node to the answer of `sync`.
    pub(crate) times: Histogram<u64>,
    /// How often one was turned away, or lost its new node again.
    pub(crate) turned_away: u64,
    /// Why the first one was.
    pub(crate) why: Option<String>,
    /// How often one was not told what it missed, and asked again.
    pub(crate) unanswered: u64,
    /// What the first one was told instead.
    pub(crate) instead: Option<String>,
    /// Who was told of something, though nothing had happened.
    pub(crate) told: u64,
}

impl Herd {
    /// Signs them up. They are called `herd-0`, `herd-1` and so on.
    pub(crate) fn gather(url: &str, count: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let people = runtime.block_on(sign_up(url, "herd", count))?;
        let member = |person: super::stage::Person| {
            let access = person.tokens()?.access;
            Ok(Member {
                id: person.id,
                access,
                sync: None,
                line: None,
                node: None,
                upgraded: false,
                state: State::Away,
            })
        };
        Ok(Self { members: people.into_iter().map(member).collect::<Result<_>>()? })
    }

    /// Who they are.
    pub(crate) fn people(&self) -> impl Iterator<Item = Uuid> {
        self.members.iter().map(|member| member.id)
    }

    /// All come to a node, some at a time, and know everything then.
    pub(crate) fn come(&mut self, url: &str) -> Result<()> {
        let mut drive = Drive::new(url, Instant::now(), AT_ONCE)?;
        drive.waiting.extend(0..self.members.len());
        drive.run(&mut self.members).map(drop)
    }

    /// They lose their node, by what `lose` does, and come back to another one, as soon as each sees
    /// it.
    pub(crate) fn come_back(
        &mut self,
        url: &str,
        lose: impl FnOnce() -> Result<()>,
    ) -> Result<Return> {
        let mut drive = Drive::new(url, Instant::now(), self.members.len())?;
        for (index, member) in self.members.iter().enumerate() {
            if let Some(line) = &member.line {
                drive.register(index, line)?;
            }
        }
        drive.lost_at = Instant::now();
        lose()?;
        drive.run(&mut self.members)
    }
}

/// Brings clients to a node.
struct Drive<'a> {
    address: SocketAddr,
    host: &'a str,
    poll: Poll,
    lost_at: Instant,
    /// How many may be on the way.
    at_most: usize,
    on_the_way: usize,
    /// Those who come next.
    waiting: VecDeque<usize>,
    /// Those who come again or ask again, and when.
    again: BinaryHeap<Reverse<(Instant, usize)>>,
    back: usize,
    outcome: Return,
    scratch: Vec<u8>,
}

impl<'a> Drive<'a> {
    fn new(url: &'a str, lost_at: Instant, at_most: usize) -> Result<Self> {
        let host = url.strip_prefix("http://").ok_or("only http is spoken here")?;
        let address = host.to_socket_addrs()?.next().ok_or("the server has no address")?;
        Ok(Self {
            address,
            host,
            poll: Poll::new()?,
            lost_at,
            at_most,
            on_the_way: 0,
            waiting: VecDeque::new(),
            again: BinaryHeap::new(),
            back: 0,
            outcome: Return {
                times: histogram()?,
                turned_away: 0,
                why: None,
                unanswered: 0,
                instead: None,
                told: 0,
            },
            scratch: vec![0; 64 * 1024],
        })
    }

    fn register(&self, index: usize, line: &Line) -> Result<()> {
        let fd = line.stream.as_raw_fd();
        let interest = Interest::READABLE | Interest::WRITABLE;
        Ok(self.poll.registry().register(&mut SourceFd(&fd), Token(index), interest)?)
    }

    /// Until everybody is back.
    fn run(mut self, members: &mut [Member]) -> Result<Return> {
        let deadline = Instant::now() + PATIENCE;
        let mut events = Events::with_capacity(1_024);
        while self.back < members.len() {
            interrupt::check()?;
            let now = Instant::now();
            if now > deadline {
                return Err(self.stuck(members).into());
            }
            while let Some(Reverse((at, index))) = self.again.peek().copied()
                && at <= now
            {
                self.again.pop();
                match members[index].state {
                    State::Away => self.waiting.push_back(index),
                    State::Asking => members[index].ask(),
                    State::Coming | State::Back => {}
                }
            }
            while self.on_the_way < self.at_most
                && let Some(index) = self.waiting.pop_front()
            {
                self.set_out(index, &mut members[index])?;
            }
            match self.poll.poll(&mut events, Some(Duration::from_millis(50))) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                let index = event.token().0;
                self.look(index, &mut members[index]);
            }
        }
        Ok(self.outcome)
    }

    /// Where those are who did not come back.
    fn stuck(&self, members: &[Member]) -> String {
        let count = |is: fn(&Member) -> bool| members.iter().filter(|it| is(it)).count();
        format!(
            "of {} clients {} came back; {} wait for an upgrade, {} for `ready`, {} for what they \
             missed, {} to set out again; {} were turned away",
            members.len(),
            self.back,
            count(|it| it.state == State::Coming && !it.upgraded),
            count(|it| it.state == State::Coming && it.upgraded),
            count(|it| it.state == State::Asking),
            count(|it| it.state == State::Away),
            self.outcome.turned_away,
        )
    }

    fn set_out(&mut self, index: usize, member: &mut Member) -> Result<()> {
        // What is open closes first: its number may be given to the new one.
        member.line = None;
        let line = Line::begin(self.address, self.host, &member.access)?;
        self.register(index, &line)?;
        (member.line, member.node) = (Some(line), Some(self.address));
        (member.upgraded, member.state) = (false, State::Coming);
        self.on_the_way += 1;
        Ok(())
    }

    /// Goes as far as it goes with what came.
    fn look(&mut self, index: usize, member: &mut Member) {
        let before = member.state;
        let came = self.go_on(index, member);
        let gone = || came.as_ref().err().map(ToString::to_string);
        let is_back = came.is_ok() && member.state == State::Back;
        match before {
            State::Coming | State::Asking if is_back => {
                self.on_the_way -= 1;
                self.back += 1;
                self.outcome.times.saturating_record(whole_micros(self.lost_at.elapsed()));
            }
            State::Coming | State::Asking if came.is_err() => {
                self.on_the_way -= 1;
                self.outcome.turned_away += 1;
                self.outcome.why = self.outcome.why.take().or_else(gone);
                self.again.push(Reverse((Instant::now() + PAUSE, index)));
            }
            // On the node that goes, or on the one that it came to.
            State::Back if came.is_err() => {
                if member.node == Some(self.address) {
                    self.back -= 1;
                    self.outcome.turned_away += 1;
                    self.outcome.why = self.outcome.why.take().or_else(gone);
                }
                self.waiting.push_back(index);
            }
            _ => {}
        }
        if came.is_err() {
            (member.line, member.state) = (None, State::Away);
        }
    }

    fn go_on(&mut self, index: usize, member: &mut Member) -> Result<()> {
        let Some(line) = &mut member.line else { return Ok(()) };
        // It may not be connected yet, or never be.
        if let Some(error) = line.stream.take_error()? {
            return Err(error.into());
        }
        line.flush()?;
        let filled = line.fill(&mut self.scratch);
        if !member.upgraded {
            member.upgraded = line.is_upgraded()?;
        }
        if member.upgraded {
            let (mut ready, mut answer) = (false, None);
            line.take(|text| match Kind::of(text) {
                Kind::Ready => ready = true,
                Kind::Refused | Kind::Error => {
                    self.outcome.unanswered += 1;
                    self.again.push(Reverse((Instant::now() + pause_in(text), index)));
                    let said = || String::from_utf8_lossy(text).into_owned();
                    self.outcome.instead.get_or_insert_with(said);
                }
                Kind::Other => answer = answer_in(text).or(answer.take()),
                Kind::Sent | Kind::New => {}
            })?;
            line.flush()?;
            if ready {
                member.state = State::Asking;
                member.ask();
            }
            if let Some((token, nothing)) = answer {
                member.state = State::Back;
                member.sync = Some(token);
                self.outcome.told += u64::from(!nothing);
            }
        }
        filled
    }
}

/// Where everything is known up to somewhere: what came since. Else up to where it is known now.
fn question(since: Option<&str>) -> String {
    match since {
        Some(since) => format!(r#"{{"type":"sync","since":"{since}"}}"#),
        None => r#"{"type":"ping"}"#.to_owned(),
    }
}

/// When to ask again.
fn pause_in(error: &[u8]) -> Duration {
    let told = serde_json::from_slice(error).ok().and_then(|frame| match frame {
        ServerFrame::Error { retry_after_ms, .. } => retry_after_ms,
        _ => None,
    });
    told.map_or(PAUSE, Duration::from_millis)
}

/// Up to where everything is known, and whether there was nothing to tell.
fn answer_in(text: &[u8]) -> Option<(String, bool)> {
    if text.starts_with(br#"{"type":"pong""#) {
        return Some((text_of(text, "sync_token")?.to_owned(), true));
    }
    if !text.starts_with(br#"{"type":"sync""#) {
        return None;
    }
    let has = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
    let nothing = has(br#""has_more":false"#) && has(br#""conversations":[]"#);
    Some((text_of(text, "token")?.to_owned(), nothing))
}

#[cfg(test)]
mod tests {
    use kith_protocol::frame::SyncRequest;

    use super::*;

    #[test]
    fn one_asks_from_where_one_knows_everything() {
        assert_eq!(question(None), r#"{"type":"ping"}"#);
        let asked: SyncRequest = serde_json::from_str(&question(Some("abc"))).unwrap();
        assert_eq!(asked.since.as_deref(), Some("abc"));
    }

    #[test]
    fn one_asks_again_when_one_is_told_to() {
        let told = br#"{"type":"error","code":"overloaded","message":"","retry_after_ms":1500}"#;
        assert_eq!(pause_in(told), Duration::from_millis(1_500));
        assert_eq!(pause_in(br#"{"type":"error","code":"x","message":""}"#), PAUSE);
    }

    #[test]
    fn an_answer_says_up_to_where_one_knows_everything() {
        let full =
            br#"{"type":"sync","token":"abc","has_more":false,"conversations":[{"id":"x"}]}"#;
        assert_eq!(answer_in(full), Some(("abc".to_owned(), false)));
        let more = br#"{"type":"sync","token":"abc","has_more":true,"conversations":[]}"#;
        assert_eq!(answer_in(more), Some(("abc".to_owned(), false)));
        let none = br#"{"type":"sync","token":"abc","has_more":false,"conversations":[]}"#;
        assert_eq!(answer_in(none), Some(("abc".to_owned(), true)));
        let pong = ServerFrame::Pong { id: None, sync_token: "xyz".to_owned() };
        let pong = serde_json::to_vec(&pong).unwrap();
        assert_eq!(answer_in(&pong), Some(("xyz".to_owned(), true)));
        assert_eq!(answer_in(br#"{"type":"user_online"}"#), None);
    }
}
