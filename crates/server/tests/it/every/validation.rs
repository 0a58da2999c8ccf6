//! Requests that are wrong, and how that is told.

use kith_client::{Answer, Client, Method};
use serde_json::{Value, json};
use uuid::Uuid;

use super::run;
use crate::support::{Actor, Ask as _, PASSWORD, TestApp};

/// Every error has this form.
fn is_problem(what: &str, answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text);
    assert_eq!(answer.json["code"], code, "{what}: {}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{what}");
    assert_eq!(answer.json["status"], status, "{what}");
    assert_eq!(answer.json["type"], format!("urn:kith:problem:{code}"), "{what}");
    for field in ["title", "detail"] {
        assert!(!answer.json[field].as_str().unwrap_or_default().is_empty(), "{what}: {field}");
    }
    let id = answer.headers["x-request-id"].to_str().unwrap();
    assert!(!id.is_empty());
    assert_eq!(answer.json["request_id"], id, "{what}");
    assert_eq!(answer.headers["cache-control"], "no-store", "{what}");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{what}");
    for inside in ["SELECT", "INSERT", "sqlite", "src/", "actix"] {
        assert!(!answer.text.contains(inside), "{what} tells of the inside: {}", answer.text);
    }
}

fn names(what: &str, answer: &Answer, field: &str, code: &str) {
    let errors = answer.json["errors"].as_array();
    let named = errors.and_then(|errors| errors.iter().find(|error| error["field"] == field));
    let named = named.unwrap_or_else(|| panic!("{what} does not name {field}: {}", answer.text));
    assert_eq!(named["code"], code, "{what}: {}", answer.text);
    assert!(named["message"].as_str().is_some_and(|message| !message.is_empty()));
}

/// A request, the field that is wrong in it, and how.
type Case = ((&'static str, String, Value), &'static str, &'static str);

async fn all_refused(who: &Actor, cases: impl IntoIterator<Item = Case>) {
    for ((method, path, body), field, code) in cases {
        let what = format!("{method} {path} {}", body.to_string().get(..80).unwrap_or_default());
        let answer = who.ask(method, &path, Some(body)).await;
        is_problem(&what, &answer, 400, "validation_failed");
        names(&what, &answer, field, code);
    }
}

fn text(length: usize) -> Value {
    json!("x".repeat(length))
}

#[test]
fn a_field_of_an_account_that_is_wrong_is_named() {
    let register = |field: &str, value: Value| {
        let mut body = json!({"username": "cat", "email": "cat@example.org", "password": PASSWORD});
        body[field] = value;
        ("POST", "/v1/auth/register".to_owned(), body)
    };
    let long_address = json!(format!("{}@example.org", "x".repeat(250)));
    let me = |body| ("PATCH", "/v1/users/me".to_owned(), body);
    let log_in = |body| ("POST", "/v1/auth/login".to_owned(), body);
    let change = |body| ("PUT", "/v1/auth/password".to_owned(), body);
    let passwords = json!({"current_password": PASSWORD, "new_password": "x"});
    let cases = [
        (register("username", json!("")), "username", "required"),
        (register("username", json!("ab")), "username", "too_short"),
        (register("username", text(33)), "username", "too_long"),
        (register("username", json!("a b c")), "username", "invalid_text"),
        (register("username", json!("änn")), "username", "invalid_text"),
        (register("username", json!(7)), "username", "invalid_value"),
        (register("email", json!("")), "email", "required"),
        (register("email", json!("nowhere")), "email", "invalid_email"),
        (register("email", long_address), "email", "too_long"),
        (register("password", json!("short")), "password", "too_short"),
        (register("password", text(129)), "password", "too_long"),
        (register("password", json!("password")), "password", "common_password"),
        (register("display_name", json!(" ")), "display_name", "required"),
        (register("display_name", text(65)), "display_name", "too_long"),
        (register("display_name", json!("a\u{202e}b")), "display_name", "invalid_text"),
        (register("display_name", json!("\u{200b}")), "display_name", "required"),
        (register("display_name", json!("a\nb")), "display_name", "invalid_text"),
        (register("device_name", text(65)), "device_name", "too_long"),
        (me(json!({"display_name": ""})), "display_name", "required"),
        (me(json!({"about": text(513)})), "about", "too_long"),
        (me(json!({"last_seen_visibility": "some"})), "last_seen_visibility", "invalid_value"),
        (log_in(json!({"password": "x"})), "email", "required"),
        (log_in(json!({"username": "ann"})), "password", "required"),
        (change(passwords), "new_password", "too_short"),
    ];
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let before = ann.client.me().await.unwrap();
        all_refused(&ann, cases).await;
        assert_eq!(ann.client.me().await.unwrap(), before, "a refused request leaves no trace");
    });
}

