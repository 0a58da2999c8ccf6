//! Databases that cannot be used: one clear line, no panic, and nothing changed.

use std::process::Command;

use kith_testkit::postgres::{Options, Server};
use tempfile::TempDir;

use super::{app_at, quick};
use crate::support::{Process, kith, output, refuses, run};

const PASSWORD: &str = "hunter2/@:";

/// The program on this database, told to do this.
fn with(dir: &TempDir, url: &str, args: &[&str]) -> Command {
    let mut command = kith(&dir.path().join("data"));
    command.env("KITH_DATABASE_URL", url).args(args);
    command
}

/// Nothing that needs the database works, and each says why in a line that gives no password away.
fn all_refuse(dir: &TempDir, url: &str, why: &str) {
    for args in [&["serve"][..], &["migrate", "up"], &["migrate", "status"]] {
        let said = refuses(with(dir, url, args), why);
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn an_address_that_leads_nowhere_is_told_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, why) in [
        (
            &*format!("postgres://kith:hunter2@{nobody}/kith"),
            "cannot reach PostgreSQL at 127.0.0.1",
        ),
        (
            "postgres://kith:hunter2@nowhere.invalid/kith",
            "cannot reach PostgreSQL at nowhere.invalid",
        ),
        ("postgres://kith:hunter2@/kith?host=/nowhere", "cannot reach PostgreSQL at /nowhere"),
        ("postgresql+x://kith:hunter2@localhost/kith", "KITH_DATABASE_URL"),
        ("mysql://kith:hunter2@localhost/kith", "KITH_DATABASE_URL"),
        ("postgres://kith:hunter2@localhost/kith?sslmode=perhaps", "sslmode `perhaps`"),
        ("postgres://kith:hunter2@localhost:port/kith", "postgres://user:password@host:5432/name"),
        ("postgres://kith:hunter2@localhost/kith?colour=red", "colour"),
        ("postgres://", "names no host"),
    ] {
        all_refuse(&dir, url, why);
    }
}

#[test]
fn who_is_not_let_in_is_told_so_and_no_password_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { password: Some(PASSWORD.to_owned()), ..quick() };
    let server = Server::start(options);
    let right = server.url("postgres");
    let (before, at) = right.rsplit_once('@').unwrap();
    let (user, _) = before.rsplit_once(':').unwrap();
    all_refuse(&dir, &format!("{user}:hunter2wrong@{at}"), "password authentication failed");
    all_refuse(&dir, &format!("{user}@{at}"), "password");
    all_refuse(&dir, &right.replace("kith:", "stranger:"), "password authentication failed");
    all_refuse(&dir, &server.url("missing"), "database \"missing\" does not exist");

    let shown = output(with(&dir, &right, &["config", "print"]));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("database_url = (hidden)  # KITH_DATABASE_URL, environment"), "{shown}");
    let said = output(with(&dir, &right, &["migrate", "up"]));
    assert!(said.contains("/postgres is up to date") && !said.contains("hunter2"), "{said}");
    let mut serving = with(&dir, &right, &["serve"]);
    serving.env("KITH_LOG__FILTER", "trace");
    let log = Process::spawn(serving).log();
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_database_that_one_may_not_change_is_told_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(quick());
    server.execute("postgres", "CREATE ROLE guest LOGIN").unwrap();
    server.execute("postgres", "REVOKE CREATE ON SCHEMA public FROM PUBLIC").unwrap();
    let guest = server.url("postgres").replace("kith@", "guest@");
    refuses(with(&dir, &guest, &["migrate", "up"]), "permission denied for schema public");
    refuses(with(&dir, &guest, &["serve"]), "permission denied for schema public");

    // As a standby is.
    let read_only = "ALTER DATABASE postgres SET default_transaction_read_only = on";
    server.execute("postgres", read_only).unwrap();
    all_refuse(&dir, &server.url("postgres"), "takes no writes");
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(quick());
    server.pause();
    all_refuse(&dir, &server.url("postgres"), "cannot reach PostgreSQL");
}

#[test]
fn it_needs_no_rights_but_those_of_the_owner_of_its_database() {
    run(async {
        let server = Server::start(quick());
        server.execute("postgres", "CREATE ROLE owner LOGIN").unwrap();
        server.execute("postgres", "CREATE DATABASE owned OWNER owner").unwrap();
        let url = server.url("owned").replace("kith@", "owner@");
        let app = app_at(url, |_| {}).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        ann.send(group, "hello").await;
        let synced = bob.client.sync(None, None).await.unwrap();
        assert_eq!(synced.conversations.len(), 1);
        ann.client.delete_group(group).await.unwrap();
        let synced = bob.client.sync(Some(&synced.token), None).await.unwrap();
        assert_eq!(synced.removed, [group]);
    });
}

#[test]
fn migrations_are_listed_and_run_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(quick());
    let url = server.url("postgres");
    let status = || output(with(&dir, &url, &["migrate", "status"]));
    let all_are = |state: &str| {
        let listed = status();
        assert!(!listed.is_empty() && listed.lines().all(|it| it.starts_with(state)), "{listed}");
    };
    all_are("missing  ");
    // To look changes nothing.
    all_are("missing  ");
    for _ in 0..2 {
        let said = output(with(&dir, &url, &["migrate", "up"]));
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.ends_with("/postgres is up to date\n"), "{said}");
        all_are("applied  ");
    }
}

#[test]
fn many_that_migrate_an_empty_database_at_once_all_succeed() {
    let server = Server::start(quick());
    let url = server.url("postgres");
    let migrating: Vec<_> = (0..4)
        .map(|_| {
            let url = url.clone();
            std::thread::spawn(move || {
                let dir = tempfile::tempdir().unwrap();
                output(with(&dir, &url, &["migrate", "up"]))
            })
        })
        .collect();
    for said in migrating {
        let said = said.join().unwrap();
        assert!(said.contains("is up to date"), "{said}");
    }
}

#[test]
fn a_database_that_is_newer_or_anothers_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(quick());
    let url = server.url("postgres");
    output(with(&dir, &url, &["migrate", "up"]));
    server
        .execute(
            "postgres",
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')",
        )
        .unwrap();
    refuses(with(&dir, &url, &["serve"]), "run a newer version");
    refuses(with(&dir, &url, &["migrate", "up"]), "99990101000000");
    // What is there can be looked at still.
    let status = output(with(&dir, &url, &["migrate", "status"]));
    assert!(status.contains("99990101000000"), "{status}");

    // Diesel's table, of another program.
    server.execute("postgres", "CREATE DATABASE foreign_one").unwrap();
    let ledger = "CREATE TABLE __diesel_schema_migrations (version text PRIMARY KEY);
                  INSERT INTO __diesel_schema_migrations VALUES ('20200101000000')";
    server.execute("foreign_one", ledger).unwrap();
    let url = server.url("foreign_one");
    refuses(with(&dir, &url, &["serve"]), "another program");
    refuses(with(&dir, &url, &["migrate", "up"]), "another program");
    let tables = "DO $$ BEGIN ASSERT 1 = (SELECT count(*) FROM pg_tables
                  WHERE schemaname = 'public'), 'tables were made'; END $$";
    server.execute("foreign_one", tables).unwrap();
}
