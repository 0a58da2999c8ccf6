//! What a screen reader, a keyboard and weak eyes need.

use std::path::Path;

use kith_client::protocol::rest::SendMessage;
use serde_json::Value;

use crate::{
    browser::Browser,
    page::{DESKTOP, PHONE, Page},
    server::{Server, run},
};

/// axe-core, which knows the rules. It is a tool of the tests, and in nothing that is shipped.
fn axe() -> String {
    let file = "../web/node_modules/axe-core/axe.min.js";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; scripts/test installs it, or `npm ci` in crates/web", path.display())
    })
}

async fn is_accessible(page: &Page, what: &str) {
    page.js(&format!("{};0", axe())).await;
    let found = page
        .js("axe.run().then(({ violations }) => violations
               .filter((it) => ['serious', 'critical'].includes(it.impact))
               .map((it) => `${it.id}: ${it.nodes.map((node) => node.html + node.failureSummary).join('; ')}`))")
        .await;
    assert_eq!(found, Value::Array(vec![]), "{what}");
}

#[test]
fn no_page_has_a_serious_barrier() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        is_accessible(&ann, "signing in").await;
        ann.sign_up("ann", "Ann Example").await;
        is_accessible(&ann, "an empty list").await;
        let bob = browser.page(&server.url(), PHONE).await;
        bob.sign_up("bob", "Bob Example").await;
        ann.talk_to("Bob").await;
        ann.write("Hello @bob, see https://example.org").await;
        ann.write("Something to be deleted").await;
        ann.act("to be deleted", "More").await;
        is_accessible(&ann, "a menu").await;
        ann.press("Delete for everyone").await;
        is_accessible(&ann, "a question").await;
        ann.press("Delete").await;
        is_accessible(&bob, "an unread chat").await;
        bob.open("Ann").await;
        bob.act("Hello", "React").await;
        bob.press("👍").await;
        bob.write("Hi").await;
        ann.sees("Bob Example: Hi").await;
        for scheme in ["light", "dark"] {
            ann.colours(scheme).await;
            bob.colours(scheme).await;
            is_accessible(&ann, scheme).await;
            is_accessible(&bob, scheme).await;
        }
        ann.press("Details").await;
        is_accessible(&ann, "a panel").await;
        ann.press("Settings").await;
        ann.js("document.querySelectorAll('dialog details').forEach((it) => { it.open = true })")
            .await;
        ann.says("dialog", "this device").await;
        is_accessible(&ann, "settings").await;
    });
}

#[test]
fn everything_can_be_reached_by_keys() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        server.user("bob", Some("Bob")).await;
        ann.key("k", 2).await;
        ann.type_text("bob").await;
        ann.says(".results", "@bob").await;
        ann.key("ArrowDown", 0).await;
        ann.key("Enter", 0).await;
        ann.until("the composer", "document.activeElement.tagName === 'TEXTAREA'").await;
        ann.type_text("first line").await;
        ann.key("Enter", 8).await;
        ann.type_text("second line").await;
        ann.key("Enter", 0).await;
        ann.sees("first line\nsecond line").await;
        ann.all_sent().await;
        // What can be done with messages is on nobody's way but from the message itself.
        let on_the_way = "[...document.querySelectorAll('.actions button')]
            .filter((it) => it.checkVisibility({ visibilityProperty: true })).length === 0";
        ann.until("no buttons on the way", on_the_way).await;
        // From message to message, and what can be done with one.
        ann.js("document.querySelector('.scroller').focus()").await;
        ann.key("ArrowUp", 0).await;
        ann.until("a message", "document.activeElement.classList.contains('message')").await;
        ann.key("Enter", 0).await;
        ann.until("its buttons", "document.activeElement.ariaLabel === 'React'").await;
        ann.key("Escape", 0).await;
        ann.until("the list", "document.querySelector('.nothing') !== null").await;
    });
}

#[test]
fn the_focus_stays_on_a_control_whose_message_is_made_anew() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        let (bob, _) = server.user("bob", Some("Bob")).await;
        ann.talk_to("Bob").await;
        ann.write("Hello").await;
        ann.all_sent().await;
        ann.js("document.querySelector('.message').focus(); document.querySelector('[aria-label=Reply]').focus()").await;
        let chat = ann.conversation().await;
        let sent = bob.history(chat, kith_client::Selector::Newest, None).await.unwrap();
        bob.react(sent.items[0].id, "👍").await.unwrap();
        ann.says(".reaction", "👍").await;
        assert_eq!(ann.js("document.activeElement.ariaLabel").await, "Reply");
        // So it does in the list, and in the panel.
        ann.js("document.querySelector('.list .row').focus()").await;
        bob.send(chat, &SendMessage { content: "Hi".to_owned(), ..Default::default() })
            .await
            .unwrap();
        ann.says(".list .row-line", "Hi").await;
        assert_eq!(ann.js("document.activeElement.className").await, "row");
        ann.press("Details").await;
        ann.js("document.querySelector('[aria-label=Muted]').focus()").await;
        ann.key(" ", 0).await;
        ann.until(
            "it muted",
            "document.querySelector('[aria-label=Muted]').ariaChecked === 'true'",
        )
        .await;
        assert_eq!(ann.js("document.activeElement.ariaLabel").await, "Muted");
    });
}
