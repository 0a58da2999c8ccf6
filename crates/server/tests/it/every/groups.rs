//! Groups and direct chats: making, changing, leaving, hiding.

use kith_client::{
    Selector,
    protocol::{
        frame::ServerFrame,
        rest::{ConversationPatch, Kind, Role},
    },
    rest::Inbox,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::run;
use crate::support::{Actor, TestApp};

fn roles(members: &Value) -> Vec<(String, String)> {
    let mut roles: Vec<_> = members
        .as_array()
        .unwrap()
        .iter()
        .map(|member| {
            (
                member["username"].as_str().unwrap().to_owned(),
                member["role"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    roles.sort();
    roles
}

fn role(name: &str, role: &str) -> (String, String) {
    (name.to_owned(), role.to_owned())
}

#[test]
fn a_group_is_made_with_its_members() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
        let mut bobs = bob.raw().await;
        for (path, field) in
            [("/v1/groups", "members"), ("/v1/groups", "member_ids"), ("/groups", "members")]
        {
            let mut body = json!({"name": " Our group ", "description": "what we do"});
            body[field] = json!([bob.id, cat.id, bob.id, ann.id]);
            let made = ann.post(path, body).await;
            assert_eq!(made.status, 201, "{}", made.text);
            assert_eq!(
                (&made.json["kind"], &made.json["name"], &made.json["member_count"]),
                (&json!("group"), &json!("Our group"), &json!(3))
            );
            assert_eq!(
                roles(&made.json["members"]),
                [role("ann", "owner"), role("bob", "member"), role("cat", "member")]
            );
            assert_eq!(made.json["my"]["role"], "owner");
            let told = bobs.expect("conversation_created").await.unwrap();
            assert_eq!(told["conversation"]["id"], made.json["id"]);
        }
        let body = json!({"kind": "group", "name": "x", "member_ids": [bob.id]});
        assert_eq!(ann.post("/v1/conversations", body).await.status, 201);

        let unknown = Uuid::from_u128(1);
        for (path, body, field) in [
            ("/v1/groups", json!({"name": "x", "members": [bob.id, unknown]}), "members[1]"),
            (
                "/v1/conversations",
                json!({"kind": "group", "name": "x", "member_ids": [ann.id, ann.id, unknown]}),
                "member_ids[2]",
            ),
        ] {
            let refused = ann.post(path, body).await;
            assert_eq!(refused.status, 400);
            assert_eq!(refused.json["errors"][0]["field"], field, "{}", refused.text);
            assert_eq!(refused.json["errors"][0]["code"], "unknown_user");
        }
        let many: Vec<Uuid> = (1..=1_025).map(Uuid::from_u128).collect();
        let refused = ann.post("/v1/groups", json!({"name": "x", "members": many})).await;
        assert_eq!((refused.status, &refused.json["errors"][0]["field"]), (400, &json!("members")));
        let groups = ann.get("/v1/groups").await;
        assert_eq!(groups.json["items"].as_array().unwrap().len(), 4);
    });
}

#[test]
fn a_direct_chat_is_one_for_each_pair() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let open = |peer: Uuid| json!({"kind": "direct", "user_id": peer});
        let first = ann.post("/v1/conversations", open(bob.id)).await;
        assert_eq!((first.status, &first.json["kind"]), (201, &json!("direct")));
        assert_eq!(first.json["peer"]["username"], "bob");
        assert_eq!(first.json["name"], Value::Null);
        for who in [&ann, &bob] {
            let peer = if who.id == ann.id { bob.id } else { ann.id };
            for path in ["/v1/conversations", "/v1/chats", "/conversations", "/chats"] {
                let again = who.post(path, open(peer)).await;
                assert_eq!((again.status, &again.json["id"]), (200, &first.json["id"]), "{path}");
            }
        }
        // Twenty at once, from both sides.
        let cat = app.user("cat").await;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..20 {
            let (who, peer) =
                if n % 2 == 0 { (ann.clone(), cat.id) } else { (cat.clone(), ann.id) };
            tasks.spawn(async move { who.post("/v1/conversations", open(peer)).await });
        }
        let answers = tasks.join_all().await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        assert!(answers.iter().all(|answer| answer.json["id"] == answers[0].json["id"]));

        let refused = ann.post("/v1/conversations", open(ann.id)).await;
        assert_eq!((refused.status, &refused.json["code"]), (400, &json!("self")));
        let refused = ann.post("/v1/conversations", open(Uuid::from_u128(1))).await;
        assert_eq!((refused.status, &refused.json["errors"][0]["field"]), (400, &json!("user_id")));
        assert_eq!(refused.json["errors"][0]["code"], "unknown_user", "{}", refused.text);

        // What only groups have makes no sense here.
        let id = first.json["id"].as_str().unwrap();
        for (method, path, body) in [
            ("PATCH", format!("/v1/conversations/{id}"), json!({"name": "us"})),
            ("POST", format!("/v1/conversations/{id}/members"), json!({"user_id": cat.id})),
            ("DELETE", format!("/v1/conversations/{id}/members/{}", bob.id), Value::Null),
            ("DELETE", format!("/v1/conversations/{id}/members/{}", ann.id), Value::Null),
            (
                "PATCH",
                format!("/v1/conversations/{id}/members/{}", bob.id),
                json!({"role": "admin"}),
            ),
        ] {
            let refused = ann.ask(method, &path, (!body.is_null()).then_some(body)).await;
            assert_eq!(
                (refused.status, &refused.json["code"]),
                (409, &json!("wrong_kind")),
                "{method} {path}"
            );
        }
    });
}

