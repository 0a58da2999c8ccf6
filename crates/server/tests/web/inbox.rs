//! The list, and the ways into a conversation.

use kith_client::{
    Client,
    protocol::rest::{NewChannel, NewGroup, NewInvite, SendMessage},
};
use uuid::Uuid;

use crate::{
    browser::Browser,
    page::{DESKTOP, PHONE},
    server::{Server, run},
};

fn say(text: &str) -> SendMessage {
    SendMessage { content: text.to_owned(), ..Default::default() }
}

async fn channel(owner: &Client, name: &str) -> Uuid {
    let made = NewChannel { name: name.to_owned(), description: None, posting: None };
    owner.create_channel(&made).await.unwrap().id
}

#[test]
fn what_is_archived_stands_behind_a_row_of_its_own() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let id = ann.sign_up("ann", "Ann").await;
        let (bob, _) = server.user("bob", Some("Bob")).await;
        let chat = bob.open_direct(id).await.unwrap().id;
        bob.send(chat, &say("Hello")).await.unwrap();
        ann.open("Bob").await;
        ann.press("Details").await;
        ann.press("Archived").await;
        ann.says(".archive", "1 conversation").await;
        let row = format!("document.querySelector('.list [href=\"#{chat}\"]')");
        ann.until("it put away", &format!("{row} === null")).await;
        ann.press("Close details").await;
        ann.key("Escape", 0).await;
        ann.until("the list", "document.querySelector('.nothing') !== null").await;

        bob.send(chat, &say("Are you there?")).await.unwrap();
        ann.until("a hint", "document.querySelector('.archive .hint') !== null").await;
        ann.picture("archived").await;
        assert_eq!(ann.js("document.title").await, "Kith", "it was put away to be quiet");
        ann.click(".archive").await;
        ann.until("it", &format!("{row} !== null")).await;
        ann.click(".archive").await;
        ann.until("it put away", &format!("{row} === null")).await;
        // The search finds it all the same.
        ann.key("k", 2).await;
        ann.type_text("bob").await;
        ann.click(".results section:first-child button").await;
        ann.sees("Are you there?").await;
        ann.press("Details").await;
        ann.click("[aria-label=Archived][role=switch]").await;
        ann.until("it is back", &format!("{row} !== null && !document.querySelector('.archive')"))
            .await;
        assert!(ann.complaints().is_empty(), "{:?}", ann.complaints());
    });
}

#[test]
fn a_link_leads_to_what_is_there_and_an_invite_asks_first() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        ann.go(&format!("{}/#no-such-thing", server.url())).await;
        ann.says(".toast", "no such conversation").await;
        ann.reload().await;
        let nowhere = format!("{}/#no-such-thing", server.url());
        let other = browser.page_in(ann.context(), &nowhere, DESKTOP).await;
        other.says(".toast", "no such conversation").await;
        ann.js("location.hash = '#../../users/me'").await;
        ann.until("the list", "document.querySelector('.nothing') !== null").await;

        let (bob, _) = server.user("bob", Some("Bob")).await;
        let city = channel(&bob, "City").await;
        bob.send(city, &say("Rain")).await.unwrap();
        let code = bob.invite(city, &NewInvite::default()).await.unwrap().code;
        let link = format!("{}/invite/{code}", server.url());
        for answer in ["Cancel", "Join"] {
            ann.go(&link).await;
            ann.connected().await;
            ann.says("dialog", "You have been invited").await;
            assert_eq!(
                ann.js("document.querySelector('.list .row')").await,
                serde_json::Value::Null
            );
            ann.press(answer).await;
        }
        ann.sees("Bob: Rain").await;
        bob.delete_channel(city).await.unwrap();
        ann.says(".toast", "not yours any more").await;
        ann.go(&link).await;
        ann.press("Join").await;
        ann.says(".toast", "not good any more").await;
        assert!(ann.complaints().is_empty(), "{:?}", ann.complaints());
    });
}

