use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::testing::{FakeServer, login, me, problem};

fn pair(access: &str, refresh: &str) -> Tokens {
    Tokens { access: access.into(), refresh: refresh.into() }
}

#[rstest]
#[case("ftp://example.org")]
#[case("example.org")]
#[case("")]
fn what_is_no_address_is_refused(#[case] url: &str) {
    assert!(matches!(Client::new(url), Err(Error::Url(_))), "{url}");
}

#[test]
fn tokens_are_never_shown() {
    assert_eq!(format!("{:?}", pair("secret", "secret")), "Tokens(..)");
    let client = Client::new("http://127.0.0.1:1").unwrap().with_tokens(pair("secret", "secret"));
    assert!(!format!("{client:?}").contains("secret"));
}

#[tokio::test]
async fn a_login_is_kept_and_shared_with_clones() {
    let server = FakeServer::start(|asked| match (asked.path.as_str(), asked.token.as_deref()) {
        ("/v1/auth/login", None) => (200, login("a1", "r1")),
        ("/v1/users/me", Some("a1")) => (200, me()),
        ("/v1/auth/logout", Some("a1")) => (204, serde_json::Value::Null),
        _ => problem(401, "unauthenticated"),
    })
    .await;
    let client = Client::new(&server.url).unwrap();
    let clone = client.clone();
    client.login(&kith_protocol::rest::Login::default()).await.unwrap();
    assert_eq!(clone.tokens(), Some(pair("a1", "r1")));
    assert_eq!(clone.me().await.unwrap().username, "ann");
    assert_eq!(client.anonymous().tokens(), None);
    clone.logout().await.unwrap();
    assert_eq!(client.tokens(), None);
    assert_eq!(client.me().await.unwrap_err().code(), Some("unauthenticated"));
}

#[tokio::test]
async fn twenty_callers_renew_once() {
    let renewals = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&renewals);
    let server = FakeServer::start(move |asked| {
        match (asked.path.as_str(), asked.token.as_deref(), asked.body.as_str()) {
            ("/v1/auth/refresh", None, r#"{"refresh_token":"r1"}"#) => {
                counted.fetch_add(1, Ordering::SeqCst);
                (200, login("a2", "r2"))
            }
            ("/v1/users/me", Some("a2"), _) => (200, me()),
            _ => problem(401, "unauthenticated"),
        }
    })
    .await;
    let client = Client::new(&server.url).unwrap().with_tokens(pair("a1", "r1"));
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.me().await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(renewals.load(Ordering::SeqCst), 1);
    assert_eq!(client.tokens(), Some(pair("a2", "r2")));
}

#[tokio::test]
async fn a_dead_session_is_asked_for_once_and_forgotten() {
    let renewals = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&renewals);
    let server = FakeServer::start(move |asked| {
        if asked.path == "/v1/auth/refresh" {
            counted.fetch_add(1, Ordering::SeqCst);
            return problem(401, "refresh_reused");
        }
        problem(401, "unauthenticated")
    })
    .await;
    let client = Client::new(&server.url).unwrap().with_tokens(pair("a1", "r1"));
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.me().await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().code(), Some("unauthenticated"));
    }
    assert_eq!(renewals.load(Ordering::SeqCst), 1);
    assert_eq!(client.tokens(), None);
}

#[tokio::test]
async fn a_renewal_survives_the_caller_who_gave_up() {
    let server = FakeServer::start(|asked| match asked.path.as_str() {
        "/v1/auth/refresh" => (200, login("a2", "r2")),
        _ => problem(401, "unauthenticated"),
    })
    .await;
    let client = Client::new(&server.url).unwrap().with_tokens(pair("a1", "r1"));
    tokio::select! {
        biased;
        _ = client.refresh() => unreachable!("the server has had no time"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(client.tokens(), Some(pair("a1", "r1")));
    for _ in 0..200 {
        if client.tokens() == Some(pair("a2", "r2")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the new pair was lost");
}

#[tokio::test]
async fn a_busy_server_is_waited_for_only_with_patience() {
    let asked_times = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked_times);
    let server = FakeServer::start(move |asked| match asked.path.as_str() {
        "/health" if counted.fetch_add(1, Ordering::SeqCst) == 0 => problem(503, "overloaded"),
        "/health" => (200, json!({"status": "ok", "version": "0"})),
        _ => problem(503, "outcome_unknown"),
    })
    .await;
    let client = Client::new(&server.url).unwrap();
    assert_eq!(client.health().await.unwrap_err().status(), Some(503));
    // Busy once more.
    asked_times.store(0, Ordering::SeqCst);
    let patient = client.with_patience(Duration::from_secs(5));
    assert_eq!(patient.health().await.unwrap().status, "ok");
    // What may have been done is not done again.
    assert_eq!(patient.me().await.unwrap_err().code(), Some("outcome_unknown"));
}

#[tokio::test]
async fn parameters_and_bodies_arrive_as_they_are() {
    let server = FakeServer::start(|asked| {
        let said = format!("{} {} {}", asked.method, asked.path, asked.body);
        (418, json!({ "said": said }))
    })
    .await;
    let client = Client::new(&server.url).unwrap();
    let raw =
        client.request(Method::PUT, "/v1/x?y=%00", Some(&json!({"a": "\u{0}"}))).await.unwrap();
    assert_eq!(
        (raw.status, raw.json["said"].as_str()),
        (418, Some(r#"PUT /v1/x?y=%00 {"a":"\u0000"}"#))
    );
    let error = client.users("a&b=ü", None, Some(7)).await.unwrap_err().to_string();
    assert!(error.contains("GET /v1/users?q=a%26b%3D%C3%BC&limit=7"), "{error}");
    let raw = client.request_raw(Method::POST, "/v1/x", &[("x-y", "z")], "{nope").await.unwrap();
    assert_eq!(raw.json["said"], "POST /v1/x {nope");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failure_of_transport() {
    let error = Client::new("http://127.0.0.1:1").unwrap().health().await.unwrap_err();
    assert!(matches!(error, Error::Transport(_)), "{error}");
}

#[tokio::test]
async fn tls_is_tried_where_it_is_asked_for() {
    // This server speaks no TLS. A panic here would mean that no cryptography was chosen; a machine
    // without certificates refuses earlier.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let hanging_up = tokio::spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    match Client::new(&url) {
        Ok(client) => assert!(matches!(client.health().await, Err(Error::Transport(_)))),
        Err(error) => assert!(matches!(error, Error::Transport(_)), "{error}"),
    }
    let socket = crate::RawSocket::connect(&url, "/v1/ws", crate::Credential::None, &[]).await;
    assert!(matches!(socket, Err(Error::Transport(_))));
    hanging_up.abort();
}
