//! A given rate, whatever the server does: what it is slow with counts for all that had to wait, as
//! each message's time runs from the moment at which it was meant to be sent.

use std::{
    io::{ErrorKind, Write as _},
    net::TcpStream,
    os::fd::AsRawFd as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, unix::SourceFd};

use super::{
    Spans, Stage, histogram,
    stage::Outcome,
    wire::{Kind, Line, Template, number},
};
use crate::{Result, interrupt, stats::whole_micros};

/// How long the last messages may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What came of it.
pub(crate) struct OpenLoop {
    /// From the intended send to the acknowledgement.
    pub(crate) acknowledged: Histogram<u64>,
    /// From the intended send to the receipt.
    pub(crate) received: Histogram<u64>,
    /// How late the load generator itself was with its sends: part of both.
    pub(crate) late: Histogram<u64>,
    /// How many messages were sent, from one call of `mark` to the other.
    pub(crate) count: u64,
    /// How many of them the server did not take.
    pub(crate) refused: u64,
}

/// When each message is meant to be sent: evenly, `rate` in a second.
#[derive(Clone, Copy)]
pub(super) struct Timetable {
    start: Instant,
    interval: Duration,
    pub(super) count: u64,
}

impl Timetable {
    /// As many as there are in a span.
    pub(super) fn of(rate: f64, span: Duration, start: Instant) -> Self {
        let interval = Duration::from_secs_f64(1.0 / rate.max(1.0));
        let count = span.as_nanos() / interval.as_nanos();
        Self { start, interval, count: u64::try_from(count).unwrap_or(u64::MAX) }
    }