#[test]
fn a_field_of_a_message_or_group_that_is_wrong_is_named() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let sent = ann.send(group, "hello").await;
        let send = |field: &str, value: Value| {
            let mut body = json!({"content": "x"});
            body[field] = value;
            ("POST", format!("/v1/conversations/{group}/messages"), body)
        };
        let edit = |body| ("PATCH", format!("/v1/messages/{}", sent.id), body);
        let change = |body| ("PATCH", format!("/v1/conversations/{group}"), body);
        let make = |body| ("POST", "/v1/groups".to_owned(), body);
        let add = |body| ("POST", format!("/v1/groups/{group}/members"), body);
        let raise = |body| ("PATCH", format!("/v1/groups/{group}/members/{}", bob.id), body);
        let families = json!("\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}".repeat(1_000));
        let before = ann.sees(group).await;
        let cases = [
            (send("content", json!("")), "content", "required"),
            (send("content", text(4_001)), "content", "too_long"),
            // A thousand characters, and more than 16 KiB.
            (send("content", families), "content", "too_long"),
            (send("content", Value::Null), "content", "invalid_value"),
            (send("client_message_id", json!("")), "client_message_id", "required"),
            (send("client_message_id", text(65)), "client_message_id", "too_long"),
            (send("message_type", json!("system")), "message_type", "invalid_value"),
            (send("reply_to", json!("no id")), "reply_to", "invalid_value"),
            (edit(json!({"content": ""})), "content", "required"),
            (edit(json!({"content": text(4_001)})), "content", "too_long"),
            (edit(json!({})), "content", "required"),
            (change(json!({"name": ""})), "name", "required"),
            (change(json!({"name": text(65)})), "name", "too_long"),
            (change(json!({"description": text(513)})), "description", "too_long"),
            (change(json!({"posting": "nobody"})), "posting", "invalid_value"),
            (make(json!({"name": ""})), "name", "required"),
            (make(json!({"members": []})), "name", "required"),
            (make(json!({"name": "x", "members": ["bob"]})), "members[0]", "invalid_value"),
            (add(json!({})), "user_id", "required"),
            (add(json!({"user_ids": []})), "user_id", "required"),
            (raise(json!({"role": "king"})), "role", "invalid_value"),
        ];
        all_refused(&ann, cases).await;
        assert_eq!(ann.sees(group).await, before, "a refused request leaves no trace");
    });
}

#[test]
fn all_wrong_fields_are_told_at_once() {
    run(async {
        let app = TestApp::start().await;
        let body = json!({"username": "a", "email": "b", "password": "c", "display_name": ""});
        let answer = app.anonymous().ask("POST", "/v1/auth/register", Some(body)).await;
        is_problem("register", &answer, 400, "validation_failed");
        for (field, code) in [
            ("username", "too_short"),
            ("email", "invalid_email"),
            ("password", "too_short"),
            ("display_name", "required"),
        ] {
            names("register", &answer, field, code);
        }
    });
}

