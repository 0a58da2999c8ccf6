use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::Value;

use super::*;
use crate::schema::agrees;

/// The document, and its calls.
struct Read {
    document: Value,
}

impl Read {
    fn new() -> Self {
        Self { document: serde_json::to_value(document()).unwrap() }
    }

    fn calls(&self) -> impl Iterator<Item = (String, &Value)> {
        let paths = self.document["paths"].as_object().unwrap();
        paths.iter().flat_map(|(path, calls)| {
            let calls = calls.as_object().unwrap().iter();
            calls.map(move |(method, call)| (format!("{} {path}", method.to_uppercase()), call))
        })
    }

    /// What a call says of its answers with a status.
    fn told(&self, call: &str, status: u16) -> &str {
        let (method, path) = call.split_once(' ').unwrap();
        let answers = &self.document["paths"][path][method.to_lowercase()]["responses"];
        answers[status.to_string()]["description"].as_str().unwrap_or_default()
    }

    fn names(&self) -> BTreeSet<String> {
        self.calls().map(|(name, _)| name).collect()
    }
}

/// Whether a call is in the document, under its own name or under one of the others it has.
fn is_listed(listed: &BTreeSet<String>, call: &str) -> bool {
    let (method, path) = call.split_once(' ').unwrap();
    let names = |path: &str, bases: &[&str]| {
        let kinds = ["/v1/chats", "/v1/conversations", "/v1/groups", "/v1/channels"];
        let rest = kinds.iter().find_map(|base| path.strip_prefix(base)).map(str::to_owned);
        rest.is_some_and(|rest| {
            bases.iter().any(|base| listed.contains(&format!("{method} {base}{rest}")))
        })
    };
    if listed.contains(call) {
        return true;
    }
    match (method, path) {
        // Deleting means two things.
        ("DELETE", "/v1/groups/{id}" | "/v1/channels/{id}") => false,
        ("POST", "/v1/users/register") => listed.contains("POST /v1/auth/register"),
        ("POST", "/v1/users/login") => listed.contains("POST /v1/auth/login"),
        (_, path) if path.starts_with("/v1/chats") => {
            names(path, &["/v1/conversations", "/v1/groups", "/v1/channels"])
        }
        _ if path.contains("/{id}") => {
            names(path, &["/v1/conversations", "/v1/groups", "/v1/channels"])
        }
        _ => false,
    }
}

