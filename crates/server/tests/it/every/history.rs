//! Histories, page by page.

use kith_client::{
    Selector,
    protocol::rest::{History, Message},
};
use serde_json::json;
use uuid::Uuid;

use super::run;
use crate::support::{Actor, TestApp};

const MESSAGES: i64 = 1_000;

/// A group of four who wrote a thousand messages.
async fn full(app: &TestApp) -> (Vec<Actor>, Uuid) {
    let mut people = Vec::new();
    for name in ["ann", "bob", "cat", "dan"] {
        people.push(app.user(name).await);
    }
    let others: Vec<&Actor> = people.iter().skip(1).collect();
    let group = people[0].group("talkative", &others).await;
    let mut writers = tokio::task::JoinSet::new();
    for person in people.clone() {
        writers.spawn(async move { write(&person, group, MESSAGES / 4).await });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    (people, group)
}

/// Writes messages by a socket, without waiting for each answer.
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

fn in_order(page: &History) {
    for pair in page.items.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq + 1, "oldest first, without a gap");
    }
}

fn seqs(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.seq).collect()
}

#[test]
fn a_thousand_messages_come_back_page_by_page_while_more_arrive() {
    run(async {
        let app = TestApp::start().await;
        let (people, group) = full(&app).await;
        let reader = &people[0].client;
        let more = tokio::spawn({
            let writer = people[1].clone();
            async move { write(&writer, group, 200).await }
        });

        // Backwards from the newest.
        let mut all: Vec<Message> = Vec::new();
        let mut selector = Selector::Newest;
        loop {
            let page = reader.history(group, selector, Some(37)).await.unwrap();
            in_order(&page);
            let first = page.items.first().unwrap().seq;
            assert_eq!((page.has_before, page.has_more), (first > 1, first > 1));
            all.splice(0..0, page.items);
            if !page.has_more {
                break;
            }
            selector = Selector::Before(first);
        }
        let expected: Vec<i64> = (1..=all.last().unwrap().seq).collect();
        assert_eq!(seqs(&all), expected, "none is missing, none is there twice");
        assert!(all.len() >= usize::try_from(MESSAGES).unwrap());
        for person in &people {
            let mine = all.iter().filter(|message| message.sender_id == person.id);
            let texts: Vec<_> = mine.take(250).map(|it| it.content.clone().unwrap()).collect();
            let expected: Vec<_> = (0..250).map(|n| format!("{} {n}", person.name)).collect();
            assert_eq!(texts, expected, "each one's in the order in which he wrote them");
        }

        more.await.unwrap();
        // Forwards from the first.
        let mut again: Vec<Message> = Vec::new();
        loop {
            let after = again.last().map_or(0, |message| message.seq);
            let page = reader.history(group, Selector::After(after), Some(100)).await.unwrap();
            in_order(&page);
            assert_eq!((page.has_before, page.has_more), (after > 0, page.has_after));
            again.extend(page.items);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(seqs(&again), (1..=MESSAGES + 200).collect::<Vec<_>>());
        assert_eq!(again[..all.len()], all);
    });
}

#[test]
fn a_page_may_begin_anywhere() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        write(&ann, group, 30).await;
        let page = async |selector, limit| {
            let page = bob.client.history(group, selector, Some(limit)).await.unwrap();
            (seqs(&page.items), page.has_before, page.has_after, page.has_more)
        };
        let around = page(Selector::Around(15), 10).await;
        assert_eq!((around.1, around.2, around.3), (true, true, true));
        assert_eq!(around.0.len(), 10);
        assert!(around.0.contains(&15) && around.0.iter().filter(|seq| **seq < 15).count() <= 5);
        assert_eq!(page(Selector::Around(1), 4).await, (vec![1, 2, 3, 4], false, true, false));
        assert_eq!(page(Selector::Around(30), 4).await.0.last(), Some(&30));
        assert_eq!(page(Selector::Before(4), 5).await, (vec![1, 2, 3], false, true, false));
        assert_eq!(page(Selector::Before(1), 5).await, (vec![], false, true, false));
        assert_eq!(page(Selector::After(28), 5).await, (vec![29, 30], true, false, false));
        assert_eq!(page(Selector::After(30), 5).await, (vec![], true, false, false));
        assert_eq!(page(Selector::Newest, 2).await, (vec![29, 30], true, false, true));

        for query in ["before=3&after=1", "before=3&around=3", "before=x", "before=1.5"] {
            let refused = bob.get(&format!("/v1/conversations/{group}/messages?{query}")).await;
            assert_eq!(refused.status, 400, "{query} {}", refused.text);
        }
        // Numbers beyond all messages are numbers all the same.
        for (query, count) in [
            ("before=0", 0),
            ("after=0", 50),
            (&*format!("before={}", i64::MAX), 50),
            (&*format!("after={}", i64::MAX), 0),
            (&*format!("around={}", i64::MAX), 50),
        ] {
            let answer = bob.get(&format!("/v1/conversations/{group}/messages?{query}")).await;
            assert_eq!(answer.status, 200, "{query} {}", answer.text);
            let found = answer.json["items"].as_array().unwrap().len();
            assert!(found <= count, "{query}: {found}");
        }
    });
}

