//! What a person does with a page.

use std::{
    fs,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    browser::{Link, pictures},
    server::PASSWORD,
};

/// A window on a desk, and a telephone.
pub(crate) const DESKTOP: (u32, u32) = (1_200, 800);
pub(crate) const PHONE: (u32, u32) = (390, 844);

/// Nothing that must come takes longer.
const SOON: Duration = Duration::from_secs(20);

/// Finds what can be pressed by what it says.
const FIND: &str =
    "(label) => [...document.querySelectorAll('button, a, summary')].reverse().find((it) =>
    it.getClientRects().length && [it.ariaLabel, it.textContent.trim()].includes(label))";

pub(crate) struct Page {
    link: Link,
    session: String,
    context: String,
}

impl Page {
    pub(crate) async fn new(
        link: Link,
        session: String,
        context: String,
        url: &str,
        size: (u32, u32),
    ) -> Self {
        let page = Self { link, session, context };
        for domain in ["Page", "Runtime", "Log", "Audits"] {
            page.call(&format!("{domain}.enable"), json!({})).await;
        }
        page.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true })).await;
        page.resize(size).await;
        page.go(url).await;
        page
    }

    /// Who it belongs to: pages of the same one share what a browser keeps.
    pub(crate) fn context(&self) -> &str {
        &self.context
    }

    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        self.link.call(&self.session, method, params).await
    }

    pub(crate) async fn resize(&self, (width, height): (u32, u32)) {
        let narrow = width < 600;
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": narrow });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// `dark` or `light`.
    pub(crate) async fn colours(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }

    pub(crate) async fn go(&self, url: &str) {
        self.call("Page.navigate", json!({ "url": url })).await;
        self.until("the page", "document.readyState === 'complete'").await;
    }

    pub(crate) async fn reload(&self) {
        self.js("window.before = true").await;
        self.call("Page.reload", json!({})).await;
        self.until("the page again", "!window.before && document.querySelector('.shell') !== null")
            .await;
    }

    /// What an expression is in the page.
    pub(crate) async fn js(&self, expression: &str) -> Value {
        let answer = self.evaluate(expression).await;
        let failed = answer.get("exceptionDetails");
        assert!(failed.is_none(), "{expression}: {failed:?}");
        answer["result"]["value"].clone()
    }

    async fn evaluate(&self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        self.call("Runtime.evaluate", asked).await
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&self, what: &str, expression: &str) {
        self.until_within(SOON, what, expression).await;
    }

    pub(crate) async fn until_within(&self, patience: Duration, what: &str, expression: &str) {
        let deadline = Instant::now() + patience;
        loop {
            // A page that is on its way has nothing to say yet.
            if self.evaluate(expression).await["result"]["value"] == true {
                return;
            }
            if Instant::now() > deadline {
                self.picture("waited-in-vain").await;
                let shown = self.js("document.body.innerText").await;
                panic!("waited in vain: {what} ({expression})\n{shown}\n{:?}", self.complaints());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits until an element says this.
    pub(crate) async fn says(&self, selector: &str, text: &str) {
        let expression = format!(
            "[...document.querySelectorAll({})].some((it) => it.textContent.includes({}))",
            json!(selector),
            json!(text)
        );
        self.until(&format!("{selector} says {text:?}"), &expression).await;
    }

    /// Has a script run before those of every page from now on.
    pub(crate) async fn before_all(&self, script: &str) {
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }

    /// Speaks another language, from the next page on.
    pub(crate) async fn language(&self, language: &str) {
        let agent = self.js("navigator.userAgent").await;
        let other = json!({ "userAgent": agent, "acceptLanguage": language });
        self.call("Emulation.setUserAgentOverride", other).await;
        self.call("Emulation.setLocaleOverride", json!({ "locale": language })).await;
    }

    /// Presses the mouse in the middle of one element, and lets it go over a point.
    pub(crate) async fn drag(&self, selector: &str, (x, y): (u32, u32)) {
        let from = self.place(&format!("document.querySelector({})", json!(selector))).await;
        self.mouse("mousePressed", &from).await;
        let to = json!({ "x": x, "y": y });
        self.mouse("mouseMoved", &to).await;
        self.mouse("mouseReleased", &to).await;
    }

    /// Presses the mouse in the middle of an element, and keeps it down. Says where.
    pub(crate) async fn hold(&self, selector: &str) -> Value {
        let place = self.place(&format!("document.querySelector({})", json!(selector))).await;
        self.mouse("mouseMoved", &place).await;
        self.mouse("mousePressed", &place).await;
        place
    }

    /// Lets the mouse go.
    pub(crate) async fn let_go(&self, place: &Value) {
        self.mouse("mouseReleased", place).await;
    }

    /// Presses the mouse at a point.
    pub(crate) async fn press_at(&self, (x, y): (u32, u32)) {
        let place = json!({ "x": x, "y": y });
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            self.mouse(kind, &place).await;
        }
    }

    /// What has the focus, by what it is called.
    pub(crate) async fn focused(&self) -> Value {
        self.js("document.activeElement.ariaLabel ?? document.activeElement.tagName").await
    }

    /// Presses what says this, with the mouse.
    pub(crate) async fn press(&self, label: &str) {
        let found = format!("({FIND})({})", json!(label));
        self.until(&format!("a button {label:?}"), &format!("Boolean({found})")).await;
        self.click_on(&found).await;
    }

    /// Clicks on the first element of this kind.
    pub(crate) async fn click(&self, selector: &str) {
        let found = format!("document.querySelector({})", json!(selector));
        self.until(selector, &format!("Boolean({found})")).await;
        self.click_on(&found).await;
    }

    async fn click_on(&self, element: &str) {
        let place = self.place(element).await;
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            self.mouse(kind, &place).await;
        }
    }

    /// The middle of an element, once it moves no more.
    async fn place(&self, element: &str) -> Value {
        self.js(&format!(
            "(async () => {{ let before; for (;;) {{
               const it = {element}; it.scrollIntoView({{ block: 'nearest' }});
               const {{ x, y, width, height }} = it.getBoundingClientRect();
               const place = {{ x: x + width / 2, y: y + height / 2 }};
               if (place.x === before?.x && place.y === before.y) return place;
               before = place;
               await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
             }} }})()"
        ))
        .await
    }

    async fn mouse(&self, kind: &str, place: &Value) {
        let button = if kind == "mouseMoved" { "none" } else { "left" };
        let event = json!({ "type": kind, "x": place["x"], "y": place["y"], "button": button, "clickCount": 1 });
        self.call("Input.dispatchMouseEvent", event).await;
    }

    /// Types into what has the focus.
    pub(crate) async fn type_text(&self, text: &str) {
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Presses a key; `modifiers` as the protocol counts them (2 is Ctrl, 8 is Shift).
    pub(crate) async fn key(&self, key: &str, modifiers: u32) {
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "Tab" => 9,
            "ArrowUp" => 38,
            "ArrowDown" => 40,
            other => u32::from(other.to_ascii_uppercase().as_bytes()[0]),
        };
        let text = (key == "Enter").then_some("\r");
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "modifiers": modifiers, "windowsVirtualKeyCode": code });
            if let (Some(text), "keyDown") = (text, kind) {
                event["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Writes into a field of a form.
    pub(crate) async fn fill(&self, name: &str, text: &str) {
        self.click(&format!("[name={name}]")).await;
        self.type_text(text).await;
    }

    /// Makes an account, by the page that one sees first.
    pub(crate) async fn sign_up(&self, name: &str, display_name: &str) -> Uuid {
        self.until("the sign-in page", "document.querySelector('.sign-in') !== null").await;
        if self.js("document.querySelector('[name=email]') === null").await == true {
            self.press("Create an account").await;
        }
        self.fill("username", name).await;
        self.fill("display_name", display_name).await;
        self.fill("email", &format!("{name}@example.org")).await;
        self.fill("password", PASSWORD).await;
        self.press("Create account").await;
        self.connected().await;
        let id = self.js("JSON.parse(localStorage['kith.session']).user_id").await;
        serde_json::from_value(id).unwrap()
    }

    pub(crate) async fn sign_in(&self, name: &str) {
        self.until("the sign-in page", "document.querySelector('.sign-in') !== null").await;
        self.fill("username", name).await;
        self.fill("password", PASSWORD).await;
        self.press("Sign in").await;
        self.connected().await;
    }

    /// Waits until the page is signed in and live.
    pub(crate) async fn connected(&self) {
        self.until(
            "a live page",
            "document.querySelector('.me-button .avatar') !== null && document.querySelector('.banner').hidden",
        )
        .await;
    }

    /// Opens the chat with somebody, by the search.
    pub(crate) async fn talk_to(&self, name: &str) {
        self.key("k", 2).await;
        self.type_text(name).await;
        let found = ".results section:last-child button";
        self.says(found, name).await;
        self.click(found).await;
        self.until("a conversation", "document.querySelector('.composer') !== null").await;
    }

    /// The conversation that is open.
    pub(crate) async fn conversation(&self) -> Uuid {
        serde_json::from_value(self.js("location.hash.slice(1)").await).unwrap()
    }

    /// Opens a conversation of the list.
    pub(crate) async fn open(&self, title: &str) {
        self.says(".list .row-title", title).await;
        let row = format!(
            "[...document.querySelectorAll('.list .row')].find((it) => it.textContent.includes({}))",
            json!(title)
        );
        self.click_on(&row).await;
        self.until("a conversation", "document.querySelector('.composer, .closed') !== null").await;
    }

    /// Writes a message and sends it.
    pub(crate) async fn write(&self, text: &str) {
        self.click(".composer textarea").await;
        self.type_text(text).await;
        self.key("Enter", 0).await;
    }

    /// What the messages on the screen say, each as a screen reader has it.
    pub(crate) async fn messages(&self) -> Vec<String> {
        let labels =
            self.js("[...document.querySelectorAll('.message')].map((it) => it.ariaLabel)").await;
        serde_json::from_value(labels).unwrap()
    }

    /// Waits until a message is there, with whatever a screen reader says of it.
    pub(crate) async fn sees(&self, text: &str) {
        let expression = format!(
            "[...document.querySelectorAll('.message')].some((it) => it.ariaLabel.includes({}))",
            json!(text)
        );
        self.until(&format!("a message {text:?}"), &expression).await;
    }

    /// Waits until this stands where one writes.
    pub(crate) async fn writes(&self, text: &str) {
        let expression = format!("document.querySelector('textarea')?.value === {}", json!(text));
        self.until(&format!("{text:?} in the composer"), &expression).await;
    }

    /// Waits until nothing is on its way.
    pub(crate) async fn all_sent(&self) {
        self.until("all sent", "document.querySelector('.outgoing') === null").await;
    }

    /// Does something with a message by its toolbar: `React`, `Reply`, `Edit`, `More`.
    pub(crate) async fn act(&self, message: &str, action: &str) {
        let row = format!(
            "[...document.querySelectorAll('.message:not(.outgoing)')].find((it) => it.ariaLabel.includes({}))",
            json!(message)
        );
        self.until(message, &format!("Boolean({row})")).await;
        // The buttons come when the mouse is over the message.
        let place = self.place(&format!("{row}.querySelector('.bubble')")).await;
        self.mouse("mouseMoved", &place).await;
        self.click_on(&format!("{row}.querySelector('[aria-label={action}]')")).await;
    }

    /// Draws it into the folder of pictures.
    pub(crate) async fn picture(&self, name: &str) {
        // Whatever moves has come to rest, and its frame is drawn.
        self.js("Promise.all(document.getAnimations().map((it) => it.finished.catch(() => {})))
                   .then(() => document.fonts.ready)
                   .then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0)))))")
            .await;
        let drawn = self.call("Page.captureScreenshot", json!({ "format": "png" })).await;
        let png = STANDARD.decode(drawn["data"].as_str().unwrap()).unwrap();
        let path = pictures().join(format!("{name}.png"));
        fs::write(&path, png).expect("a picture can be kept");
        println!("{}", path.display());
    }

    /// Errors that nobody caught, and what the security policy stopped.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.link.complaints(&self.session)
    }
}
