//! The document and the server agree.

use serde_json::json;
use uuid::Uuid;

use crate::support::{Ask as _, TestApp, run};

/// A path with something in the place of each name, that is of the right form and nowhere there.
fn filled(path: &str) -> String {
    let filled = path
        .replace("{id}", &Uuid::from_u128(1).to_string())
        .replace("{user_id}", &Uuid::from_u128(2).to_string())
        .replace("{emoji}", "👍")
        .replace("{code}", "0123456789abcdef");
    assert!(!filled.contains('{'), "{path}");
    filled
}

#[test]
fn every_call_in_the_document_is_answered_by_a_handler() {
    run(async {
        let app = TestApp::start().await;
        let document = app.anonymous().ask("GET", "/openapi.json", None).await.json;
        let paths = document["paths"].as_object().unwrap();
        let mut called = 0;
        for (path, calls) in paths {
            for (method, call) in calls.as_object().unwrap() {
                // Some calls end the session or the account.
                let ann = app.user(&format!("person{called}")).await;
                let filled = filled(path);
                let body = call.get("requestBody").map(|_| json!({}));
                let answer = ann.ask(&method.to_uppercase(), &filled, body).await;
                let what = format!("{method} {path}: {} {}", answer.status, answer.text);
                assert!(![405, 500, 501].contains(&answer.status), "{what}");
                assert_ne!(answer.json["detail"], "there is nothing at this path", "{what}");
                let listed = call["responses"].as_object().unwrap();
                assert!(!listed.is_empty() && call["operationId"].is_string(), "{what}");
                called += 1;
            }
        }
        assert!(called >= 40, "{called}");
    });
}

#[test]
fn what_needs_a_token_in_the_document_needs_one_in_the_server() {
    run(async {
        let app = TestApp::start().await;
        let nobody = app.anonymous();
        let document = nobody.ask("GET", "/openapi.json", None).await.json;
        for (path, calls) in document["paths"].as_object().unwrap() {
            for (method, call) in calls.as_object().unwrap() {
                let filled = filled(path);
                let body = call.get("requestBody").map(|_| json!({}));
                let answer = nobody.ask(&method.to_uppercase(), &filled, body).await;
                let guarded = call["security"].as_array().is_some_and(|it| !it.is_empty());
                assert_eq!(answer.status == 401, guarded, "{method} {path}: {}", answer.text);
            }
        }
    });
}
