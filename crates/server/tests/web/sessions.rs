//! Staying signed in, and signing out.

use serde_json::json;

use crate::{
    browser::Browser,
    page::DESKTOP,
    server::{PASSWORD, Server, run},
};

#[test]
fn tabs_share_a_session_and_renew_it_once() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let first = browser.page(&server.url(), DESKTOP).await;
        first.sign_up("ann", "Ann").await;
        server.user("bob", Some("Bob")).await;
        let second = browser.page_in(first.context(), &server.url(), DESKTOP).await;
        second.connected().await;
        // The token is taken for old: both tabs need another one, at the same time.
        let aged = "(() => { const it = JSON.parse(localStorage['kith.session']); it.ends = 0;
                     localStorage['kith.session'] = JSON.stringify(it); return it.refresh_token; })()";
        let refresh_token = first.js(aged).await;
        for page in [&first, &second] {
            page.js("document.querySelector('[title=Settings]').click()").await;
            page.js("[...document.querySelectorAll('summary')].find((it) => it.textContent === 'Devices').click()").await;
        }
        for page in [&first, &second] {
            page.says("dialog", "this device").await;
        }
        assert_ne!(
            first.js("JSON.parse(localStorage['kith.session']).refresh_token").await,
            refresh_token
        );
        first.reload().await;
        first.connected().await;

        // Signing out in one tab signs out of both, and leaves nothing behind.
        first.talk_to("Bob").await;
        first.type_text("half a thought").await;
        second.press("Sign out").await;
        second.says("dialog", "Drafts, and messages that are not sent yet, will be lost.").await;
        second.click("dialog:last-of-type .primary").await;
        for page in [&first, &second] {
            page.until("the sign-in page", "document.querySelector('.sign-in') !== null").await;
        }
        assert_eq!(first.js("Object.keys(localStorage).length").await, 0);
        assert_eq!(first.js("indexedDB.databases().then((all) => all.length)").await, 0);
    });
}

#[test]
fn signing_out_everywhere_ends_other_devices() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let desk = browser.page(&server.url(), DESKTOP).await;
        desk.sign_up("ann", "Ann").await;
        let phone = browser.page(&server.url(), DESKTOP).await;
        phone.sign_in("ann").await;
        desk.press("Settings").await;
        desk.press("Sign out everywhere").await;
        desk.click("dialog:last-of-type .primary").await;
        for page in [&desk, &phone] {
            page.until("the sign-in page", "document.querySelector('.sign-in') !== null").await;
        }
    });
}

#[test]
fn an_account_is_deleted_with_its_password_and_a_question() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let page = browser.page(&server.url(), DESKTOP).await;
        page.sign_up("ann", "Ann").await;
        page.press("Settings").await;
        page.click("details:last-of-type summary").await;
        let form = "details:last-of-type form";
        page.click(&format!("{form} [name=messages]")).await;
        page.click(&format!("{form} [name=password]")).await;
        page.type_text(PASSWORD).await;
        page.click(&format!("{form} .primary")).await;
        page.says("dialog", "Delete your account and all you have written for good?").await;
        page.press("Delete for good").await;
        page.until("the sign-in page", "document.querySelector('.sign-in') !== null").await;
        assert_eq!(page.js("Object.keys(localStorage).length").await, 0);
        // The name is free again.
        page.sign_up("ann", "Another Ann").await;
        assert!(page.complaints().is_empty(), "{:?}", page.complaints());
    });
}

#[test]
fn what_is_refused_is_said_beside_the_form() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        server.user("ann", None).await;
        let page = browser.page(&server.url(), DESKTOP).await;
        page.fill("username", "ann").await;
        page.fill("password", "something else").await;
        page.key("Enter", 0).await;
        page.says("[role=alert]", "No account has this name with this password").await;
        page.press("Create an account").await;
        page.fill("username", "ann").await;
        page.fill("email", "ann@example.net").await;
        page.fill("password", PASSWORD).await;
        page.key("Enter", 0).await;
        page.until(
            "the reason",
            "document.querySelector('[role=alert]').textContent === 'This user name is taken: choose another.'",
        )
        .await;
        assert_eq!(page.js("document.activeElement.name").await, json!("username"));
    });
}

#[test]
fn what_is_not_sent_outlives_a_session_that_ends_by_itself() {
    run(async {
        let (mut server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let bob = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        bob.sign_up("bob", "Bob").await;
        ann.talk_to("Bob").await;
        ann.write("before").await;
        bob.open("Ann").await;
        bob.sees("before").await;
        server.kill();
        ann.until("a banner", "!document.querySelector('.banner').hidden").await;
        ann.write("later").await;
        ann.sees("You: later. Sending").await;
        ann.click(".composer textarea").await;
        ann.type_text("half a thought").await;
        // Its tokens are good for nothing.
        ann.js("(() => { const it = JSON.parse(localStorage['kith.session']); it.token = it.refresh_token = 'x';
                 localStorage['kith.session'] = JSON.stringify(it); })()")
            .await;
        server.go_on();
        ann.says(".sign-in", "You were signed out").await;
        ann.sign_in("ann").await;
        bob.sees("Ann: later").await;
        ann.until("the draft", "document.querySelector('textarea')?.value === 'half a thought'")
            .await;
    });
}

#[test]
fn what_is_typed_in_one_tab_outlives_what_is_sent_in_another() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let first = browser.page(&server.url(), DESKTOP).await;
        first.sign_up("ann", "Ann").await;
        server.user("bob", Some("Bob")).await;
        first.talk_to("Bob").await;
        first.click(".composer textarea").await;
        first.type_text("kept").await;
        let here = first.js("location.href").await;
        let second = browser.page_in(first.context(), here.as_str().unwrap(), DESKTOP).await;
        // What was begun in one tab can be finished in the other, once.
        second.until("the draft", "document.querySelector('textarea')?.value === 'kept'").await;
        first.key("Enter", 0).await;
        second.until("no draft", "document.querySelector('textarea').value === ''").await;
        first.click(".composer textarea").await;
        first.type_text("a long thought").await;
        second
            .until("the draft", "document.querySelector('textarea').value === 'a long thought'")
            .await;
        second.js("document.querySelector('textarea').value = ''").await;
        second.write("something else").await;
        second.sees("You: something else").await;
        first.reload().await;
        first
            .until("the draft", "document.querySelector('textarea')?.value === 'a long thought'")
            .await;
    });
}

#[test]
fn a_tab_where_nobody_is_signed_in_follows_one_where_somebody_signs_in() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let first = browser.page(&server.url(), DESKTOP).await;
        let second = browser.page_in(first.context(), &server.url(), DESKTOP).await;
        second.until("the sign-in page", "document.querySelector('.sign-in') !== null").await;
        first.sign_up("ann", "Ann").await;
        second.connected().await;
        assert!(second.complaints().is_empty(), "{:?}", second.complaints());
    });
}

#[test]
fn whoever_signs_in_for_a_conversation_may_write_at_once() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        server.user("bob", Some("Bob")).await;
        ann.talk_to("Bob").await;
        let chat = ann.conversation().await;
        let phone = browser.page(&format!("{}/#{chat}", server.url()), DESKTOP).await;
        phone.sign_in("ann").await;
        phone.until("the composer", "document.activeElement.tagName === 'TEXTAREA'").await;
    });
}