#[test]
fn nothing_is_passed_over_in_silence() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let messages = format!("/v1/conversations/{group}/messages");
        let nul = "/v1/users?q=a%00";
        let cases = [
            (
                "POST",
                "/v1/auth/register",
                json!({"username": "c", "role": "admin"}),
                "unknown_field",
                "role",
            ),
            ("POST", "/v1/groups", json!({"name": "x", "owner": bob.id}), "unknown_field", "owner"),
            (
                "POST",
                &messages,
                json!({"content": "x", "sender_id": bob.id}),
                "unknown_field",
                "sender_id",
            ),
            ("POST", &messages, json!({"content": "x", "seq": 1}), "unknown_field", "seq"),
            (
                "POST",
                &messages,
                json!({"content": "x", "attachment_ids": []}),
                "unknown_field",
                "attachment_ids",
            ),
            ("PATCH", "/v1/users/me", json!({"email": "x@example.org"}), "unknown_field", "email"),
            (
                "POST",
                "/v1/conversations",
                json!({"kind": "direct", "user_id": bob.id, "x": 1}),
                "unknown_field",
                "x",
            ),
            ("POST", &messages, json!({"content": "a\u{0}b"}), "invalid_text", "content"),
            ("POST", "/v1/groups", json!({"name": "a\u{0}"}), "invalid_text", "name"),
            (
                "POST",
                "/v1/auth/login",
                json!({"username": "ann", "password": "\u{0}"}),
                "invalid_text",
                "password",
            ),
            ("GET", "/v1/conversations?sort=name", Value::Null, "unknown_field", "sort"),
            ("GET", "/v1/users?q=a&page=2", Value::Null, "unknown_field", "page"),
            ("GET", "/v1/sync?token=x", Value::Null, "unknown_field", "token"),
            ("GET", nul, Value::Null, "invalid_text", "q"),
            ("DELETE", "/v1/users/me?message=delete", Value::Null, "unknown_field", "message"),
            // Nor where no parameter is asked for.
            ("GET", "/v1/users/me?fields=id", Value::Null, "unknown_field", "fields"),
            ("DELETE", "/v1/auth/sessions?all=true", Value::Null, "unknown_field", "all"),
            ("POST", "/v1/auth/logout?all=true", Value::Null, "unknown_field", "all"),
            ("POST", "/v1/groups?x=1", json!({"name": "x"}), "unknown_field", "x"),
        ];
        for (method, path, body, code, field) in cases {
            let answer = ann.ask(method, path, (!body.is_null()).then_some(body)).await;
            let what = format!("{method} {path}");
            is_problem(&what, &answer, 400, code);
            names(&what, &answer, field, code);
        }
        assert_eq!(ann.client.me().await.unwrap().username, "ann");
    });
}

#[test]
fn what_asks_for_nothing_takes_nothing() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let sent = ann.send(group, "hi").await.id;
        for path in
            [format!("/v1/messages/{sent}/pin"), format!("/v1/messages/{sent}/reactions/👍")]
        {
            let refused = ann.ask("PUT", &path, Some(json!({"x": 1}))).await;
            assert_eq!((refused.status, &refused.json["code"]), (400, &json!("unknown_field")));
            assert_eq!(ann.ask("PUT", &path, Some(json!({}))).await.status, 200);
        }
        let read = format!("/v1/messages/{sent}/read");
        assert_eq!(bob.post(&read, json!({"seq": 1})).await.status, 400);
        for (path, body) in [
            (format!("/v1/groups/{group}"), json!({"name": null})),
            (format!("/v1/groups/{group}"), json!({"posting": null})),
            (format!("/v1/groups/{group}/settings"), json!({"pinned": null})),
            ("/v1/users/me".to_owned(), json!({"display_name": null})),
        ] {
            let refused = ann.patch(&path, body.clone()).await;
            assert_eq!(refused.status, 400, "{body}: {}", refused.text);
        }
    });
}

