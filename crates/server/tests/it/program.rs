//! The program: starting, stopping, its subcommands and what it logs.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Actor, Ask as _, Process, TestApp, ends, kith, output, refuses, run};

const PATIENCE: Duration = Duration::from_secs(20);

fn home() -> (TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    (dir, data)
}

fn with(data: &Path, args: &[&str]) -> Command {
    let mut command = kith(data);
    command.args(args);
    command
}

fn with_env(data: &Path, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = kith(data);
    command.env(name, value);
    command
}

#[test]
fn what_keeps_it_from_starting_is_said_in_one_line() {
    run(async {
        let (_dir, data) = home();
        let process = Process::start(&data);
        let address = process.url().trim_start_matches("http://").to_owned();
        refuses(kith(&data), "another kith is running");
        let (_dir, elsewhere) = home();
        refuses(with_env(&elsewhere, "KITH_LISTEN", &address), "is in use");
        refuses(with_env(&elsewhere, "KITH_LISTEN", "192.0.2.1:1"), "cannot listen on");

        refuses(with_env(&elsewhere, "KITH_JWT_SECRET", "too short"), "at least 32");
        refuses(with_env(&elsewhere, "KITH_LISTEN", "nowhere"), "listen");
        refuses(with_env(&elsewhere, "KITH_LIMITS__SOCKETS_PER_USER", "many"), "sockets_per_user");
        refuses(with_env(&elsewhere, "KITH_DATABASE_URL", "mysql://x"), "KITH_DATABASE_URL");
        refuses(with_env(&elsewhere, "KITH_PUBLIC_URL", "example"), "KITH_PUBLIC_URL");
        refuses(with_env(&elsewhere, "KITH_TRUSTED_PROXIES", "proxy"), "KITH_TRUSTED_PROXIES");
        refuses(with_env(&elsewhere, "KITH_LOG__FILTER", "a=b=c"), "KITH_LOG__FILTER");
        refuses(with_env(&elsewhere, "KITH_CONFIG", "/nowhere/kith.toml"), "/nowhere/kith.toml");
        refuses(with_env(&elsewhere, "KITH_JWT_SECRET_FILE", "/nowhere/secret"), "/nowhere/secret");
        refuses(with(&elsewhere, &["healthcheck", "--url", "http://127.0.0.1:9"]), "not well");

        // A file where the directory should be. (Root may write anywhere, so rights are no test.)
        let file = elsewhere.with_file_name("file");
        fs::write(&file, "").unwrap();
        refuses(kith(&file), "cannot use the data directory");
        refuses(
            with_env(&file, "KITH_DATA_DIR", file.join("data")),
            "cannot use the data directory",
        );

        fs::create_dir_all(&elsewhere).unwrap();
        let toml = elsewhere.with_file_name("kith.toml");
        fs::write(&toml, "[limits]\nmesages_per_second = 1\n").unwrap();
        refuses(kith(&elsewhere), "mesages_per_second");
    });
}

#[test]
fn a_database_it_cannot_use_is_refused_and_left_as_it_is() {
    run(async {
        let (_dir, data) = home();
        fs::create_dir_all(&data).unwrap();
        let database = data.join("kith.db");
        fs::write(&database, "this is no database, however long it is".repeat(100)).unwrap();
        refuses(kith(&data), "damaged");
        assert!(fs::read_to_string(&database).unwrap().starts_with("this is no database"));

        fs::remove_file(&database).unwrap();
        output(with(&data, &["migrate"]));
        let whole = fs::read(&database).unwrap();
        let listed = output(with(&data, &["migrate", "status"]));
        let (_, name) = listed.lines().next().unwrap().split_once("  ").unwrap();
        // Its version as diesel writes it: the digits before the name.
        let version: String = name.split('_').next().unwrap().replace('-', "");
        let newer = format!("9{}", &version[1..]);
        let mut bytes = whole.clone();
        let places: Vec<usize> = bytes
            .windows(version.len())
            .enumerate()
            .filter(|(_, window)| *window == version.as_bytes())
            .map(|(place, _)| place)
            .collect();
        assert!(!places.is_empty(), "{version}");
        for place in places {
            bytes[place..place + version.len()].copy_from_slice(newer.as_bytes());
        }
        fs::write(&database, &bytes).unwrap();
        refuses(kith(&data), "newer version");
        refuses(with(&data, &["migrate"]), "newer version");

        // A page in the middle gone.
        let mut bytes = whole;
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4_096].fill(0xab);
        fs::write(&database, &bytes).unwrap();
        refuses(kith(&data), "damaged");
    });
}

#[test]
fn the_secret_is_made_once_and_is_the_servers_alone() {
    run(async {
        let (_dir, data) = home();
        let process = Process::start(&data);
        let ann = Actor::register(&process.anonymous(), "ann").await;
        let secret = data.join("secret");
        assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
        let before = fs::read(&secret).unwrap();
        process.kill();
        let process = Process::start(&data);
        assert_eq!(fs::read(&secret).unwrap(), before);
        assert_eq!(ann.at(process.url()).client.me().await.unwrap().username, "ann");
    });
}

