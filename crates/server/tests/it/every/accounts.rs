//! Accounts, tokens, devices, and the end of them.

use std::time::Duration;

use kith_client::{
    Credential, RawSocket, Selector, Tokens,
    protocol::rest::{Erase, Login, PasswordChange, Role, SystemEventKind},
};
use kith_domain::{SessionId, UserId};
use kith_ports::{AccessClaims, AccessTokens as _, Clock as _};
use kith_security::{JwtTokens, ServerSecret, SystemClock};
use serde_json::{Value, json};
use uuid::Uuid;

use super::run;
use crate::support::{Actor, Ask as _, PASSWORD, TestApp};

const SECRET: &str = "a secret of more than thirty-two bytes";

fn account(username: &str, email: &str) -> Value {
    json!({"username": username, "email": email, "password": PASSWORD})
}

/// The socket was closed because its session is over.
async fn signed_out(mut socket: RawSocket) {
    assert_eq!(socket.closed().await.unwrap().0, 4401);
}

async fn still_open(socket: &mut RawSocket) {
    socket.send_json(&json!({"type": "ping"})).await.unwrap();
    socket.expect("pong").await.unwrap();
}

#[test]
fn an_account_is_made_with_a_session_and_found_by_both_names() {
    run(async {
        let app = TestApp::start().await;
        let nobody = app.anonymous();
        let made = nobody
            .ask(
                "POST",
                "/v1/auth/register",
                Some(json!({
                    "username": "Ann", "email": "Ann@Example.org", "password": PASSWORD,
                    "display_name": "Ann B.", "device_name": "laptop",
                })),
            )
            .await;
        assert_eq!(made.status, 201, "{}", made.text);
        assert_eq!(made.json["token_type"], "Bearer");
        assert_eq!(made.json["expires_in"], 900);
        assert_eq!(made.json["user"]["username"], "Ann");
        assert_eq!(made.json["user"]["display_name"], "Ann B.");
        assert_eq!(made.headers["cache-control"], "no-store");
        for login in [
            json!({"username": "ann", "password": PASSWORD}),
            json!({"username": "ANN", "password": PASSWORD}),
            json!({"email": "ann@example.org", "password": PASSWORD}),
            json!({"email": "ANN@EXAMPLE.ORG", "password": PASSWORD}),
        ] {
            for path in ["/v1/auth/login", "/v1/users/login", "/auth/login", "/users/login"] {
                let answer = nobody.ask("POST", path, Some(login.clone())).await;
                assert_eq!(answer.status, 200, "{path} {}", answer.text);
                assert_eq!(answer.json["user"]["id"], made.json["user"]["id"]);
            }
        }
        let again = account("ann2", "ann2@example.org");
        assert_eq!(nobody.ask("POST", "/users/register", Some(again)).await.status, 201);
    });
}

