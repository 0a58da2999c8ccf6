//! Channels: listed, open to anyone, and invites into what is not.

use kith_client::protocol::rest::{ConversationPatch, NewChannel, NewInvite, Posting, Role};
use serde_json::{Value, json};
use uuid::Uuid;

use super::run;
use crate::support::{Actor, TestApp, heard, next_of};

async fn channel(owner: &Actor, name: &str, posting: Option<Posting>) -> Uuid {
    let new = NewChannel { name: name.to_owned(), description: None, posting };
    owner.client.create_channel(&new).await.unwrap().id
}

async fn found(who: &Actor, q: Option<&str>) -> Vec<String> {
    let page = who.client.channels(q, None, None).await.unwrap();
    page.items.into_iter().map(|channel| channel.name.unwrap()).collect()
}

#[test]
fn channels_are_listed_for_everyone_and_found_by_any_word() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (zebra, _) =
            (channel(&ann, "Zebra Lovers", None).await, channel(&ann, "ärzte heute", None).await);
        channel(&ann, "Alpine Zone", None).await;
        ann.group("Zorro", &[]).await;
        assert_eq!(found(&bob, None).await, ["Alpine Zone", "Zebra Lovers", "ärzte heute"]);
        assert_eq!(found(&bob, Some("z")).await, ["Alpine Zone", "Zebra Lovers"]);
        assert_eq!(found(&bob, Some("ÄRZ")).await, ["ärzte heute"]);
        assert_eq!(found(&bob, Some("%")).await, Vec::<String>::new());
        let mut pages = Vec::new();
        let mut cursor = None;
        loop {
            let page = bob.client.channels(None, cursor.as_deref(), Some(2)).await.unwrap();
            pages.push(page.items.len());
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, [2, 1]);

        let renamed = ConversationPatch { name: Some("Okapi Lovers".into()), ..Default::default() };
        ann.client.update_conversation(zebra, &renamed).await.unwrap();
        assert_eq!(found(&bob, Some("zeb")).await, Vec::<String>::new());
        assert_eq!(found(&bob, Some("oka")).await, ["Okapi Lovers"]);
        ann.client.delete_channel(zebra).await.unwrap();
        assert_eq!(found(&bob, Some("oka")).await, Vec::<String>::new());
    });
}

#[test]
fn whoever_joins_reads_all_of_it_and_a_visitor_only_what_it_is() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let news = channel(&ann, "news", None).await;
        ann.send(news, "first").await;
        for path in [format!("/v1/channels/{news}"), format!("/v1/conversations/{news}")] {
            let seen = bob.get(&path).await.json;
            assert_eq!((&seen["name"], &seen["member_count"]), (&json!("news"), &json!(1)));
            assert_eq!((&seen["my"], &seen["last_message"]), (&Value::Null, &Value::Null));
        }
        assert_eq!(bob.get(&format!("/v1/channels/{news}/messages")).await.status, 404);
        let mut anns = ann.raw().await;

        let joined = bob.client.join_channel(news).await.unwrap();
        assert_eq!((joined.member_count, joined.my.unwrap().unread_count), (2, 0));
        bob.client.join_channel(news).await.unwrap();
        assert_eq!(bob.texts(news).await, ["first"]);
        // Its owner is told; the history is not.
        assert_eq!(next_of(&mut anns, "member_added").await["user_id"], json!(bob.id));
        assert_eq!(ann.history(news).await.len(), 1);
        ann.send(news, "second").await;
        assert_eq!(bob.sees(news).await.my.unwrap().unread_count, 1);

        bob.client.leave_channel(news).await.unwrap();
        assert_eq!(next_of(&mut anns, "member_removed").await["user_id"], json!(bob.id));
        assert_eq!(bob.get(&format!("/v1/channels/{news}/messages")).await.status, 404);
        let last = ann.client.leave_channel(news).await;
        assert!(last.is_ok(), "the last one takes it along: {last:?}");
        assert_eq!(bob.get(&format!("/v1/channels/{news}")).await.status, 404);
    });
}

#[test]
fn members_of_a_channel_see_who_is_in_charge_and_nobody_else() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
        let news = channel(&ann, "news", Some(Posting::Admins)).await;
        bob.client.join_channel(news).await.unwrap();
        let mut bobs = bob.raw().await;
        cat.client.join_channel(news).await.unwrap();
        let listed = |who: Actor| async move {
            let members = who.client.members(news, None, None).await.unwrap().items;
            members.into_iter().map(|member| member.username.unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(listed(ann.clone()).await, ["ann", "bob", "cat"]);
        assert_eq!(listed(bob.clone()).await, ["ann"]);
        assert_eq!(heard(&mut bobs).await, Vec::<Value>::new());
        let refused =
            bob.post(&format!("/v1/channels/{news}/messages"), json!({"content": "x"})).await;
        assert_eq!((refused.status, &refused.json["code"]), (403, &json!("forbidden")));
        ann.client.change_role(news, bob.id, Role::Admin).await.unwrap();
        assert_eq!(next_of(&mut bobs, "member_updated").await["role"], "admin");
        bob.send(news, "x").await;
        assert_eq!(listed(bob.clone()).await, ["ann", "bob", "cat"]);
        cat.client.leave_channel(news).await.unwrap();
        assert_eq!(next_of(&mut bobs, "member_removed").await["user_id"], json!(cat.id));
    });
}

#[test]
fn an_invite_lets_in_as_many_as_it_says() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
        let group = ann.group("ours", &[]).await;
        ann.send(group, "before").await;
        let once = NewInvite { max_uses: Some(1), expires_in: Some(3_600) };
        let invite = ann.client.invite(group, &once).await.unwrap();
        assert!(invite.url.ends_with(&format!("/invite/{}", invite.code)), "{invite:?}");
        assert_eq!((invite.max_uses, invite.uses), (Some(1), 0));
        assert!(invite.expires_at.is_some());
        let mut anns = ann.raw().await;

        let joined = bob.client.join_by_invite(&invite.code).await.unwrap();
        assert_eq!((joined.id, joined.my.unwrap().unread_count), (group, 0));
        assert_eq!(next_of(&mut anns, "member_added").await["user_id"], json!(bob.id));
        let note = next_of(&mut anns, "new_message").await["message"].clone();
        let said = json!({"event": "member_added", "actor_id": bob.id, "user_id": bob.id});
        assert_eq!((&note["message_type"], &note["system"]), (&json!("system"), &said));
        // Whoever is in already spends nothing.
        bob.client.join_by_invite(&invite.code).await.unwrap();
        let spent = cat.ask("POST", &format!("/v1/invites/{}/join", invite.code), None).await;
        assert_eq!((spent.status, &spent.json["code"]), (404, &json!("not_found")));

        let open = ann.client.invite(group, &NewInvite::default()).await.unwrap();
        let listed = ann.client.invites(group).await.unwrap().items;
        assert_eq!(listed.len(), 2);
        assert_eq!((&listed[0].code, listed[1].uses), (&open.code, 1));
        ann.client.revoke_invite(group, &open.code).await.unwrap();
        assert_eq!(
            cat.ask("POST", &format!("/v1/invites/{}/join", open.code), None).await.status,
            404
        );
        for (field, wrong) in [("expires_in", 5), ("max_uses", 0)] {
            let path = format!("/v1/groups/{group}/invites");
            let answer = ann.post(&path, json!({(field): wrong})).await;
            assert_eq!((answer.status, &answer.json["errors"][0]["field"]), (400, &json!(field)));
        }
    });
}
