//! A long history.

use std::sync::Arc;

use kith_client::protocol::rest::SendMessage;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    browser::Browser,
    page::DESKTOP,
    server::{Server, run},
};

const MESSAGES: usize = 10_000;

/// Scrolls up until there is no more, and notes how far what one looks at jumped when more came in
/// above, and how many rows there ever were in the document.
const SCROLL_UP: &str = "(async () => {
  const scroller = document.querySelector('.scroller');
  const frame = () => new Promise(requestAnimationFrame);
  let [jump, most, idle] = [0, 0, 0];
  const first = () => Number(document.querySelector('.message').dataset.seq);
  while (first() > 1 && idle < 600) {
    const before = first();
    const top = scroller.getBoundingClientRect().top;
    const row = [...document.querySelectorAll('.message')].find((it) => it.getBoundingClientRect().bottom > top);
    const at = row.getBoundingClientRect().top;
    scroller.scrollTop -= 1000;
    const moved = row.getBoundingClientRect().top - at;
    // Whatever comes in above comes in while it waits here.
    await frame();
    const now = document.querySelector(`.message[data-seq='${row.dataset.seq}']`);
    if (now) jump = Math.max(jump, Math.abs(now.getBoundingClientRect().top - at - moved));
    most = Math.max(most, document.querySelectorAll('.timeline > li').length);
    idle = first() === before ? idle + 1 : 0;
  }
  return { jump, most, first: first() };
})()";

/// Types some letters. Says how often the messages were touched meanwhile, and how long a letter kept the
/// page busy at most, in milliseconds.
const TYPE: &str = "(async () => {
  const input = document.querySelector('.composer textarea');
  let [touched, longest] = [0, 0];
  const watch = new MutationObserver((changes) => { touched += changes.length; });
  watch.observe(document.querySelector('.timeline'), { childList: true, subtree: true, attributes: true });
  for (let letter = 0; letter < 60; letter++) {
    const start = performance.now();
    input.value += 'x';
    input.dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise(requestAnimationFrame);
    void input.offsetHeight;
    longest = Math.max(longest, performance.now() - start);
  }
  watch.disconnect();
  return { touched, longest };
})()";

#[test]
fn ten_thousand_messages_scroll_without_a_jump() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let (bob, _) = server.user("bob", Some("Bob")).await;
        let ann = browser.page(&server.url(), DESKTOP).await;
        let id = ann.sign_up("ann", "Ann").await;
        let chat = bob.open_direct(id).await.unwrap().id;
        let (turns, mut sending) = (Arc::new(Semaphore::new(128)), JoinSet::new());
        for number in 0..MESSAGES {
            let (bob, turn) = (bob.clone(), Arc::clone(&turns).acquire_owned().await.unwrap());
            sending.spawn(async move {
                let content = format!("Message {number}{}", " and more".repeat(number % 23));
                bob.send(chat, &SendMessage { content, ..Default::default() }).await.unwrap();
                drop(turn);
            });
        }
        sending.join_all().await;
        ann.open("Bob").await;
        ann.says(".line", "New messages").await;
        ann.press("Jump to the end").await;
        ann.until(
            "the end",
            &format!("document.querySelector('[data-seq=\"{MESSAGES}\"]') !== null"),
        )
        .await;

        let seen = ann.js(SCROLL_UP).await;
        assert_eq!(seen["first"], 1, "{seen}");
        assert!(seen["jump"].as_f64().unwrap() < 2.0, "{seen}");
        assert!(seen["most"].as_u64().unwrap() < 200, "{seen}");

        let typed = ann.js(TYPE).await;
        assert_eq!(typed["touched"], 0, "{typed}");
        println!("{seen} {typed}");
        ann.press("Jump to the end").await;
        ann.until(
            "the end",
            &format!("document.querySelector('[data-seq=\"{MESSAGES}\"]') !== null"),
        )
        .await;
        ann.until("all read", "document.title === 'Kith'").await;
    });
}
