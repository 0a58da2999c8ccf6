//! What calls of a form are refused with, whatever they do: it is said here once, for all of them.

use utoipa::{
    Modify,
    openapi::{
        OpenApi, Ref, RefOr, Required,
        content::Content,
        path::Operation,
        response::{Response, Responses},
    },
};

use super::operations_of;

/// Adds to each call what reading it, and knowing who asks, may be refused with.
pub(super) struct Refusals;

impl Modify for Refusals {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            // What the server says of itself takes nothing.
            if !path.starts_with("/v1/") {
                continue;
            }
            for operation in operations_of(item) {
                for (status, codes) in common(operation) {
                    declare(&mut operation.responses, status, &codes);
                }
            }
        }
    }
}

/// By status, the codes of what is refused before a call does anything.
fn common(operation: &Operation) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut form = vec!["validation_failed", "unknown_field", "invalid_text"];
    let mut refusals = Vec::new();
    let mut parameters = operation.parameters.iter().flatten();
    if parameters.any(|it| matches!(it, RefOr::T(parameter) if parameter.name == "cursor")) {
        form.push("invalid_cursor");
    }
    if let Some(RefOr::T(body)) = &operation.request_body {
        form.extend(["malformed_json", "bad_request"]);
        refusals.push(("408", vec!["request_timeout"]));
        refusals.push(("413", vec!["payload_too_large"]));
        // Where a body may be left out, nothing need say what it is.
        if matches!(body.required, Some(Required::True)) {
            refusals.push(("415", vec!["unsupported_media_type"]));
        }
    }
    refusals.push(("400", form));
    if operation.security.is_some() {
        refusals.push(("401", vec!["unauthenticated"]));
        refusals.push(("429", vec!["rate_limited"]));
    }
    refusals
}

/// Lists `codes` under a status, beside those that are listed there.
fn declare(responses: &mut Responses, status: &str, codes: &[&str]) {
    let response = responses.responses.entry(status.to_owned()).or_insert_with(|| {
        let mut response = Response::new("");
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        response.content.insert("application/json".to_owned(), problem.into());
        RefOr::T(response)
    });
    let RefOr::T(response) = response else { return };
    let missing: Vec<String> = codes
        .iter()
        .map(|code| format!("`{code}`"))
        .filter(|code| !response.description.contains(code.as_str()))
        .collect();
    let (said, more) = (&mut response.description, missing.join(", "));
    if !said.is_empty() && !more.is_empty() {
        said.push_str("; ");
    }
    said.push_str(&more);
}
