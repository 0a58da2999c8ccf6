//! One's own settings of a conversation, and sockets that carry a single one.

use kith_client::protocol::rest::SettingsPatch;
use kith_client::{Credential, Error, RawSocket, rest::Inbox};
use serde_json::{Value, json};
use uuid::Uuid;

use super::run;
use crate::support::{Actor, TestApp, command, heard, next_of};

#[test]
fn settings_are_ones_own_and_told_to_ones_own_devices() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (first, second) = (ann.group("first", &[&bob]).await, ann.group("second", &[]).await);
        ann.send(first, "1").await;
        ann.send(second, "2").await;
        let (mut anns, mut bobs) = (ann.raw().await, bob.raw().await);
        let inbox = |who: Actor, archived| async move {
            let inbox = Inbox { archived, ..Inbox::default() };
            let page = who.client.conversations(&inbox).await.unwrap();
            page.items.into_iter().map(|it| it.id).collect::<Vec<Uuid>>()
        };
        assert_eq!(inbox(ann.clone(), None).await, [second, first]);
        let patch = json!({"pinned": true, "muted_until": "2027-01-01T00:00:00Z"});
        let answer = ann.patch(&format!("/v1/conversations/{first}/settings"), patch).await;
        assert_eq!((answer.status, &answer.json["my"]["pinned"]), (200, &json!(true)));
        assert_eq!(answer.json["my"]["muted_until"], "2027-01-01T00:00:00.000000Z");
        assert_eq!(next_of(&mut anns, "settings_updated").await["conversation_id"], json!(first));
        assert_eq!(inbox(ann.clone(), None).await, [first, second]);
        let archived = SettingsPatch { archived: Some(true), ..Default::default() };
        ann.client.settings(second, &archived).await.unwrap();
        assert_eq!(inbox(ann.clone(), Some(false)).await, [first]);
        assert_eq!(inbox(ann.clone(), Some(true)).await, [second]);
        let unmuted = json!({"muted_until": null});
        let answer = ann.patch(&format!("/v1/groups/{first}/settings"), unmuted).await;
        assert_eq!(answer.json["my"]["muted_until"], Value::Null);
        let sync = bob.client.sync(None, None).await.unwrap();
        let my = sync.conversations[0].my.as_ref().unwrap();
        assert!(!my.pinned && !my.archived && my.muted_until.is_none());
        assert_eq!(heard(&mut bobs).await, Vec::<Value>::new());
    });
}

async fn narrow(who: &Actor, conversation: Uuid) -> kith_client::Result<RawSocket> {
    let path = format!("/v1/ws/{conversation}");
    let token = who.token();
    RawSocket::connect(who.client.base_url(), &path, Credential::Header(&token), &[]).await
}

#[test]
fn a_socket_may_carry_one_conversation() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, eve) = (app.user("ann").await, app.user("bob").await, app.user("eve").await);
        let (one, other) = (ann.group("one", &[&bob]).await, ann.group("other", &[&bob]).await);
        for stranger in [narrow(&eve, one).await, narrow(&bob, Uuid::nil()).await] {
            assert!(matches!(stranger, Err(Error::Upgrade { status: 404, .. })));
        }
        let mut socket = narrow(&bob, one).await.unwrap();
        assert_eq!(socket.next_json().await.unwrap()["type"], "ready");
        ann.send(other, "elsewhere").await;
        ann.send(one, "here").await;
        assert_eq!(next_of(&mut socket, "new_message").await["message"]["content"], "here");
        let sent = command(&mut socket, json!({"type": "send_message", "content": "me too"})).await;
        assert_eq!(sent["message"]["conversation_id"], json!(one));
        let typing = command(&mut socket, json!({"type": "typing_start"})).await;
        assert_eq!(typing["type"], "ok");
        for astray in [
            json!({"type": "send_message", "group_id": other, "content": "x"}),
            json!({"type": "send_message", "to": ann.id, "content": "x"}),
            json!({"type": "typing_start", "conversation_id": other}),
        ] {
            assert_eq!(command(&mut socket, astray).await["type"], "error");
        }
        let read = command(&mut socket, json!({"type": "message_read", "seq": 1})).await;
        assert_eq!(read["type"], "ok");
        let frames = heard(&mut socket).await;
        assert!(frames.iter().all(|frame| frame["conversation_id"] != json!(other)), "{frames:?}");

        ann.client.remove_member(one, bob.id).await.unwrap();
        loop {
            match socket.next_json().await {
                Ok(frame) => assert_ne!(frame["message"]["conversation_id"], json!(other)),
                Err(Error::Closed { code, .. }) => {
                    assert_eq!(code, 4403);
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        let chat = ann.open_direct(&bob).await;
        let mut socket = narrow(&ann, chat).await.unwrap();
        let sent = command(&mut socket, json!({"type": "send_message", "content": "hi"})).await;
        assert_eq!(sent["message"]["conversation_id"], json!(chat));
    });
}
