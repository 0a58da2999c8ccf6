//! Groups and channels: coming in, what one may there, and leaving.

use kith_client::protocol::rest::{NewChannel, NewGroup, NewInvite, Posting, SendMessage};
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
fn an_invite_outlives_a_reload_and_a_server_that_is_away() {
    run(async {
        let (mut server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), PHONE).await;
        ann.sign_up("ann", "Ann").await;
        ann.until("the worker", "navigator.serviceWorker.ready.then(() => true)").await;
        let (bob, _) = server.user("bob", Some("Bob")).await;
        let group = NewGroup { name: "Hike".to_owned(), description: None, members: vec![] };
        let group = bob.create_group(&group).await.unwrap().id;
        let code = bob.invite(group, &NewInvite::default()).await.unwrap().code;
        ann.go(&format!("{}/invite/{code}", server.url())).await;
        ann.says("dialog", "You have been invited").await;
        ann.picture("phone-invited").await;
        ann.reload().await;
        ann.says("dialog", "You have been invited").await;
        server.kill();
        ann.press("Join").await;
        ann.says("dialog", "cannot be reached").await;
        ann.says("dialog", "You have been invited").await;
        ann.reload().await;
        ann.says("dialog", "You have been invited").await;
        server.go_on();
        ann.connected().await;
        ann.press("Join").await;
        ann.says(".head-text", "Hike").await;
        assert_eq!(ann.js("location.pathname").await, "/");
        ann.reload().await;
        ann.says(".head-text", "Hike").await;
    });
}

#[test]
fn nothing_that_needs_writing_is_offered_where_one_may_not_write() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let id = ann.sign_up("ann", "Ann").await;
        let (bob, bob_id) = server.user("bob", Some("Bob")).await;
        let news = NewChannel {
            name: "News".to_owned(),
            description: None,
            posting: Some(Posting::Admins),
        };
        let news = bob.create_channel(&news).await.unwrap().id;
        bob.send(news, &say("Rain")).await.unwrap();
        let chat = bob.open_direct(id).await.unwrap().id;
        bob.send(chat, &say("Hello")).await.unwrap();
        ann.key("k", 2).await;
        ann.type_text("news").await;
        ann.says(".results", "join").await;
        ann.click(".results button").await;
        ann.says(".closed", "Only admins write here.").await;
        ann.sees("Rain").await;
        ann.picture("announcements").await;
        let offered = "[...document.querySelectorAll('.actions button')].map((it) => it.ariaLabel)";
        assert_eq!(ann.js(offered).await, json!(["React", "More"]));
        ann.open("Bob").await;
        ann.until("answers", &format!("{offered}.join() === 'React,Reply,More'")).await;
        ann.press("Details").await;
        ann.press("Block").await;
        ann.click("dialog .primary").await;
        ann.says(".closed", "You have blocked this person.").await;
        ann.until("no answers", &format!("!{offered}.includes('Reply')")).await;
        assert_ne!(id, bob_id);
    });
}

#[test]
fn the_only_owner_is_told_at_once_and_members_come_in_without_a_jump() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        server.user("bob", Some("Bob")).await;
        ann.press("New conversation").await;
        ann.click(".choice:nth-of-type(2)").await;
        ann.fill("name", "Book club").await;
        ann.click(".people-search input").await;
        ann.type_text("bob").await;
        ann.says(".picker .row", "Bob").await;
        ann.click(".picker button.row").await;
        ann.press("Create group").await;
        ann.says(".head-text", "2 members").await;
        ann.press("Details").await;
        let places = "[...document.querySelectorAll('.deed')].map((it) => it.getBoundingClientRect().top).join()";
        let before = ann.js(places).await;
        ann.says(".members", "Bob").await;
        assert_eq!(ann.js(places).await, before);
        ann.press("Leave group").await;
        ann.says(".toast", "You are the only owner.").await;
        assert_eq!(ann.js("document.querySelector('dialog')").await, json!(null));
        ann.press("What to do with Bob").await;
        ann.press("Make owner").await;
        ann.says(".members .role", "Owner").await;
        ann.until("two owners", "document.querySelectorAll('.members .role').length === 2").await;
        assert_eq!(ann.focused().await, "What to do with Bob");
        ann.press("Leave group").await;
        ann.press("Leave").await;
        ann.until("it gone", "document.querySelector('.list .row') === null").await;
        ann.until("the list", "document.querySelector('.nothing') !== null").await;
        let toasts = "[...document.querySelectorAll('.toast')].map((it) => it.textContent)";
        assert_eq!(ann.js(toasts).await, json!([]), "one did it oneself");
    });
}

#[test]
fn a_reaction_among_many_is_taken_back() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        let (bob, _) = server.user("bob", Some("Bob")).await;
        let city = NewChannel { name: "City".to_owned(), description: None, posting: None };
        let city = bob.create_channel(&city).await.unwrap().id;
        let sent = bob.send(city, &say("Sun")).await.unwrap();
        for number in 0..21 {
            let (one, _) = server.user(&format!("one{number}"), None).await;
            one.join_channel(city).await.unwrap();
            one.react(sent.id, "👍").await.unwrap();
        }
        ann.key("k", 2).await;
        ann.type_text("city").await;
        ann.says(".results", "join").await;
        ann.click(".results button").await;
        ann.says(".reaction", "21").await;
        ann.click(".reaction").await;
        ann.says(".reaction.mine", "22").await;
        // The server names the first twenty: from then on one's own is not among them.
        ann.js("indexedDB.databases().then((all) => all.forEach((it) => indexedDB.deleteDatabase(it.name)))").await;
        ann.reload().await;
        ann.says(".reaction:not(.mine)", "22").await;
        ann.click(".reaction").await;
        ann.says(".reaction", "21").await;
    });
}
