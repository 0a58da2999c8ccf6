//! The server goes and comes back; the page is loaded again at any moment.

use crate::{
    browser::Browser,
    page::DESKTOP,
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
        ann.until("the draft", "document.querySelector('textarea').value === 'half a thought'")
            .await;

        server.go_on();
        for text in ["one", "two", "three"] {
            bob.sees(&format!("Ann: {text}")).await;
        }
        ann.connected().await;
        ann.until("nothing waits", "document.querySelector('.outgoing') === null").await;
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
        ann.until("nothing waits", "document.querySelector('.outgoing') === null").await;
        assert_eq!(ann.messages().await.len(), 5);
        ann.until("no draft", "document.querySelector('textarea')?.value === ''").await;
    });
}
