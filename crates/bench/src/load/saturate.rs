//! As much as it takes: each sender keeps so many messages under way.

use std::{
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, unix::SourceFd};

use super::{
    Spans, Stage,
    stage::Outcome,
    wire::{Kind, Line, Template, number},
};
use crate::{Result, interrupt};

/// How long the last answers may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Of so many acknowledgements one is read with care.
const LOOKED_AT: u64 = 1_009;

/// What came of it.
pub(crate) struct Saturated {
    /// Acknowledged while it was measured.
    pub(crate) acknowledged: u64,
    /// How long that was.
    pub(crate) span: Duration,
    /// How many the server did not take, all in all.
    pub(crate) refused: u64,
}

struct Sender {
    line: Line,
    templates: Vec<Template>,
    sent: u64,
    acknowledged: u64,
    refused: u64,
}

/// Keeps `window` messages of each sender under way. `mark` is called when measuring begins and
/// when it ends.
pub(crate) fn saturate(
    stage: &Stage,
    window: u64,
    spans: Spans,
    mut mark: impl FnMut() -> Result<()>,
) -> Result<Saturated> {
    let mut load = Load::new(stage)?;
    for index in 0..load.senders.len() {
        load.send(index, window)?;
    }
    load.run(Instant::now() + spans.warm_up)?;
    load.run_until_all_chats_are_there()?;
    mark()?;
    let (start, before) = (Instant::now(), load.acknowledged);
    load.run(start + spans.measured)?;
    let (span, acknowledged) = (start.elapsed(), load.acknowledged - before);
    mark()?;
    let refused = load.finish(stage)?;
    Ok(Saturated { acknowledged, span, refused })
}

/// All sockets, waited on by one thread.
struct Load {
    poll: Poll,
    senders: Vec<Sender>,
    receivers: Vec<Line>,
    acknowledged: u64,
    refused: u64,
    received: u64,
    /// Whether an acknowledgement is answered with the next message.
    goes_on: bool,
    scratch: Vec<u8>,
    cast: super::Cast,
}

impl Load {
    fn new(stage: &Stage) -> Result<Self> {
        let cast = stage.cast;
        let poll = Poll::new()?;
        let receivers = stage.open(&stage.receivers)?;
        let mut senders = Vec::new();
        for (index, line) in stage.open(&stage.senders)?.into_iter().enumerate() {
            let to = |turn: usize| stage.receivers[cast.receiver(index, turn as u64)].id;
            let templates = (0..cast.chats_each).map(|turn| Template::new(to(turn))).collect();
            senders.push(Sender { line, templates, sent: 0, acknowledged: 0, refused: 0 });
        }
        let lines = senders.iter().map(|sender| &sender.line).chain(&receivers);
        for (index, line) in lines.enumerate() {
            line.no_waiting()?;
            poll.registry().register(
                &mut SourceFd(&line.stream.as_raw_fd()),
                Token(index),
                Interest::READABLE | Interest::WRITABLE,
            )?;
        }
        let scratch = vec![0; 256 * 1024];
        Ok(Self {
            poll,
            senders,
            receivers,
            acknowledged: 0,
            refused: 0,
            received: 0,
            goes_on: true,
            scratch,
            cast,
        })
    }

    fn send(&mut self, index: usize, count: u64) -> Result<()> {
        let sender = &mut self.senders[index];
        for _ in 0..count {
            let turn = usize::try_from(sender.sent % self.cast.chats_each as u64)?;
            sender.line.put(&mut sender.templates[turn], sender.sent);
            sender.sent += 1;
        }
        sender.line.flush()
    }

    fn run(&mut self, until: Instant) -> Result<()> {
        let mut events = Events::with_capacity(1_024);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            interrupt::check()?;
            self.turn(&mut events, left)?;
        }
    }

    /// The first message of a chat makes it, which is not what is measured.
    fn run_until_all_chats_are_there(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let chats = self.cast.chats_each as u64;
        while self.senders.iter().any(|sender| sender.acknowledged < chats) {
            if Instant::now() > deadline {
                return Err("making the chats takes too long".into());
            }
            self.run(Instant::now() + Duration::from_millis(100))?;
        }
        Ok(())
    }

    fn turn(&mut self, events: &mut Events, at_most: Duration) -> Result<()> {
        match self.poll.poll(events, Some(at_most.min(Duration::from_millis(200)))) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &*events {
            let index = event.token().0;
            match index.checked_sub(self.senders.len()) {
                Some(index) => self.receive(index)?,
                None => self.answer(index)?,
            }
        }
        Ok(())
    }

    /// Reads a sender's acknowledgements and sends as many messages more.
    fn answer(&mut self, index: usize) -> Result<()> {
        let sender = &mut self.senders[index];
        sender.line.fill(&mut self.scratch)?;
        let (mut acknowledged, mut refused, mut wrong) = (0, 0, None);
        let before = sender.acknowledged;
        sender.line.take(|text| match Kind::of(text) {
            Kind::Sent => {
                acknowledged += 1;
                if (before + acknowledged).is_multiple_of(LOOKED_AT) && !is_sound(text) {
                    wrong = Some(String::from_utf8_lossy(text).into_owned());
                }
            }
            Kind::Refused => refused += 1,
            Kind::Error => wrong = Some(String::from_utf8_lossy(text).into_owned()),
            Kind::New | Kind::Ready | Kind::Other => {}
        })?;
        if let Some(wrong) = wrong {
            return Err(format!("the server answered: {wrong}").into());
        }
        sender.acknowledged += acknowledged;
        sender.refused += refused;
        self.acknowledged += acknowledged;
        self.refused += refused;
        self.send(index, if self.goes_on { acknowledged + refused } else { 0 })
    }

    fn receive(&mut self, index: usize) -> Result<()> {
        let line = &mut self.receivers[index];
        line.fill(&mut self.scratch)?;
        let mut received = 0;
        line.take(|text| received += u64::from(Kind::of(text) == Kind::New))?;
        self.received += received;
        line.flush()
    }

    /// Waits for all that is under way, and checks that nothing was lost. How many were refused.
    fn finish(mut self, stage: &Stage) -> Result<u64> {
        self.goes_on = false;
        let sent: u64 = self.senders.iter().map(|sender| sender.sent).sum();
        let deadline = Instant::now() + PATIENCE;
        let mut events = Events::with_capacity(1_024);
        while self.acknowledged + self.refused < sent || self.received < self.acknowledged {
            interrupt::check()?;
            self.turn(&mut events, Duration::from_millis(100))?;
            if Instant::now() > deadline {
                break;
            }
        }
        let Self { acknowledged, refused, received, .. } = self;
        if acknowledged + refused != sent || received != acknowledged {
            return Err(format!(
                "{sent} were sent, {refused} refused, {acknowledged} acknowledged, {received} received"
            )
            .into());
        }
        let outcomes: Vec<Outcome> = self
            .senders
            .iter()
            .map(|sender| Outcome { acknowledged: sender.acknowledged, refused: sender.refused })
            .collect();
        // The sockets are closed before the histories are read.
        drop((self.senders, self.receivers));
        stage.check(&outcomes)?;
        Ok(refused)
    }
}

/// Whether it is an acknowledgement by the letter of the protocol.
fn is_sound(text: &[u8]) -> bool {
    use kith_protocol::frame::ServerFrame;
    let Ok(ServerFrame::MessageSent { message, .. }) = serde_json::from_slice(text) else {
        return false;
    };
    message.seq > 0 && message.content.is_some() && number(text).is_some()
}
