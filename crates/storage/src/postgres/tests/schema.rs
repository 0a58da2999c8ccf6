//! One schema, two databases: each column is there, of its type, and no other.

use diesel::{
    connection::SimpleConnection as _,
    debug_query,
    pg::Pg,
    prelude::*,
    query_builder::QueryFragment,
    sql_types::{BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text},
};

use super::ground::Ground;
use crate::{schema, sqlite, types::sql};

/// What a type of the schema is on each database.
trait Native {
    const POSTGRES: &'static str;
    const SQLITE: &'static str;
    const NULLABLE: bool = false;
}

macro_rules! native {
    ($($type:ty: $postgres:literal, $sqlite:literal;)*) => {$(
        impl Native for $type {
            const POSTGRES: &'static str = $postgres;
            const SQLITE: &'static str = $sqlite;
        }
    )*};
}

native! {
    SmallInt: "smallint", "INTEGER";
    Integer: "integer", "INTEGER";
    BigInt: "bigint", "INTEGER";
    Bool: "boolean", "INTEGER";
    Text: "text", "TEXT";
    Binary: "bytea", "BLOB";
    sql::Id: "uuid", "BLOB";
    sql::Timestamp: "timestamp with time zone", "INTEGER";
}

impl<T: Native> Native for Nullable<T>
where
    T: diesel::sql_types::SqlType<IsNull = diesel::sql_types::is_nullable::NotNull>,
{
    const POSTGRES: &'static str = T::POSTGRES;
    const SQLITE: &'static str = T::SQLITE;
    const NULLABLE: bool = true;
}

/// Columns as the schema has them: type on PostgreSQL, type on SQLite, whether it may be null.
trait Columns {
    fn types() -> Vec<(&'static str, &'static str, bool)>;
}

macro_rules! columns {
    ($first:ident $($rest:ident)*) => {
        impl<$first: Native, $($rest: Native),*> Columns for ($first, $($rest,)*) {
            fn types() -> Vec<(&'static str, &'static str, bool)> {
                vec![
                    ($first::POSTGRES, $first::SQLITE, $first::NULLABLE),
                    $(($rest::POSTGRES, $rest::SQLITE, $rest::NULLABLE),)*
                ]
            }
        }
        columns!($($rest)*);
    };
    () => {};
}

columns!(A B C D E F G H I J K L M N O P Q R);

/// The names of the columns of a query for all of them, in their order.
fn names(query: &impl QueryFragment<Pg>) -> Vec<String> {
    // SELECT "users"."id", … FROM "users"
    let sql = debug_query::<Pg, _>(query).to_string();
    let list = sql.split(" FROM ").next().unwrap();
    list.split(", ").map(|column| column.split('"').nth(3).unwrap().to_owned()).collect()
}

/// `table.column type` and `NOT NULL`, of each column of the schema on each database.
fn expected() -> [Vec<String>; 2] {
    let mut all = [Vec::new(), Vec::new()];
    macro_rules! describe {
        ($($table:ident)*) => {$({
            let names = names(&schema::$table::table.select(schema::$table::all_columns));
            let types = <schema::$table::SqlType as Columns>::types();
            assert_eq!(names.len(), types.len());
            for (name, (postgres, sqlite, nullable)) in names.iter().zip(types) {
                let end = if nullable { "" } else { " NOT NULL" };
                let table = stringify!($table);
                all[0].push(format!("{table}.{name} {postgres}{end}"));
                all[1].push(format!("{table}.{name} {sqlite}{end}"));
            }
        })*};
    }
    describe!(store users user_words last_seen sessions conversations heads members messages);
    describe!(reactions receipts blocks invites channel_words);
    all.map(|mut columns| {
        columns.sort();
        columns
    })
}

/// What only PostgreSQL has: other nodes read it, and nothing but statements written by hand.
const CHANGES: [&str; 8] = [
    "changes.befores bigint[]",
    "changes.changed bigint NOT NULL",
    "changes.conversations uuid[] NOT NULL",
    "changes.made_at timestamp with time zone NOT NULL",
    "changes.people uuid[]",
    "changes.sessions uuid[]",
    "changes.versions bigint[] NOT NULL",
    "store.forgotten bigint NOT NULL",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_has_the_columns_of_the_schema_and_no_other() {
    let ground = Ground::new().await;
    let columns = "SELECT relname || '.' || attname || ' ' || format_type(atttypid, atttypmod) \
                   || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END \
                   FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
                   WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace \
                   AND relname NOT LIKE '\\_\\_%' AND attnum > 0 AND NOT attisdropped";
    let mut found = ground.raw().await.lines(columns).await;
    found.sort();
    let [mut expected, _] = expected();
    expected.extend(CHANGES.map(String::from));
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn sqlite_has_the_columns_of_the_schema_and_no_other() {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        line: String,
    }

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kith.db");
    drop(sqlite::Sqlite::open(&path, sqlite::Options::default()).unwrap());
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    connection.batch_execute("PRAGMA query_only = 1").unwrap();
    let columns = "SELECT tables.name || '.' || columns.name || ' ' || columns.type \
                   || CASE WHEN \"notnull\" THEN ' NOT NULL' ELSE '' END AS line \
                   FROM pragma_table_list AS tables, pragma_table_info(tables.name) AS columns \
                   WHERE tables.schema = 'main' AND tables.type = 'table' \
                   AND tables.name NOT LIKE '\\_\\_%' ESCAPE '\\' \
                   AND tables.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let lines: Vec<Line> = diesel::sql_query(columns).load(&mut connection).unwrap();
    let mut found: Vec<_> = lines.into_iter().map(|line| line.line).collect();
    found.sort();
    let [_, expected] = expected();
    assert_eq!(found, expected);
}
