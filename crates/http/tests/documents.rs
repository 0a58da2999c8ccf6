//! The documents that are checked in are those of the code.
//!
//! `KITH_WRITE_DOCUMENTS=1 cargo test -p kith-http --test documents` writes them anew.

use std::{fs, path::Path};

use serde_json::Value;

#[expect(clippy::panic, reason = "a test says what is wrong, and what to do")]
fn agrees(name: &str, document: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    let mut text = serde_json::to_string_pretty(&sorted(document)).expect("a document is JSON");
    text.push('\n');
    if std::env::var_os("KITH_WRITE_DOCUMENTS").is_some() {
        fs::write(&path, &text).expect("the document can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    if kept == text {
        return;
    }
    let differs = kept.lines().zip(text.lines()).position(|(kept, now)| kept != now);
    let line = differs.map_or(kept.lines().count(), |line| line) + 1;
    panic!(
        "docs/{name} is not what the code says, from line {line} on; write it anew with \
         `KITH_WRITE_DOCUMENTS=1 cargo test -p kith-http --test documents`"
    );
}

/// The same in the order of names, whichever order objects are kept in.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            fields.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_openapi_document_is_that_of_the_code() {
    let document = serde_json::to_value(kith_http::document()).expect("a document is JSON");
    agrees("openapi.json", &document);
}

#[test]
fn the_asyncapi_document_is_that_of_the_code() {
    agrees("asyncapi.json", &kith_http::asyncapi::document());
}
