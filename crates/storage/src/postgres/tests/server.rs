//! A server that is stopped, started again, and hangs.

use std::time::Duration;

use kith_ports::{
    ConversationStore as _, StoreError, UserStore as _,
    log::{Applied, ConversationLog as _},
};
use kith_testkit::{
    build::{self, send_to, user_id},
    postgres::{Mode, Options, Server},
};
use tokio::task::spawn_blocking;

use super::{
    super::{OpenError, Postgres},
    ground::{PATIENCE, apply, options, sent},
};

/// Everything waits for at most this: for a connection, for it to be made, for an answer.
const BOUND: Duration = Duration::from_secs(10);

async fn with(server: Server, work: impl FnOnce(&mut Server) + Send + 'static) -> Server {
    let work = move || {
        let mut server = server;
        work(&mut server);
        server
    };
    spawn_blocking(work).await.unwrap()
}

/// Stopped, it cannot be reached; started again, it is as before; hung, it is given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_comes_and_goes() {
    let made = || Server::start(Options { durable: false, ..Options::default() });
    let server = spawn_blocking(made).await.unwrap();
    let url = server.url("postgres");
    let store = Postgres::open(&url, options(1, 1)).await.unwrap();
    store.register(build::account(1)).await.unwrap();
    let group = build::group(1, user_id(1));
    let id = group.id;
    apply(&store, build::create(group, &[])).await.unwrap();

    // Stopped, with connections in the pools that were good.
    let server = with(server, |server| server.stop(Mode::Fast)).await;
    let send = |n| [send_to(id, n, user_id(1), "hi")];
    let bounded = async {
        let read = store.card(user_id(1), id).await.map(drop);
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
        // A connection that was found to be gone when it was used leaves a send in doubt.
        while let Err(error) = store.apply(send(1).into()).await {
            match error {
                StoreError::OutcomeUnknown(_) => {}
                StoreError::Unavailable(_) => break,
                other => panic!("unexpected {other:?}"),
            }
        }
        let opened = Postgres::open(&url, options(1, 1)).await;
        assert!(matches!(opened, Err(OpenError::Unreachable { .. })), "{opened:?}");
    };
    tokio::time::timeout(BOUND, bounded).await.unwrap();

    let server = with(server, Server::start_again).await;
    let outcome = apply(&store, send(2)[0].clone()).await;
    assert_eq!(sent(&outcome).seq, 1, "the one that failed was not stored");
    assert!(store.card(user_id(1), id).await.unwrap().is_some());

    // Hung, in the midst of things.
    server.pause();
    let bounded = async {
        let (read, sent) = tokio::join!(store.card(user_id(1), id), store.apply(send(3).into()));
        assert!(matches!(read, Err(StoreError::Busy)), "{read:?}");
        assert!(matches!(sent, Err(StoreError::OutcomeUnknown(_))), "{sent:?}");
        // Nor is a new connection made.
        let read = store.card(user_id(1), id).await.map(drop);
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    };
    tokio::time::timeout(2 * BOUND, bounded).await.unwrap();
    server.resume();
    let outcome = tokio::time::timeout(PATIENCE, async {
        loop {
            match store.apply(send(3).into()).await {
                Ok(mut outcomes) => break outcomes.pop().unwrap().unwrap(),
                Err(error) => assert!(error.is_transient(), "{error:?}"),
            }
        }
    })
    .await
    .unwrap();
    let message = match &outcome {
        Applied::Sent { message, .. } | Applied::Duplicate(message, _) => message,
        other => panic!("expected a message, found {other:?}"),
    };
    assert_eq!((message.id, message.seq), (build::message_id(3), 2));
    spawn_blocking(move || drop(server)).await.unwrap();
}

/// At the start and later, also one that takes the connection and says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_says_nothing_is_passed_over() {
    let made = || Server::start(Options { durable: false, ..Options::default() });
    let silent = spawn_blocking(made).await.unwrap();
    let good = spawn_blocking(made).await.unwrap();
    silent.pause();
    let (first, second) = (silent.url("postgres"), good.url("postgres"));
    let (_, host) = first.rsplit_once('@').unwrap();
    let (host, _) = host.split_once('/').unwrap();
    let both = second.replacen('@', &format!("@{host},"), 1);
    let store = Postgres::open(&both, options(1, 1)).await.unwrap();
    store.register(build::account(1)).await.unwrap();
    assert_eq!(store.contacts(&[user_id(1)]).await.unwrap(), [[]]);
    silent.resume();
}
