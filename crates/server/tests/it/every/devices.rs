//! What one device does, the others see, in its order.

use serde_json::json;

use super::run;
use crate::support::{Ask as _, PASSWORD, TestApp, soon};

#[test]
fn edits_of_one_socket_take_effect_in_the_order_in_which_they_were_sent() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let direct = ann.open_direct(&bob).await;
        let message = ann.send(direct, "version 0").await;
        let mut socket = ann.raw().await;
        for n in 1..=50 {
            let frame = json!({
                "type": "edit_message", "id": n.to_string(),
                "message_id": message.id, "content": format!("version {n}"),
            });
            socket.send_json(&frame).await.unwrap();
        }
        let mut done = Vec::new();
        while done.len() < 50 {
            let answer = soon("an answer", socket.next_json()).await.unwrap();
            if answer["type"] == "ok" {
                done.push(answer["id"].as_str().unwrap().parse::<u32>().unwrap());
            }
        }
        assert_eq!(done, (1..=50).collect::<Vec<_>>());
        assert_eq!(ann.texts(direct).await, ["version 50"]);
    });
}

#[test]
fn hiding_and_coming_back_are_seen_on_the_other_device_and_nowhere_else() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let direct = ann.open_direct(&bob).await;
        bob.send(direct, "hello").await;
        let (mut mine, mut his) = (ann.raw().await, bob.raw().await);
        ann.client.hide(direct).await.unwrap();
        let frame = soon("the hiding", mine.expect("conversation_removed")).await.unwrap();
        assert_eq!(frame["conversation_id"], json!(direct));
        ann.open_direct(&bob).await;
        let frame = soon("the coming back", mine.expect("conversation_created")).await.unwrap();
        assert_eq!(frame["conversation"]["id"], json!(direct));
        // What the other one hears first is what concerns him.
        ann.send(direct, "again").await;
        let first = soon("a frame", his.next_json()).await.unwrap();
        assert_eq!(first["type"], "new_message");
    });
}

#[test]
fn a_changed_profile_is_told_to_those_who_know_the_person() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
        ann.group("ours", &[&bob]).await;
        let (mut known, mut stranger) = (bob.raw().await, cat.raw().await);
        let answer = ann.patch("/v1/users/me", json!({"display_name": "Ann Lee"})).await;
        assert_eq!(answer.status, 200);
        let frame = soon("the change", known.expect("user_updated")).await.unwrap();
        assert_eq!(frame["user"]["display_name"], "Ann Lee");
        stranger.send_json(&json!({"type": "ping"})).await.unwrap();
        let first = soon("a frame", stranger.next_json()).await.unwrap();
        assert_eq!(first["type"], "pong");
    });
}

#[test]
fn devices_are_listed_page_by_page() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        for _ in 0..4 {
            ann.device().await;
        }
        let mut seen = Vec::new();
        let mut path = "/v1/auth/sessions?limit=2".to_owned();
        loop {
            let page = ann.get(&path).await;
            assert_eq!(page.status, 200, "{}", page.text);
            for device in page.json["items"].as_array().unwrap() {
                seen.push(device["id"].as_str().unwrap().to_owned());
            }
            let Some(cursor) = page.json["next_cursor"].as_str() else { break };
            path = format!("/v1/auth/sessions?limit=2&cursor={cursor}");
        }
        assert_eq!(seen.len(), 5);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 5);
    });
}

#[test]
fn who_came_later_hears_nothing_of_what_came_before() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, late) =
            (app.user("ann").await, app.user("bob").await, app.user("late").await);
        let group = ann.group("ours", &[&bob]).await;
        let (first, second) =
            (ann.send(group, "before").await, ann.send(group, "before too").await);
        ann.client.add_members(group, &[late.id]).await.unwrap();
        let (mut early, mut newcomer) = (bob.raw().await, late.raw().await);
        ann.client.edit(first.id, "not for all").await.unwrap();
        ann.client.delete(second.id).await.unwrap();
        ann.send(group, "for all").await;
        soon("the edit", early.expect("message_updated")).await.unwrap();
        soon("the deletion", early.expect("message_deleted")).await.unwrap();
        let heard = soon("a frame", newcomer.next_json()).await.unwrap();
        assert_eq!(heard["message"]["content"], "for all", "{heard}");
    });
}

#[test]
fn logins_that_wait_for_their_turn_have_not_failed() {
    run(async {
        let app = TestApp::with(|config| config.limits.logins_per_minute = 30).await;
        app.user("ann").await;
        let mut logins = tokio::task::JoinSet::new();
        for _ in 0..60 {
            let client = app.anonymous();
            logins.spawn(async move {
                let body = json!({"username": "ann", "password": PASSWORD});
                client.ask("POST", "/v1/auth/login", Some(body)).await
            });
        }
        while let Some(answer) = logins.join_next().await {
            let answer = answer.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
    });
}
