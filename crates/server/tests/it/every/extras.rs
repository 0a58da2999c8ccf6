//! What one can do with a message beside writing it: react, pin, mention, answer; and what the
//! history notes by itself.

use kith_client::protocol::{frame, rest};
use serde_json::{Value, json};
use uuid::Uuid;

use super::run;
use crate::support::{TestApp, command, heard, next_of, say};

#[test]
fn reactions_are_given_once_each_and_taken_back() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let chat = ann.open_direct(&bob).await;
        let sent = ann.send(chat, "news").await;
        let (mut anns, mut bobs) = (ann.raw().await, bob.raw().await);

        let message = bob.client.react(sent.id, "👍").await.unwrap();
        assert_eq!(message.reactions.len(), 1);
        let told = next_of(&mut anns, "reaction_added").await;
        assert_eq!((&told["emoji"], &told["user_id"]), (&json!("👍"), &json!(bob.id)));
        assert_eq!((&told["seq"], &told["message_id"]), (&json!(1), &json!(sent.id)));
        assert_eq!(told["version"], json!(message.version));
        // Twice changes nothing.
        assert_eq!(bob.client.react(sent.id, "👍").await.unwrap().version, message.version);
        ann.client.react(sent.id, "👍").await.unwrap();
        let heart = json!({"type": "add_reaction", "message_id": sent.id, "emoji": "❤️"});
        assert_eq!(command(&mut bobs, heart).await["type"], "ok");

        let reactions = ann.client.message(sent.id).await.unwrap().reactions;
        assert_eq!((reactions[0].emoji.as_str(), reactions[0].count), ("👍", 2));
        assert_eq!(reactions[0].user_ids, [bob.id, ann.id]);
        assert_eq!((reactions[1].emoji.as_str(), reactions[1].count), ("❤️", 1));

        bob.client.unreact(sent.id, "👍").await.unwrap();
        bob.client.unreact(sent.id, "👍").await.unwrap();
        assert_eq!(next_of(&mut anns, "reaction_removed").await["emoji"], "👍");
        for wrong in ["a", "👍👍", "1"] {
            let path = format!("/v1/messages/{}/reactions/{wrong}", sent.id);
            let answer = bob.ask("PUT", &path, None).await;
            assert_eq!(answer.status, 400, "{}", answer.text);
            assert_eq!(answer.json["errors"][0]["field"], "emoji");
        }
        ann.client.delete(sent.id).await.unwrap();
        let deleted = bob.client.message(sent.id).await.unwrap();
        assert_eq!((deleted.reactions.len(), deleted.content), (0, None));
        let late = bob.ask("PUT", &format!("/v1/messages/{}/reactions/👍", sent.id), None).await;
        assert_eq!((late.status, &late.json["code"]), (409, &json!("message_deleted")));
    });
}

#[test]
fn a_message_has_fifty_different_reactions_at_most() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let group = ann.group("ours", &[]).await;
        let sent = ann.send(group, "hi").await;
        for number in 0..50 {
            let emoji = char::from_u32(0x1F600 + number).unwrap().to_string();
            ann.client.react(sent.id, &emoji).await.unwrap();
        }
        let answer = ann.ask("PUT", &format!("/v1/messages/{}/reactions/🎉", sent.id), None).await;
        assert_eq!((answer.status, &answer.json["code"]), (409, &json!("too_many_reactions")));
    });
}

#[test]
fn a_pin_is_told_and_seen() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let sent = bob.send(group, "remember").await;
        let mut bobs = bob.raw().await;
        let pinned = ann.client.pin(sent.id).await.unwrap();
        assert!(pinned.pinned_at.is_some());
        let told = next_of(&mut bobs, "message_updated").await;
        assert_eq!(told["message"]["pinned_at"], json!(pinned.pinned_at));
        assert_eq!(ann.client.pin(sent.id).await.unwrap().version, pinned.version);
        ann.client.unpin(sent.id).await.unwrap();
        assert_eq!(bob.client.message(sent.id).await.unwrap().pinned_at, None);
    });
}

