//! What leaves no trace in the database.

use std::{fs, time::Duration};

use serde_json::json;

use crate::support::{TestApp, command, eventually, heard, run};

/// The log that every write goes through first; a checkpoint does not change it.
fn log(app: &TestApp) -> Vec<u8> {
    fs::read(app.data_dir().join("kith.db-wal")).unwrap()
}

#[test]
fn typing_writes_nothing() {
    run(async {
        let app = TestApp::start().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let group = ann.group("ours", &[&bob]).await;
        let mut places = vec![json!({"to": bob.id})];
        for number in 0..10 {
            places.push(json!({"group_id": ann.group(&format!("group {number}"), &[&bob]).await}));
        }
        ann.open_direct(&bob).await;
        let (mut anns, mut bobs) = (ann.raw().await, bob.raw().await);
        let sent = ann.send(group, "hi").await;
        let before = eventually("the end of all writing", || async {
            let before = log(&app);
            tokio::time::sleep(Duration::from_millis(50)).await;
            (log(&app) == before).then_some(before)
        })
        .await;
        for kind in ["typing_start", "typing_start", "typing_stop"] {
            for place in &places {
                let mut frame = place.clone();
                frame["type"] = json!(kind);
                assert_eq!(command(&mut anns, frame).await["type"], "ok");
            }
        }
        let told = heard(&mut bobs).await;
        let told = told.iter().filter(|frame| frame["type"] == "user_typing").count();
        assert!(told >= places.len() - 1, "{told}");
        assert!(log(&app) == before, "typing wrote something");
        // What is written is seen here.
        let read = json!({"type": "message_read", "message_id": sent.id});
        command(&mut bobs, read).await;
        assert!(log(&app) != before);
    });
}