#[test]
fn settings_come_from_flags_then_environment_then_file() {
    let (_dir, data) = home();
    fs::create_dir_all(&data).unwrap();
    let toml = data.with_file_name("kith.toml");
    fs::write(
        &toml,
        "listen = \"127.0.0.1:1111\"\n\
         jwt_secret = \"a secret of more than thirty-two bytes\"\n\
         [limits]\nmessages_per_second = 7\nsockets_per_user = 8\n",
    )
    .unwrap();
    let line = |text: &str, key: &str| {
        let found = text.lines().find(|line| line.starts_with(&format!("{key} = ")));
        found.unwrap_or_else(|| panic!("{key} in {text}")).to_owned()
    };
    let mut command = with(&data, &["config", "print"]);
    command.env("KITH_LIMITS__SOCKETS_PER_USER", "9").env_remove("KITH_LISTEN");
    command.env_remove("KITH_LIMITS__MESSAGES_PER_SECOND");
    let text = output(command);
    let is = |text: &str, key: &str, value: &str, from: &str| {
        let line = line(text, key);
        assert!(line.starts_with(&format!("{key} = {value}  #")), "{line}");
        assert!(line.contains(from), "{line}");
    };
    is(&text, "listen", "\"127.0.0.1:1111\"", "TOML");
    is(&text, "limits.messages_per_second", "7", "TOML");
    is(&text, "limits.sockets_per_user", "9", "environment");
    is(&text, "jwt_secret", "(hidden)", "TOML");
    is(&text, "sockets.heartbeat_seconds", "25", "default");
    assert!(!text.contains("thirty-two"), "{text}");

    let secret = data.with_file_name("secret.txt");
    fs::write(&secret, "another secret of more than thirty-two bytes\n").unwrap();
    let mut command = with(&data, &["--listen", "127.0.0.1:3333", "config", "print"]);
    command.env("KITH_LISTEN", "127.0.0.1:2222").env("KITH_JWT_SECRET_FILE", &secret);
    let text = output(command);
    is(&text, "listen", "\"127.0.0.1:3333\"", "flag");
    is(&text, "jwt_secret", "(hidden)", "environment");
    assert!(!text.contains("thirty-two"), "{text}");
    let text =
        output(with_env(&data, "KITH_DATABASE_URL", "sqlite:///x/y?key=hunter2").into_printing());
    assert!(!text.contains("hunter2"), "{text}");
}

trait Printing {
    fn into_printing(self) -> Command;
}

impl Printing for Command {
    fn into_printing(mut self) -> Command {
        self.args(["config", "print"]);
        self
    }
}

#[test]
fn what_comes_from_outside_does_not_break_the_lines_of_the_log() {
    run(async {
        let (_dir, data) = home();
        let mut process = Process::spawn(with_env(&data, "KITH_LOG__FORMAT", "pretty"));
        let nobody = process.anonymous();
        nobody
            .ask("GET", "/v1/a%0d%0a2026-01-01T00:00:00Z%20%20INFO%20forged%1b%5b31m", None)
            .await;
        process.terminate();
        process.ended(PATIENCE).await;
        let log = process.log();
        assert!(log.lines().all(|line| !line.starts_with("2026-01-01T00:00:00Z")), "{log}");
        assert!(!log.contains('\u{1b}'), "{log:?}");
    });
}

#[test]
fn its_subcommands_do_what_they_say() {
    run(async {
        let (_dir, data) = home();
        assert_eq!(
            output(with(&data, &["version"])),
            format!("kith {}\n", env!("CARGO_PKG_VERSION"))
        );
        let document: Value = serde_json::from_str(&output(with(&data, &["openapi"]))).unwrap();
        assert!(document["paths"]["/v1/auth/login"].is_object());

        let status = output(with(&data, &["migrate", "status"]));
        assert!(
            !status.is_empty() && status.lines().all(|line| line.starts_with("missing  ")),
            "{status}"
        );
        assert!(output(with(&data, &["migrate"])).contains("is up to date"));
        let status = output(with(&data, &["migrate", "status"]));
        assert!(status.lines().all(|line| line.starts_with("applied  ")), "{status}");
        assert!(output(with(&data, &["migrate", "up"])).contains("is up to date"));

        let process = Process::start(&data);
        let served = process.anonymous().ask("GET", "/openapi.json", None).await.json;
        assert_eq!(served, document);
        assert_eq!(output(with(&data, &["healthcheck", "--url", process.url()])), "ok\n");
        let address = process.url().trim_start_matches("http://");
        assert_eq!(output(with(&data, &["healthcheck", "--listen", address])), "ok\n");
        process.kill();
        assert!(ends(with(&data, &["--help"])).status.success());
        assert_eq!(ends(with(&data, &["fly"])).status.code(), Some(2));
    });
}

#[test]
fn killed_twice_it_starts_again_and_a_server_that_stops_lets_go_of_its_data() {
    run(async {
        let (_dir, data) = home();
        for _ in 0..2 {
            Process::start(&data).kill();
        }
        let mut process = Process::start(&data);
        process.terminate();
        assert_eq!(process.ended(PATIENCE).await.code(), Some(0));
        let app = TestApp::start().await;
        let user = app.user("ann").await;
        assert!(app.data_dir().join("kith.db").exists());
        drop(user);
        app.stop().await;
    });
}
