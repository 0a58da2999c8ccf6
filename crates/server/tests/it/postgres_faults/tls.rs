//! TLS to PostgreSQL: what each `sslmode` takes and refuses.

use std::process::Command;

use kith_testkit::postgres::{Mode, Options, Server};
use tempfile::TempDir;

use super::quick;
use crate::support::{kith, output, refuses};

/// Two servers that speak TLS, at two addresses, each with a certificate that is its own authority.
fn servers() -> (Server, Server) {
    let addresses = ("listen_addresses".to_owned(), "127.0.0.1, 127.0.0.2".to_owned());
    let options = || Options { tls: true, settings: vec![addresses.clone()], ..quick() };
    (Server::start(options()), Server::start(options()))
}

fn migrate(dir: &TempDir, url: &str) -> Command {
    let mut command = kith(&dir.path().join("data"));
    command.env("KITH_DATABASE_URL", url).args(["migrate", "up"]);
    command
}

#[test]
fn a_certificate_is_checked_as_far_as_the_url_says() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, other) = servers();
    // Without TLS nobody is let in from here on.
    server.stop(Mode::Fast);
    let only_tls = "hostssl all all all trust\nlocal all all trust\n";
    std::fs::write(server.data_dir().join("pg_hba.conf"), only_tls).unwrap();
    server.start_again();

    let own = server.certificate().unwrap().display().to_string();
    let others = other.certificate().unwrap().display().to_string();
    let url = |options: &str| format!("{}?{options}", server.url("postgres"));
    let refused = |options: &str, why: &str| refuses(migrate(&dir, &url(options)), why);
    let taken = |options: &str| {
        let said = output(migrate(&dir, &url(options)));
        assert!(said.ends_with("is up to date\n"), "{said}");
    };
    refused("sslmode=disable", "no encryption");
    taken("sslmode=prefer");
    taken("sslmode=require");
    // With an authority it is checked, as libpq does.
    taken(&format!("sslmode=require&sslrootcert={own}"));
    refused(&format!("sslmode=require&sslrootcert={others}"), "certificate");
    taken(&format!("sslmode=verify-ca&sslrootcert={own}"));
    refused(&format!("sslmode=verify-ca&sslrootcert={others}"), "certificate");
    taken(&format!("sslmode=verify-full&sslrootcert={own}"));
    refused(&format!("sslmode=verify-full&sslrootcert={others}"), "certificate");
    refused("sslmode=verify-full&sslrootcert=/nowhere.pem", "/nowhere.pem");
    // No authority that this system trusts has signed it.
    refused("sslmode=verify-full", "certificate");

    // The certificate is for localhost and 127.0.0.1, and for no other address of this machine.
    let named = |name: &str, mode: &str| {
        let url = url(&format!("sslmode={mode}&sslrootcert={own}"));
        url.replace("127.0.0.1", name)
    };
    output(migrate(&dir, &named("localhost", "verify-full")));
    refuses(migrate(&dir, &named("127.0.0.2", "verify-full")), "certificate");
    output(migrate(&dir, &named("127.0.0.2", "verify-ca")));
}

#[test]
fn who_asks_for_tls_is_not_served_without() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(quick());
    for mode in ["require", "verify-full"] {
        let url = format!("{}?sslmode={mode}", server.url("postgres"));
        refuses(migrate(&dir, &url), "TLS");
    }
    // Without authorities of one's own, anybody's certificate under any name would do.
    refuses(migrate(&dir, &format!("{}?sslmode=verify-ca", server.url("postgres"))), "sslrootcert");
    output(migrate(&dir, &format!("{}?sslmode=prefer", server.url("postgres"))));
}
