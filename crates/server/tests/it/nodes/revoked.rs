//! A right that ends on one server ends on all.

use futures_util::future::join_all;
use kith_client::{
    Credential, RawSocket,
    protocol::rest::{Erase, PasswordChange},
};
use serde_json::json;

use super::{Fleet, acquaint, correspondents, is_online, on_nodes};
use crate::support::{Actor, Ask as _, PASSWORD, command, eventually, heard, next_of};

/// Waits until this session is refused at a server.
async fn is_signed_out(actor: &Actor, url: &str) {
    let actor = actor.at(url);
    let refused = async || (actor.get("/v1/users/me").await.status == 401).then_some(());
    eventually("an end of the session on the other server", refused).await;
}

#[test]
fn sessions_that_are_ended_on_one_server_are_signed_out_of_another() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let ann = Actor::register(&one.anonymous(), "ann").await;
        let mut own = ann.at(other.url()).raw().await;
        let (phone, tablet) = (ann.device().await, ann.device().await);
        let (mut phones, ready) = phone.at(other.url()).raw_with_ready().await;
        let mut tablets = tablet.at(other.url()).raw().await;

        let session = ready["session_id"].as_str().unwrap().parse().unwrap();
        ann.client.end_session(session).await.unwrap();
        assert_eq!(phones.closed().await.unwrap().0, 4401);
        is_signed_out(&phone, other.url()).await;
        assert_eq!(heard(&mut tablets).await, Vec::<serde_json::Value>::new());

        ann.client.end_other_sessions().await.unwrap();
        assert_eq!(tablets.closed().await.unwrap().0, 4401);
        is_signed_out(&tablet, other.url()).await;

        let desk = ann.device().await;
        let mut desks = desk.at(other.url()).raw().await;
        let change = PasswordChange {
            current_password: PASSWORD.to_owned(),
            new_password: "another horse battery".to_owned(),
        };
        ann.client.change_password(&change).await.unwrap();
        assert_eq!(desks.closed().await.unwrap().0, 4401);
        is_signed_out(&desk, other.url()).await;
        // Who did it stays.
        heard(&mut own).await;
    });
}

#[test]
fn a_session_that_ends_while_redis_is_away_is_signed_out_a_little_later() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let ann = Actor::register(&one.anonymous(), "ann").await;
        let phone = ann.device().await;
        let (mut own, mut phones) =
            (ann.at(other.url()).raw().await, phone.at(other.url()).raw().await);
        fleet.redis.kill();
        ann.client.end_other_sessions().await.unwrap();
        assert_eq!(phones.closed().await.unwrap().0, 4401);
        is_signed_out(&phone, other.url()).await;
        heard(&mut own).await;
    });
}

#[test]
fn an_account_that_is_erased_on_one_server_is_gone_from_another() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let (ann, bob, _) = correspondents(&one, &other).await;
        let (device, mut bobs) = (ann.device().await, bob.raw().await);
        let mut sockets = vec![ann.at(other.url()).raw().await, device.at(other.url()).raw().await];
        next_of(&mut bobs, "user_online").await;
        let erase = Erase { password: Some(PASSWORD.to_owned()) };
        ann.client.erase_me(&erase).await.unwrap();
        for socket in &mut sockets {
            assert_eq!(socket.closed().await.unwrap().0, 4401);
        }
        is_signed_out(&device, other.url()).await;
        let told = next_of(&mut bobs, "user_updated").await;
        assert_eq!(told["user"]["id"], json!(ann.id));
    });
}

