//! The server goes and comes back; the page is loaded again at any moment.

use std::time::{Duration, Instant};

use kith_client::protocol::rest::SendMessage;
use serde_json::json;

use crate::{
    browser::Browser,
    page::{DESKTOP, Page},
    server::{Server, run},
};

#[test]
fn what_is_written_while_the_server_is_away_arrives_once_and_in_order() {
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
        // From then on the page itself is there without the server.
        ann.until("the worker", "navigator.serviceWorker.ready.then(() => true)").await;

        server.kill();
        ann.until("a banner", "!document.querySelector('.banner').hidden").await;
        for text in ["one", "two", "three"] {
            ann.write(text).await;
            ann.sees(&format!("You: {text}. Sending")).await;
        }
        ann.click(".composer textarea").await;
        ann.type_text("half a thought").await;
        ann.reload().await;
        ann.sees("You: three. Sending").await;
        ann.sees("You: before").await;
        ann.writes("half a thought").await;

        server.go_on();
        for text in ["one", "two", "three"] {
            bob.sees(&format!("Ann: {text}")).await;
        }
        ann.connected().await;
        ann.all_sent().await;
        for page in [&ann, &bob] {
            let said: Vec<String> = page.messages().await;
            let order: Vec<&str> =
                said.iter().filter_map(|it| it.split(": ").nth(1)?.split('.').next()).collect();
            assert_eq!(order, ["before", "one", "two", "three"], "{said:?}");
        }
        bob.write("welcome back").await;
        ann.sees("Bob: welcome back").await;
    });
}

#[test]
fn a_message_survives_a_reload_right_after_it_was_sent() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        server.user("bob", None).await;
        ann.talk_to("bob").await;
        for round in 0..5 {
            ann.write(&format!("round {round}")).await;
            ann.reload().await;
            ann.sees(&format!("round {round}")).await;
        }
        ann.all_sent().await;
        ann.until("all five", "document.querySelectorAll('.message').length === 5").await;
        ann.until("no draft", "document.querySelector('textarea')?.value === ''").await;
    });
}

#[test]
fn what_is_typed_survives_a_reload_with_what_it_answers_and_changes() {
    run(async {
        let (mut server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        server.user("bob", Some("Bob")).await;
        server.user("cleo", Some("Cleo")).await;
        ann.talk_to("Bob").await;
        for text in ["a question", "a misteak"] {
            ann.write(text).await;
        }
        ann.all_sent().await;
        ann.until("the worker", "navigator.serviceWorker.ready.then(() => true)").await;

        // An answer that is not sent yet.
        ann.act("a question", "Reply").await;
        ann.type_text("half an answer").await;
        ann.reload().await;
        ann.says(".composer-above", "a question").await;
        ann.writes("half an answer").await;
        // On top of it a change of another message.
        ann.act("a misteak", "Edit").await;
        ann.writes("a misteak").await;
        ann.js("document.querySelector('textarea').select()").await;
        ann.type_text("a mistake").await;
        ann.reload().await;
        ann.says(".composer-above", "Edit message").await;
        ann.writes("a mistake").await;
        // Elsewhere the list tells of it, and it is there again.
        ann.talk_to("Cleo").await;
        ann.writes("").await;
        ann.says(".row-line.draft", "a mistake").await;
        ann.open("Bob").await;
        ann.writes("a mistake").await;

        server.kill();
        ann.until("a banner", "!document.querySelector('.banner').hidden").await;
        ann.click(".composer textarea").await;
        ann.key("Enter", 0).await;
        ann.says(".toast", "cannot be reached").await;
        ann.says(".composer-above", "Edit message").await;
        ann.writes("a mistake").await;

        server.go_on();
        ann.connected().await;
        ann.key("Enter", 0).await;
        ann.sees("You: a mistake").await;
        // What lay below comes back.
        ann.says(".composer-above", "a question").await;
        ann.writes("half an answer").await;
        ann.key("Enter", 0).await;
        ann.sees("You: half an answer").await;
        ann.says(".quote", "a question").await;
        ann.all_sent().await;
        ann.reload().await;
        ann.sees("You: half an answer").await;
        ann.writes("").await;
        assert!(ann.complaints().is_empty(), "{:?}", ann.complaints());
    });
}

/// A browser that keeps no databases, as some private windows.
const NO_DATABASES: &str = "for (const name of ['open', 'deleteDatabase'])
  IDBFactory.prototype[name] = () => { throw new DOMException('No.', 'SecurityError'); };";

#[test]
fn a_browser_without_databases_loses_nothing_and_signs_out() {
    run(async {
        let (mut server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let bob = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        bob.sign_up("bob", "Bob").await;
        ann.before_all(NO_DATABASES).await;
        ann.reload().await;
        ann.connected().await;
        ann.talk_to("Bob").await;
        ann.write("before").await;
        bob.open("Ann").await;
        bob.sees("before").await;
        ann.until("the worker", "navigator.serviceWorker.ready.then(() => true)").await;
        server.kill();
        ann.until("a banner", "!document.querySelector('.banner').hidden").await;
        ann.write("written while away").await;
        ann.sees("You: written while away. Sending").await;
        ann.reload().await;
        server.go_on();
        bob.sees("Ann: written while away").await;
        ann.connected().await;
        ann.sees("You: written while away").await;
        ann.until(
            "nothing is kept any more",
            "!Object.keys(localStorage).some((key) => key.startsWith('kith.written'))",
        )
        .await;
        assert_eq!(bob.messages().await.len(), 2);
        ann.press("Settings").await;
        ann.press("Sign out").await;
        ann.click("dialog:last-of-type .primary").await;
        ann.until("the sign-in page", "document.querySelector('.sign-in') !== null").await;
    });
}

/// A browser whose databases never answer, as one that is stuck on its disk.
const SILENT_DATABASES: &str = "for (const name of ['open', 'deleteDatabase'])
  IDBFactory.prototype[name] = () => ({});";

#[test]
fn a_database_that_never_answers_holds_nothing_up() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let bob = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        bob.sign_up("bob", "Bob").await;
        ann.before_all(SILENT_DATABASES).await;
        let began = Instant::now();
        ann.reload().await;
        ann.connected().await;
        println!("without its database it was there after {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(12));
        ann.talk_to("Bob").await;
        ann.write("sent all the same").await;
        bob.open("Ann").await;
        bob.sees("sent all the same").await;
        ann.press("Settings").await;
        ann.press("Sign out").await;
        ann.click("dialog:last-of-type .primary").await;
        ann.until("the sign-in page", "document.querySelector('.sign-in') !== null").await;
    });
}

