//! People talk.

use kith_client::{Selector, protocol::rest::SendMessage};

use crate::{
    browser::Browser,
    page::{DESKTOP, PHONE},
    server::{Server, run},
};

#[test]
fn two_people_talk_from_signing_up_to_read_ticks() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let bob = browser.page(&server.url(), PHONE).await;
        ann.sign_up("ann", "Ann Example").await;
        bob.sign_up("bob", "Bob Example").await;

        ann.talk_to("Bob").await;
        ann.write("Hello, Bob! See https://example.org/a_(b).").await;
        ann.sees("See https://example.org/a_(b).. ").await;
        bob.says(".list .badge", "1").await;
        ann.sees("Delivered").await;

        bob.open("Ann").await;
        bob.sees("Ann Example: Hello, Bob!").await;
        ann.sees("Read").await;
        let link = ann.js("document.querySelector('.text a').href").await;
        assert_eq!(link, "https://example.org/a_(b)");

        bob.write("Hi, Ann").await;
        ann.sees("Bob Example: Hi, Ann").await;
        bob.sees("You: Hi, Ann").await;
        bob.until("no unread", "document.title === 'Kith'").await;

        ann.act("Hi, Ann", "Reply").await;
        ann.type_text("Well?").await;
        ann.key("Enter", 0).await;
        bob.says(".quote", "Hi, Ann").await;
        // ArrowUp in an empty composer edits what one has written last.
        ann.sees("You: Well?").await;
        ann.key("ArrowUp", 0).await;
        ann.until("the text to edit", "document.activeElement.value === 'Well?'").await;
        ann.type_text(" Really?").await;
        ann.key("Enter", 0).await;
        bob.sees("Well? Really?").await;
        bob.says(".foot", "edited").await;

        bob.act("Well? Really?", "React").await;
        bob.press("👍").await;
        ann.says(".reaction", "👍").await;
        ann.act("Well? Really?", "More").await;
        ann.press("Delete for everyone").await;
        ann.press("Delete").await;
        bob.sees("deleted message").await;
        assert!(ann.complaints().is_empty(), "{:?}", ann.complaints());
        assert!(bob.complaints().is_empty(), "{:?}", bob.complaints());
    });
}

#[test]
fn a_group_is_made_invited_to_and_typed_in() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let bob = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann Example").await;
        bob.sign_up("bob", "Bob Example").await;

        ann.press("New conversation").await;
        ann.click(".choice:nth-of-type(2)").await;
        ann.fill("name", "Book club").await;
        ann.click(".people-search input").await;
        ann.type_text("bob").await;
        ann.says(".picker .row", "Bob Example").await;
        ann.click(".picker button.row").await;
        ann.says(".chip", "Bob Example").await;
        ann.press("Create group").await;
        ann.says(".head-text", "2 members").await;

        bob.open("Book club").await;
        bob.click(".composer textarea").await;
        bob.type_text("I think that").await;
        ann.says(".typing-line", "Bob Example is typing").await;
        ann.says(".list .row-line", "Bob Example is typing").await;
        bob.key("Enter", 0).await;
        ann.sees("Bob Example: I think that").await;
        ann.until("no typing", "document.querySelector('.typing-line').textContent === ''").await;

        ann.press("Details").await;
        ann.says(".members", "Bob Example").await;
        ann.press("Invite by link").await;
        ann.says(".picker", "No links yet").await;
        ann.press("New link").await;
        ann.says(".invite-link", "/invite/").await;
        let link = ann.js("document.querySelector('.invite-link').href").await;
        let cleo = browser.page(link.as_str().unwrap(), PHONE).await;
        cleo.sign_up("cleo", "Cleo Example").await;
        cleo.says(".head-text", "Book club").await;
        ann.says(".note", "Cleo Example joined").await;
        ann.key("Escape", 0).await;
        ann.says(".members", "Cleo Example").await;
        cleo.write("@bob, hello").await;
        bob.says(".mention.me", "@bob").await;
        cleo.press("Back to the list").await;
        bob.write("@cleo, hello").await;
        let drawn = "(() => { const { color } = getComputedStyle(document.querySelector('.badge.mention'));
            return color === getComputedStyle(document.querySelector('.badge:not(.mention)')).color; })()";
        cleo.until("a mention one can read", drawn).await;
        cleo.open("Book club").await;

        ann.press("What to do with Cleo Example").await;
        ann.press("Remove").await;
        ann.click("dialog .primary").await;
        cleo.says(".toast", "not yours any more").await;
        bob.says(".note", "Ann Example removed Cleo Example").await;
        for page in [&ann, &bob, &cleo] {
            assert!(page.complaints().is_empty(), "{:?}", page.complaints());
        }
    });
}

#[test]
fn a_press_is_not_lost_on_what_changes_under_it() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        let (bob, _) = server.user("bob", Some("Bob")).await;
        ann.talk_to("Bob").await;
        ann.write("Hello").await;
        ann.all_sent().await;
        let sent = bob.history(ann.conversation().await, Selector::Newest, None).await.unwrap();
        let id = sent.items[0].id;
        bob.react(id, "👍").await.unwrap();
        ann.says(".reaction", "1").await;
        let row = "document.querySelector('.message')";
        ann.js(&format!("window.row = {row}; 0")).await;
        let place = ann.hold(".reaction").await;
        bob.react(id, "🎉").await.unwrap();
        let content = "Hi".to_owned();
        bob.send(ann.conversation().await, &SendMessage { content, ..Default::default() })
            .await
            .unwrap();
        // The list has the next message; what is pressed is as it was.
        ann.says(".list .row-line", "Hi").await;
        assert_eq!(ann.js(&format!("{row} === window.row")).await, true);
        ann.let_go(&place).await;
        ann.says(".reaction.mine", "👍 2").await;
        ann.says(".reaction", "🎉").await;
        ann.sees("Bob: Hi").await;
    });
}

#[test]
fn a_text_is_copied_or_it_is_said_that_it_cannot_be() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        server.user("bob", Some("Bob")).await;
        ann.talk_to("Bob").await;
        ann.write("Copy me").await;
        ann.all_sent().await;
        for (clipboard, said) in [
            ("{ writeText: async (text) => { window.copied = text } }", "Copied."),
            ("{ writeText: () => Promise.reject(new Error()) }", "does not let this page copy"),
            ("undefined", "does not let this page copy"),
        ] {
            ann.js(&format!(
                "Object.defineProperty(navigator, 'clipboard', {{ value: {clipboard}, configurable: true }}); 0"
            ))
            .await;
            ann.js("document.querySelector('#toasts').replaceChildren()").await;
            ann.act("Copy me", "More").await;
            ann.press("Copy text").await;
            ann.says(".toast", said).await;
        }
        assert_eq!(ann.js("copied").await, "Copy me");
        assert!(ann.complaints().is_empty(), "{:?}", ann.complaints());
    });
}