#[test]
fn names_and_addresses_are_taken_once_in_whatever_case() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let nobody = app.anonymous();
        for (username, email, field, code) in [
            ("other", "ann@example.org", "email", "email_taken"),
            ("other", "ANN@example.org", "email", "email_taken"),
            ("other", "Ann@Example.ORG", "email", "email_taken"),
            ("ann", "other@example.org", "username", "username_taken"),
            ("ANN", "other@example.org", "username", "username_taken"),
            ("aNn", "other@example.org", "username", "username_taken"),
        ] {
            let body = account(username, email);
            let refused = nobody.ask("POST", "/v1/auth/register", Some(body)).await;
            assert_eq!((refused.status, &refused.json["code"]), (409, &json!(code)), "{email}");
            assert_eq!(refused.json["errors"][0]["field"], field);
        }
        // Twenty at once: one gets it.
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..20 {
            let (client, body) = (nobody.clone(), account("bob", &format!("bob{n}@example.org")));
            tasks.spawn(
                async move { client.ask("POST", "/v1/auth/register", Some(body)).await.status },
            );
        }
        let mut statuses = tasks.join_all().await;
        statuses.sort_unstable();
        assert_eq!(statuses[0], 201);
        assert!(statuses[1..].iter().all(|status| *status == 409), "{statuses:?}");
        assert_eq!(ann.get("/v1/users?q=bob").await.json["items"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_wrong_password_and_an_unknown_account_are_answered_alike() {
    run(async {
        let app = TestApp::start().await;
        app.user("ann").await;
        let nobody = app.anonymous();
        let mut bodies = Vec::new();
        for login in [
            json!({"email": "ann@example.org", "password": "not this one"}),
            json!({"email": "nobody@example.org", "password": "not this one"}),
            json!({"username": "ann", "password": "not this one"}),
            json!({"username": "nobody", "password": "not this one"}),
        ] {
            let mut refused = nobody.ask("POST", "/v1/auth/login", Some(login)).await;
            assert_eq!(refused.status, 401);
            assert!(refused.json.as_object_mut().unwrap().remove("request_id").is_some());
            bodies.push(refused.json);
        }
        assert_eq!(bodies[0]["code"], "invalid_credentials");
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
    });
}

#[test]
fn failed_logins_are_throttled_and_the_owner_is_not_locked_out() {
    run(async {
        let app = TestApp::with(|config| config.limits.logins_per_minute = 6).await;
        let ann = app.user("ann").await;
        let _known_here = ann.device().await;
        let nobody = app.anonymous();
        let wrong = || json!({"username": "ann", "password": "not this one"});
        let mut statuses = Vec::new();
        for _ in 0..8 {
            let refused = nobody.ask("POST", "/v1/auth/login", Some(wrong())).await;
            if refused.status == 429 {
                assert_eq!(refused.json["code"], "rate_limited");
                assert!(refused.headers.contains_key("retry-after"));
            }
            statuses.push(refused.status);
        }
        assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 429, 429]);
    });
}

#[test]
fn without_a_living_token_there_is_nothing() {
    run(async {
        let app = TestApp::with(|config| config.jwt_secret = Some(SECRET.into())).await;
        let ann = app.user("ann").await;
        let (_, ready) = ann.raw_with_ready().await;
        let session: Uuid = ready["session_id"].as_str().unwrap().parse().unwrap();
        let now = SystemClock.now();
        let sign = |secret: &str, session: Uuid, from: i64, until: i64| {
            let second = |offset: i64| {
                kith_domain::Timestamp::from_micros(now.as_micros() + offset * 1_000_000)
            };
            JwtTokens::new(&ServerSecret::from_text(secret).unwrap()).sign(&AccessClaims {
                user_id: UserId::from_uuid(ann.id),
                session_id: SessionId::from_uuid(session),
                issued_at: second(from),
                expires_at: second(until),
            })
        };
        let ended = ann.device().await;
        let ended_token = ended.token();
        ended.client.logout().await.unwrap();

        let good = sign(SECRET, session, -5, 60);
        let mut edited = good.clone();
        // The first letter of the signature.
        let place = edited.rfind('.').unwrap() + 1;
        let letter = if edited.as_bytes()[place] == b'A' { "B" } else { "A" };
        edited.replace_range(place..=place, letter);
        let cases = [
            ("good", good.clone(), true),
            ("expired", sign(SECRET, session, -1_000, -1), false),
            ("another's secret", sign(&SECRET.replace('a', "b"), session, -5, 60), false),
            ("unknown session", sign(SECRET, Uuid::from_u128(1), -5, 60), false),
            ("ended session", ended_token, false),
            ("edited", edited, false),
            ("refresh token", ann.client.tokens().unwrap().refresh, false),
            ("nonsense", "nonsense".to_owned(), false),
            ("unsigned", unsigned(&good), false),
        ];
        for (what, token, is_good) in cases {
            let client = app
                .anonymous()
                .with_tokens(Tokens { access: token.clone(), refresh: String::new() });
            for path in ["/v1/users/me", "/v1/conversations", "/v1/sync", "/v1/auth/sessions"] {
                let answer = client.ask("GET", path, None).await;
                assert_eq!(answer.status, if is_good { 200 } else { 401 }, "{what} {path}");
                if !is_good {
                    assert_eq!(answer.json["code"], "unauthenticated", "{what}");
                    assert_eq!(answer.headers["www-authenticate"], "Bearer");
                }
            }
            for credential in [
                Credential::Header(&token),
                Credential::Query(&token),
                Credential::Subprotocol(&token),
            ] {
                let opened = RawSocket::connect(app.url(), "/v1/ws", credential, &[]).await;
                let status = opened.err().map(|error| error.status());
                assert_eq!(status, (!is_good).then_some(Some(401)), "{what}");
            }
        }
        for headers in [
            [("authorization", "")],
            [("authorization", "Bearer")],
            [("authorization", "Basic YW5uOnB3")],
            [("authorization", good.as_str())],
        ] {
            let get = kith_client::Method::GET;
            let answer = app.anonymous().request_raw(get, "/v1/users/me", &headers, "").await;
            assert_eq!(answer.unwrap().status, 401, "{headers:?}");
        }
    });
}