#[test]
fn who_may_do_what_follows_from_roles() {
    run(async {
        let app = TestApp::start().await;
        let mut people = Vec::new();
        for name in ["owner", "admin", "member", "target", "stranger"] {
            people.push(app.user(name).await);
        }
        let [owner, admin, member, target, stranger] = &people[..] else { unreachable!() };
        let actors = [owner, admin, member];
        // What is done, and what owner, admin and member are answered.
        let matrix: [(&str, [u16; 3]); 12] = [
            ("add", [201, 201, 403]),
            ("remove a member", [204, 204, 403]),
            ("remove an owner", [204, 403, 403]),
            ("rename", [200, 200, 403]),
            ("posting", [200, 200, 403]),
            ("make an admin", [200, 200, 403]),
            ("make an owner", [200, 403, 403]),
            ("unmake an owner", [200, 403, 403]),
            ("delete another's message", [204, 204, 403]),
            ("delete an owner's message", [204, 403, 403]),
            ("edit another's message", [403, 403, 403]),
            ("delete for all", [204, 403, 403]),
        ];
        for (what, expected) in matrix {
            for (actor, status) in actors.into_iter().zip(expected) {
                let group = owner.group("ours", &[admin, member, target]).await;
                owner.client.change_role(group, admin.id, Role::Admin).await.unwrap();
                let targets = target.send(group, "mine").await;
                if what.contains("an owner") && what != "make an owner" {
                    owner.client.change_role(group, target.id, Role::Owner).await.unwrap();
                }
                let one = format!("/v1/groups/{group}");
                let theirs = format!("{one}/members/{}", target.id);
                let message = format!("/v1/messages/{}", targets.id);
                let (method, path, body) = match what {
                    "add" => ("POST", format!("{one}/members"), json!({"user_id": stranger.id})),
                    "remove a member" | "remove an owner" => ("DELETE", theirs, Value::Null),
                    "rename" => ("PATCH", one, json!({"name": "new"})),
                    "posting" => ("PATCH", one, json!({"posting": "admins"})),
                    "make an admin" => ("PATCH", theirs, json!({"role": "admin"})),
                    "make an owner" => ("PATCH", theirs, json!({"role": "owner"})),
                    "unmake an owner" => ("PATCH", theirs, json!({"role": "member"})),
                    "edit another's message" => ("PATCH", message, json!({"content": "new"})),
                    "delete for all" => ("DELETE", one, Value::Null),
                    _ => ("DELETE", message, Value::Null),
                };
                let answer = actor.ask(method, &path, (!body.is_null()).then_some(body)).await;
                assert_eq!(answer.status, status, "{} {what}: {}", actor.name, answer.text);
                if status == 403 {
                    assert_eq!(answer.json["code"], "forbidden", "{} {what}", actor.name);
                }
            }
        }
        let group = owner.group("ours", &[member]).await;
        let path = format!("/v1/groups/{group}/members/{}", member.id);
        assert_eq!(
            member.patch(&path, json!({"role": "owner"})).await.status,
            403,
            "nobody raises himself"
        );
    });
}

