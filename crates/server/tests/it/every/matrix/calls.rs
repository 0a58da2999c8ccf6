use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt as _, stream};
use kith_client::Method;
use serde_json::{Value, json};

use super::{super::run_within, Who, scene::Scene};
use crate::support::{Ask as _, PASSWORD, TestApp};

/// What everyone is answered: signed out, a stranger, a removed member, a member, an admin, the
/// owner, a blocked one.
type Answers = [u16; 7];

/// A call as it stands in the `OpenAPI` document, the path with its names, the body, the answers.
type Line = (&'static str, String, Value, Answers);

fn line(call: &'static str, path: impl Into<String>, body: Value, answers: Answers) -> Line {
    (call, path.into(), body, answers)
}

/// For everyone the same who is signed in.
const fn signed_in(status: u16) -> Answers {
    [401, status, status, status, status, status, status]
}

/// For everyone the same.
const fn anyone(status: u16) -> Answers {
    [status; 7]
}

/// For the members alone; in the direct chat there is nothing against it.
const fn members(status: u16) -> Answers {
    [401, 404, 404, status, status, status, status]
}

/// For admins and owners alone; a direct chat has nothing of the kind.
const fn admins(status: u16) -> Answers {
    [401, 404, 404, 403, status, status, 409]
}

fn lines() -> Vec<Line> {
    let none = Value::Null;
    let mut lines = accounts();
    lines.extend(people());
    lines.extend(conversations());
    lines.extend(kinds());
    lines.extend(messages());
    lines.extend([
        line("GET /v1/sync", "/v1/sync", none.clone(), signed_in(200)),
        // Asked without an upgrade.
        line("GET /v1/ws", "/v1/ws", none.clone(), signed_in(400)),
        line("GET /v1/ws/{id}", "/v1/ws/{conversation}", none.clone(), members(400)),
        line("GET /", "/", none.clone(), anyone(200)),
        line("GET /health", "/health", none.clone(), anyone(200)),
        line("GET /health/live", "/health/live", none.clone(), anyone(200)),
        line("GET /health/ready", "/health/ready", none, anyone(200)),
    ]);
    lines
}

fn accounts() -> Vec<Line> {
    let none = Value::Null;
    let account =
        json!({"username": "new.{me}", "email": "{me}@example.org", "password": PASSWORD});
    let account: Value = shortened(&account);
    let wrong = json!({"username": "nobody.at.all", "password": PASSWORD});
    let other = json!({"current_password": PASSWORD, "new_password": "another horse battery"});
    let refresh = json!({"refresh_token": "{refresh}"});
    let erase = json!({"password": PASSWORD});
    vec![
        line("POST /v1/auth/register", "/v1/auth/register", account, anyone(201)),
        line("POST /v1/auth/login", "/v1/auth/login", wrong, anyone(401)),
        line("POST /v1/auth/refresh", "/v1/auth/refresh", refresh, signed_in(200)),
        line("POST /v1/auth/logout", "/v1/auth/logout", none.clone(), signed_in(204)),
        line("GET /v1/auth/sessions", "/v1/auth/sessions", none.clone(), signed_in(200)),
        line("DELETE /v1/auth/sessions", "/v1/auth/sessions", none.clone(), signed_in(204)),
        line(
            "DELETE /v1/auth/sessions/{id}",
            "/v1/auth/sessions/{session}",
            none.clone(),
            signed_in(204),
        ),
        line("PUT /v1/auth/password", "/v1/auth/password", other, signed_in(204)),
        line("POST /v1/auth/ws-ticket", "/v1/auth/ws-ticket", none.clone(), signed_in(201)),
        line("GET /v1/users/me", "/v1/users/me", none, signed_in(200)),
        line("PATCH /v1/users/me", "/v1/users/me", json!({"about": "me"}), signed_in(200)),
        // The owner's group passes on.
        line("DELETE /v1/users/me", "/v1/users/me", erase, signed_in(204)),
    ]
}

/// A user name has 32 characters at most, an id 36.
fn shortened(account: &Value) -> Value {
    let text = account.to_string().replace("new.{me}", "{name}");
    serde_json::from_str(&text).unwrap()
}

fn people() -> Vec<Line> {
    let none = Value::Null;
    vec![
        line("GET /v1/users", "/v1/users?q=own", none.clone(), signed_in(200)),
        line("GET /v1/users/{id}", "/v1/users/{peer}", none.clone(), signed_in(200)),
        line("GET /v1/users/me/blocks", "/v1/users/me/blocks", none.clone(), signed_in(200)),
        line("PUT /v1/users/{id}/block", "/v1/users/{peer}/block", none.clone(), signed_in(200)),
        line("DELETE /v1/users/{id}/block", "/v1/users/{peer}/block", none, signed_in(204)),
    ]
}

/// Calls that conversations of all kinds have, under the id of the group or direct chat.
fn conversations() -> Vec<Line> {
    let none = Value::Null;
    let direct = json!({"kind": "direct", "user_id": "{peer}"});
    let opens = [401, 201, 201, 201, 201, 201, 403];
    let hides = [401, 404, 404, 404, 404, 404, 204];
    let text = json!({"content": "hi"});
    let sends = [401, 403, 403, 201, 201, 201, 403];
    let one = "/v1/conversations/{conversation}";
    let under = |path: &str| format!("{one}/{path}");
    vec![
        line("GET /v1/conversations", "/v1/conversations", none.clone(), signed_in(200)),
        line("POST /v1/conversations", "/v1/conversations", direct, opens),
        line(
            "DELETE /v1/conversations/dm/{user_id}",
            "/v1/conversations/dm/{peer}",
            none.clone(),
            hides,
        ),
        line(
            "DELETE /v1/conversations/group/{id}",
            "/v1/conversations/group/{conversation}",
            none.clone(),
            // The blocked one's is a direct chat.
            [401, 404, 404, 204, 204, 204, 404],
        ),
        line("GET /v1/conversations/{id}", one, none.clone(), members(200)),
        line("PATCH /v1/conversations/{id}", one, json!({"name": "other"}), admins(200)),
        line("DELETE /v1/conversations/{id}", one, none.clone(), members(204)),
        line(
            "PATCH /v1/conversations/{id}/settings",
            under("settings"),
            json!({"pinned": true}),
            members(200),
        ),
        line("PUT /v1/conversations/{id}/read", under("read"), json!({"seq": 1}), members(200)),
        line(
            "PUT /v1/conversations/{id}/delivered",
            under("delivered"),
            json!({"seq": 1}),
            members(200),
        ),
        line("GET /v1/conversations/{id}/messages", under("messages"), none.clone(), members(200)),
        line("POST /v1/conversations/{id}/messages", under("messages"), text, sends),
        line(
            "GET /v1/conversations/{id}/changes",
            under("changes?since=0"),
            none.clone(),
            members(200),
        ),
        line("GET /v1/conversations/{id}/members", under("members"), none.clone(), members(200)),
        line(
            "POST /v1/conversations/{id}/members",
            under("members"),
            json!({"user_id": "{outsider}"}),
            admins(201),
        ),
        line(
            "PATCH /v1/conversations/{id}/members/{user_id}",
            under("members/{other}"),
            json!({"role": "admin"}),
            admins(200),
        ),
        line(
            "DELETE /v1/conversations/{id}/members/{user_id}",
            under("members/{other}"),
            none.clone(),
            admins(204),
        ),
        line("POST /v1/conversations/{id}/invites", under("invites"), json!({}), admins(201)),
        line("GET /v1/conversations/{id}/invites", under("invites"), none.clone(), admins(200)),
        line(
            "DELETE /v1/conversations/{id}/invites/{code}",
            under("invites/{code}"),
            none.clone(),
            admins(204),
        ),
        // Whoever has the code may come in.
        line("POST /v1/invites/{code}/join", "/v1/invites/{code}/join", none, signed_in(200)),
    ]
}

/// Calls that groups or channels alone have. To the blocked one these are closed like to a stranger:
/// his conversation is no group, and the channel not his.
fn kinds() -> Vec<Line> {
    let none = Value::Null;
    let group = json!({"name": "theirs", "members": ["{peer}"]});
    let leaves = [401, 404, 404, 204, 204, 409, 404];
    let ends = [401, 404, 404, 403, 403, 204, 404];
    vec![
        line("GET /v1/groups", "/v1/groups", none.clone(), signed_in(200)),
        line("POST /v1/groups", "/v1/groups", group, [401, 201, 201, 201, 201, 201, 403]),
        line("DELETE /v1/groups/{id}", "/v1/groups/{conversation}", none.clone(), ends),
        line("POST /v1/groups/{id}/leave", "/v1/groups/{conversation}/leave", none.clone(), leaves),
        line(
            "DELETE /v1/groups/{id}/leave",
            "/v1/groups/{conversation}/leave",
            none.clone(),
            leaves,
        ),
        line("GET /v1/channels", "/v1/channels", none.clone(), signed_in(200)),
        line("POST /v1/channels", "/v1/channels", json!({"name": "mine"}), signed_in(201)),
        line("GET /v1/channels/{id}", "/v1/channels/{channel}", none.clone(), signed_in(200)),
        line("DELETE /v1/channels/{id}", "/v1/channels/{channel}", none.clone(), ends),
        line(
            "POST /v1/channels/{id}/join",
            "/v1/channels/{channel}/join",
            none.clone(),
            signed_in(200),
        ),
        line("POST /v1/channels/{id}/leave", "/v1/channels/{channel}/leave", none, leaves),
    ]
}

fn messages() -> Vec<Line> {
    let none = Value::Null;
    let other = json!({"content": "other"});
    let one = "/v1/messages/{theirs}";
    let under = |path: &str| format!("{one}/{path}");
    let reacts = |status| [401, 404, 404, status, status, status, 403];
    let pins = |status| [401, 404, 404, 403, status, status, 403];
    vec![
        line(
            "GET /v1/messages",
            "/v1/messages?conversation_id={conversation}",
            none.clone(),
            members(200),
        ),
        line("GET /v1/messages/{id}", one, none.clone(), members(200)),
        line("PATCH /v1/messages/{id}", "/v1/messages/{own}", other, reacts(200)),
        // That of another member; in a direct chat nobody deletes for the other.
        line("DELETE /v1/messages/{id}", one, none.clone(), [401, 404, 404, 403, 204, 204, 403]),
        line("POST /v1/messages/{id}/read", under("read"), none.clone(), members(200)),
        line("GET /v1/messages/{id}/receipts", under("receipts"), none.clone(), members(200)),
        line(
            "PUT /v1/messages/{id}/reactions/{emoji}",
            under("reactions/🎉"),
            none.clone(),
            reacts(200),
        ),
        line(
            "DELETE /v1/messages/{id}/reactions/{emoji}",
            under("reactions/👍"),
            none.clone(),
            reacts(204),
        ),
        line("PUT /v1/messages/{id}/pin", under("pin"), none.clone(), pins(200)),
        line("DELETE /v1/messages/{id}/pin", under("pin"), none, pins(204)),
    ]
}

/// The numbers of shared scenes begin here.
const SHARED: usize = 10_000;

/// One question: a call, asked by somebody.
struct Case {
    call: &'static str,
    path: String,
    body: Value,
    who: Who,
    expected: u16,
}

/// Every line, asked by everyone, under all names that its path has.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (call, path, body, answers) in lines() {
        for (who, expected) in Who::ALL.into_iter().zip(answers) {
            let case = |path, expected| Case { call, path, body: body.clone(), who, expected };
            cases.push(case(path.clone(), expected));
            // Under another name deleting means something else.
            let (method, shared) = call.split_once(' ').unwrap();
            let one = shared == "/v1/conversations/{id}";
            if !shared.starts_with("/v1/conversations/{id}") || (one && method == "DELETE") {
                continue;
            }
            if matches!(who, Who::Stranger | Who::Admin) {
                for name in ["/v1/chats/", "/chats/"] {
                    cases.push(case(path.replace("/v1/conversations/", name), expected));
                }
            }
            // The blocked one's chat is no group, and he is not in the channel.
            let is_blocked = who == Who::Blocked;
            let outside = if is_blocked { answers[1] } else { expected };
            cases.push(case(path.replace("/v1/conversations/", "/v1/groups/"), outside));
            // What a channel is, visitors see; and the code is of an invite into the group.
            if !(one && method == "GET" || path.ends_with("{code}")) {
                let name = "/v1/channels/{channel}";
                cases.push(case(path.replace("/v1/conversations/{conversation}", name), outside));
            }
        }
    }
    cases
}

