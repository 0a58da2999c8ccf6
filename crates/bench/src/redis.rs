//! What Redis was asked to do, as it counts itself.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use crate::Result;

/// How often each command was carried out since Redis was started. What a script does counts, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Commands(BTreeMap<String, u64>);

impl Commands {
    /// Up to now, at a port of this machine.
    pub(crate) fn at(port: u16) -> Result<Self> {
        Ok(Self::read(&ask(port, "INFO commandstats\r\n")?))
    }

    /// Out of what `INFO commandstats` says. That it was asked is left out.
    fn read(info: &str) -> Self {
        let entry = |line: &str| {
            let (name, counts) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let count = counts.split(',').next()?.trim().parse().ok()?;
            (name != "info").then(|| (name.to_owned(), count))
        };
        Self(info.lines().filter_map(entry).collect())
    }

    /// What came after `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let more = |(name, count): (&String, &u64)| {
            let more = count - before.0.get(name).unwrap_or(&0);
            (more > 0).then(|| (name.clone(), more))
        };
        Self(self.0.iter().filter_map(more).collect())
    }

    /// How often something was published.
    pub(crate) fn publishes(&self) -> u64 {
        ["publish", "spublish"].iter().filter_map(|name| self.0.get(*name)).sum()
    }

    /// Which, and how often, most first.
    pub(crate) fn most_first(&self) -> Vec<(String, u64)> {
        let mut all: Vec<(String, u64)> = self.0.clone().into_iter().collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        all
    }
}

/// The text that Redis answers with.
fn ask(port: u16, command: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(command.as_bytes())?;
    let mut answer = Vec::new();
    let mut scratch = [0; 16 * 1024];
    loop {
        if let Some(text) = bulk(&answer)? {
            return Ok(text);
        }
        match stream.read(&mut scratch)? {
            0 => return Err("Redis has hung up".into()),
            read => answer.extend_from_slice(&scratch[..read]),
        }
    }
}

/// A bulk string of RESP2, once it is there whole.
fn bulk(bytes: &[u8]) -> Result<Option<String>> {
    let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?;
    let length = head.strip_prefix('$').and_then(|length| length.parse::<usize>().ok());
    let length = length.ok_or_else(|| format!("Redis answered {head}"))?;
    let body = bytes.get(end + 2..end + 2 + length);
    Ok(body.map(|body| String::from_utf8_lossy(body).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_counted_by_their_names() {
        let before = Commands::read("# Commandstats\r\ncmdstat_publish:calls=2,usec=3\r\n");
        let after = Commands::read(
            "# Commandstats\r\ncmdstat_publish:calls=5,usec=9,usec_per_call=1.8\r\n\
             cmdstat_spublish:calls=1,usec=1\r\ncmdstat_info:calls=7,usec=1\r\n\
             cmdstat_ping:calls=9,usec=1\r\n",
        );
        let since = after.since(&before);
        assert_eq!(since.publishes(), 4);
        let named = |name: &str, count| (name.to_owned(), count);
        let expected = [named("ping", 9), named("publish", 3), named("spublish", 1)];
        assert_eq!(since.most_first(), expected);
        assert_eq!(before.since(&before), Commands::default());
    }

    #[test]
    fn an_answer_is_taken_when_it_is_whole() {
        let whole = b"$5\r\nab\r\nc\r\n";
        assert_eq!(bulk(whole).unwrap().as_deref(), Some("ab\r\nc"));
        for cut in 0..9 {
            assert_eq!(bulk(&whole[..cut]).unwrap(), None, "cut at {cut}");
        }
        assert!(bulk(b"-ERR no such command\r\n").is_err());
    }
}
