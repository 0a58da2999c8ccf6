//! Ids and times, as each database keeps them.
//!
//! The SQL types carry both mappings; the newtypes read and write them, once for each database.
//! Domain types cannot implement Diesel's traits here (neither is ours), so these stand between.

use std::io::Write;

use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, IsNull, Output, ToSql},
    sqlite::{Sqlite, SqliteValue},
};
use kith_domain::{ConversationId, MessageId, SessionId, Timestamp, UserId};
use uuid::Uuid;

/// The SQL types.
pub(crate) mod sql {
    use diesel::{
        query_builder::QueryId,
        sql_types::{SqlOrd, SqlType},
    };

    /// A UUID: `uuid` on PostgreSQL, 16 bytes on SQLite.
    #[derive(Clone, Copy, Debug, SqlType, QueryId)]
    #[diesel(postgres_type(oid = 2950, array_oid = 2951), sqlite_type(name = "Binary"))]
    pub struct Id;

    impl SqlOrd for Id {}

    /// A point in time: `timestamptz` on PostgreSQL, microseconds since the Unix epoch on SQLite.
    #[derive(Clone, Copy, Debug, SqlType, QueryId)]
    #[diesel(postgres_type(oid = 1184, array_oid = 1185), sqlite_type(name = "Long"))]
    pub struct Timestamp;

    impl SqlOrd for Timestamp {}
}

/// An id of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql::Id)]
pub(crate) struct Key(pub(crate) Uuid);

impl Key {
    /// Before every id that is in use.
    pub(crate) const LEAST: Self = Self(Uuid::nil());
}

impl FromSql<sql::Id, Sqlite> for Key {
    fn from_sql(mut value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        Ok(Self(Uuid::from_slice(value.read_blob())?))
    }
}

impl FromSql<sql::Id, Pg> for Key {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(Uuid::from_slice(value.as_bytes())?))
    }
}

impl ToSql<sql::Id, Sqlite> for Key {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(&self.0.as_bytes()[..]);
        Ok(IsNull::No)
    }
}

impl ToSql<sql::Id, Pg> for Key {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

macro_rules! keys {
    ($($id:ident),*) => {$(
        impl From<$id> for Key {
            fn from(id: $id) -> Self {
                Self(*id.as_uuid())
            }
        }

        impl From<Key> for $id {
            fn from(key: Key) -> Self {
                Self::from_uuid(key.0)
            }
        }
    )*};
}

keys!(UserId, ConversationId, MessageId, SessionId);

/// A point in time, in microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql::Timestamp)]
pub(crate) struct Moment(pub(crate) i64);

/// PostgreSQL counts from 2000-01-01T00:00:00Z: this many microseconds after the Unix epoch.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

impl FromSql<sql::Timestamp, Sqlite> for Moment {
    fn from_sql(mut value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        Ok(Self(value.read_long()))
    }
}

impl FromSql<sql::Timestamp, Pg> for Moment {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let micros = i64::from_be_bytes(value.as_bytes().try_into()?);
        Ok(Self(micros.checked_add(POSTGRES_EPOCH).ok_or("the time is out of range")?))
    }
}

impl ToSql<sql::Timestamp, Sqlite> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0);
        Ok(IsNull::No)
    }
}

impl ToSql<sql::Timestamp, Pg> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let micros = self.0.checked_sub(POSTGRES_EPOCH).ok_or("the time is out of range")?;
        out.write_all(&micros.to_be_bytes())?;
        Ok(IsNull::No)
    }
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self(time.as_micros())
    }
}

impl From<Moment> for Timestamp {
    fn from(moment: Moment) -> Self {
        Self::from_micros(moment.0)
    }
}
