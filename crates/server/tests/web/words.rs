//! Words, times and numbers: in which language, by whose clock, and how many.

use kith_client::protocol::rest::{NewGroup, SendMessage};
use serde_json::json;

use crate::{
    browser::Browser,
    page::{DESKTOP, PHONE},
    server::{Server, run},
};

fn say(text: &str) -> SendMessage {
    SendMessage { content: text.to_owned(), ..Default::default() }
}

#[test]
fn sentences_are_english_and_what_stands_alone_speaks_the_browsers_language() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.language("ar-EG").await;
        ann.go(&server.url()).await;
        let id = ann.sign_up("ann", "Ann").await;
        let (bob, _) = server.user("bob", Some("Bob")).await;
        let family = NewGroup { name: "Family".to_owned(), members: vec![id], description: None };
        let group = bob.create_group(&family).await.unwrap().id;
        for text in ["one", "two"] {
            bob.send(group, &say(text)).await.unwrap();
        }
        // A number that stands alone, and one in a sentence.
        ann.says(".list .badge", "٢").await;
        assert_eq!(
            ann.js("document.querySelector('.list .badge').ariaLabel").await,
            "2 unread messages"
        );
        ann.open("Family").await;
        ann.says(".head-text", "2 members").await;
        ann.says(".day [lang|=ar]", "اليوم").await;
        ann.until(
            "its time",
            "/[٠-٩]/.test(document.querySelector('.foot time[lang|=ar]').textContent)",
        )
        .await;
        ann.until("its day", "/ 20\\d\\d at /.test(document.querySelector('.foot').title)").await;
        ann.picture("arabic").await;
        ann.press("Settings").await;
        ann.press("Devices").await;
        ann.says("dialog", "this device").await;
        assert!(ann.complaints().is_empty(), "{:?}", ann.complaints());
    });
}

/// A clock that is a day ahead.
const TOMORROW: &str = "window.Date = class extends Date {
  constructor(...given) { given.length ? super(...given) : super(Date.now()); }
  static now() { return super.now() + 86_400_000; }
};";

#[test]
fn a_clock_that_is_wrong_spoils_nothing() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.before_all(TOMORROW).await;
        ann.go(&server.url()).await;
        ann.sign_up("ann", "Ann").await;
        server.user("bob", Some("Bob")).await;
        ann.talk_to("Bob").await;
        ann.write("just now").await;
        ann.all_sent().await;
        ann.says(".day", "Today").await;
        ann.act("just now", "Edit").await;
        ann.writes("just now").await;
        ann.key("Escape", 0).await;
        ann.until(
            "the time of day",
            "/\\d:\\d\\d/.test(document.querySelector('.list time').textContent)",
        )
        .await;
        ann.reload().await;
        ann.connected().await;
        ann.says(".day", "Today").await;
    });
}

#[test]
fn a_text_that_is_too_long_is_let_in_and_not_sent() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        server.user("bob", Some("Bob")).await;
        ann.talk_to("Bob").await;
        ann.click(".composer textarea").await;
        ann.type_text(&"x".repeat(3_900)).await;
        ann.says(".limit", "100 characters left.").await;
        // A flag is one character.
        ann.type_text(&"🇩🇪".repeat(102)).await;
        ann.says(".limit", "Too long by 2 characters.").await;
        assert_eq!(ann.js("document.querySelector('.send').disabled").await, true);
        ann.key("Enter", 0).await;
        ann.picture("too-long").await;
        ann.resize(PHONE).await;
        ann.picture("phone-too-long").await;
        assert_eq!(ann.messages().await.len(), 0);
        ann.js("document.querySelector('textarea').value = document.querySelector('textarea').value.slice(0, 3904)").await;
        ann.type_text("!").await;
        ann.says(".limit", "98 characters left.").await;
        ann.key("Enter", 0).await;
        ann.all_sent().await;
        assert_eq!(ann.messages().await.len(), 1);
        assert_eq!(ann.js("document.querySelector('.limit').hidden").await, json!(true));
    });
}
