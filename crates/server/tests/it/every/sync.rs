//! Being away, coming back, missing nothing.

use std::collections::BTreeMap;

use kith_client::{
    Selector, Socket, SocketEvent,
    protocol::rest::{Message, Role},
};
use serde_json::json;
use uuid::Uuid;

use super::run;
use crate::support::{Actor, Proxy, SOON, TestApp, soon};

async fn until(socket: &mut Socket, wanted: impl FnMut(&SocketEvent) -> bool) -> SocketEvent {
    socket.wait_for(SOON, wanted).await.unwrap()
}

/// Writes messages by a socket, as fast as it can.
async fn write(person: &Actor, group: Uuid, count: i64) {
    let mut socket = person.raw().await;
    for n in 0..count {
        let text = format!("{} {n}", person.name);
        let frame = json!({"type": "send_message", "conversation_id": group, "content": text});
        socket.send_json(&frame).await.unwrap();
    }
    for _ in 0..count {
        socket.expect("message_sent").await.unwrap();
    }
}

#[test]
fn who_connects_while_others_send_has_every_message_once() {
    const EACH: i64 = 150;
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
        let group = ann.group("ours", &[&bob, &cat]).await;
        let writers = tokio::spawn({
            let (ann, bob) = (ann.clone(), bob.clone());
            async move { tokio::join!(write(&ann, group, EACH), write(&bob, group, EACH)) }
        });
        // Some connect sooner, some later.
        let mut readers = tokio::task::JoinSet::new();
        for n in 0..6 {
            let cat = cat.clone();
            readers.spawn(async move {
                let seen = || async { cat.sees(group).await.last_seq };
                while seen().await < n * 40 {
                    tokio::task::yield_now().await;
                }
                let mut socket = cat.socket();
                let mut baseline = None;
                let mut shown: Vec<i64> = Vec::new();
                while shown.last().copied().or(baseline) != Some(2 * EACH) {
                    match soon("an event", socket.next()).await.unwrap() {
                        SocketEvent::ConversationChanged(changed) if changed.id == group => {
                            baseline.get_or_insert(changed.last_seq);
                        }
                        SocketEvent::Message(message) => shown.push(message.seq),
                        _ => {}
                    }
                }
                // What came between connecting and the first sync is shown too.
                let first = shown.first().copied().unwrap_or(baseline.unwrap() + 1);
                assert!(first <= baseline.unwrap() + 1, "{first} {baseline:?}");
                assert_eq!(shown, (first..=2 * EACH).collect::<Vec<_>>());
                // What was before is history.
                let (mut all, mut before) = (Vec::new(), first);
                while before > 1 {
                    let page = Selector::Before(before);
                    let page = cat.client.history(group, page, Some(100)).await.unwrap();
                    before = page.items.first().unwrap().seq;
                    all.splice(0..0, page.items.iter().map(|message| message.seq));
                }
                all.extend(shown);
                assert_eq!(all, (1..=2 * EACH).collect::<Vec<_>>());
                socket.close().await;
            });
        }
        while let Some(read) = readers.join_next().await {
            read.unwrap();
        }
        writers.await.unwrap();
    });
}

#[test]
fn who_was_away_hears_everything_that_happened_once_and_in_order() {
    run(async {
        let app = TestApp::start().await;
        let line = Proxy::to(app.host()).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let away = bob.at(line.url());
        let mut socket = away.socket();
        until(&mut socket, |event| *event == SocketEvent::CaughtUp).await;
        let edited = ann.send(group, "to be edited").await;
        let deleted = ann.send(group, "to be deleted").await;
        for wanted in [&edited, &deleted] {
            let shown = until(&mut socket, |event| matches!(event, SocketEvent::Message(_))).await;
            assert_eq!(shown, SocketEvent::Message(Box::new(wanted.clone())));
        }

        line.cut();
        until(&mut socket, |event| matches!(event, SocketEvent::Disconnected { .. })).await;
        ann.client.edit(edited.id, "edited").await.unwrap();
        ann.client.delete(deleted.id).await.unwrap();
        let mut expected = Vec::new();
        for n in 0..120 {
            expected.push(ann.send(group, &format!("while away {n}")).await.id);
        }
        let cat = app.user("cat").await;
        ann.client.add_members(group, &[cat.id]).await.unwrap();
        let chat = cat.open_direct(&bob).await;
        expected.push(cat.send(chat, "hello").await.id);
        // One that is sent while there is no line goes out when there is one.
        let sending = tokio::spawn({
            let sender = socket.sender();
            async move { sender.send(Actor::frame(group, "from afar")).await }
        });
        line.mend();

        let (mut shown, mut updated, mut gone, mut caught_up) = (Vec::new(), 0, 0, false);
        while !caught_up || shown.len() < expected.len() + 1 {
            match soon("what was missed", socket.next()).await.unwrap() {
                // The note of the new member is a message too.
                SocketEvent::Message(message) if message.system.is_some() => {}
                SocketEvent::Message(message) => shown.push(message),
                SocketEvent::Updated(message) => {
                    assert_eq!(
                        (message.id, message.content.as_deref()),
                        (edited.id, Some("edited"))
                    );
                    updated += 1;
                }
                SocketEvent::Deleted { message_id, .. } => {
                    assert_eq!(message_id, deleted.id);
                    gone += 1;
                }
                SocketEvent::CaughtUp => caught_up = true,
                _ => {}
            }
        }
        let afar = soon("the answer", sending).await.unwrap().unwrap();
        assert_eq!((updated, gone), (1, 1));
        let mine = shown.iter().position(|message| message.id == afar.id).expect("it is shown too");
        shown.remove(mine);
        let mut seqs: BTreeMap<Uuid, Vec<i64>> = BTreeMap::new();
        for message in &shown {
            seqs.entry(message.conversation_id).or_default().push(message.seq);
        }
        assert!(seqs.values().all(|seqs| seqs.is_sorted()), "{seqs:?}");
        let mut ids: Vec<Uuid> = shown.iter().map(|message| message.id).collect();
        ids.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ids, expected, "each once");
    });
}

