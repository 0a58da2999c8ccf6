//! One writes, many hear it: wherever they are.

use std::{
    collections::HashMap,
    net::TcpStream,
    os::fd::AsRawFd as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, unix::SourceFd};

use super::{
    Crowd, Spans, histogram,
    open_loop::{Timetable, send_all},
    wire::{Kind, Line, Template, number, number_of},
};
use crate::{Result, interrupt, stats::whole_micros};

/// How long the last messages may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many messages in a second, whatever comes of them.
    Rate(f64),
    /// So many are under way: the next one goes when all have one.
    Window(u64),
}

/// What came of it, from one call of `mark` to the other: all that was sent is received by then.
pub(crate) struct FanOut {
    pub(crate) sent: u64,
    /// How often one of the messages was received.
    pub(crate) deliveries: u64,
    pub(crate) span: Duration,
    /// How often somebody was told of his own message as of another's, before it was acknowledged: his
    /// node heard of what came after it more than 50 ms before it could tell of it. In the warm-up,
    /// too.
    pub(crate) own: u64,
    /// From the intended send to the receipt on the node that the sender is on, and on the others.
    /// Only of a `Rate`.
    pub(crate) near: Histogram<u64>,
    pub(crate) far: Histogram<u64>,
    /// How much later the last one heard a message there.
    pub(crate) added: Histogram<u64>,
    /// How late the load generator itself was with its sends: part of both.
    pub(crate) late: Histogram<u64>,
}

/// Those of a crowd who write do so, and all others hear it. `mark` is called before what is measured
/// and after it, while nothing is under way.
pub(crate) fn fan_out(
    crowd: &Crowd,
    urls: &[&str],
    pace: Pace,
    spans: Spans,
    mut mark: impl FnMut() -> Result<()>,
) -> Result<FanOut> {
    let before = crowd.lengths(urls[0])?;
    let mut load = Load::new(crowd, urls)?;
    load.phase(pace, spans.warm_up)?;
    load.times = Times::new()?;
    let (sent, deliveries) = (load.sent, load.received);
    mark()?;
    let start = Instant::now();
    load.phase(pace, spans.measured)?;
    let span = start.elapsed();
    mark()?;
    let (sent, deliveries, own) = (load.sent - sent, load.received - deliveries, load.own);
    let times = load.finish(&before, urls[0])?;
    let added = times.added()?;
    let Times { near, far, late, .. } = times;
    Ok(FanOut { sent, deliveries, span, own, near, far, added, late })
}

struct Times {
    near: Histogram<u64>,
    far: Histogram<u64>,
    late: Histogram<u64>,
    /// Of each message, when the last one heard it on the sender's node and on the others.
    last: HashMap<u64, (u64, u64)>,
}

impl Times {
    fn new() -> Result<Self> {
        let (near, far, late) = (histogram()?, histogram()?, histogram()?);
        Ok(Self { near, far, late, last: HashMap::new() })
    }

    /// Message `n` was heard so many microseconds after it was meant to be sent.
    fn note(&mut self, n: u64, took: u64, is_near: bool) {
        let (near, far) = self.last.entry(n).or_default();
        let (times, last) = if is_near { (&mut self.near, near) } else { (&mut self.far, far) };
        times.saturating_record(took);
        *last = took.max(*last);
    }

    /// How much later each message was heard on the others, if it was.
    fn added(&self) -> Result<Histogram<u64>> {
        let mut added = histogram()?;
        for (near, far) in self.last.values() {
            added.saturating_record(far.saturating_sub(*near));
        }
        Ok(added)
    }
}

/// What one socket has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    acknowledged: u64,
    received: u64,
    /// How many of these were his own.
    own: u64,
    /// The number of the last message in its chat, once there was one.
    last: Option<u64>,
}

impl Seen {
    /// What somebody else wrote, or so it says: the one after the last.
    fn hear(&mut self, seq: u64) -> bool {
        self.received += 1;
        let before = self.last.replace(seq);
        before.is_none_or(|before| seq == before + 1)
    }

    /// What he wrote himself: the one after the last, too. Only where his node was told of it by the
    /// database before it could say so itself has he heard of it already.
    fn acknowledge(&mut self, seq: u64) -> bool {
        self.acknowledged += 1;
        if self.last.is_some_and(|last| seq <= last) {
            self.own += 1;
            return true;
        }
        let before = self.last.replace(seq);
        before.is_none_or(|before| seq == before + 1)
    }

    /// How often he has heard of what others wrote.
    const fn of_others(self) -> u64 {
        self.received.saturating_sub(self.own)
    }
}