#[test]
fn every_call_is_answered_as_the_table_says() {
    run_within(Duration::from_secs(180), async {
        let app = &TestApp::start().await;
        // Reading leaves everything as it is, and so does what is refused.
        let mut unchanged = Vec::new();
        for who in Who::ALL {
            unchanged.push(Scene::of(app, who, SHARED + unchanged.len()).await);
        }
        let unchanged = &unchanged;
        let wrong: Vec<String> = stream::iter(cases().into_iter().enumerate())
            .map(|(number, case)| async move {
                let (method, _) = case.call.split_once(' ').unwrap();
                let own;
                let scene = if method == "GET" || case.expected >= 400 {
                    &unchanged[case.who as usize]
                } else {
                    own = Scene::of(app, case.who, number).await;
                    &own
                };
                let path = scene.fill(&case.path);
                let body = case.body.to_string().replace("{name}", &format!("new{number}"));
                let body: Value = serde_json::from_str(&scene.fill(&body)).unwrap();
                let body = (!body.is_null()).then_some(body);
                let answer = match &scene.actor {
                    Some(actor) => actor.ask(method, &path, body).await,
                    None => app.anonymous().ask(method, &path, body).await,
                };
                let (asked, expected) =
                    (format!("{method} {path} by {:?}", case.who), case.expected);
                let (status, text) = (answer.status, answer.text);
                (status != expected).then(|| format!("{asked}: {status}, not {expected}: {text}"))
            })
            .buffer_unordered(8)
            .filter_map(|wrong| async { wrong })
            .collect()
            .await;
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
fn every_answer_of_the_table_is_in_the_document() {
    let document = serde_json::to_value(kith_http::document()).unwrap();
    let undeclared: BTreeSet<String> = lines()
        .into_iter()
        .flat_map(|(call, _, _, answers)| answers.map(|status| (call, status)))
        .filter(|(call, status)| {
            let (method, path) = call.split_once(' ').unwrap();
            let declared = &document["paths"][path][method.to_lowercase()]["responses"];
            // A handshake that is none is not worth a line.
            declared.get(status.to_string()).is_none() && !path.starts_with("/v1/ws")
        })
        .map(|(call, status)| format!("{call}: {status}"))
        .collect();
    assert!(undeclared.is_empty(), "{undeclared:#?}");
}

#[test]
fn no_call_is_missing_from_the_table() {
    let document = serde_json::to_value(kith_http::document()).unwrap();
    let there: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, calls)| {
            let methods = calls.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let listed: BTreeSet<String> = lines().into_iter().map(|(call, ..)| call.to_owned()).collect();
    assert_eq!(listed, there);
    for call in &listed {
        let (method, _) = call.split_once(' ').unwrap();
        assert!(Method::from_bytes(method.as_bytes()).is_ok(), "{call}");
    }
}