#[test]
fn a_refresh_token_used_twice_ends_the_session_on_all_servers() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let ann = Actor::register(&one.anonymous(), "ann").await;
        let stolen = ann.client.tokens().unwrap().refresh;
        // Asked for at the same moment at both, there is one successor.
        let (here, there) = (one.anonymous(), other.anonymous());
        let renewals = (0..20).map(|number| {
            let server = if number % 2 == 0 { &here } else { &there };
            server.ask("POST", "/v1/auth/refresh", Some(json!({"refresh_token": stolen})))
        });
        let mut next: Vec<String> = Vec::new();
        for answer in join_all(renewals).await {
            assert_eq!(answer.status, 200, "{answer:?}");
            next.push(answer.json["refresh_token"].as_str().unwrap().to_owned());
        }
        next.dedup();
        assert_eq!(next.len(), 1);
        let mut away = ann.at(other.url()).raw().await;
        let renew = async |token: &str| {
            one.anonymous()
                .ask("POST", "/v1/auth/refresh", Some(json!({"refresh_token": token})))
                .await
        };
        assert_eq!(renew(&next[0]).await.status, 200);
        // The first is dead by now: somebody has stolen it.
        assert_eq!(renew(&stolen).await.json["code"], "refresh_reused");
        assert_eq!(away.closed().await.unwrap().0, 4401);
        is_signed_out(&ann, other.url()).await;
    });
}

#[test]
fn who_is_removed_on_one_server_loses_his_socket_of_the_group_on_another() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let ann = Actor::register(&one.anonymous(), "ann").await;
        let bob = Actor::register(&other.anonymous(), "bob").await;
        let group = ann.group("Both", &[&bob]).await;
        let token = bob.token();
        let path = format!("/v1/ws/{group}");
        let mut narrow =
            RawSocket::connect(other.url(), &path, Credential::Header(&token), &[]).await.unwrap();
        narrow.expect("ready").await.unwrap();
        let mut wide = bob.raw().await;
        ann.client.remove_member(group, bob.id).await.unwrap();
        assert_eq!(narrow.closed().await.unwrap().0, 4403);
        next_of(&mut wide, "conversation_removed").await;
        let typing = json!({"type": "typing_start", "conversation_id": group});
        assert_eq!(command(&mut wide, typing).await["code"], "not_a_member");
        assert_eq!(bob.get(&format!("/v1/conversations/{group}")).await.status, 404);
    });
}

#[test]
fn who_is_blocked_on_one_server_hears_nothing_on_another() {
    on_nodes(async {
        let mut fleet = Fleet::new().await;
        let (one, other) = fleet.pair().await;
        let (ann, bob, chat) = correspondents(&one, &other).await;
        let cleo = Actor::register(&other.anonymous(), "cleo").await;
        acquaint(&ann, &cleo).await;
        let (mut bobs, mut cleos) = (bob.raw().await, cleo.raw().await);
        let mut anns = ann.raw().await;
        for socket in [&mut bobs, &mut cleos] {
            assert_eq!(next_of(socket, "user_online").await["user_id"], json!(ann.id));
        }
        let typing = json!({"type": "typing_start", "conversation_id": chat});
        command(&mut bobs, typing.clone()).await;
        assert_eq!(next_of(&mut anns, "user_typing").await["user_id"], json!(bob.id));

        ann.client.block(bob.id).await.unwrap();
        // What is not passed on, as it was said a moment ago, is not judged either.
        while command(&mut bobs, typing.clone()).await["code"] != "blocked" {}
        let send = json!({"type": "send_message", "to": ann.id, "content": "hear me"});
        assert_eq!(command(&mut bobs, send).await["code"], "blocked");
        assert_eq!(command(&mut anns, typing).await["code"], "blocked");
        let seen = bob.get(&format!("/v1/users/{}", ann.id)).await.json;
        assert_eq!((&seen["online"], &seen["last_seen"]), (&json!(null), &json!(null)));
        // She goes and comes: somebody else over there is told, and he is not.
        heard(&mut bobs).await;
        let told = heard(&mut anns).await;
        assert!(!told.iter().any(|it| it["type"] == "user_typing"), "{told:?}");
        drop(anns);
        assert_eq!(next_of(&mut cleos, "user_offline").await["user_id"], json!(ann.id));
        let mut anns = ann.raw().await;
        assert_eq!(next_of(&mut cleos, "user_online").await["user_id"], json!(ann.id));
        drop(bobs);
        is_online(&cleo, &ann, true).await;
        let mut bobs = bob.raw().await;
        let told = [heard(&mut bobs).await, heard(&mut anns).await].concat();
        assert_eq!(told, Vec::<serde_json::Value>::new());
    });
}