/// All sockets, waited on by one thread.
struct Load<'a> {
    crowd: &'a Crowd,
    nodes: usize,
    poll: Poll,
    lines: Vec<Line>,
    templates: Vec<Template>,
    seen: Vec<Seen>,
    sent: u64,
    acknowledged: u64,
    received: u64,
    own: u64,
    times: Times,
    scratch: Vec<u8>,
}

impl<'a> Load<'a> {
    fn new(crowd: &'a Crowd, urls: &[&str]) -> Result<Self> {
        let poll = Poll::new()?;
        let lines = crowd.open(urls)?;
        for (index, line) in lines.iter().enumerate() {
            line.no_waiting()?;
            poll.registry().register(
                &mut SourceFd(&line.stream.as_raw_fd()),
                Token(index),
                Interest::READABLE | Interest::WRITABLE,
            )?;
        }
        Ok(Self {
            crowd,
            nodes: urls.len(),
            poll,
            templates: crowd.templates(),
            seen: vec![Seen::default(); lines.len()],
            lines,
            sent: 0,
            acknowledged: 0,
            received: 0,
            own: 0,
            times: Times::new()?,
            scratch: vec![0; 256 * 1024],
        })
    }

    /// Sends for so long, and waits until all have heard it.
    fn phase(&mut self, pace: Pace, span: Duration) -> Result<()> {
        match pace {
            Pace::Window(window) => {
                let until = Instant::now() + span;
                let mut events = Events::with_capacity(1_024);
                while Instant::now() < until {
                    while self.sent - self.heard_by_all() < window {
                        self.send()?;
                    }
                    self.turn(&mut events, None)?;
                }
                self.drain(None)
            }
            Pace::Rate(rate) => self.paced(rate, span),
        }
    }

    fn send(&mut self) -> Result<()> {
        let sender = self.crowd.shape.sender(self.sent);
        self.lines[sender].put(&mut self.templates[sender], self.sent);
        self.sent += 1;
        self.lines[sender].flush()
    }

    /// By another thread, which waits for nothing that this one does.
    fn paced(&mut self, rate: f64, span: Duration) -> Result<()> {
        let shape = self.crowd.shape;
        let start = Instant::now() + Duration::from_millis(20);
        let timetable = Timetable::of(rate, span, start);
        let first = self.sent;
        let writers = self
            .lines
            .iter()
            .map(|line| line.stream.try_clone())
            .collect::<std::io::Result<Vec<TcpStream>>>()?;
        let mut templates = std::mem::take(&mut self.templates);
        let failed = AtomicBool::new(false);
        let (late, listened) = thread::scope(|scope| {
            let sending = scope.spawn(|| -> Result<Histogram<u64>> {
                let mut late = histogram()?;
                let mut frame = Vec::new();
                for n in 0..timetable.count {
                    let intended = timetable.wait_for(n);
                    if failed.load(Ordering::Relaxed) {
                        break;
                    }
                    let sender = shape.sender(first + n);
                    frame.clear();
                    templates[sender].write(first + n, &mut frame);
                    late.record(whole_micros(intended.elapsed()))?;
                    send_all(&writers[sender], &frame)?;
                }
                Ok(late)
            });
            self.sent += timetable.count;
            let intended = |n: u64| timetable.intended(n.saturating_sub(first));
            let listened = self.drain(Some((&intended, span)));
            failed.store(listened.is_err(), Ordering::Relaxed);
            (sending.join(), listened)
        });
        listened?;
        self.times.late.add(late.map_err(|_| "the sending thread panicked")??)?;
        self.templates = templates;
        Ok(())
    }

    /// How many messages have reached everybody, as far as numbers tell.
    fn heard_by_all(&self) -> u64 {
        self.received / (self.crowd.shape.members as u64 - 1)
    }

    /// Listens until everybody has heard all.
    fn drain(&mut self, timed: Option<(&dyn Fn(u64) -> Instant, Duration)>) -> Result<()> {
        let span = timed.map_or(Duration::ZERO, |(_, span)| span);
        let deadline = Instant::now() + span + PATIENCE;
        let mut events = Events::with_capacity(1_024);
        while self.acknowledged < self.sent || self.heard_by_all() < self.sent {
            if Instant::now() > deadline {
                let Self { sent, acknowledged, received, .. } = self;
                return Err(format!(
                    "{sent} were sent, {acknowledged} acknowledged, {received} received by all together"
                )
                .into());
            }
            self.turn(&mut events, timed.map(|(intended, _)| intended))?;
        }
        Ok(())
    }