/// The same claims with `alg: none`.
fn unsigned(token: &str) -> String {
    let claims = token.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"at+jwt"}
    format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{claims}.")
}

async fn refresh(app: &TestApp, token: &str) -> kith_client::Answer {
    let body = json!({"refresh_token": token});
    app.anonymous().ask("POST", "/v1/auth/refresh", Some(body)).await
}

#[test]
fn a_refresh_token_gives_one_successor_however_often_it_is_asked_at_once() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let first = ann.client.tokens().unwrap().refresh;
        let mut answers = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (client, body) = (app.anonymous(), json!({"refresh_token": first}));
            answers.spawn(async move { client.ask("POST", "/v1/auth/refresh", Some(body)).await });
        }
        let answers = answers.join_all().await;
        let successor = &answers[0].json["refresh_token"];
        assert_ne!(*successor, json!(first));
        for answer in &answers {
            assert_eq!((answer.status, &answer.json["refresh_token"]), (200, successor));
            assert_eq!(answer.json["user"]["id"], json!(ann.id));
        }
        assert_eq!(refresh(&app, successor.as_str().unwrap()).await.status, 200);
        assert_eq!(ann.client.sessions().await.unwrap().items.len(), 1);
        for nonsense in ["", "nonsense", &ann.token()] {
            let refused = refresh(&app, nonsense).await;
            assert_eq!(
                (refused.status, &refused.json["code"]),
                (401, &json!("invalid_refresh_token"))
            );
        }
    });
}

#[test]
fn a_refresh_token_used_again_ends_its_session() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let other = ann.device().await;
        let socket = ann.raw().await;
        let mut others = other.raw().await;
        let first = ann.client.tokens().unwrap().refresh;
        ann.client.refresh().await.unwrap();
        let newest = ann.client.refresh().await.unwrap();

        let refused = refresh(&app, &first).await;
        assert_eq!((refused.status, &refused.json["code"]), (401, &json!("refresh_reused")));
        signed_out(socket).await;
        assert_eq!(ann.get("/v1/users/me").await.status, 401);
        assert_eq!(refresh(&app, &newest.refresh).await.status, 401);
        // The other device is another session.
        still_open(&mut others).await;
        assert_eq!(other.client.sessions().await.unwrap().items.len(), 1);
    });
}

#[test]
fn refreshing_goes_on_after_a_restart() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let app = app.restart().await;
        let ann = ann.at(app.url());
        assert_eq!(ann.client.me().await.unwrap().username, "ann");
        ann.client.refresh().await.unwrap();
        assert_eq!(ann.client.me().await.unwrap().username, "ann");
    });
}

#[test]
fn logging_out_ends_this_session_and_its_sockets() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let other = ann.device().await;
        let (socket, second, mut others) = (ann.raw().await, ann.raw().await, other.raw().await);
        let ticket = ann.client.ws_ticket().await.unwrap().ticket;
        let tokens = ann.client.tokens().unwrap();
        ann.client.logout().await.unwrap();
        signed_out(socket).await;
        signed_out(second).await;
        still_open(&mut others).await;
        let stale = app.anonymous().with_tokens(tokens.clone());
        assert_eq!(stale.ask("GET", "/v1/users/me", None).await.status, 401);
        assert_eq!(refresh(&app, &tokens.refresh).await.status, 401);
        let ticket = Credential::Ticket(&ticket);
        let opened = RawSocket::connect(app.url(), "/v1/ws", ticket, &[]).await;
        assert_eq!(opened.unwrap_err().status(), Some(401), "a ticket ends with its session");
    });
}