#[test]
fn who_was_removed_while_away_hears_of_it() {
    run(async {
        let app = TestApp::start().await;
        let line = Proxy::to(app.host()).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (group, other) = (ann.group("ours", &[&bob]).await, ann.group("other", &[&bob]).await);
        let mut socket = bob.at(line.url()).socket();
        until(&mut socket, |event| *event == SocketEvent::CaughtUp).await;
        line.cut();
        until(&mut socket, |event| matches!(event, SocketEvent::Disconnected { .. })).await;
        ann.client.remove_member(group, bob.id).await.unwrap();
        ann.send(group, "without bob").await;
        ann.client.delete_group(other).await.unwrap();
        line.mend();
        let mut removed = Vec::new();
        loop {
            match soon("what was missed", socket.next()).await.unwrap() {
                SocketEvent::ConversationRemoved { conversation_id } => {
                    removed.push(conversation_id);
                }
                SocketEvent::Message(message) => panic!("not for him: {message:?}"),
                SocketEvent::CaughtUp => break,
                _ => {}
            }
        }
        removed.sort_unstable();
        let mut expected = vec![group, other];
        expected.sort_unstable();
        assert_eq!(removed, expected);
    });
}

#[test]
fn a_client_goes_on_after_a_restart_of_the_server() {
    run(async {
        let app = TestApp::start().await;
        let line = Proxy::to(app.host()).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let mut socket = bob.at(line.url()).socket();
        until(&mut socket, |event| *event == SocketEvent::CaughtUp).await;
        ann.send(group, "before").await;
        until(&mut socket, |event| matches!(event, SocketEvent::Message(_))).await;

        let app = app.restart().await;
        line.lead_to(app.host());
        let ann = ann.at(app.url());
        let after = ann.send(group, "after").await;
        let shown = until(&mut socket, |event| matches!(event, SocketEvent::Message(_))).await;
        assert_eq!(shown, SocketEvent::Message(Box::new(after)));
    });
}

/// Applies changes to what one holds, as a client does.
fn apply(held: &mut BTreeMap<i64, Message>, changed: Vec<Message>) {
    for message in changed {
        let newer = held.get(&message.seq).is_none_or(|old| old.version < message.version);
        if newer {
            held.insert(message.seq, message);
        }
    }
}

