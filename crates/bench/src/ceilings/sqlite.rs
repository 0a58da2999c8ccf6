//! Bare SQLite: a loop in one thread that inserts messages, and nothing else. The tables are Kith's
//! own, since a server made them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use diesel::{
    connection::SimpleConnection as _,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Binary, Nullable, SmallInt, Text},
    sqlite::{Sqlite, SqliteConnection},
};
use hdrhistogram::Histogram;
use uuid::Uuid;

use crate::{
    Result, interrupt,
    load::{CONTENT, Spans, histogram},
    machine,
    stats::{rate, whole_micros},
};

/// Rows, and what it took to insert them.
pub(crate) struct Inserted {
    pub(crate) rows: u64,
    pub(crate) span: Duration,
    /// Processor time of this whole process.
    pub(crate) cpu: Duration,
}

/// A database that Kith has made, to itself.
pub(crate) struct Bare {
    connection: SqliteConnection,
    chats: Vec<Chat>,
    rows: u64,
}

struct Chat {
    id: [u8; 16],
    sender: [u8; 16],
    last_seq: i64,
}

impl Bare {
    /// Will insert into so many chats in turn.
    pub(crate) fn open(path: &Path, chats: usize) -> Result<Self> {
        let connection = connect(path)?;
        let new = |_| Chat {
            id: Uuid::new_v4().into_bytes(),
            sender: Uuid::new_v4().into_bytes(),
            last_seq: 0,
        };
        Ok(Self { connection, chats: (0..chats).map(new).collect(), rows: 0 })
    }

    /// Transactions of `batch` rows, one after another.
    pub(crate) fn insert(&mut self, batch: u64, spans: Spans) -> Result<Inserted> {
        self.insert_until(batch, Instant::now() + spans.warm_up)?;
        let (start, cpu, before) = (Instant::now(), machine::own_cpu()?, self.rows);
        self.insert_until(batch, start + spans.measured)?;
        let (span, cpu) = (start.elapsed(), machine::own_cpu()?.saturating_sub(cpu));
        Ok(Inserted { rows: self.rows - before, span, cpu })
    }

    fn insert_until(&mut self, batch: u64, until: Instant) -> Result<()> {
        while Instant::now() < until {
            interrupt::check()?;
            self.transaction(batch)?;
        }
        Ok(())
    }

    /// How long `count` transactions of one row took, each by itself.
    pub(crate) fn insert_singly(&mut self, count: u64) -> Result<Histogram<u64>> {
        let mut times = histogram()?;
        let unmeasured = count / 10;
        for n in 0..unmeasured + count {
            interrupt::check()?;
            let start = Instant::now();
            self.transaction(1)?;
            if n >= unmeasured {
                times.record(whole_micros(start.elapsed()))?;
            }
        }
        Ok(times)
    }

    fn transaction(&mut self, batch: u64) -> Result<()> {
        let Self { connection, chats, rows } = self;
        connection.immediate_transaction(|connection| {
            for _ in 0..batch {
                *rows += 1;
                let index = usize::try_from(*rows % chats.len() as u64).unwrap_or_default();
                let chat = &mut chats[index];
                chat.last_seq += 1;
                // In the order of time, as Kith's are.
                let id = (u128::from(*rows) << 64) | u128::from(rows.wrapping_mul(0x9e37_79b9));
                // In no order, as those of clients are.
                let mark =
                    Uuid::from_u128(id.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
                let row = Insert {
                    conversation: &chat.id,
                    seq: chat.last_seq,
                    id: &id.to_be_bytes(),
                    sender: &chat.sender,
                    client_message_id: &mark.to_string(),
                    created_at: i64::try_from(*rows).unwrap_or_default(),
                };
                row.execute(connection)?;
            }
            Ok::<_, diesel::result::Error>(())
        })?;
        Ok(())
    }
}

/// As Kith sets it up, but for copying the log into the database: that is left to SQLite itself, once
/// the log has the length at which Kith has it begin anew.
fn connect(path: &Path) -> Result<SqliteConnection> {
    let path = path.to_str().ok_or("the path is not UTF-8")?;
    let mut connection = SqliteConnection::establish(path)?;
    connection.batch_execute(
        "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON; PRAGMA mmap_size = 134217728; PRAGMA cache_size = -16384;
         PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 32768;",
    )?;
    Ok(connection)
}

/// Prepared once, as its text never changes.
struct Insert<'a> {
    conversation: &'a [u8],
    seq: i64,
    id: &'a [u8],
    sender: &'a [u8],
    client_message_id: &'a str,
    created_at: i64,
}