#[test]
fn pages_have_from_one_to_a_hundred_items_and_cursors_are_ones_own() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let mut made = Vec::new();
        for n in 0..5 {
            made.push(ann.group(&format!("group {n}"), &[&bob]).await);
        }
        let members = format!("/v1/conversations/{}/members", made[0]);
        let changes = format!("/v1/conversations/{}/changes?since=0", made[0]);
        let history = format!("/v1/conversations/{}/messages", made[0]);
        let lists = [
            "/v1/conversations",
            "/v1/groups",
            "/v1/users?q=a",
            &members,
            &changes,
            &history,
            "/v1/sync",
        ];
        for path in lists {
            let join = if path.contains('?') { '&' } else { '?' };
            for limit in ["0", "101", "-1", "many", "", "1.5"] {
                let answer = ann.get(&format!("{path}{join}limit={limit}")).await;
                is_problem(path, &answer, 400, "validation_failed");
                names(path, &answer, "limit", "invalid_value");
            }
            for limit in ["1", "100"] {
                assert_eq!(ann.get(&format!("{path}{join}limit={limit}")).await.status, 200);
            }
        }

        // Page by page: each once.
        let mut seen = Vec::new();
        let mut path = "/v1/conversations?limit=2".to_owned();
        let mut cursors = Vec::new();
        loop {
            let page = ann.get(&path).await;
            let items = page.json["items"].as_array().unwrap();
            seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            let link = page.headers.get("link").map(|link| link.to_str().unwrap().to_owned());
            let Some(cursor) = page.json["next_cursor"].as_str() else {
                assert_eq!(link, None);
                break;
            };
            assert_eq!(
                link,
                Some(format!("</v1/conversations?limit=2&cursor={cursor}>; rel=\"next\""))
            );
            cursors.push(cursor.to_owned());
            path = format!("/v1/conversations?limit=2&cursor={cursor}");
        }
        made.reverse();
        assert_eq!(seen, made.iter().map(Uuid::to_string).collect::<Vec<_>>());

        let mine = &cursors[0];
        let edited = format!("{}{}", if mine.starts_with('A') { "B" } else { "A" }, &mine[1..]);
        let sync = ann.client.sync(None, None).await.unwrap().token;
        for (who, path, field) in [
            (&ann, "/v1/conversations?cursor=nonsense".to_owned(), "cursor"),
            (&ann, "/v1/conversations?cursor=".to_owned(), "cursor"),
            (&ann, format!("/v1/conversations?cursor={edited}"), "cursor"),
            (&ann, format!("{members}?cursor={mine}"), "cursor"),
            (&ann, format!("/v1/conversations?cursor={sync}"), "cursor"),
            (&ann, format!("/v1/users?q=a&cursor={mine}"), "cursor"),
            (&bob, format!("/v1/conversations?cursor={mine}"), "cursor"),
            (&bob, format!("/v1/sync?since={sync}"), "since"),
            (&ann, "/v1/sync?since=nonsense".to_owned(), "since"),
        ] {
            let answer = who.get(&path).await;
            is_problem(&path, &answer, 400, "invalid_cursor");
            names(&path, &answer, field, "invalid_cursor");
        }
        assert_eq!(ann.get(&format!("/v1/conversations?cursor={mine}")).await.status, 200);
    });
}

async fn raw(
    client: &Client,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> Answer {
    client.request_raw(method, path, headers, body).await.unwrap()
}

#[test]
fn what_the_framework_refuses_has_the_same_form() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let client = &ann.client;
        let json = [("content-type", "application/json")];
        let (post, get) = (Method::POST, Method::GET);
        // Not even a list of the fields in their order.
        let list = r#"["ours", null, []]"#;
        for body in ["", "{", "nonsense", "{\"name\": \"x\"} {}", "\u{feff}{}", "[1,", "null", list]
        {
            let answer = raw(client, post.clone(), "/v1/groups", &json, body).await;
            is_problem(body, &answer, 400, "malformed_json");
        }
        let answer =
            raw(client, post.clone(), "/v1/groups", &json, b"{\"name\": \"\xff\"}".to_vec()).await;
        is_problem("not UTF-8", &answer, 400, "malformed_json");
        let answer =
            raw(client, post.clone(), "/v1/groups", &json, b"{\"name\": \"\\ud800\"}".to_vec())
                .await;
        is_problem("a lone surrogate", &answer, 400, "malformed_json");
        let deep = format!("{{\"name\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        let answer = raw(client, post.clone(), "/v1/groups", &json, deep).await;
        assert_eq!(answer.status, 400);
        let twice = r#"{"name": "x", "name": "y"}"#;
        let answer = raw(client, post.clone(), "/v1/groups", &json, twice).await;
        is_problem("twice", &answer, 400, "validation_failed");
        names("twice", &answer, "name", "duplicate_field");

        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "nonsense", "application/jsonx"]
        {
            let headers = [("content-type", kind)];
            let answer = raw(client, post.clone(), "/v1/groups", &headers, "{}").await;
            is_problem(kind, &answer, 415, "unsupported_media_type");
        }
        let answer = raw(client, post.clone(), "/v1/groups", &[], r#"{"name":"x"}"#).await;
        is_problem("no content type", &answer, 415, "unsupported_media_type");
        for kind in ["application/json; charset=utf-8", "APPLICATION/JSON"] {
            let headers = [("content-type", kind)];
            let answer = raw(client, post.clone(), "/v1/groups", &headers, r#"{"name":"x"}"#).await;
            assert_eq!(answer.status, 201, "{kind}");
        }

        let big = format!("{{\"name\": \"{}\"}}", "x".repeat(300 * 1024));
        let answer = raw(client, post.clone(), "/v1/groups", &json, big).await;
        is_problem("a big body", &answer, 413, "payload_too_large");
        let login = json!({"username": "ann", "password": "x".repeat(1024 * 1024)}).to_string();
        let answer = raw(&app.anonymous(), post.clone(), "/v1/auth/login", &json, login).await;
        is_problem("a big password", &answer, 413, "payload_too_large");

        for path in [
            "/v1/nothing",
            "/nothing",
            "/v1",
            "/v1/auth",
            "/v1/groups/x/y/z",
            "/v2/users/me",
            "/%ff",
        ] {
            let answer = raw(client, get.clone(), path, &[], "").await;
            is_problem(path, &answer, 404, "not_found");
        }
        for (path, code) in [
            ("/v1/users/bob", "validation_failed"),
            ("/v1/conversations/1", "validation_failed"),
            ("/v1/messages/%00", "invalid_text"),
        ] {
            let answer = raw(client, get.clone(), path, &[], "").await;
            is_problem(path, &answer, 400, code);
        }
        for (method, path, allow) in [
            (Method::GET, "/v1/auth/login", "POST"),
            (Method::PUT, "/v1/conversations", "GET, POST"),
            (Method::POST, "/v1/users/me", "GET, PATCH, DELETE"),
            (Method::DELETE, "/v1/sync", "GET"),
            (Method::POST, "/v1/ws", "GET"),
            (Method::PATCH, "/health", "GET"),
            (Method::OPTIONS, "/v1/users/me", "GET, PATCH, DELETE"),
        ] {
            let answer = raw(client, method, path, &[], "").await;
            is_problem(path, &answer, 405, "method_not_allowed");
            assert_eq!(answer.headers["allow"], allow, "{path}");
        }
        // Not a WebSocket.
        let answer = raw(client, get, "/v1/ws", &[], "").await;
        is_problem("a plain request for a socket", &answer, 400, "bad_handshake");
    });
}