#[test]
fn changes_since_a_version_make_the_same_of_an_old_copy() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
        let group = ann.group("ours", &[&bob, &cat]).await;
        let mut sent = Vec::new();
        for n in 0..20 {
            sent.push(ann.send(group, &format!("{n}")).await);
        }
        let old = bob.client.history(group, Selector::Newest, Some(100)).await.unwrap();
        for message in sent.iter().step_by(3) {
            ann.client.edit(message.id, "edited").await.unwrap();
            ann.client.edit(message.id, "edited again").await.unwrap();
        }
        for message in sent.iter().step_by(5) {
            ann.client.delete(message.id).await.unwrap();
        }
        ann.client.remove_member(group, cat.id).await.unwrap();
        ann.client.change_role(group, bob.id, Role::Admin).await.unwrap();
        bob.send(group, "new").await;

        let mut held: BTreeMap<i64, Message> = BTreeMap::new();
        apply(&mut held, old.items);
        let (mut since, mut members) = (old.version, BTreeMap::new());
        loop {
            let page = bob.client.changes(group, since, Some(3)).await.unwrap();
            assert!(!page.reset && page.messages.len() <= 3);
            assert!(page.messages.is_sorted_by_key(|message| message.version));
            assert!(page.version > since || !page.has_more);
            apply(&mut held, page.messages);
            members.extend(
                page.members.into_iter().map(|it| (it.member.user_id, (it.member.role, it.left))),
            );
            since = page.version;
            if !page.has_more {
                assert_eq!(page.conversation.version, since);
                break;
            }
        }
        let now = bob.client.history(group, Selector::Newest, Some(100)).await.unwrap();
        assert_eq!(held.into_values().collect::<Vec<_>>(), now.items);
        assert_eq!(since, now.version);
        assert_eq!(members[&bob.id], (Role::Admin, false));
        assert!(members[&cat.id].1, "he left");
        let nothing = bob.client.changes(group, since, None).await.unwrap();
        assert!(nothing.messages.is_empty() && nothing.members.is_empty() && !nothing.has_more);

        for query in ["since=-1", "since=x", "", "since=0&limit=0"] {
            let refused = bob.get(&format!("/v1/conversations/{group}/changes?{query}")).await;
            assert_eq!(refused.status, 400, "{query}");
        }
        // Ahead of the server, as after a restore: start anew.
        let ahead = bob.client.changes(group, since + 1_000, None).await.unwrap();
        assert!(ahead.reset || ahead.messages.is_empty());
    });
}

#[test]
fn who_is_too_far_behind_is_told_to_begin_anew() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let start = bob.sees(group).await.version;
        write(&ann, group, 1_000).await;
        let close = bob.client.changes(group, start, Some(10)).await.unwrap();
        assert!(!close.reset && close.has_more);
        ann.send(group, "one more").await;
        let far = bob.client.changes(group, start, Some(10)).await.unwrap();
        assert!(far.reset);
        assert_eq!(far.version, bob.sees(group).await.version);
    });
}

#[test]
fn a_sync_tells_what_changed_since_the_last_one() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob, cat) = (app.user("ann").await, app.user("bob").await, app.user("cat").await);
        let mut groups = Vec::new();
        for n in 0..7 {
            groups.push(ann.group(&format!("group {n}"), &[&bob]).await);
        }
        let all = async |since: Option<String>| {
            let (mut since, mut changed, mut removed, mut users) = (since, vec![], vec![], vec![]);
            loop {
                let page = bob.client.sync(since.as_deref(), Some(3)).await.unwrap();
                changed.extend(page.conversations.iter().map(|it| it.id));
                removed.extend(page.removed);
                users.extend(page.users.iter().map(|it| it.display_name.clone()));
                since = Some(page.token);
                if !page.has_more {
                    changed.sort_unstable();
                    return (since, changed, removed, users);
                }
            }
        };
        app.settled().await;
        let (token, changed, removed, _) = all(None).await;
        let mut expected = groups.clone();
        expected.sort_unstable();
        assert_eq!((changed, removed.len()), (expected, 0));

        let (token, changed, removed, _) = all(token).await;
        assert_eq!((changed.len(), removed.len()), (0, 0));

        ann.send(groups[1], "hello").await;
        ann.client.remove_member(groups[2], bob.id).await.unwrap();
        bob.client.hide(groups[3]).await.unwrap();
        bob.client.leave(groups[4]).await.unwrap();
        ann.client.delete_group(groups[5]).await.unwrap();
        let chat = cat.open_direct(&bob).await;
        cat.send(chat, "hello").await;
        ann.patch("/v1/users/me", json!({"display_name": "Ann!"})).await;
        app.settled().await;
        let (token, changed, mut removed, users) = all(token).await;
        let mut expected = vec![groups[1], chat];
        expected.sort_unstable();
        assert_eq!(changed, expected);
        removed.sort_unstable();
        let mut expected = groups[2..=5].to_vec();
        expected.sort_unstable();
        assert_eq!(removed, expected);
        assert!(users.contains(&"Ann!".to_owned()), "{users:?}");

        // Not even a restart makes it forget.
        let app = app.restart().await;
        let (ann, bob) = (ann.at(app.url()), bob.at(app.url()));
        ann.send(groups[0], "after").await;
        let later = bob.client.sync(token.as_deref(), None).await.unwrap();
        assert_eq!(later.conversations.iter().map(|it| it.id).collect::<Vec<_>>(), [groups[0]]);
    });
}

#[test]
fn a_token_of_another_database_is_refused() {
    run(async {
        const SECRET: &str = "a secret of more than thirty-two bytes";
        let secret = || TestApp::with(|config| config.jwt_secret = Some(SECRET.into()));
        let (one, other) = (secret().await, secret().await);
        let token = one.user("ann").await.client.sync(None, None).await.unwrap().token;
        let refused = other.user("ann").await.client.sync(Some(&token), None).await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (Some(400), Some("invalid_cursor")));
    });
}