#[test]
fn another_password_ends_the_other_sessions() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let other = ann.device().await;
        let (mut socket, others) = (ann.raw().await, other.raw().await);
        let wrong = PasswordChange {
            current_password: "not this one".to_owned(),
            new_password: "another horse battery".to_owned(),
        };
        let refused = ann.client.change_password(&wrong).await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (Some(401), Some("invalid_credentials")));
        assert_eq!(refused.fields()[0].field, "current_password");
        let weak = PasswordChange {
            current_password: PASSWORD.to_owned(),
            new_password: "password1".to_owned(),
        };
        let refused = ann.client.change_password(&weak).await.unwrap_err();
        assert_eq!(refused.fields()[0].code, "common_password");

        let right = PasswordChange { current_password: PASSWORD.to_owned(), ..wrong };
        ann.client.change_password(&right).await.unwrap();
        signed_out(others).await;
        still_open(&mut socket).await;
        assert_eq!(other.get("/v1/users/me").await.status, 401);
        assert_eq!(ann.client.sessions().await.unwrap().items.len(), 1);
        let login = |password: &str| Login {
            username: Some("ann".to_owned()),
            password: password.to_owned(),
            ..Default::default()
        };
        let refused = app.anonymous().login(&login(PASSWORD)).await.unwrap_err();
        assert_eq!(refused.status(), Some(401));
        app.anonymous().login(&login(&right.new_password)).await.unwrap();
    });
}

#[test]
fn sessions_are_listed_and_ended_one_by_one_or_all_others() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (second, third) = (ann.device().await, ann.device().await);
        let (mut firsts, (seconds, ready), thirds) =
            (ann.raw().await, second.raw_with_ready().await, third.raw().await);
        let listed = ann.client.sessions().await.unwrap().items;
        assert_eq!(listed.len(), 3);
        assert_eq!(listed.iter().filter(|session| session.current).count(), 1);
        assert!(listed.iter().all(|session| session.address.as_deref() == Some("127.0.0.1")));

        let id: Uuid = ready["session_id"].as_str().unwrap().parse().unwrap();
        let refused = bob.client.end_session(id).await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (Some(404), Some("not_found")));
        ann.client.end_session(id).await.unwrap();
        signed_out(seconds).await;
        assert_eq!(second.get("/v1/users/me").await.status, 401);
        assert_eq!(ann.client.end_session(id).await.unwrap_err().status(), Some(404));

        ann.client.end_other_sessions().await.unwrap();
        signed_out(thirds).await;
        assert_eq!(third.get("/v1/users/me").await.status, 401);
        still_open(&mut firsts).await;
        assert_eq!(ann.client.sessions().await.unwrap().items.len(), 1);
        assert_eq!(bob.client.sessions().await.unwrap().items.len(), 1);
    });
}

/// A message between each pair, and a group owned by the first.
async fn acquainted(app: &TestApp) -> (Actor, Actor, Actor, Uuid, Uuid) {
    let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
    let chat = ann.open_direct(&bob).await;
    ann.send(chat, "from ann").await;
    bob.send(chat, "from bob").await;
    let group = ann.group("ours", &[&bob, &cat]).await;
    ann.send(group, "welcome").await;
    ann.client.change_role(group, cat.id, Role::Admin).await.unwrap();
    (ann, bob, cat, chat, group)
}