#[test]
fn members_are_mentioned_by_their_names_and_counted_apart() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, eve) =
            (app.user("ann").await, app.user("Bob.B").await, app.user("eve").await);
        let group = ann.group("ours", &[&bob]).await;
        let text = "hi @bob.b, @eve, @nobody and mail@ann";
        let sent = ann.send(group, text).await;
        assert_eq!(sent.mentions, [bob.id]);
        assert!(!sent.mentions.contains(&eve.id));
        ann.send(group, "without").await;
        let my = bob.sees(group).await.my.unwrap();
        assert_eq!((my.unread_count, my.unread_mentions), (2, 1));
        let edited = ann.client.edit(sent.id, "never mind").await.unwrap();
        assert_eq!(edited.mentions, Vec::<Uuid>::new());
        let my = bob.sees(group).await.my.unwrap();
        assert_eq!((my.unread_count, my.unread_mentions), (2, 0));
        // Over a socket, and at the end of a sentence.
        let mut anns = ann.raw().await;
        let frame = json!({"type": "send_message", "group_id": group, "content": "ask @BOB.B."});
        assert_eq!(command(&mut anns, frame).await["message"]["mentions"], json!([bob.id]));
        bob.client.read_up_to(group, 3).await.unwrap();
        assert_eq!(bob.sees(group).await.my.unwrap().unread_mentions, 0);
    });
}

#[test]
fn an_answer_shows_the_beginning_of_what_it_answers_to_those_who_see_it() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
        let group = ann.group("ours", &[&bob]).await;
        let question = ann.send(group, &format!("why?\n{}", "x".repeat(300))).await;
        ann.client.add_members(group, &[cat.id]).await.unwrap();
        let answer = rest::SendMessage { reply_to: Some(question.id), ..say("because") };
        let answer = bob.client.send(group, &answer).await.unwrap();
        let excerpt = answer.reply_to.unwrap().excerpt.unwrap();
        assert!(excerpt.starts_with("why? xxx") && excerpt.len() == 100, "{excerpt}");
        let seen = cat.client.message(answer.id).await.unwrap().reply_to.unwrap();
        assert_eq!((seen.id, seen.excerpt), (question.id, None));
        // Frames are the same for all.
        let mut anns = ann.raw().await;
        let frame = frame::SendMessage {
            conversation_id: Some(group),
            content: "indeed".into(),
            reply_to: Some(question.id),
            ..Default::default()
        };
        let frame = serde_json::to_value(frame::ClientFrame::SendMessage(frame)).unwrap();
        let sent = command(&mut anns, frame).await;
        assert_eq!(sent["message"]["reply_to"]["excerpt"], Value::Null);
        ann.client.delete(question.id).await.unwrap();
        let seen = bob.client.message(answer.id).await.unwrap().reply_to.unwrap();
        assert_eq!(seen.excerpt, None);
    });
}

#[test]
fn the_history_of_a_group_notes_who_comes_and_goes_and_its_names() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
        let group = ann.group("ours", &[&bob]).await;
        let mut bobs = bob.raw().await;
        ann.client.add_members(group, &[cat.id]).await.unwrap();
        let renamed = rest::ConversationPatch { name: Some("all".into()), ..Default::default() };
        ann.client.update_conversation(group, &renamed).await.unwrap();
        ann.client.update_conversation(group, &renamed).await.unwrap();
        let about = json!({"description": "no note of this"});
        ann.patch(&format!("/v1/groups/{group}"), about).await;
        cat.client.leave(group).await.unwrap();
        ann.client.remove_member(group, bob.id).await.unwrap();

        let notes: Vec<Value> = ann
            .history(group)
            .await
            .into_iter()
            .map(|message| serde_json::to_value(message.system.unwrap()).unwrap())
            .collect();
        assert_eq!(
            notes,
            [
                json!({"event": "member_added", "actor_id": ann.id, "user_id": cat.id}),
                json!({"event": "renamed", "actor_id": ann.id, "name": "all"}),
                json!({"event": "member_left", "actor_id": cat.id, "user_id": cat.id}),
                json!({"event": "member_removed", "actor_id": ann.id, "user_id": bob.id}),
            ]
        );
        // Versions come without a gap, notes among them, until he is removed himself.
        let frames = heard(&mut bobs).await;
        let version = |frame: &Value| {
            let places = [
                &frame["version"],
                &frame["message"]["version"],
                &frame["conversation"]["version"],
            ];
            places.into_iter().find_map(Value::as_i64)
        };
        let versions: Vec<i64> = frames.iter().filter_map(version).collect();
        let dense: Vec<i64> = (2..2 + i64::try_from(versions.len()).unwrap()).collect();
        assert_eq!(versions, dense, "{frames:#?}");
        // Notes are nobody's to read, change or mark.
        let note = ann.history(group).await.remove(0);
        assert_eq!(ann.sees(group).await.my.unwrap().unread_count, 0);
        for (method, path) in
            [("PATCH", ""), ("DELETE", ""), ("PUT", "/pin"), ("PUT", "/reactions/👍")]
        {
            let body = (method == "PATCH").then(|| json!({"content": "x"}));
            let answer = ann.ask(method, &format!("/v1/messages/{}{path}", note.id), body).await;
            assert_eq!(answer.status, 403, "{method} {path} {}", answer.text);
        }
    });
}
