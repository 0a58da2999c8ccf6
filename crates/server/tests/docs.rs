//! The documents say what the code does: every code, call, frame and setting is in them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All Rust sources under a directory, as one text each.
fn sources(dir: &str) -> Vec<String> {
    let (mut dirs, mut texts) = (vec![root().join(dir)], Vec::new());
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("the directory is there") {
            let path = entry.expect("its entries can be read").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.push(fs::read_to_string(path).expect("sources are text"));
            }
        }
    }
    texts
}

fn is_code(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The text of a string literal, if `source` begins with one that looks like a code.
fn literal(source: &str) -> Option<&str> {
    let text = source.trim_start().strip_prefix('"')?;
    let (text, _) = text.split_once('"')?;
    is_code(text).then_some(text)
}

/// The arguments of a call: what stands between here and the closing bracket, at its commas.
fn arguments(source: &str) -> Vec<&str> {
    let (mut depth, mut start, mut quoted, mut escaped) = (0, 0, false, false);
    let mut found = Vec::new();
    for (at, c) in source.char_indices() {
        if quoted {
            (quoted, escaped) = (escaped || c != '"', !escaped && c == '\\');
            continue;
        }
        match c {
            '"' => quoted = true,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => {
                found.push(&source[start..at]);
                return found;
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&source[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// What stands at some places of the arguments of every call that begins with `call`.
fn codes_in_calls(source: &str, call: &str, places: &[usize], codes: &mut BTreeSet<String>) {
    for (at, _) in source.match_indices(call) {
        let arguments = arguments(&source[at + call.len()..]);
        let named = places.iter().filter_map(|place| literal(arguments.get(*place)?));
        codes.extend(named.map(str::to_owned));
    }
}

/// Every code that an answer or an `error` frame may carry.
fn codes() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    let domain = read("crates/domain/src/error.rs");
    let (_, list) = domain.split_once("fn as_str(self)").expect("Code::as_str is there");
    let (list, _) = list.split_once("\n    }\n").expect("it ends");
    codes.extend(list.split("=>").filter_map(literal).map(str::to_owned));
    assert!(codes.contains("validation_failed") && codes.contains("conflict"), "{codes:?}");
    for source in sources("crates/http/src") {
        // Calls of other types have no code at these places.
        codes_in_calls(&source, "Problem::new(", &[1], &mut codes);
        codes_in_calls(&source, "Self::new(", &[1], &mut codes);
        codes_in_calls(&source, "Problem::field(", &[0, 2], &mut codes);
        codes_in_calls(&source, "Self::busy(", &[0], &mut codes);
    }
    let frames = read("crates/realtime/src/encode.rs");
    let (frames, _) = frames.split_once("#[cfg(test)]").expect("it has tests");
    codes_in_calls(frames, "(", &[0], &mut codes);
    for known in
        ["malformed_json", "bad_handshake", "outcome_unknown", "rate_limited", "duplicate_field"]
    {
        assert!(codes.contains(known), "this test does not find {known} any more: {codes:?}");
    }
    codes
}

#[test]
fn every_code_is_documented() {
    let document = read("docs/api.md");
    let missing: Vec<String> = codes()
        .into_iter()
        .filter(|code| !document.lines().any(|line| line.starts_with(&format!("| `{code}` |"))))
        .collect();
    assert!(missing.is_empty(), "docs/api.md, Errors, has no row for {missing:?}");
}

/// What tests say: those over the network, those of the stores, and what stands after
/// `#[cfg(test)]`, or in a file of tests, beside the code.
fn tests_of_codes() -> String {
    let mut all = sources("crates/server/tests/it").concat();
    all.push_str(&sources("crates/testkit/src/contract").concat());
    for room in ["domain", "app", "http", "realtime"] {
        for source in sources(&format!("crates/{room}/src")) {
            let inner = source.split_once("#[cfg(test)]").map(|(_, tests)| tests);
            let is_tests = source.contains("#[test]") || source.contains("#[tokio::test");
            all.push_str(inner.or(is_tests.then_some(&source)).unwrap_or_default());
        }
    }
    all
}

#[test]
fn every_code_comes_about_in_a_test() {
    let domain = read("crates/domain/src/error.rs");
    let tests = tests_of_codes();
    let missing: Vec<String> = codes()
        .into_iter()
        .filter(|code| {
            // `Self::NotFound => "not_found",`
            let variants = domain.lines().filter_map(|line| line.trim().strip_prefix("Self::"));
            let name = variants
                .filter_map(|line| line.split_once(" => "))
                .find(|(_, text)| literal(text) == Some(code))
                .map(|(name, _)| format!("Code::{name}"));
            let as_variant = name.is_some_and(|name| tests.contains(&name));
            !as_variant && !tests.contains(&format!("\"{code}\""))
        })
        .collect();
    assert!(missing.is_empty(), "no test meets {missing:?}");
}

#[test]
fn every_call_is_documented_and_every_documented_call_is_there() {
    let openapi = serde_json::to_value(kith_http::document()).expect("the document is JSON");
    let paths = openapi["paths"].as_object().expect("it has paths");
    let calls: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(move |(method, _)| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let document = read("docs/api.md");
    let missing: Vec<&String> =
        calls.iter().filter(|call| !document.contains(&format!("`{call}`"))).collect();
    assert!(missing.is_empty(), "docs/api.md does not tell of {missing:?}");
    let told = document.split('`').filter(|text| {
        let path = text
            .split_once(' ')
            .filter(|(method, _)| ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(method));
        path.is_some_and(|(_, path)| path.starts_with("/v1/"))
    });
    let unknown: Vec<&str> = told.filter(|call| !calls.contains(*call)).collect();
    assert!(unknown.is_empty(), "docs/api.md tells of calls that are not there: {unknown:?}");
}

/// The names on the wire of the variants of an enum.
fn variants(source: &str, name: &str) -> Vec<String> {
    let (_, body) = source.split_once(&format!("pub enum {name} {{")).expect("it is there");
    let (body, _) = body.split_once("\n}").expect("it ends");
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    let snake = |name: &str| {
        let mut snake = String::new();
        for c in name.chars() {
            if c.is_ascii_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.push(c.to_ascii_lowercase());
        }
        snake
    };
    names
        .map(|line| snake(line.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or("")))
        .collect()
}

#[test]
fn every_frame_and_close_code_is_documented() {
    let (source, document) = (read("crates/protocol/src/frame.rs"), read("docs/api.md"));
    let mut names = variants(&source, "ClientFrame");
    names.extend(variants(&source, "ServerFrame"));
    assert!(names.iter().any(|name| name == "send_message"), "{names:?}");
    let codes = source.lines().filter_map(|line| line.trim().strip_prefix("pub const "));
    let codes = codes.filter_map(|line| line.split_once(": u16 = "));
    names.extend(codes.map(|(_, code)| code.trim_end_matches(';').to_owned()));
    assert!(names.iter().any(|name| name == "4401"), "{names:?}");
    let told = |name: &str| document.lines().any(|line| line.starts_with(&format!("| `{name}` |")));
    let missing: Vec<&String> = names.iter().filter(|name| !told(name)).collect();
    assert!(missing.is_empty(), "docs/api.md, WebSocket, has no row for {missing:?}");
}

#[test]
fn every_setting_is_documented() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    // In a directory of its own, where no kith.toml is.
    let output = Command::new(env!("CARGO_BIN_EXE_kith"))
        .args(["config", "print"])
        .current_dir(dir.path())
        .output()
        .expect("kith runs");
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).expect("it prints text");
    let document = read("docs/operations.md");
    let names: Vec<&str> =
        printed.lines().filter_map(|line| line.split("# ").nth(1)?.split(',').next()).collect();
    assert!(names.contains(&"KITH_LISTEN"), "{printed}");
    let missing: Vec<&&str> =
        names.iter().filter(|name| !document.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/operations.md does not tell of {missing:?}");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut documents: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .iter()
        .map(|name| root().join(name))
        .collect();
    for dir in ["docs", "docs/adr"] {
        let entries = fs::read_dir(root().join(dir)).expect("there are documents");
        let paths = entries.map(|entry| entry.expect("it can be read").path());
        documents.extend(paths.filter(|path| path.extension().is_some_and(|it| it == "md")));
    }
    let mut broken = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).expect("documents are text");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            let here = document.parent().expect("it is in a directory").join(path);
            if !path.is_empty() && !path.contains("://") && !here.exists() {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
