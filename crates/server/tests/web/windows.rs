//! Windows: where they begin, what is said in them, and what they choose.

use kith_client::protocol::rest::{Erase, Login, NewGroup, SendMessage};
use serde_json::json;

use crate::{
    browser::Browser,
    page::{DESKTOP, PHONE},
    server::{PASSWORD, Server, run},
};

/// Whether what is said in passing is seen, and heard: it stands in the window that is on top.
const SAID: &str = "(() => { const it = document.querySelector('.toast');
    if (!it) return false;
    const { x, y, width, height } = it.getBoundingClientRect();
    const all = it.closest('.toasts');
    all.style.pointerEvents = 'auto';
    const seen = document.elementFromPoint(x + width / 2, y + height / 2) === it;
    all.style.pointerEvents = '';
    return seen && all.role === 'status'
      && it.closest('dialog') === [...document.querySelectorAll('dialog')].at(-1); })()";

#[test]
fn what_fails_in_a_window_is_said_in_it() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        ann.press("New conversation").await;
        ann.press("Join by linkYou have been invited").await;
        assert_eq!(ann.js("document.activeElement.name").await, "link");
        ann.type_text(" no-such-code ").await;
        ann.key("Enter", 0).await;
        ann.says("dialog .toast", "This invite is not good any more.").await;
        ann.until("it seen", SAID).await;
        ann.picture("said-in-a-window").await;
        assert_eq!(ann.js("document.activeElement.value").await, " no-such-code ");
        // It outlives the window.
        ann.key("Escape", 0).await;
        ann.says("#toasts .toast", "This invite is not good any more.").await;

        ann.js("document.querySelector('#toasts').replaceChildren()").await;
        ann.press("Settings").await;
        ann.press("Profile").await;
        ann.js("document.querySelector('[name=display_name]').select()").await;
        ann.type_text(" ").await;
        ann.key("Enter", 0).await;
        ann.says("dialog .toast", "Your name must not be empty.").await;
        // What was said before a window is not said in it.
        ann.press("Sign out").await;
        assert_eq!(ann.js("document.querySelector('.toast')").await, json!(null));
        ann.press("Cancel").await;
        ann.js("document.querySelector('[name=display_name]').select()").await;
        ann.type_text("Anna 👩‍👩‍👧‍👦").await;
        ann.key("Enter", 0).await;
        ann.says(".account strong", "Anna").await;
        let letters = "document.querySelector('.account .avatar').dataset.letters";
        assert_eq!(ann.js(letters).await, "A👩‍👩‍👧‍👦");
        ann.press("Password").await;
        ann.fill("current_password", "something else").await;
        ann.fill("new_password", PASSWORD).await;
        ann.key("Enter", 0).await;
        ann.says("dialog .toast", "This is not your password.").await;
        assert!(ann.complaints().len() < 4, "{:?}", ann.complaints());
    });
}

#[test]
fn people_are_chosen_from_what_was_asked_for() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let id = ann.sign_up("ann", "Ann").await;
        let (bob, _) = server.user("bob", Some("Bob")).await;
        bob.open_direct(id).await.unwrap();
        server.user("cleo", Some("Cleo")).await;
        server.user("dan", Some("Dan")).await;
        ann.talk_to("Bob").await;
        // The server takes its time to say who Cleo is.
        ann.js("(() => { const ask = fetch; window.fetch = async (url, how) => {
                 if (/q=cleo/.test(url)) await new Promise((done) => (window.answer = done));
                 return ask(url, how); }; })()")
            .await;
        ann.press("New conversation").await;
        ann.press("GroupPrivate, for those you add").await;
        assert_eq!(ann.js("document.activeElement.name").await, "name");
        ann.type_text("Hike").await;
        ann.says(".picker .row", "Bob").await;
        ann.click(".people-search input").await;
        ann.type_text("cleo").await;
        ann.key("Enter", 0).await;
        assert_eq!(ann.js("document.querySelectorAll('.chip').length").await, 0);
        ann.until("the server asked", "typeof answer === 'function'").await;
        ann.js("answer()").await;
        ann.says(".picker .row", "Cleo").await;
        ann.key("Enter", 0).await;
        ann.says(".chip", "Cleo").await;
        assert_eq!(ann.js("document.activeElement.value").await, "");
        ann.type_text("dan").await;
        ann.says(".picker .row", "Dan").await;
        ann.key("Enter", 0).await;
        ann.says(".chip", "Dan").await;
        ann.type_text("dan").await;
        ann.says(".picker [aria-pressed=true]", "Dan").await;
        ann.press("Create group").await;
        ann.says(".head-text", "3 members").await;
        // The menu of new conversations begins with a choice, a chat with its search.
        ann.press("New conversation").await;
        ann.key("Enter", 0).await;
        ann.type_text("dan").await;
        ann.says(".picker .row", "Dan").await;
        assert!(ann.complaints().is_empty(), "{:?}", ann.complaints());
    });
}