#[test]
fn a_request_has_an_id_of_the_servers_making() {
    run(async {
        let app = TestApp::start().await;
        let given = [("x-request-id", "mine")];
        let answer = raw(&app.anonymous(), Method::GET, "/health", &given, "").await;
        assert_eq!(answer.status, 200);
        let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        assert_ne!(id, "mine", "only a trusted proxy's is believed");
        let again = raw(&app.anonymous(), Method::GET, "/health", &[], "").await;
        assert_ne!(again.headers["x-request-id"], id.as_str());

        let app =
            TestApp::with(|config| config.trusted_proxies = vec!["127.0.0.0/8".to_owned()]).await;
        let answer = raw(&app.anonymous(), Method::GET, "/v1/users/me", &given, "").await;
        is_problem("trusted", &answer, 401, "unauthenticated");
        assert_eq!(answer.headers["x-request-id"], "mine");
    });
}

#[test]
fn the_server_says_what_it_is() {
    run(async {
        let app = TestApp::start().await;
        let nobody = app.anonymous();
        for path in ["/health", "/health/live", "/health/ready"] {
            let answer = nobody.ask("GET", path, None).await;
            assert_eq!((answer.status, &answer.json["status"]), (200, &json!("ok")), "{path}");
        }
        let headers = [("accept", "application/json")];
        let welcome = raw(&nobody, Method::GET, "/", &headers, "").await;
        assert_eq!(welcome.json["name"], "Kith");
        let headers = [("accept", "text/html,application/xhtml+xml")];
        let page = raw(&nobody, Method::GET, "/", &headers, "").await;
        assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
        assert!(page.headers["content-security-policy"].to_str().unwrap().contains("'none'"));
        assert_eq!(nobody.ask("GET", "/docs/", None).await.status, 200);
        assert_eq!(nobody.ask("GET", "/openapi.json", None).await.status, 200);
    });
}

#[test]
fn pages_of_listed_sites_alone_may_read_answers() {
    run(async {
        let app = TestApp::with(|config| {
            config.cors_origins = vec!["https://chat.example.org".to_owned()];
        })
        .await;
        let nobody = app.anonymous();
        let listed = [("origin", "https://chat.example.org")];
        let answer = raw(&nobody, Method::GET, "/health", &listed, "").await;
        assert_eq!(answer.headers["access-control-allow-origin"], "https://chat.example.org");
        let foreign = [("origin", "https://evil.example.org")];
        let answer = raw(&nobody, Method::GET, "/health", &foreign, "").await;
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
        let preflight = [
            ("origin", "https://chat.example.org"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type"),
        ];
        let answer = raw(&nobody, Method::OPTIONS, "/v1/groups", &preflight, "").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    });
}