#[test]
fn messages_are_found_by_person_or_conversation_and_before_another() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let none = ann.client.direct_history(bob.id, None, None).await.unwrap();
        assert_eq!((none.items.len(), none.has_more, none.version), (0, false, 0));
        assert_eq!(ann.get("/v1/conversations").await.json["items"], json!([]), "nothing is made");

        let chat = ann.open_direct(&bob).await;
        let mut sent = Vec::new();
        for n in 0..5 {
            sent.push(ann.send(chat, &format!("{n}")).await);
        }
        let page = bob.client.direct_history(ann.id, None, Some(2)).await.unwrap();
        assert_eq!((seqs(&page.items), page.has_more), (vec![4, 5], true));
        let before = Some(page.items[0].id);
        let page = bob.client.direct_history(ann.id, before, Some(2)).await.unwrap();
        assert_eq!((seqs(&page.items), page.has_more), (vec![2, 3], true));
        let by_id = bob
            .get(&format!("/v1/messages?conversation_id={chat}&before_id={}&limit=2", sent[1].id))
            .await;
        assert_eq!(by_id.json["items"][0]["id"], json!(sent[0].id));
        assert_eq!(by_id.json["has_more"], false);

        let group = ann.group("ours", &[&bob]).await;
        for (query, status) in [
            (String::new(), 400),
            (format!("user_id={}&conversation_id={chat}", ann.id), 400),
            (format!("user_id={}", bob.id), 400),
            (format!("user_id={}", Uuid::from_u128(1)), 404),
            (format!("conversation_id={}", Uuid::from_u128(1)), 404),
            (format!("conversation_id={group}&before_id={}", sent[0].id), 404),
            (format!("conversation_id={group}&before_id={}", Uuid::from_u128(1)), 404),
            (format!("conversation_id={group}"), 200),
        ] {
            let answer = bob.get(&format!("/v1/messages?{query}")).await;
            assert_eq!(answer.status, status, "{query}: {}", answer.text);
        }
    });
}

#[test]
fn a_reply_names_what_it_answers() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let (chat, group) = (ann.open_direct(&bob).await, ann.group("ours", &[&bob]).await);
        let asked = ann.send(chat, "well?").await;
        let path = format!("/v1/conversations/{chat}/messages");
        let reply = bob.post(&path, json!({"content": "well!", "reply_to": asked.id})).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        assert_eq!(
            reply.json["reply_to"],
            json!({"id": asked.id, "seq": 1, "sender_id": ann.id, "excerpt": "well?"})
        );
        for (path, id) in
            [(format!("/v1/conversations/{group}/messages"), asked.id), (path, Uuid::from_u128(1))]
        {
            let refused = bob.post(&path, json!({"content": "?", "reply_to": id})).await;
            assert_eq!(refused.status, 400, "{}", refused.text);
            assert_eq!(refused.json["errors"][0]["field"], "reply_to");
        }
    });
}