#[test]
fn where_admins_post_members_only_read() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("news", &[&bob]).await;
        ann.patch(&format!("/v1/groups/{group}"), json!({"posting": "admins"})).await;
        ann.send(group, "news").await;
        let path = format!("/v1/groups/{group}/messages");
        let refused = bob.post(&path, json!({"content": "may I?"})).await;
        assert_eq!((refused.status, &refused.json["code"]), (403, &json!("forbidden")));
        let mut socket = bob.raw().await;
        socket
            .send_json(&json!({"type": "send_message", "group_id": group, "content": "?"}))
            .await
            .unwrap();
        assert_eq!(socket.expect("error").await.unwrap()["code"], "forbidden");
        ann.client.change_role(group, bob.id, Role::Admin).await.unwrap();
        bob.send(group, "now I may").await;
        assert_eq!(ann.texts(group).await, ["news", "now I may"]);
    });
}

#[test]
fn the_last_owner_hands_over_before_leaving() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let leave = format!("/v1/groups/{group}/leave");
        for refused in [
            ann.ask("POST", &leave, None).await,
            ann.delete(&leave).await,
            ann.delete(&format!("/v1/groups/{group}/members/{}", ann.id)).await,
            ann.patch(&format!("/v1/groups/{group}/members/{}", ann.id), json!({"role": "member"}))
                .await,
        ] {
            assert_eq!((refused.status, &refused.json["code"]), (409, &json!("last_owner")));
        }
        ann.client.change_role(group, bob.id, Role::Owner).await.unwrap();
        assert_eq!(ann.ask("POST", &leave, None).await.status, 204);
        assert_eq!(ann.get(&format!("/v1/groups/{group}")).await.status, 404);
        assert_eq!(bob.sees(group).await.member_count, 1);
        // The last one ends it.
        assert_eq!(bob.delete(&leave).await.status, 204);
        assert_eq!(bob.get(&format!("/v1/groups/{group}")).await.status, 404);

        // Two owners who leave at once do not leave it without one.
        let group = ann.group("two owners", &[&bob, &app.user("cat").await]).await;
        ann.client.change_role(group, bob.id, Role::Owner).await.unwrap();
        let (one, other) = tokio::join!(ann.client.leave(group), bob.client.leave(group));
        assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1);
    });
}

#[test]
fn who_comes_later_does_not_see_what_was_before() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[]).await;
        let early = ann.send(group, "early").await;
        let mut socket = bob.raw().await;
        ann.client.add_members(group, &[bob.id]).await.unwrap();
        assert_eq!(socket.expect("member_added").await.unwrap()["user_id"], json!(bob.id));
        let card = bob.sees(group).await;
        let my = card.my.unwrap();
        assert_eq!((my.first_seq, my.unread_count), (2, 0));
        // The first thing he sees is that he was added.
        assert!(card.last_message.unwrap().system.is_some());
        assert_eq!(bob.texts(group).await, Vec::<String>::new());
        ann.send(group, "late").await;
        assert_eq!(bob.texts(group).await, ["late"]);
        assert_eq!(bob.sees(group).await.my.unwrap().unread_count, 1);
        for selector in [Selector::Before(2), Selector::After(0), Selector::Around(1)] {
            let page = bob.client.history(group, selector, None).await.unwrap();
            assert!(page.items.iter().all(|message| message.seq >= 2) && !page.has_before);
        }
        assert_eq!(bob.get(&format!("/v1/messages/{}", early.id)).await.status, 404);
        ann.client.edit(early.id, "edited").await.unwrap();
        let changes = bob.client.changes(group, 0, None).await.unwrap();
        assert!(changes.messages.iter().all(|message| message.seq >= 2), "{:?}", changes.messages);

        // Who comes back begins anew.
        bob.client.leave(group).await.unwrap();
        ann.send(group, "without bob").await;
        ann.client.add_members(group, &[bob.id]).await.unwrap();
        ann.send(group, "back").await;
        assert_eq!(bob.texts(group).await, ["back"]);
        // He begins with the note of it; one of his leaving, and the message, lie before.
        assert_eq!(bob.sees(group).await.my.unwrap().first_seq, 6);
    });
}