    /// Waits until message `n` is meant to be sent: when that is.
    #[expect(clippy::disallowed_methods, reason = "a thread of its own, which serves nobody")]
    pub(super) fn wait_for(self, n: u64) -> Instant {
        let intended = self.intended(n);
        let wait = intended.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            thread::sleep(wait);
        }
        intended
    }

    pub(super) fn intended(self, n: u64) -> Instant {
        self.start + Duration::from_nanos(self.nanos(n))
    }

    fn nanos(self, n: u64) -> u64 {
        n * u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Sends `rate` messages in a second, each sender in his turn. `mark` is called before the first and
/// after the last.
pub(crate) fn open_loop(
    stage: &Stage,
    rate: f64,
    spans: Spans,
    mut mark: impl FnMut() -> Result<()>,
) -> Result<OpenLoop> {
    let mut lines = stage.open(&stage.senders)?;
    let writers = lines
        .iter()
        .map(|line| line.stream.try_clone())
        .collect::<std::io::Result<Vec<TcpStream>>>()?;
    let senders = lines.len();
    lines.extend(stage.open(&stage.receivers)?);
    for line in &lines {
        line.no_waiting()?;
    }
    mark()?;
    let start = Instant::now() + Duration::from_millis(50);
    // Those of the warm-up are not measured.
    let measured_from = Timetable::of(rate, spans.warm_up, start).count;
    let timetable = Timetable::of(rate, spans.warm_up + spans.measured, start);
    let count = timetable.count;
    let failed = AtomicBool::new(false);
    let (late, listened) = thread::scope(|scope| {
        let sending = scope.spawn(|| send(stage, &writers, timetable, measured_from, &failed));
        let listened = listen(&mut lines, senders, timetable, measured_from);
        failed.store(listened.is_err(), Ordering::Relaxed);
        (sending.join(), listened)
    });
    let heard = listened?;
    let late = late.map_err(|_| "the sending thread panicked")??;
    mark()?;
    drop((lines, writers));
    stage.check(&heard.outcomes)?;
    let refused = heard.outcomes.iter().map(|outcome| outcome.refused).sum();
    let Heard { acknowledged, received, .. } = heard;
    Ok(OpenLoop { acknowledged, received, late, count, refused })
}

fn send(
    stage: &Stage,
    writers: &[TcpStream],
    timetable: Timetable,
    measured_from: u64,
    failed: &AtomicBool,
) -> Result<Histogram<u64>> {
    let mut templates: Vec<Template> = (0..writers.len())
        .map(|sender| Template::new(stage.receivers[stage.cast.receiver(sender, 0)].id))
        .collect();
    let mut late = histogram()?;
    let mut frame = Vec::new();
    for n in 0..timetable.count {
        let intended = timetable.wait_for(n);
        if failed.load(Ordering::Relaxed) {
            break;
        }
        let sender = usize::try_from(n % writers.len() as u64)?;
        frame.clear();
        templates[sender].write(n, &mut frame);
        if n >= measured_from {
            late.record(whole_micros(intended.elapsed()))?;
        }
        send_all(&writers[sender], &frame)?;
    }
    Ok(late)
}

/// Waits where the connection takes no more: that time counts, as any other.
#[expect(clippy::disallowed_methods, reason = "a thread of its own, which serves nobody")]
pub(super) fn send_all(mut writer: &TcpStream, mut frame: &[u8]) -> Result<()> {
    while !frame.is_empty() {
        match writer.write(frame) {
            Ok(written) => frame = &frame[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_micros(100));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What came back.
struct Heard {
    acknowledged: Histogram<u64>,
    received: Histogram<u64>,
    /// Of each sender.
    outcomes: Vec<Outcome>,
    answers: u64,
    refused: u64,
    receipts: u64,
    wrong: Option<String>,
}

/// Takes the time of all acknowledgements and receipts until the last one has come.
fn listen(
    lines: &mut [Line],
    senders: usize,
    timetable: Timetable,
    measured_from: u64,
) -> Result<Heard> {
    let mut poll = Poll::new()?;
    for (index, line) in lines.iter().enumerate() {
        let fd = line.stream.as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), Token(index), Interest::READABLE)?;
    }
    let mut heard = Heard {
        acknowledged: histogram()?,
        received: histogram()?,
        outcomes: vec![Outcome::default(); senders],
        answers: 0,
        refused: 0,
        receipts: 0,
        wrong: None,
    };
    let deadline = timetable.intended(timetable.count) + PATIENCE;
    let mut events = Events::with_capacity(256);
    let mut scratch = vec![0; 64 * 1024];
    while heard.answers < timetable.count || heard.receipts + heard.refused < timetable.count {
        interrupt::check()?;
        if Instant::now() > deadline {
            let Heard { answers, refused, receipts, .. } = heard;
            let sent = timetable.count;
            return Err(format!(
                "{sent} were sent, {answers} answered, {refused} of them refused, {receipts} received"
            )
            .into());
        }
        match poll.poll(&mut events, Some(Duration::from_millis(200))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            let index = event.token().0;
            let line = &mut lines[index];
            line.fill(&mut scratch)?;
            let now = Instant::now();
            line.take(|text| heard.note(index, text, now, timetable, measured_from))?;
            if let Some(wrong) = heard.wrong {
                return Err(format!("the server answered: {wrong}").into());
            }
            line.flush()?;
        }
    }
    Ok(heard)
}

impl Heard {
    fn note(
        &mut self,
        index: usize,
        text: &[u8],
        now: Instant,
        timetable: Timetable,
        measured_from: u64,
    ) {
        let times = match (Kind::of(text), self.outcomes.get_mut(index)) {
            (Kind::Sent, Some(outcome)) => {
                outcome.acknowledged += 1;
                self.answers += 1;
                &mut self.acknowledged
            }
            (Kind::Refused, Some(outcome)) => {
                outcome.refused += 1;
                self.answers += 1;
                self.refused += 1;
                return;
            }
            (Kind::New, None) => {
                self.receipts += 1;
                &mut self.received
            }
            (Kind::Error, _) => {
                self.wrong = Some(String::from_utf8_lossy(text).into_owned());
                return;
            }
            _ => return,
        };
        match number(text) {
            Some(n) if n >= measured_from => {
                let took = now.saturating_duration_since(timetable.intended(n));
                times.saturating_record(whole_micros(took));
            }
            Some(_) => {}
            None => self.wrong = Some("a message without its number".to_owned()),
        }
    }
}
