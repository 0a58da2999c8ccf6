//! Who types.

use serde_json::{Value, json};
use uuid::Uuid;

use super::run;
use crate::support::{TestApp, command, heard, next_of};

fn typing(chat: Uuid, begins: bool) -> Value {
    let kind = if begins { "typing_start" } else { "typing_stop" };
    json!({"type": kind, "conversation_id": chat})
}

#[test]
fn others_are_told_who_types_until_he_stops_sends_or_goes() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
        let dan = app.user("dan").await;
        let group = ann.group("ours", &[&bob, &cat, &dan]).await;
        let (mut anns, mut bobs, mut cats) = (ann.raw().await, bob.raw().await, cat.raw().await);

        assert_eq!(command(&mut bobs, typing(group, true)).await["type"], "ok");
        let told = next_of(&mut anns, "user_typing").await;
        assert_eq!((&told["user_id"], &told["username"]), (&json!(bob.id), &json!("bob")));
        assert_eq!(told["conversation_id"], json!(group));
        next_of(&mut cats, "user_typing").await;
        command(&mut bobs, typing(group, false)).await;
        // What stops twice is told once: the next word is on somebody else.
        command(&mut bobs, typing(group, false)).await;
        command(&mut cats, typing(group, true)).await;
        let told = anns.next_json().await.unwrap();
        assert_eq!(
            (&told["type"], &told["user_id"]),
            (&json!("user_stopped_typing"), &json!(bob.id))
        );
        let told = anns.next_json().await.unwrap();
        assert_eq!((&told["type"], &told["user_id"]), (&json!("user_typing"), &json!(cat.id)));
        cat.send(group, "hi").await;
        next_of(&mut anns, "user_stopped_typing").await;

        let mut dans = dan.raw().await;
        command(&mut dans, typing(group, true)).await;
        next_of(&mut anns, "user_typing").await;
        drop(dans);
        next_of(&mut anns, "user_stopped_typing").await;
        // Nobody is told of himself.
        let own = heard(&mut bobs).await;
        assert!(own.iter().all(|frame| frame["user_id"] != json!(bob.id)), "{own:?}");
    });
}

#[test]
fn one_may_type_to_a_person_and_to_a_group() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        ann.open_direct(&bob).await;
        let group = ann.group("ours", &[&bob]).await;
        let (mut anns, mut bobs) = (ann.raw().await, bob.raw().await);
        let answer = command(&mut anns, json!({"type": "typing_start", "to": bob.id})).await;
        assert_eq!(answer["type"], "ok");
        next_of(&mut bobs, "user_typing").await;
        let answer = command(&mut anns, json!({"type": "typing_start", "group_id": group})).await;
        assert_eq!(answer["type"], "ok");
        assert_eq!(next_of(&mut bobs, "user_typing").await["conversation_id"], json!(group));
        for wrong in [
            json!({"type": "typing_start"}),
            json!({"type": "typing_start", "to": bob.id, "group_id": group}),
        ] {
            assert_eq!(command(&mut anns, wrong).await["code"], "validation_failed");
        }
    });
}

#[test]
fn who_may_not_write_does_not_type() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let channel = json!({"name": "news", "posting": "admins"});
        let channel = ann.post("/v1/channels", channel).await.json;
        let channel: Uuid = channel["id"].as_str().unwrap().parse().unwrap();
        bob.client.join_channel(channel).await.unwrap();
        let mut bobs = bob.raw().await;
        assert_eq!(command(&mut bobs, typing(channel, true)).await["code"], "forbidden");
    });
}