#[test]
fn a_hidden_conversation_comes_back_with_what_is_new() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (chat, group) = (ann.open_direct(&bob).await, ann.group("ours", &[&bob]).await);
        let mut socket = bob.raw().await;
        for (id, path) in [
            (group, format!("/v1/conversations/{group}")),
            (group, format!("/v1/chats/{group}")),
            (group, format!("/v1/conversations/group/{group}")),
            (chat, format!("/v1/conversations/{chat}")),
            (chat, format!("/v1/conversations/dm/{}", ann.id)),
            (chat, format!("/chats/dm/{}", ann.id)),
        ] {
            ann.send(id, "old").await;
            ann.send(id, "old too").await;
            assert_eq!(bob.delete(&path).await.status, 204, "{path}");
            assert_eq!(
                socket.expect("conversation_removed").await.unwrap()["conversation_id"],
                json!(id)
            );
            let inbox = bob.client.conversations(&Inbox::default()).await.unwrap();
            assert!(inbox.items.iter().all(|it| it.id != id), "{path}");
            let before = ann.texts(id).await.len();

            let sent = ann.send(id, "new").await;
            let inbox = bob.client.conversations(&Inbox::default()).await.unwrap();
            let back = inbox.items.iter().find(|it| it.id == id).expect("it is back");
            let my = back.my.clone().unwrap();
            assert_eq!((my.unread_count, my.hidden, my.first_seq), (1, false, sent.seq), "{path}");
            assert_eq!(bob.texts(id).await, ["new"], "{path}");
            assert_eq!(ann.texts(id).await.len(), before + 1, "nothing is deleted for others");
        }
        let stranger = app.user("eve").await;
        for path in [
            format!("/v1/conversations/{group}"),
            format!("/v1/conversations/dm/{}", Uuid::from_u128(1)),
            format!("/v1/conversations/dm/{}", ann.id),
        ] {
            assert_eq!(stranger.delete(&path).await.status, 404, "{path}");
        }
    });
}

#[test]
fn a_group_deleted_for_all_is_gone_for_all() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let sent = bob.send(group, "hello").await;
        let (mut anns, mut bobs) = (ann.raw().await, bob.raw().await);
        ann.client.delete_group(group).await.unwrap();
        for (who, socket) in [(&ann, &mut anns), (&bob, &mut bobs)] {
            assert_eq!(socket.next_json().await.unwrap()["type"], "conversation_removed");
            assert_eq!(who.get(&format!("/v1/groups/{group}")).await.status, 404);
            assert_eq!(who.get(&format!("/v1/messages/{}", sent.id)).await.status, 404);
            assert_eq!(who.get("/v1/conversations").await.json["items"], json!([]));
            let path = format!("/v1/groups/{group}/messages");
            let refused = who.post(&path, json!({"content": "?"})).await;
            assert_eq!((refused.status, &refused.json["code"]), (403, &json!("not_a_member")));
        }
        // Under its general name, deleting is hiding.
        let group = ann.group("ours", &[&bob]).await;
        assert_eq!(ann.delete(&format!("/v1/conversations/{group}")).await.status, 204);
        assert_eq!(bob.get(&format!("/v1/groups/{group}")).await.status, 200);
    });
}

#[test]
fn a_renamed_group_is_told_to_all() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let before = bob.sees(group).await;
        let mut socket = bob.raw().await;
        let patch = ConversationPatch {
            name: Some("our own".to_owned()),
            description: Some(Some("what we do".to_owned())),
            posting: None,
        };
        let after = ann.client.update_conversation(group, &patch).await.unwrap();
        // The change, and the note of it.
        assert_eq!(after.version, before.version + 2);
        let ServerFrame::ConversationUpdated { conversation } = socket.next_frame().await.unwrap()
        else {
            panic!("it is told");
        };
        assert_eq!((conversation.name.as_deref(), conversation.my), (Some("our own"), None));
        let after = bob.sees(group).await;
        assert_eq!(after.name.as_deref(), Some("our own"));
        assert_eq!(after.description.as_deref(), Some("what we do"));
        let cleared = ann.patch(&format!("/v1/groups/{group}"), json!({"description": null})).await;
        assert_eq!(
            (&cleared.json["description"], &cleared.json["name"]),
            (&Value::Null, &json!("our own"))
        );
        // Nothing asked, nothing changed.
        let version = bob.sees(group).await.version;
        assert_eq!(ann.patch(&format!("/v1/groups/{group}"), json!({})).await.status, 200);
        assert_eq!(bob.sees(group).await.version, version);
    });
}