#[test]
fn a_server_that_takes_connections_and_never_answers_leaves_the_page() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        server.user("bob", Some("Bob")).await;
        ann.talk_to("Bob").await;
        ann.write("before").await;
        ann.all_sent().await;
        ann.until("the worker", "navigator.serviceWorker.ready.then(() => true)").await;
        server.signal("STOP");
        ann.write("meanwhile").await;
        let soon = Duration::from_secs(9);
        let said = "document.querySelector('.banner').textContent.startsWith('The server does not answer')";
        ann.until_within(soon, "a word about it", said).await;
        let began = Instant::now();
        ann.reload().await;
        ann.sees("You: before").await;
        println!("without an answer it was there after {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(12));
        ann.until("a banner", "!document.querySelector('.banner').hidden").await;
        server.signal("CONT");
        ann.connected().await;
    });
}

#[test]
fn what_is_written_in_the_middle_of_the_history_while_away_is_shown_at_its_end() {
    run(async {
        let (mut server, browser) = (Server::start(), Browser::start().await);
        let (bob, _) = server.user("bob", Some("Bob")).await;
        let ann = browser.page(&server.url(), DESKTOP).await;
        let id = ann.sign_up("ann", "Ann").await;
        let chat = bob.open_direct(id).await.unwrap().id;
        for number in 0..300 {
            let content = format!("Number {number}.");
            bob.send(chat, &SendMessage { content, ..Default::default() }).await.unwrap();
        }
        ann.until("all counted", "document.title === '(300) Kith'").await;
        ann.open("Bob").await;
        ann.says(".line", "New messages").await;
        server.kill();
        ann.until("a banner", "!document.querySelector('.banner').hidden").await;
        ann.write("meanwhile").await;
        ann.says(".toast", "shown at the end").await;
        server.go_on();
        ann.connected().await;
        ann.sees("You: meanwhile. ").await;
        ann.until("the end", "document.querySelector('.to-end').hidden").await;
        let last = ann.messages().await.pop();
        assert!(last.is_some_and(|it| it.contains("meanwhile")));
    });
}

/// Has the page, but not its worker, without a network, or with one again.
async fn network(page: &Page, is_there: bool) {
    page.call("Network.enable", json!({})).await;
    let how = json!({ "offline": !is_there, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
    page.call("Network.emulateNetworkConditions", how).await;
}

#[test]
fn what_was_just_seen_is_there_after_a_reload_without_the_server() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let bob = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        bob.sign_up("bob", "Bob").await;
        ann.talk_to("Bob").await;
        ann.write("before").await;
        bob.open("Ann").await;
        bob.sees("before").await;
        ann.until("the worker", "navigator.serviceWorker.ready.then(() => true)").await;
        bob.write("just come").await;
        ann.sees("Bob: just come").await;
        ann.write("just sent").await;
        let read = "[...document.querySelectorAll('.message')]
            .some((it) => /You: just sent.*Read/.test(it.ariaLabel))";
        ann.until("it read", read).await;
        network(&ann, false).await;
        ann.reload().await;
        ann.sees("Bob: just come").await;
        ann.sees("You: just sent").await;
        ann.until("it read still", read).await;
        network(&ann, true).await;
        ann.connected().await;
        ann.until("it read still", read).await;
        assert_eq!(ann.messages().await.len(), 3);
    });
}

#[test]
fn a_browser_that_goes_offline_says_so_and_is_back_at_once() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.sign_up("ann", "Ann").await;
        let (bob, _) = server.user("bob", Some("Bob")).await;
        ann.talk_to("Bob").await;
        ann.write("before").await;
        ann.all_sent().await;
        let chat = ann.conversation().await;
        for offline in [true, false] {
            network(&ann, !offline).await;
            let banner = "document.querySelector('.banner')";
            let said =
                format!("{banner}.textContent.startsWith('You are offline.') && !{banner}.hidden");
            let said = if offline { said } else { format!("{banner}.hidden") };
            ann.until_within(Duration::from_secs(4), "what it says", &said).await;
            if offline {
                let content = "meanwhile".to_owned();
                bob.send(chat, &SendMessage { content, ..Default::default() }).await.unwrap();
                ann.write("written offline").await;
                ann.sees("You: written offline. Sending").await;
            }
        }
        ann.sees("Bob: meanwhile").await;
        ann.all_sent().await;
    });
}
