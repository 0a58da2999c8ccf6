//! The servers, and what befalls them.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::{RngExt as _, rngs::StdRng};

use super::super::{Fleet, host, is};
use crate::support::{Actor, Process, Proxy, eventually};

const NODES: usize = 3;
/// How long a server may take to stop in order.
const STOP: Duration = Duration::from_secs(30);
/// How long people go on when Redis is away for the last time.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Over how long it closes its sockets, and how many are looked at.
const SPREAD: Duration = Duration::from_millis(500);
const SOCKETS: usize = 12;

/// Three servers, and the ways to them.
pub(super) struct World {
    pub(super) fleet: Fleet,
    nodes: Vec<Node>,
    /// One for each device, and where it leads.
    ways: Vec<(Proxy, usize)>,
    random: StdRng,
    /// What has an end, and when.
    ends: Vec<(Instant, End)>,
    began: Instant,
    /// What happened.
    pub(super) log: Vec<String>,
}

struct Node {
    link: Proxy,
    process: Option<Process>,
    is_paused: bool,
    is_cut: bool,
}

/// The end of a fault.
#[derive(Clone, Copy, Debug)]
enum End {
    Start(usize),
    GoOn(usize),
    Mend(usize),
    Redis,
}

fn start(fleet: &mut Fleet, link: &Proxy) -> Process {
    let mut command = fleet.command_by(link);
    command.env("KITH_SHUTDOWN__CLOSE_SPREAD_MS", SPREAD.as_millis().to_string());
    Process::spawn(command)
}

