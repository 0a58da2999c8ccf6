//! What a screen reader, a keyboard and weak eyes need.

use std::path::Path;

use kith_client::protocol::rest::{NewGroup, SendMessage};
use serde_json::{Value, json};

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
        // Back the same way.
        ann.key("Escape", 0).await;
        ann.until("a message", "document.activeElement.classList.contains('message')").await;
        ann.key("Escape", 0).await;
        ann.until("the composer", "document.activeElement.tagName === 'TEXTAREA'").await;
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

#[test]
fn arrows_begin_where_one_reads() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let id = ann.sign_up("ann", "Ann").await;
        let (bob, _) = server.user("bob", Some("Bob")).await;
        let chat = bob.open_direct(id).await.unwrap().id;
        for number in 0..120 {
            let content = format!("Number {number}.");
            bob.send(chat, &SendMessage { content, ..Default::default() }).await.unwrap();
        }
        ann.open("Bob").await;
        ann.press("Jump to the end").await;
        ann.sees("Number 119.").await;
        ann.until("the composer", "document.activeElement.tagName === 'TEXTAREA'").await;
        let up = "(() => { const it = document.querySelector('.scroller'); it.focus(); it.scrollTop -= 1500; })()";
        ann.js(up).await;
        let seen = "(() => { const { top, bottom } = document.querySelector('.scroller').getBoundingClientRect();
            const at = document.activeElement.getBoundingClientRect();
            return document.activeElement.matches('.message') && at.top >= top - 1 && at.bottom <= bottom + 1; })()";
        ann.until("the way to the end", "!document.querySelector('.to-end').hidden").await;
        ann.key("ArrowUp", 0).await;
        ann.until("a message on the screen", seen).await;
        let first = ann.js("Number(document.activeElement.dataset.seq)").await.as_u64().unwrap();
        assert!((60..115).contains(&first), "{first}");
        for _ in 0..20 {
            ann.key("ArrowUp", 0).await;
            ann.until("a message on the screen", seen).await;
        }
        assert_eq!(ann.js("Number(document.activeElement.dataset.seq)").await, first - 20);
        ann.key("ArrowDown", 0).await;
        assert_eq!(ann.js("Number(document.activeElement.dataset.seq)").await, first - 19);
    });
}

#[test]
fn the_panel_takes_the_focus_and_gives_it_back() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        server.user("bob", Some("Bob")).await;
        ann.talk_to("Bob").await;
        let inert = "document.querySelector('.column').inert";
        for (size, covered) in [(DESKTOP, false), (PHONE, true)] {
            ann.resize(size).await;
            ann.press("Details").await;
            assert_eq!(ann.focused().await, "Close details");
            ann.until("what is covered", &format!("{inert} === {covered}")).await;
            ann.key("Escape", 0).await;
            assert_eq!(ann.focused().await, "Details");
            assert_eq!(ann.js(inert).await, false);
        }
        // It grows wide while it is open.
        ann.press("Details").await;
        ann.resize(DESKTOP).await;
        ann.until("nothing covered", &format!("!{inert}")).await;
        ann.key("Escape", 0).await;
        ann.key("Escape", 0).await;
        ann.until("the list", "document.querySelector('.nothing') !== null").await;
        ann.until("its row", "document.activeElement.matches('.list .row')").await;
    });
}

#[test]
fn what_comes_in_is_said_and_what_is_loaded_is_not() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let id = ann.sign_up("ann", "Ann").await;
        let (bob, _) = server.user("bob", Some("Bob")).await;
        let chat = bob.open_direct(id).await.unwrap().id;
        for number in 0..100 {
            let content = format!("Number {number}.");
            bob.send(chat, &SendMessage { content, ..Default::default() }).await.unwrap();
        }
        ann.open("Bob").await;
        ann.press("Jump to the end").await;
        ann.sees("Number 99.").await;
        ann.js("document.querySelector('.scroller').scrollTop = 0").await;
        ann.until("what lies before", "document.querySelector('.message').dataset.seq === '1'")
            .await;
        ann.write("My own").await;
        ann.all_sent().await;
        let said = "[...document.querySelectorAll('[role=log] p')].map((it) => it.textContent.split('. ')[0])";
        assert_eq!(ann.js(said).await, Value::Array(vec![]));
        let content = "Are you there?".to_owned();
        bob.send(chat, &SendMessage { content, ..Default::default() }).await.unwrap();
        ann.says("[role=log]", "Bob: Are you there?").await;
        ann.reload().await;
        ann.connected().await;
        ann.sees("Bob: Number").await;
        assert_eq!(ann.js(said).await, Value::Array(vec![]));
    });
}