#[test]
fn the_focus_comes_back_to_a_message_from_its_menu() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        let (bob, _) = server.user("bob", Some("Bob")).await;
        ann.talk_to("Bob").await;
        ann.write("Hello").await;
        ann.all_sent().await;
        ann.press_at((5, 700)).await;
        ann.js("document.querySelector('.scroller').focus()").await;
        ann.key("ArrowUp", 0).await;
        ann.key("Enter", 0).await;
        ann.js("document.querySelector('.message [aria-label=More]').focus()").await;
        ann.key("Enter", 0).await;
        ann.until("a menu", "document.activeElement.role === 'menuitem'").await;
        let chat = ann.conversation().await;
        let sent = bob.history(chat, kith_client::Selector::Newest, None).await.unwrap();
        bob.react(sent.items[0].id, "👍").await.unwrap();
        ann.says(".reaction", "👍").await;
        ann.key("Escape", 0).await;
        assert_eq!(ann.focused().await, "More");
        // Another message is made anew behind the question.
        ann.key("Enter", 0).await;
        ann.press("Delete for everyone").await;
        ann.says("dialog", "Delete this message").await;
        ann.key("Enter", 0).await;
        ann.until("the message", "document.activeElement.matches('.message.deleted')").await;
        ann.key("Escape", 0).await;
        ann.until("the composer", "document.activeElement.tagName === 'TEXTAREA'").await;
    });
}

#[test]
fn a_telephone_is_searched_from_a_conversation_and_makes_lines() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), PHONE).await;
        ann.sign_up("ann", "Ann").await;
        server.user("bob", Some("Bob")).await;
        ann.talk_to("Bob").await;
        ann.key("k", 2).await;
        ann.until("the search", "document.activeElement.type === 'search'").await;
        assert_eq!(ann.js("location.hash").await, "");
        ann.type_text("bob").await;
        ann.says(".results", "@bob").await;
        ann.key("Enter", 0).await;
        ann.until("a conversation", "document.querySelector('.composer') !== null").await;
        let touch = json!({ "enabled": true, "maxTouchPoints": 1 });
        ann.call("Emulation.setTouchEmulationEnabled", touch).await;
        ann.until("a finger", "matchMedia('(pointer: coarse)').matches").await;
        ann.write("one").await;
        ann.type_text("two").await;
        ann.writes("one\ntwo").await;
        ann.press("Send").await;
        ann.sees("You: one\ntwo").await;
        assert!(ann.complaints().is_empty(), "{:?}", ann.complaints());
    });
}

#[test]
fn who_is_gone_and_who_is_blocked_is_so_everywhere() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let id = ann.sign_up("ann", "Ann").await;
        let (bob, bob_id) = server.user("bob", Some("Bob")).await;
        let (cleo, cleo_id) = server.user("cleo", Some("Cleo")).await;
        let (dan, dan_id) = server.user("dan", Some("Dan")).await;
        let chat = bob.open_direct(id).await.unwrap().id;
        let hello = SendMessage { content: "Hello".to_owned(), ..Default::default() };
        bob.send(chat, &hello).await.unwrap();
        let group = NewGroup {
            name: "Hike".to_owned(),
            description: None,
            members: vec![id, cleo_id, dan_id],
        };
        let group = bob.create_group(&group).await.unwrap().id;
        cleo.send(group, &hello).await.unwrap();
        // A block in one tab is one in the other.
        ann.open("Bob").await;
        let here = ann.js("location.href").await;
        let other = browser.page_in(ann.context(), here.as_str().unwrap(), DESKTOP).await;
        other.sees("Bob: Hello").await;
        ann.press("Details").await;
        ann.press("Block").await;
        ann.click("dialog .primary").await;
        for page in [&ann, &other] {
            page.says(".closed", "You have blocked this person.").await;
        }
        // On another device it is known once one looks at this one.
        let phone = kith_client::Client::new(&server.url()).unwrap();
        let login = Login {
            email: None,
            username: Some("ann".to_owned()),
            password: PASSWORD.to_owned(),
            device_name: None,
        };
        phone.login(&login).await.unwrap();
        phone.unblock(bob_id).await.unwrap();
        ann.js("dispatchEvent(new Event('focus'))").await;
        ann.until("one may write", "document.querySelector('.closed') === null").await;
        // Whoever deletes his account is called otherwise, though one shares nothing with him any more.
        let erase = Erase { password: Some(PASSWORD.to_owned()) };
        ann.open("Hike").await;
        ann.sees("Cleo: Hello").await;
        cleo.erase_me(&erase).await.unwrap();
        ann.sees("Deleted user: Hello").await;
        // So it is where that was not heard, and the old name was kept.
        dan.send(group, &hello).await.unwrap();
        ann.sees("Dan: Hello").await;
        ann.until("it is kept", "new Promise((done) => setTimeout(() => done(true), 3000))").await;
        ann.go("about:blank").await;
        dan.erase_me(&erase).await.unwrap();
        ann.go(&format!("{}/#{group}", server.url())).await;
        ann.until("nobody of this name", "document.querySelectorAll('.message').length === 2")
            .await;
        ann.until(
            "two deleted",
            "[...document.querySelectorAll('.message')].every((it) => it.ariaLabel.startsWith('Deleted user'))",
        )
        .await;
        assert_ne!(bob_id, id);
    });
}