    fn turn(
        &mut self,
        events: &mut Events,
        intended: Option<&dyn Fn(u64) -> Instant>,
    ) -> Result<()> {
        interrupt::check()?;
        match self.poll.poll(events, Some(Duration::from_millis(100))) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &*events {
            self.hear(event.token().0, intended)?;
        }
        Ok(())
    }

    fn hear(&mut self, index: usize, intended: Option<&dyn Fn(u64) -> Instant>) -> Result<()> {
        let Self { lines, scratch, seen, times, crowd, nodes, .. } = self;
        let (line, seen, shape) = (&mut lines[index], &mut seen[index], crowd.shape);
        line.fill(scratch)?;
        let now = Instant::now();
        let before = *seen;
        let mut wrong = None;
        line.take(|text| match Kind::of(text) {
            Kind::Sent => {
                let last = seen.last;
                if !number_of(text, "seq").is_some_and(|seq| seen.acknowledge(seq)) {
                    wrong = Some(misplaced(last, text));
                }
            }
            Kind::New => {
                let last = seen.last;
                if !number_of(text, "seq").is_some_and(|seq| seen.hear(seq)) {
                    wrong = Some(misplaced(last, text));
                }
                let Some(intended) = intended else { return };
                let Some(n) = number(text) else {
                    wrong = Some("a message without its number".to_owned());
                    return;
                };
                let took = whole_micros(now.saturating_duration_since(intended(n)));
                let node = |person| shape.node(person, *nodes);
                let is_near = node(shape.sender(n)) == node(index);
                times.note(n, took, is_near);
            }
            Kind::Refused | Kind::Error => wrong = Some(String::from_utf8_lossy(text).into_owned()),
            Kind::Ready | Kind::Other => {}
        })?;
        if let Some(wrong) = wrong {
            return Err(format!("the server told: {wrong}").into());
        }
        self.acknowledged += seen.acknowledged - before.acknowledged;
        self.received = self.received + seen.of_others() - before.of_others();
        self.own += seen.own - before.own;
        self.lines[index].flush()
    }

    /// Checks that everybody has heard all that the others of his chat wrote, once, and that it is
    /// stored.
    fn finish(self, before: &[u64], url: &str) -> Result<Times> {
        let shape = self.crowd.shape;
        // The sockets are closed before anything is read.
        drop(self.lines);
        let after = self.crowd.lengths(url)?;
        for (chat, members) in self.seen.chunks(shape.members).enumerate() {
            let written: u64 = members.iter().map(|seen| seen.acknowledged).sum();
            if after[chat] - before[chat] != written {
                let stored = after[chat] - before[chat];
                return Err(format!("{written} were acknowledged, {stored} are stored").into());
            }
            if let Some(seen) =
                members.iter().find(|seen| seen.of_others() + seen.acknowledged != written)
            {
                let (heard, of) = (seen.of_others(), written - seen.acknowledged);
                return Err(format!("somebody was told {heard} of {of} messages").into());
            }
        }
        Ok(self.times)
    }
}

/// What is said of a message that came in another place than its own.
fn misplaced(last: Option<u64>, text: &[u8]) -> String {
    format!("after message {last:?}: {}", String::from_utf8_lossy(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_told_of_each_message_once_and_in_order() {
        let mut seen = Seen::default();
        assert_eq!([seen.hear(7), seen.acknowledge(8), seen.hear(9)], [true, true, true]);
        assert_eq!([seen.hear(9), seen.hear(11), seen.hear(12)], [false, false, true]);
        assert!(!seen.acknowledge(14), "13 is missing");
    }

    #[test]
    fn the_same_message_is_compared_with_itself() {
        let mut times = Times::new().unwrap();
        for (n, took, is_near) in
            [(1, 100, true), (1, 250, false), (1, 400, false), (1, 150, true), (2, 90, false)]
        {
            times.note(n, took, is_near);
        }
        times.note(2, 95, true);
        let added = times.added().unwrap();
        assert_eq!((added.min(), added.max(), added.len()), (0, 250, 2));
    }

    #[test]
    fn what_one_wrote_may_be_told_before_it_is_acknowledged() {
        let mut seen = Seen::default();
        assert_eq!([seen.hear(7), seen.hear(8), seen.hear(9)], [true, true, true]);
        assert!(seen.acknowledge(8));
        assert_eq!((seen.acknowledged, seen.of_others(), seen.own), (1, 2, 1));
        assert!(seen.hear(10));
    }
}
