//! Which room may know which: the arrows of docs/architecture.md.

use std::{collections::BTreeSet, path::Path};

use cargo_metadata::{Dependency, DependencyKind, Metadata, MetadataCommand, Package};

/// Every arrow there may be: a room, and the rooms it may know.
const ARROWS: &[(&str, &[&str])] = &[
    ("kith-domain", &[]),
    ("kith-ports", &["kith-domain"]),
    ("kith-app", &["kith-domain", "kith-ports"]),
    // Only with its feature `domain`; see the test below.
    ("kith-protocol", &["kith-domain"]),
    ("kith-storage", &["kith-domain", "kith-ports"]),
    ("kith-security", &["kith-domain", "kith-ports"]),
    ("kith-realtime", &["kith-domain", "kith-ports", "kith-protocol"]),
    // Files alone: the client is not Rust, and speaks to the server as any other does.
    ("kith-web", &[]),
    ("kith-http", &["kith-domain", "kith-ports", "kith-app", "kith-protocol", "kith-web"]),
    ("kith-client", &["kith-protocol"]),
    (
        "kith-server",
        &[
            "kith-domain",
            "kith-ports",
            "kith-app",
            "kith-protocol",
            "kith-storage",
            "kith-security",
            "kith-realtime",
            "kith-http",
            "kith-client",
        ],
    ),
    (BENCH, &["kith-client", "kith-protocol", TESTKIT]),
];

/// What tests share. It may know all, and only tests and the bench may know it.
const TESTKIT: &str = "kith-testkit";

/// What measures Kith: a tool of its builders, which is never shipped.
const BENCH: &str = "kith-bench";

/// Crates from outside that some rooms alone may know.
const OUTSIDERS: &[(IsMeant, &[&str])] = &[
    (|name| name.starts_with("diesel") || name == "libsqlite3-sys", &["kith-storage", BENCH]),
    (|name| name.starts_with("actix"), &["kith-http", "kith-server"]),
    (|name| name.starts_with("utoipa-"), &["kith-http"]),
    (|name| name == "reqwest" || name == "tokio-tungstenite", &["kith-client"]),
    (|name| name == "argon2" || name == "jsonwebtoken", &["kith-security"]),
];

/// Whether a crate of this name is meant.
type IsMeant = fn(&str) -> bool;

fn workspace() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .other_options([String::from("--offline")])
        .exec()
        .expect("cargo metadata tells of the workspace")
}

/// What is built into a package, tests aside.
fn built_in(package: &Package) -> impl Iterator<Item = &Dependency> {
    package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development)
}

fn dependency<'a>(metadata: &'a Metadata, from: &str, to: &str) -> &'a Dependency {
    let package = metadata.packages.iter().find(|package| package.name.as_str() == from);
    let package = package.unwrap_or_else(|| panic!("there is no package {from}"));
    let found = built_in(package).find(|dependency| dependency.name == to);
    found.unwrap_or_else(|| panic!("{from} does not depend on {to}"))
}

#[test]
fn every_room_knows_only_those_it_may() {
    let metadata = workspace();
    let rooms: BTreeSet<&str> = metadata.packages.iter().map(|it| it.name.as_str()).collect();
    let mut wrong = Vec::new();
    for package in metadata.packages.iter().filter(|package| package.name.as_str() != TESTKIT) {
        let from = package.name.as_str();
        let Some((_, allowed)) = ARROWS.iter().find(|(room, _)| *room == from) else {
            wrong.push(format!("{from} has no place in the picture yet"));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|it| rooms.contains(&*it.name)) {
            let to = dependency.name.as_str();
            let in_tests = dependency.kind == DependencyKind::Development;
            if !(allowed.contains(&to) || (in_tests && to == TESTKIT)) {
                wrong.push(format!("{from} -> {to} ({:?})", dependency.kind));
            }
        }
    }
    for (room, _) in ARROWS {
        if !rooms.contains(room) {
            wrong.push(format!("{room} is in the picture, but not there"));
        }
    }
    assert!(wrong.is_empty(), "see docs/architecture.md for the arrows there are:\n{wrong:#?}");
}

#[test]
fn the_testkit_is_in_nothing_that_is_shipped() {
    let metadata = workspace();
    let users: Vec<&str> = metadata
        .packages
        .iter()
        .filter(|package| built_in(package).any(|dependency| dependency.name == TESTKIT))
        .map(|package| package.name.as_str())
        .filter(|name| *name != BENCH)
        .collect();
    assert!(users.is_empty(), "{TESTKIT} is more than a dev-dependency of {users:?}");
}

#[test]
fn the_protocol_stands_alone_unless_asked() {
    let metadata = workspace();
    assert!(dependency(&metadata, "kith-protocol", "kith-domain").optional);
    let of_client = dependency(&metadata, "kith-client", "kith-protocol");
    assert!(
        !of_client.features.iter().any(|feature| feature == "domain"),
        "a client needs the wire, not the domain"
    );
}

#[test]
fn outsiders_are_known_to_their_rooms_alone() {
    let metadata = workspace();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        for dependency in built_in(package) {
            for (is_meant, rooms) in OUTSIDERS {
                let from = package.name.as_str();
                if is_meant(&dependency.name) && !rooms.contains(&from) {
                    wrong.push(format!("{from} -> {}", dependency.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "these crates belong to one room each:\n{wrong:#?}");
}
