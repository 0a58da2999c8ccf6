//! How the page and its files are served.

use serde_json::json;

use crate::{
    browser::Browser,
    page::DESKTOP,
    server::{Server, run},
};

/// Asks for a file by both methods. Says whether both answer with the same headers, and HEAD without a body.
const BOTH: &str = "(async (path) => {
  const [head, get] = await Promise.all(['HEAD', 'GET'].map((method) =>
    fetch(path, { method, headers: { Accept: 'text/html' }, cache: 'no-store' })));
  const same = ['etag', 'content-type', 'content-security-policy', 'vary', 'cache-control'].every((name) =>
    get.headers.get(name) && head.headers.get(name) === get.headers.get(name));
  return [head.status, same, (await head.text()).length];
})";

#[test]
fn whoever_goes_astray_is_told_and_comes_to_the_page() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let page = browser.page(&format!("{}/nope", server.url()), DESKTOP).await;
        page.says(".toast", "There is nothing at this address.").await;
        assert_eq!(page.js("location.pathname").await, "/");
        page.sign_up("ann", "Ann").await;
        page.go(&format!("{}/invite/", server.url())).await;
        page.says(".toast", "There is nothing at this address.").await;
        page.connected().await;
        assert_eq!(page.js("document.querySelector('dialog')").await, json!(null));
    });
}

#[test]
fn head_is_answered_as_get_is() {
    run(async {
        let (server, browser) = (Server::start(), Browser::start().await);
        let page = browser.page(&server.url(), DESKTOP).await;
        let module = page.js("document.querySelector('script').getAttribute('src')").await;
        for path in ["/", "/invite/abc", "/worker.js", module.as_str().unwrap()] {
            assert_eq!(
                page.js(&format!("{BOTH}('{path}')")).await,
                json!([200, true, 0]),
                "{path}"
            );
        }
    });
}