#[test]
fn an_erased_account_leaves_its_messages_under_no_name() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, cat, chat, group) = acquainted(&app).await;
        let socket = ann.raw().await;
        let other = ann.device().await;

        let wrong = Erase { password: Some("not this one".to_owned()) };
        let refused = ann.client.erase_me(&wrong).await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (Some(401), Some("invalid_credentials")));
        let right = Erase { password: Some(PASSWORD.to_owned()) };
        ann.client.erase_me(&right).await.unwrap();
        signed_out(socket).await;
        assert_eq!(other.get("/v1/users/me").await.status, 401);

        let profile = bob.client.user(ann.id).await.unwrap();
        assert_eq!(
            (profile.username, &*profile.display_name, profile.deleted, profile.online),
            (None, "Deleted user", true, None)
        );
        assert_eq!(bob.texts(chat).await, ["from ann", "from bob"]);
        assert_eq!(bob.texts(group).await, ["welcome"]);
        let direct = bob.sees(chat).await;
        assert!(direct.peer.unwrap().deleted);
        let path = format!("/v1/conversations/{chat}/messages");
        let refused = bob.post(&path, json!({"content": "?"})).await;
        assert_eq!((refused.status, &refused.json["code"]), (403, &json!("peer_deleted")));
        let mut bobs = bob.raw().await;
        bobs.send_json(&json!({"type": "send_message", "to": ann.id, "content": "?"}))
            .await
            .unwrap();
        assert_eq!(bobs.expect("error").await.unwrap()["code"], "peer_deleted");

        // The oldest admin owns the group now.
        let members = bob.client.members(group, None, None).await.unwrap().items;
        let mut roles: Vec<_> = members.iter().map(|m| (m.user_id, m.role)).collect();
        roles.sort_by_key(|(id, _)| *id);
        assert_eq!(roles, [(bob.id, Role::Member), (cat.id, Role::Owner)]);
        assert_eq!(bob.sees(group).await.member_count, 2);
        assert_eq!(bob.get("/v1/users?q=ann").await.json["items"], json!([]));
        let refused = bob.post("/v1/groups", json!({"name": "x", "members": [ann.id]})).await;
        assert_eq!(refused.json["errors"][0]["code"], "unknown_user");

        // Name and address are free again.
        let login = Login {
            username: Some("ann".to_owned()),
            password: PASSWORD.to_owned(),
            ..Default::default()
        };
        assert_eq!(app.anonymous().login(&login).await.unwrap_err().status(), Some(401));
        let successor = app.user("ann").await;
        assert_ne!(successor.id, ann.id);
        assert_eq!(successor.get("/v1/conversations").await.json["items"], json!([]));
    });
}

#[test]
fn an_erased_account_takes_its_messages_along_if_it_is_asked_to() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, _, chat, group) = acquainted(&app).await;
        // A login of a moment ago is proof enough.
        assert_eq!(ann.delete("/v1/users/me?messages=delete").await.status, 204);
        assert_eq!(bob.texts(chat).await, ["", "from bob"]);
        let page = bob.client.history(group, Selector::Newest, None).await.unwrap();
        assert_eq!(page.items.len(), 2);
        assert!(page.items[0].deleted_at.is_some());
        assert_eq!(page.items[0].content, None);
        assert_eq!(page.items[1].system.as_ref().unwrap().event, SystemEventKind::MemberLeft);
    });
}

#[test]
fn the_last_member_takes_the_group_along() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let alone = ann.group("alone", &[]).await;
        ann.client.erase_me(&Erase::default()).await.unwrap();
        assert_eq!(bob.get(&format!("/v1/conversations/{alone}")).await.status, 404);
    });
}

#[test]
fn many_wrong_logins_do_not_hold_up_the_server() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let mut logins = tokio::task::JoinSet::new();
        for n in 0..200 {
            let client = app.anonymous();
            let login = json!({"username": format!("nobody{n}"), "password": "not this one"});
            logins.spawn(
                async move { client.ask("POST", "/v1/auth/login", Some(login)).await.status },
            );
        }
        let health = tokio::time::timeout(Duration::from_secs(5), ann.client.health()).await;
        assert_eq!(health.unwrap().unwrap().status, "ok");
        for status in logins.join_all().await {
            assert!(matches!(status, 401 | 503), "{status}");
        }
    });
}

#[test]
fn ones_own_profile_is_changed_and_shown_to_others() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let changed =
            ann.patch("/v1/users/me", json!({"display_name": "Änn", "about": "hello"})).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        assert_eq!(changed.json["email"], "ann@example.org");
        let profile = bob.get(&format!("/v1/users/{}", ann.id)).await.json;
        assert_eq!((&profile["display_name"], &profile["about"]), (&json!("Änn"), &json!("hello")));
        assert!(profile.get("email").is_none(), "{profile}");
        let cleared = ann.patch("/v1/users/me", json!({"about": null})).await;
        assert_eq!(
            (&cleared.json["about"], &cleared.json["display_name"]),
            (&Value::Null, &json!("Änn"))
        );
        let found = bob.get("/v1/users?q=%C3%A4n").await.json;
        assert_eq!(found["items"][0]["id"], json!(ann.id));
    });
}