impl QueryFragment<Sqlite> for Insert<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(
            "INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id, \
             created_at, version, content, digest, kind, revised) VALUES (",
        );
        out.push_bind_param::<Binary, _>(self.conversation)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.seq)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, _>(self.id)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, _>(self.sender)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(self.client_message_id)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.created_at)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, _>(&self.seq)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(CONTENT)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, _>(&[7_u8; 32][..])?;
        out.push_sql(", 0, 0)");
        Ok(())
    }
}

impl QueryId for Insert<'_> {
    type QueryId = Insert<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<C> diesel::RunQueryDsl<C> for Insert<'_> {}

/// The newest 50 of a chat.
struct Page<'a> {
    conversation: &'a [u8],
}

impl QueryFragment<Sqlite> for Page<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(
            "SELECT seq, id, sender_id, client_message_id, kind, content, reply_to, version, \
             created_at, edited_at, deleted_at, pinned_at FROM messages WHERE conversation_id = ",
        );
        out.push_bind_param::<Binary, _>(self.conversation)?;
        out.push_sql(" ORDER BY seq DESC LIMIT 50");
        Ok(())
    }
}

impl QueryId for Page<'_> {
    type QueryId = Page<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for Page<'_> {
    type SqlType = (
        BigInt,
        Binary,
        Binary,
        Text,
        SmallInt,
        Nullable<Text>,
        Nullable<BigInt>,
        BigInt,
        BigInt,
        Nullable<BigInt>,
        Nullable<BigInt>,
        Nullable<BigInt>,
    );
}

impl<C> diesel::RunQueryDsl<C> for Page<'_> {}

type Row = (
    i64,
    Vec<u8>,
    Vec<u8>,
    String,
    i16,
    Option<String>,
    Option<i64>,
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

/// How many pages one thread reads in a second, of all chats in turn.
pub(crate) fn read_pages(path: &Path, chats: &[Uuid], span: Duration) -> Result<f64> {
    let mut connection = connect(path)?;
    let (start, mut pages) = (Instant::now(), 0);
    while start.elapsed() < span {
        interrupt::check()?;
        for chat in chats {
            let page: Vec<Row> = Page { conversation: chat.as_bytes() }.load(&mut connection)?;
            if page.len() != 50 {
                return Err(format!("a page of {} messages", page.len()).into());
            }
            pages += 1;
        }
    }
    Ok(rate(pages, start.elapsed()))
}

/// Fills chats that are there with `each` messages more, without a server in between.
pub(crate) fn fill(path: &Path, chats: &[Uuid], each: u64) -> Result<()> {
    let mut connection = connect(path)?;
    for (index, chat) in chats.iter().enumerate() {
        interrupt::check()?;
        let chat = chat.simple();
        connection.batch_execute(&format!(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {each})
             INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id, digest,
                 kind, content, version, revised, created_at)
             SELECT x'{chat}', n, CAST(printf('%08d%08d', {index}, n) AS BLOB),
                 (SELECT user_id FROM members WHERE conversation_id = x'{chat}' LIMIT 1),
                 printf('%036d', n), zeroblob(32), 0, '{CONTENT}', n + 1, 0, 1767225600000000 + n
             FROM numbers;
             UPDATE heads SET last_seq = {each}, version = {each} + 1,
                 last_message_at = 1767225600000000 + {each}
             WHERE conversation_id = x'{chat}';",
            CONTENT = CONTENT.replace('\'', "''"),
        ))?;
    }
    connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(())
}