#[test]
fn every_call_of_the_table_is_in_the_document() {
    let listed = Read::new().names();
    let missing: Vec<String> = crate::calls()
        .iter()
        .map(|(method, path)| format!("{method} {path}"))
        .filter(|call| !is_listed(&listed, call))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_call_of_the_document_is_in_the_table() {
    let answered: BTreeSet<String> =
        crate::calls().iter().map(|(method, path)| format!("{method} {path}")).collect();
    let unknown: Vec<String> =
        Read::new().names().into_iter().filter(|call| !answered.contains(call)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn a_call_that_nobody_listed_is_missed() {
    let listed = Read::new().names();
    assert!(!is_listed(&listed, "POST /v1/conversations/{id}/fly"));
    assert!(!is_listed(&listed, "GET /v1/weather"));
    assert!(is_listed(&listed, "PUT /v1/channels/{id}/read"));
}

#[test]
fn every_call_has_a_name_of_its_own() {
    let read = Read::new();
    let mut names = BTreeSet::new();
    for (call, operation) in read.calls() {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{call}: {name}");
        assert!(operation["summary"].is_string() || operation["description"].is_string(), "{call}");
    }
}

#[test]
fn every_call_has_an_example_of_what_it_takes_and_gives() {
    let read = Read::new();
    for (call, operation) in read.calls() {
        let body = operation["requestBody"]["content"].as_object().into_iter().flatten();
        let answers = operation["responses"].as_object().unwrap().iter();
        let answers = answers
            .filter(|(status, _)| status.starts_with('2'))
            .flat_map(|(_, response)| response["content"].as_object().into_iter().flatten());
        for (_, content) in body.chain(answers).filter(|(_, content)| !content["schema"].is_null())
        {
            let example = &content["example"];
            assert!(example.is_object(), "{call} has no example");
            assert!(agrees(&read.document, &content["schema"], example), "{call}: {example:#}");
        }
    }
}

#[test]
fn errors_have_the_type_of_problem_documents() {
    let read = Read::new();
    for (call, operation) in read.calls() {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let problem = &response["content"]["application/json"]["schema"]["$ref"];
            assert_ne!(problem, "#/components/schemas/Problem", "{call} {status}");
        }
    }
}

#[test]
fn what_is_refused_before_a_call_does_anything_is_listed_under_each() {
    let read = Read::new();
    for (call, operation) in read.calls().filter(|(call, _)| call.contains(" /v1/")) {
        let lists = |status, code: &str| {
            let told = read.told(&call, status);
            assert!(told.contains(&format!("`{code}`")), "{call} {status}: {told}");
        };
        lists(400, "validation_failed");
        lists(400, "unknown_field");
        if operation["security"].is_array() {
            lists(401, "unauthenticated");
            lists(429, "rate_limited");
        }
        let mut parameters = operation["parameters"].as_array().into_iter().flatten();
        if parameters.any(|parameter| parameter["name"] == "cursor") {
            lists(400, "invalid_cursor");
        }
        if operation["requestBody"].is_object() {
            lists(400, "malformed_json");
            lists(413, "payload_too_large");
        }
    }
}

#[test]
fn no_code_is_listed_twice_under_a_status() {
    let read = Read::new();
    for (call, operation) in read.calls() {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let told = response["description"].as_str().unwrap();
            assert!(!told.is_empty(), "{call} {status}");
            if status.starts_with('4') {
                let codes: Vec<&str> = told.split('`').skip(1).step_by(2).collect();
                let different: BTreeSet<&str> = codes.iter().copied().collect();
                assert_eq!(codes.len(), different.len(), "{call} {status}: {told}");
            }
        }
    }
}

#[rstest]
#[case("POST /v1/conversations", 403, &["blocked", "peer_deleted"])]
#[case("POST /v1/conversations", 409, &["too_many_members"])]
#[case("DELETE /v1/conversations/dm/{user_id}", 404, &["not_found"])]
#[case("PATCH /v1/conversations/{id}", 404, &["not_found"])]
#[case("PATCH /v1/conversations/{id}", 409, &["wrong_kind", "conflict"])]
#[case("POST /v1/groups", 403, &["blocked"])]
#[case("POST /v1/groups", 409, &["too_many_members"])]
#[case("DELETE /v1/channels/{id}", 409, &["conflict"])]
#[case("POST /v1/groups/{id}/leave", 404, &["not_found"])]
#[case("DELETE /v1/groups/{id}/leave", 409, &["last_owner", "conflict"])]
#[case("POST /v1/channels/{id}/leave", 404, &["not_found"])]
#[case("POST /v1/conversations/{id}/members", 403, &["forbidden", "blocked"])]
#[case("POST /v1/conversations/{id}/members", 404, &["not_found"])]
#[case("PATCH /v1/conversations/{id}/members/{user_id}", 404, &["not_found"])]
#[case("DELETE /v1/conversations/{id}/members/{user_id}", 409, &["last_owner", "wrong_kind"])]
#[case("GET /v1/conversations/{id}/invites", 409, &["wrong_kind"])]
#[case("DELETE /v1/conversations/{id}/invites/{code}", 409, &["wrong_kind"])]
#[case("GET /v1/messages", 400, &["self"])]
#[case("POST /v1/conversations/{id}/messages", 403, &["not_a_member", "forbidden", "peer_deleted", "blocked"])]
#[case("PATCH /v1/messages/{id}", 403, &["forbidden", "edit_window", "blocked"])]
#[case("PATCH /v1/messages/{id}", 404, &["not_found"])]
#[case("DELETE /v1/messages/{id}", 404, &["not_found"])]
#[case("PUT /v1/messages/{id}/pin", 403, &["forbidden", "blocked"])]
#[case("DELETE /v1/messages/{id}/pin", 403, &["forbidden", "blocked"])]
#[case("DELETE /v1/messages/{id}/pin", 409, &["message_deleted"])]
#[case("PUT /v1/messages/{id}/reactions/{emoji}", 403, &["blocked", "forbidden"])]
#[case("DELETE /v1/messages/{id}/reactions/{emoji}", 403, &["blocked", "forbidden"])]
#[case("DELETE /v1/messages/{id}/reactions/{emoji}", 409, &["message_deleted"])]
#[case("DELETE /v1/users/me", 400, &["validation_failed"])]
fn a_call_lists_what_it_is_refused_with(
    #[case] call: &str,
    #[case] status: u16,
    #[case] codes: &[&str],
) {
    let read = Read::new();
    let told = read.told(call, status);
    let missing: Vec<&&str> =
        codes.iter().filter(|code| !told.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "{missing:?} in {told:?}");
}
