//! Pictures of the client, to be looked at. Those of the README are made here too.

use kith_client::protocol::rest::{NewGroup, SendMessage};

use crate::{
    browser::{Browser, pictures},
    page::{DESKTOP, PHONE, Page},
    server::{Server, run},
};

#[test]
fn pictures_of_a_chat_at_both_widths() {
    run(async {
        println!("pictures are in {}", pictures().display());
        let (server, browser) = (Server::start(), Browser::start().await);
        let ann = browser.page(&server.url(), DESKTOP).await;
        ann.picture("sign-in").await;
        let ann_id = ann.sign_up("ann", "Ann Bell").await;
        ann.picture("empty").await;
        let (ben, ben_id) = server.user("ben", Some("Ben Oduya")).await;
        let (cleo, cleo_id) = server.user("cleo", Some("Cleo Marsh")).await;
        let (dana, _) = server.user("dana", Some("Dana Petrov")).await;
        let members = vec![ann_id, cleo_id];
        let group = NewGroup {
            name: "Sunday hike".to_owned(),
            description: Some("Every other week".to_owned()),
            members,
        };
        let hike = ben.create_group(&group).await.unwrap().id;
        let say = |text: &str| SendMessage { content: text.to_owned(), ..Default::default() };
        let with_cleo = cleo.open_direct(ann_id).await.unwrap().id;
        cleo.send(with_cleo, &say("The book came today, thank you!")).await.unwrap();
        let with_dana = dana.open_direct(ann_id).await.unwrap().id;
        dana.send(with_dana, &say("Can you send me the slides?")).await.unwrap();
        dana.send(with_dana, &say("No hurry, tomorrow is fine")).await.unwrap();
        ben.send(hike, &say("The weather looks good for Sunday ☀️")).await.unwrap();
        let where_to = ben.send(hike, &say("North ridge or the lake, @ann?")).await.unwrap();
        cleo.send(
            hike,
            &say("The lake! There is a new path along the shore: https://lake.example/path"),
        )
        .await
        .unwrap();
        cleo.react(where_to.id, "🏔️").await.unwrap();

        for title in ["Cleo Marsh", "Dana Petrov"] {
            ann.says(".list .row-title", title).await;
        }
        ann.open("Sunday hike").await;
        ann.sees("The lake!").await;
        ann.act("North ridge or the lake", "Reply").await;
        ann.type_text("The lake. I'll bring the sandwiches 🥪").await;
        ann.key("Enter", 0).await;
        ann.sees("You: The lake").await;
        ann.all_sent().await;
        let sent = cleo.history(hike, kith_client::Selector::Newest, None).await.unwrap();
        let last = sent.items.last().unwrap();
        cleo.react(last.id, "❤️").await.unwrap();
        ben.react(last.id, "❤️").await.unwrap();
        ben.read(last.id).await.unwrap();
        cleo.read(last.id).await.unwrap();
        ben.send(hike, &say("Then nine o'clock at the station")).await.unwrap();
        ann.sees("nine o'clock").await;
        ann.sees("Read").await;
        ann.click(".composer textarea").await;
        ann.picture("desktop").await;
        ann.press("Details").await;
        ann.says(".members", "Cleo Marsh").await;
        ann.picture("panel").await;
        ann.colours("dark").await;
        ann.picture("desktop-dark").await;
        ann.press("Close details").await;
        ann.act("North ridge", "React").await;
        ann.picture("emoji-dark").await;
        ann.key("Escape", 0).await;
        ann.act("I'll bring", "More").await;
        ann.picture("menu-dark").await;
        ann.press("Details").await;
        ann.says("dialog", "Read").await;
        ann.picture("details-dark").await;
        ann.key("Escape", 0).await;
        ann.js("document.activeElement.blur()").await;
        ann.resize(PHONE).await;
        ann.picture("phone-dark").await;
        ann.colours("light").await;
        ann.picture("phone").await;
        ann.js("document.querySelectorAll('.message').forEach((it, at) => at === 1 && it.focus())")
            .await;
        ann.picture("phone-toolbar").await;
        ann.press("Details").await;
        ann.says(".members", "Cleo Marsh").await;
        ann.picture("phone-panel").await;
        ann.press("Close details").await;
        ann.press("Back to the list").await;
        ann.until("the list", "document.querySelector('.list').getClientRects().length > 0").await;
        ann.picture("phone-list").await;
        for (size, name) in [(PHONE, "phone-"), (DESKTOP, "")] {
            ann.resize(size).await;
            windows(&ann, name).await;
        }
        assert_ne!(ben_id, cleo_id);
    });
}

/// Windows, one after the other.
async fn windows(page: &Page, name: &str) {
    page.press("New conversation").await;
    page.picture(&format!("{name}new")).await;
    page.click(".choice:nth-of-type(2)").await;
    page.says("dialog .picker", "Cleo Marsh").await;
    page.click("dialog .picker button").await;
    page.picture(&format!("{name}new-group")).await;
    page.press("Close").await;
    page.press("Settings").await;
    page.picture(&format!("{name}settings")).await;
    page.js("document.querySelectorAll('dialog details').forEach((it) => { it.open = true })")
        .await;
    page.says("dialog", "this device").await;
    page.picture(&format!("{name}settings-open")).await;
    page.js("document.querySelector('.dialog-body').scrollTo(0, 9999)").await;
    page.picture(&format!("{name}settings-end")).await;
    page.press("Sign out").await;
    page.picture(&format!("{name}question")).await;
    page.press("Cancel").await;
    page.key("Escape", 0).await;
    page.until("no window", "document.querySelector('dialog') === null").await;
}