#[test]
fn who_cannot_be_asked_for_now_is_not_taken_for_nobody() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let (bob, _) = server.user("bob", Some("Bob")).await;
        let city = channel(&bob, "City").await;
        bob.send(city, &say("Rain")).await.unwrap();
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        // The server has too much to do to say who Bob is.
        ann.js("(() => { const ask = fetch; window.asked = 0;
                 window.fetch = (url, how) => !/users\\/./.test(url) ? ask(url, how) : (asked++,
                   Promise.resolve(new Response('{\"code\": \"overloaded\"}', { status: 503 }))); })()")
            .await;
        ann.key("k", 2).await;
        ann.type_text("city").await;
        ann.says(".results", "join").await;
        ann.click(".results button").await;
        ann.sees("…: Rain").await;
        bob.send(city, &say("Sun")).await.unwrap();
        ann.sees("…: Sun").await;
        assert_eq!(ann.js("asked").await, 1, "it is not asked for again and again");
        ann.reload().await;
        ann.sees("Bob: Sun").await;
    });
}

/// Whether something is wider than the page.
const TOO_WIDE: &str =
    "[...document.querySelectorAll('.shell *')].filter((it) => it.getClientRects().length &&
    it.getBoundingClientRect().right > innerWidth + 1).map((it) => it.className)";

/// Whether the name before the last message leaves room for that.
const LINE_IS_SEEN: &str = "(() => { const line = document.querySelector('.row-line');
    return line.querySelector('.who').getBoundingClientRect().width < line.clientWidth / 2; })()";

#[test]
fn long_names_and_words_stay_within_the_page() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), PHONE).await;
        let id = ann.sign_up("ann", "Ann").await;
        let name = "W".repeat(64);
        let (bob, _) = server.user("bob", Some(&name)).await;
        let description = Some("d".repeat(512));
        let group = NewGroup { name: name.clone(), description, members: vec![id] };
        let group = bob.create_group(&group).await.unwrap().id;
        let long = bob.send(group, &say(&"x".repeat(4_000))).await.unwrap();
        let answer =
            SendMessage { reply_to: Some(long.id), ..say("👩‍👩‍👧‍👦🇩🇪") };
        bob.send(group, &answer).await.unwrap();
        bob.send(group, &say("🇩🇪🎉")).await.unwrap();
        bob.send(group, &say("مرحبا بالعالم \u{202e}abc")).await.unwrap();
        bob.send(group, &say(&format!("https://example.org/{}", "y".repeat(900)))).await.unwrap();
        for (scheme, size) in [("light", PHONE), ("dark", DESKTOP)] {
            ann.colours(scheme).await;
            ann.resize(size).await;
            ann.js("location.hash = ''").await;
            ann.open("WWW").await;
            ann.sees("مرحبا").await;
            ann.says(".large .text", "🎉").await;
            assert_eq!(ann.js(TOO_WIDE).await, serde_json::json!([]));
            if size == DESKTOP {
                ann.until("the last message", LINE_IS_SEEN).await;
            }
            ann.press("Details").await;
            ann.says(".members", "bob").await;
            assert_eq!(ann.js(TOO_WIDE).await, serde_json::json!([]));
            ann.picture(&format!("long-{scheme}")).await;
            ann.press("Close details").await;
            ann.picture(&format!("long-chat-{scheme}")).await;
        }
        assert!(ann.complaints().is_empty(), "{:?}", ann.complaints());
    });
}

#[test]
fn what_was_not_on_the_screen_stays_unread() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let id = ann.sign_up("ann", "Ann").await;
        let (bob, _) = server.user("bob", Some("Bob")).await;
        let chat = bob.open_direct(id).await.unwrap().id;
        for number in 0..60 {
            bob.send(chat, &say(&format!("Number {number}."))).await.unwrap();
        }
        ann.until("all counted", "document.title === '(60) Kith'").await;
        ann.open("Bob").await;
        ann.says(".line", "New messages").await;
        ann.until("some read", "document.title !== '(60) Kith'").await;
        let unread = ann.js("parseInt(document.title.slice(1))").await;
        assert!(unread.as_u64().is_some_and(|it| it > 30), "{unread} of 60 are unread");
        ann.press("Jump to the end").await;
        ann.until("all read", "document.title === 'Kith'").await;
        // Whoever loads the page right then comes back to where he was.
        ann.reload().await;
        ann.sees("Number 59.").await;
        assert_eq!(ann.js("document.querySelector('.line')").await, serde_json::Value::Null);
        assert_eq!(ann.js("document.title").await, "Kith");
    });
}
