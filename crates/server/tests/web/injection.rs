//! Names and messages that try to be more than text.

use kith_client::protocol::rest::{NewGroup, SendMessage};
use serde_json::json;

use crate::{
    browser::Browser,
    page::DESKTOP,
    server::{Server, run},
};

/// What has run as a script somewhere, once.
const CORPUS: &[&str] = &[
    "<script>window.ran = 1</script>",
    "<img src=x onerror=window.ran=1>",
    "<svg onload=window.ran=1>",
    "<svg><script>window.ran=1</script></svg>",
    "\"><script>window.ran = 1</script>",
    "'\"><img src=x onerror='window.ran=1'>",
    "<iframe srcdoc='<script>parent.ran=1</script>'></iframe>",
    "<a href='javascript:window.ran=1'>x</a>",
    "javascript:window.ran=1",
    "https://example.org/\"onmouseover=\"window.ran=1",
    "https://x.example/' onclick='window.ran=1",
    "http://javascript:window.ran=1//x",
    "data:text/html,<script>opener.ran=1</script>",
    "<details open ontoggle=window.ran=1>",
    "<input autofocus onfocus=window.ran=1>",
    "<style>*{display:none}</style>",
    "<base href='https://evil.example/'>",
    "<math><mi xlink:href='javascript:window.ran=1'>x</mi></math>",
    "<template><img src=x onerror=window.ran=1></template>",
    "${window.ran=1} {{constructor.constructor('window.ran=1')()}}",
    "<!--<img src='--><img src=x onerror=window.ran=1>'>",
    "\u{202e}<script>window.ran=1</script>",
    "@<img/src/onerror=window.ran=1>",
];

#[test]
fn no_text_ever_runs_and_the_policy_has_nothing_to_stop() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        let ann_id = ann.sign_up("ann", "Ann").await;
        for (number, text) in CORPUS.iter().enumerate() {
            let name: String = text.chars().take(60).filter(|it| *it != '\u{202e}').collect();
            let (mallory, _) = server.user(&format!("mallory{number}"), Some(&name)).await;
            let group = NewGroup {
                name: name.clone(),
                description: Some((*text).to_owned()),
                members: vec![ann_id],
            };
            let made = [
                mallory.open_direct(ann_id).await.unwrap(),
                mallory.create_group(&group).await.unwrap(),
            ];
            for conversation in made {
                let content = SendMessage { content: (*text).to_owned(), ..Default::default() };
                let sent = mallory.send(conversation.id, &content).await.unwrap();
                let answer = SendMessage { reply_to: Some(sent.id), ..content };
                mallory.send(conversation.id, &answer).await.unwrap();
                let listed = format!(
                    "document.querySelector('.list [href=\"#{}\"]') !== null",
                    conversation.id
                );
                ann.until("it in the list", &listed).await;
                ann.js(&format!("location.hash = {}", json!(conversation.id))).await;
                ann.until("both messages", "document.querySelectorAll('.message').length === 2")
                    .await;
                let shown = ann.js("document.querySelector('.message .text').textContent").await;
                assert_eq!(shown, *text, "it is shown as it was written");
            }
            ann.press("Details").await;
            ann.says(".panel h3", &name).await;
        }
        // All names in the search, and in the list.
        ann.click(".search input").await;
        ann.type_text("mallory").await;
        ann.says(".results", "@mallory1").await;
        assert_eq!(ann.js("window.ran").await, json!(null));
        let links = ann.js("[...document.querySelectorAll('a')].every((it) => ['http:', 'https:'].includes(new URL(it.href).protocol))").await;
        assert_eq!(links, true);
        assert!(ann.complaints().is_empty(), "{:?}", ann.complaints());
    });
}

#[test]
fn the_policy_stops_what_should_never_be_tried() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let page = browser.page(&server.url(), DESKTOP).await;
        // That the test above would notice.
        let stopped = page
            .js("new Promise((resolve) => {
                   addEventListener('securitypolicyviolation', () => resolve(true), { once: true });
                   const it = document.createElement('script');
                   try { it.textContent = 'window.ran = 1'; document.head.append(it); } catch { resolve(true) }
                 })")
            .await;
        assert_eq!(stopped, true);
        assert_eq!(page.js("window.ran").await, json!(null));
        page.until("nothing more", "true").await;
        assert!(!page.complaints().is_empty());
    });
}