impl World {
    pub(super) async fn new(random: StdRng) -> Self {
        let mut fleet = Fleet::new().await;
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            let link = fleet.link().await;
            let process = Some(start(&mut fleet, &link));
            nodes.push(Node { link, process, is_paused: false, is_cut: false });
        }
        let (ends, log, ways) = (Vec::new(), Vec::new(), Vec::new());
        let world = Self { fleet, nodes, ways, random, ends, began: Instant::now(), log };
        world.is_whole().await;
        world
    }

    /// The servers, when all are there.
    pub(super) fn nodes(&self) -> Vec<&Process> {
        self.nodes.iter().filter_map(|node| node.process.as_ref()).collect()
    }

    /// A way to one of them: where it begins.
    pub(super) async fn way(&mut self) -> String {
        let node = self.ways.len() % NODES;
        let process = self.nodes[node].process.as_ref().expect("all are there");
        let way = Proxy::to(host(process)).await;
        let url = way.url().to_owned();
        self.ways.push((way, node));
        url
    }

    /// Lets things break and heal for so long. In the end Redis is away: of what is said last, other
    /// nodes are told by nothing that comes after it.
    pub(super) async fn suffer(&mut self, span: Duration) {
        self.began = Instant::now();
        while self.began.elapsed() < span {
            self.strike().await;
            let pause = Duration::from_millis(self.random.random_range(50..900));
            let next = Instant::now() + pause;
            while let Some(place) = self.ends.iter().position(|(at, _)| *at <= next) {
                let (at, end) = self.ends.swap_remove(place);
                tokio::time::sleep_until(at.into()).await;
                self.end(end);
            }
            tokio::time::sleep_until(next.into()).await;
        }
        self.lose_redis(STOP);
        tokio::time::sleep(LAST_WORDS).await;
    }

    /// All is well again.
    pub(super) async fn heal(&mut self) {
        for (_, end) in std::mem::take(&mut self.ends) {
            self.end(end);
        }
        self.is_whole().await;
    }

    fn lose_redis(&mut self, span: Duration) {
        if self.ends.iter().any(|(_, end)| matches!(end, End::Redis)) {
            return;
        }
        self.fleet.redis.kill();
        self.note(&format!("Redis is killed for {span:?}"));
        self.ends.push((Instant::now() + span, End::Redis));
    }

    /// Stops one server after the other in order, and puts another in its place.
    pub(super) async fn replace_all(&mut self, anybody: &Actor) {
        for number in 0..NODES {
            let mut process = self.nodes[number].process.take().expect("all are there");
            let actor = anybody.at(process.url());
            let mut sockets = Vec::new();
            for _ in 0..SOCKETS {
                sockets.push(actor.raw().await);
            }
            process.terminate();
            // Whoever spreads connections sees it while sockets are still open.
            let asked = async || {
                let answer = actor.get("/health/ready").await;
                (answer.status == 503).then_some(answer.json["status"].clone())
            };
            assert_eq!(eventually("that it is not ready", asked).await, "draining");
            let unready = Instant::now();
            self.leave(number, 1.0, false);
            let closings = sockets.into_iter().map(|mut socket| async move {
                let (code, reason) = socket.closed().await.unwrap();
                assert_eq!(code, 1012, "{reason}");
                assert!(reason.starts_with("retry_after_ms="), "{reason}");
                Instant::now()
            });
            let closings = join_all(closings).await;
            let (first, last) = (closings.iter().min().unwrap(), closings.iter().max().unwrap());
            assert!(*last > unready && *last - *first > SPREAD / 5, "all at once");
            let status = process.ended(STOP).await;
            assert_eq!(status.code(), Some(0), "{}", process.log());
            self.end(End::Start(number));
            self.is_whole().await;
        }
    }

    async fn is_whole(&self) {
        for node in self.nodes() {
            is(node, "ok").await;
        }
    }

    fn note(&mut self, what: &str) {
        let at = self.began.elapsed().as_millis();
        self.log.push(format!("{at:>7} ms: {what}"));
    }

    /// Something happens.
    async fn strike(&mut self) {
        let number = self.random.random_range(0..NODES);
        let span = Duration::from_millis(self.random.random_range(50..4_000));
        let until = Instant::now() + span;
        let node = &mut self.nodes[number];
        let well = node.process.is_some() && !node.is_paused;
        match self.random.random_range(0..8) {
            0 if well => {
                let process = node.process.take().expect("it is well");
                self.note(&format!("node {number} is killed for {span:?}"));
                process.kill();
                self.ends.push((until, End::Start(number)));
                self.leave(number, 0.8, false);
            }
            1 if well => {
                let mut process = node.process.take().expect("it is well");
                self.note(&format!("node {number} is stopped, and started after {span:?}"));
                process.terminate();
                self.leave(number, 1.0, false);
                process.ended(STOP).await;
                self.ends.push((until, End::Start(number)));
            }
            2 if well => {
                node.process.as_ref().expect("it is well").pause();
                node.is_paused = true;
                self.note(&format!("node {number} stands still for {span:?}"));
                self.ends.push((until, End::GoOn(number)));
                self.leave(number, 0.5, true);
            }
            3 if !node.is_cut => {
                node.link.cut();
                node.is_cut = true;
                self.note(&format!("the link of node {number} is cut for {span:?}"));
                self.ends.push((until, End::Mend(number)));
            }
            4 if !node.is_cut => {
                node.link.deafen();
                node.is_cut = true;
                self.note(&format!("the link of node {number} is dead for {span:?}"));
                self.ends.push((until, End::Mend(number)));
            }
            5 => self.lose_redis(span),
            _ => {
                self.note(&format!("some go from node {number} elsewhere"));
                self.leave(number, 0.4, true);
            }
        }
    }

    fn end(&mut self, end: End) {
        match end {
            End::Start(number) => {
                let process = start(&mut self.fleet, &self.nodes[number].link);
                for (way, _) in self.ways.iter().filter(|(_, node)| *node == number) {
                    way.lead_to(host(&process));
                }
                self.nodes[number].process = Some(process);
            }
            End::GoOn(number) => {
                self.nodes[number].is_paused = false;
                self.nodes[number].process.as_ref().expect("it is paused").go_on();
            }
            End::Mend(number) => {
                let node = &mut self.nodes[number];
                node.is_cut = false;
                node.link.cut();
                node.link.mend();
            }
            End::Redis => self.fleet.redis.go_on(),
        }
        self.note(&format!("over: {end:?}"));
    }

    /// Some of those who are on a node are led elsewhere, at once or when they come back.
    fn leave(&mut self, number: usize, share: f64, at_once: bool) {
        let others: Vec<usize> =
            (0..NODES).filter(|it| *it != number && self.nodes[*it].process.is_some()).collect();
        for (way, node) in &mut self.ways {
            if *node != number || others.is_empty() || !self.random.random_bool(share) {
                continue;
            }
            *node = others[self.random.random_range(0..others.len())];
            let process = self.nodes[*node].process.as_ref().expect("it is there");
            way.lead_to(host(process));
            if at_once {
                way.cut();
                way.mend();
            }
        }
    }
}
