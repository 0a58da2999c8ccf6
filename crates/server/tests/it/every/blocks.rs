//! One who has blocked another hears nothing of him.

use serde_json::{Value, json};

use super::run;
use crate::support::{TestApp, command, heard, next_of};

#[test]
fn who_is_blocked_reaches_the_other_on_no_path() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let chat = ann.open_direct(&bob).await;
        let hers = ann.send(chat, "hi").await;
        let his = bob.send(chat, "hello").await;
        let blocked = ann.client.block(bob.id).await.unwrap();
        assert_eq!((blocked.id, blocked.online), (bob.id, None));
        ann.client.block(bob.id).await.unwrap();
        let mut anns = ann.raw().await;

        // It holds for both, and neither is told who did it.
        for (who, other, own, theirs) in [(&ann, &bob, &hers, &his), (&bob, &ann, &his, &hers)] {
            let message = |id| format!("/v1/messages/{id}");
            let text = json!({"content": "hear me"});
            let group = json!({"name": "trap", "members": [other.id]});
            let direct = json!({"kind": "direct", "user_id": other.id});
            for (method, path, body) in [
                ("POST", "/v1/conversations".to_owned(), Some(direct)),
                ("POST", format!("/v1/conversations/{chat}/messages"), Some(text.clone())),
                ("PATCH", message(own.id), Some(text)),
                ("PUT", format!("{}/reactions/👍", message(theirs.id)), None),
                ("PUT", format!("{}/pin", message(own.id)), None),
                ("POST", "/v1/groups".to_owned(), Some(group)),
            ] {
                let answer = who.ask(method, &path, body).await;
                assert_eq!(
                    (answer.status, &answer.json["code"]),
                    (403, &json!("blocked")),
                    "{path}"
                );
            }
            let mine = who.group(&format!("{}'s", who.name), &[]).await;
            let path = format!("/v1/conversations/{mine}/members");
            let answer = who.post(&path, json!({"user_ids": [other.id]})).await;
            assert_eq!((answer.status, &answer.json["code"]), (403, &json!("blocked")));
            assert_eq!(answer.json["errors"][0]["field"], "user_ids[0]", "{}", answer.text);
            let mut socket = who.raw().await;
            for frame in [
                json!({"type": "send_message", "to": other.id, "content": "hear me"}),
                json!({"type": "typing_start", "to": other.id}),
                json!({"type": "add_reaction", "message_id": theirs.id, "emoji": "👍"}),
                json!({"type": "edit_message", "message_id": own.id, "content": "hear me"}),
            ] {
                assert_eq!(command(&mut socket, frame.clone()).await["code"], "blocked", "{frame}");
            }
            let profile = who.client.user(other.id).await.unwrap();
            assert_eq!((profile.online, profile.last_seen), (None, None));
        }
        let frames = heard(&mut anns).await;
        let about = |frame: &&Value| frame["user_id"] == json!(bob.id);
        assert_eq!(frames.iter().filter(about).count(), 0, "{frames:?}");
        // What was said stays, and one's own goes.
        assert_eq!(ann.texts(chat).await, ["hi", "hello"]);
        bob.client.delete(his.id).await.unwrap();
    });
}

#[test]
fn groups_that_both_are_in_go_on_and_a_block_can_be_taken_back() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
        let group = cat.group("ours", &[&ann, &bob]).await;
        let chat = ann.open_direct(&bob).await;
        ann.send(chat, "hi").await;
        ann.client.block(bob.id).await.unwrap();
        ann.client.block(cat.id).await.unwrap();
        let sent = bob.send(group, "hi all").await;
        ann.client.react(sent.id, "👍").await.unwrap();

        let page = ann.client.blocks(None, Some(1)).await.unwrap();
        let rest = ann.client.blocks(page.next_cursor.as_deref(), Some(1)).await.unwrap();
        let mut listed = vec![page.items[0].id, rest.items[0].id];
        listed.sort_unstable();
        let mut expected = vec![bob.id, cat.id];
        expected.sort_unstable();
        assert_eq!((listed, rest.next_cursor), (expected.clone(), None));
        let mut synced = ann.client.sync(None, None).await.unwrap().blocks;
        synced.sort_unstable();
        assert_eq!(synced, expected);
        assert_eq!(bob.client.sync(None, None).await.unwrap().blocks, Vec::<uuid::Uuid>::new());

        ann.client.unblock(bob.id).await.unwrap();
        ann.client.unblock(bob.id).await.unwrap();
        let (mut anns, mut bobs) = (ann.raw().await, bob.raw().await);
        bob.send(chat, "again").await;
        assert_eq!(next_of(&mut anns, "new_message").await["message"]["content"], "again");
        assert_eq!(bob.client.user(ann.id).await.unwrap().online, Some(true));
        drop(anns);
        next_of(&mut bobs, "user_offline").await;
    });
}

#[test]
fn only_another_person_can_be_blocked() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let own = ann.ask("PUT", &format!("/v1/users/{}/block", ann.id), None).await;
        assert_eq!((own.status, &own.json["code"]), (400, &json!("self")));
        let nobody = ann.ask("PUT", &format!("/v1/users/{}/block", uuid::Uuid::nil()), None).await;
        assert_eq!(nobody.status, 404);
    });
}