#[test]
fn under_groups_there_are_only_groups() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (chat, group) = (ann.open_direct(&bob).await, ann.group("ours", &[&bob]).await);
        ann.send(chat, "hello").await;
        for (method, path, body, status) in [
            ("GET", String::new(), Value::Null, 404),
            ("PATCH", String::new(), json!({"name": "x"}), 404),
            ("DELETE", String::new(), Value::Null, 404),
            ("GET", "/messages".to_owned(), Value::Null, 404),
            ("POST", "/messages".to_owned(), json!({"content": "x"}), 403),
            ("GET", "/changes?since=0".to_owned(), Value::Null, 404),
            ("GET", "/members".to_owned(), Value::Null, 404),
            ("POST", "/members".to_owned(), json!({"user_id": bob.id}), 404),
            ("PATCH", format!("/members/{}", bob.id), json!({"role": "admin"}), 404),
            ("DELETE", format!("/members/{}", bob.id), Value::Null, 404),
            ("POST", "/leave".to_owned(), Value::Null, 404),
            ("DELETE", "/leave".to_owned(), Value::Null, 404),
        ] {
            let path = format!("/v1/groups/{chat}{path}");
            let answer = ann.ask(method, &path, (!body.is_null()).then_some(body)).await;
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        }
        let groups = ann.get("/v1/groups").await.json;
        let ids: Vec<_> = groups["items"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert_eq!(ids, [&json!(group)]);
        assert_eq!(ann.get(&format!("/v1/groups/{group}/messages")).await.status, 200);
        let direct = ann.get("/v1/conversations?kind=direct").await.json;
        assert_eq!(direct["items"][0]["id"], json!(chat));
        assert_eq!(direct["items"].as_array().unwrap().len(), 1);
        assert_eq!(bob.sees(chat).await.kind, Kind::Direct);
    });
}

#[test]
fn every_path_answers_under_all_its_names() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        ann.send(group, "hello").await;
        for sub in ["", "/messages", "/changes?since=0", "/members"] {
            let mut answers = Vec::new();
            for base in [
                "/v1/conversations",
                "/conversations",
                "/v1/chats",
                "/chats",
                "/v1/groups",
                "/groups",
            ] {
                let answer = bob.get(&format!("{base}/{group}{sub}")).await;
                assert_eq!(answer.status, 200, "{base}{sub}");
                answers.push(answer.json);
            }
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{sub}");
        }
        for path in ["/users/me", "/sync", "/auth/sessions", "/messages", "/users?q=b", "/groups"] {
            let path = if path == "/messages" {
                format!("/messages?user_id={}", bob.id)
            } else {
                path.to_owned()
            };
            let (plain, current) = (ann.get(&path).await, ann.get(&format!("/v1{path}")).await);
            assert_eq!((plain.status, current.status), (200, 200), "{path}");
        }
    });
}

#[test]
fn what_is_unread_is_counted() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let chat = ann.open_direct(&bob).await;
        let unread = async |who: &Actor| who.sees(chat).await.my.unwrap().unread_count;
        let first = ann.send(chat, "one").await;
        ann.send(chat, "two").await;
        assert_eq!((unread(&ann).await, unread(&bob).await), (0, 2));
        ann.client.delete(first.id).await.unwrap();
        assert_eq!(unread(&bob).await, 1);
        bob.send(chat, "three").await;
        // He has not read what came before.
        assert_eq!((unread(&ann).await, unread(&bob).await), (1, 1));
    });
}

#[test]
fn members_come_page_by_page_in_the_order_in_which_they_joined() {
    run(async {
        let app = TestApp::start().await;
        let ann = app.user("ann").await;
        let group = ann.group("ours", &[]).await;
        let mut expected = vec![ann.id];
        for n in 0..7 {
            let person = app.user(&format!("person{n}")).await;
            let added = ann.client.add_members(group, &[person.id, ann.id]).await.unwrap();
            assert!(added.items.iter().any(|member| member.user_id == person.id));
            expected.push(person.id);
        }
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = ann.client.members(group, cursor.as_deref(), Some(3)).await.unwrap();
            seen.extend(page.items.iter().map(|member| member.user_id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected);
        let unknown = Uuid::from_u128(1);
        let refused = ann.client.add_members(group, &[expected[1], unknown]).await.unwrap_err();
        assert_eq!(refused.fields()[0].field, "user_ids[1]");
        let path = format!("/v1/groups/{group}/members");
        let refused = ann.post(&path, json!({"user_id": unknown})).await;
        assert_eq!(refused.json["errors"][0]["field"], "user_id", "{}", refused.text);
        let refused = ann.client.remove_member(group, unknown).await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (Some(404), Some("not_found")));
    });
}