#[test]
fn names_and_menus_are_chosen_from_by_keys_that_one_sees() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let id = ann.sign_up("ann", "Ann").await;
        let (bob, _) = server.user("bob", Some("Bob")).await;
        let (_, bea) = server.user("bea", Some("Bea")).await;
        let group = NewGroup { name: "Hike".to_owned(), description: None, members: vec![id, bea] };
        let group = bob.create_group(&group).await.unwrap().id;
        let hello = SendMessage { content: "Hello".to_owned(), ..Default::default() };
        bob.send(group, &hello).await.unwrap();
        ann.open("Hike").await;
        let box_of = "['role', 'aria-expanded', 'aria-controls', 'aria-activedescendant']
            .map((it) => document.querySelector('textarea').getAttribute(it))";
        ann.click(".composer textarea").await;
        assert_eq!(ann.js(box_of).await, json!([null, null, "names", ""]));
        ann.type_text("@b").await;
        ann.says(".names", "@bob").await;
        assert_eq!(ann.js(box_of).await, json!(["combobox", "true", "names", "name-0"]));
        ann.key("ArrowDown", 0).await;
        assert_eq!(ann.js(box_of).await, json!(["combobox", "true", "names", "name-1"]));
        let chosen = "document.getElementById('name-1').getAttribute('aria-selected')";
        assert_eq!(ann.js(chosen).await, "true");
        is_accessible(&ann, "names").await;
        ann.picture("names").await;
        ann.key("Escape", 0).await;
        assert_eq!(ann.js(box_of).await, json!([null, null, "names", ""]));

        ann.js("document.querySelector('.message').focus(); document.querySelector('[aria-label=More]').focus()").await;
        ann.key("Enter", 0).await;
        ann.until("a menu", "document.activeElement.role === 'menuitem'").await;
        ann.key("ArrowDown", 0).await;
        let outline = "getComputedStyle(document.activeElement).outlineStyle";
        assert_eq!(ann.js(outline).await, "solid");
        ann.picture("menu-by-keys").await;
        ann.key("Escape", 0).await;
        assert_eq!(ann.focused().await, "More");
        ann.js("document.querySelector('[aria-label=React]').focus()").await;
        ann.key("Enter", 0).await;
        ann.key("ArrowDown", 0).await;
        assert_eq!(ann.js(outline).await, "solid");
        ann.picture("emoji-by-keys").await;
        // Whoever presses something else meanwhile is there.
        ann.click(".search input").await;
        ann.until("no choice", "document.querySelector('.popup') === null").await;
        assert_eq!(ann.js("document.activeElement.type").await, "search");
    });
}

#[test]
fn a_press_that_began_inside_a_window_does_not_close_it() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        ann.press("Settings").await;
        ann.drag(".account strong", (5, 5)).await;
        ann.until("the window", "document.querySelector('dialog') !== null").await;
        // Outside, from beginning to end.
        ann.press_at((5, 5)).await;
        ann.until("no window", "document.querySelector('dialog') === null").await;
        // Nor does a key that is held down answer what it has brought up.
        ann.press("Settings").await;
        ann.press("Sign out").await;
        let held = json!({ "type": "keyDown", "key": "Enter", "text": "\r", "windowsVirtualKeyCode": 13, "autoRepeat": true });
        for _ in 0..5 {
            ann.call("Input.dispatchKeyEvent", held.clone()).await;
        }
        assert_eq!(ann.focused().await, "BUTTON");
        assert_eq!(ann.js("document.querySelectorAll('dialog').length").await, 2);
    });
}
