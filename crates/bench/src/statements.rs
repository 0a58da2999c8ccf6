//! What PostgreSQL was asked, as `pg_stat_statements` counts it.

use crate::{Result, ceilings::pgbench::Postgres};

/// So much of each statement is enough to know it by.
const GIST: usize = 80;

/// Which statements there were in one database, and how often, most first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statements(Vec<(String, u64)>);

impl Statements {
    /// Forgets what was counted so far, in all databases.
    pub(crate) fn forget(postgres: &Postgres) -> Result<()> {
        postgres.ask("postgres", "SELECT pg_stat_statements_reset()").map(drop)
    }

    /// Those that clients gave since then; what a function does in turn is not counted.
    pub(crate) fn in_database(postgres: &Postgres, name: &str) -> Result<Self> {
        let told = postgres.ask(
            "postgres",
            &format!(
                "SELECT calls || ' ' || regexp_replace(query, '\\s+', ' ', 'g') \
                 FROM pg_stat_statements WHERE toplevel \
                 AND dbid = (SELECT oid FROM pg_database WHERE datname = '{name}')"
            ),
        )?;
        Ok(Self::read(&told))
    }

    /// Out of lines of a number and a statement.
    fn read(told: &str) -> Self {
        let mut all: Vec<(String, u64)> = Vec::new();
        for line in told.lines() {
            let Some((calls, text)) = line.split_once(' ') else { continue };
            let Ok(calls) = calls.parse::<u64>() else { continue };
            let gist = gist(text);
            match all.iter_mut().find(|(known, _)| *known == gist) {
                Some((_, count)) => *count += calls,
                None => all.push((gist, calls)),
            }
        }
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Self(all)
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    pub(crate) fn most_first(&self) -> &[(String, u64)] {
        &self.0
    }
}

/// What a statement does and to which tables: `SELECT members, heads`.
fn gist(statement: &str) -> String {
    let is_between = |c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | ';');
    let words: Vec<&str> = statement.split(is_between).filter(|word| !word.is_empty()).collect();
    let is = |word: &str, names: &[&str]| names.iter().any(|it| word.eq_ignore_ascii_case(it));
    let mut tables: Vec<&str> = Vec::new();
    for pair in words.windows(2) {
        let table = pair[1].trim_matches('"');
        if is(pair[0], &["from", "join", "into", "update"])
            && table.starts_with(|c: char| c.is_ascii_lowercase())
            && !is(table, &["select", "lateral", "only", "of", "skip", "nowait", "set"])
            && !tables.contains(&table)
        {
            tables.push(table);
        }
    }
    let verb = words.first().map_or("", |word| *word).to_ascii_uppercase();
    let text = match tables[..] {
        // Neither a table nor a function that is read like one: it is short, or says more by itself.
        [] => words.join(" "),
        _ => format!("{verb} {}", tables.join(", ")),
    };
    match text.char_indices().nth(GIST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_known_by_what_it_does_to_what() {
        let text =
            r#"SELECT "sessions"."id" FROM "sessions" WHERE ("sessions"."id" = $1) FOR UPDATE"#;
        assert_eq!(gist(text), "SELECT sessions");
        let text =
            "select m.x from members m join heads h on true left join (select 1 from members) x";
        assert_eq!(gist(text), "SELECT members, heads");
        assert_eq!(
            gist("INSERT INTO changes (a) SELECT b FROM unnest($1)"),
            "INSERT changes, unnest"
        );
        assert_eq!(gist("BEGIN"), "BEGIN");
        assert_eq!(gist("SELECT pg_current_xact_id()"), "SELECT pg_current_xact_id");
        assert_eq!(gist(&"word ".repeat(50)).chars().count(), GIST + 1);
    }

    #[test]
    fn the_same_is_counted_together_and_the_most_comes_first() {
        let told = "2 SELECT a FROM users\n3 COMMIT\n4 SELECT b FROM users\n\nnonsense";
        let statements = Statements::read(told);
        let expected = [("SELECT users".to_owned(), 6), ("COMMIT".to_owned(), 3)];
        assert_eq!((statements.total(), statements.most_first()), (9, &expected[..]));
    }
}
