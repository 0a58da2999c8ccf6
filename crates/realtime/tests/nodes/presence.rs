//! Who is online on any of them.

use futures_util::future::join_all;

use super::*;

#[rstest]
#[case::server(Between::server())]
#[case::cluster(Between::cluster())]
#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_any_node_is_online_on_all(#[case] redis: Between) {
    let one = Node::join(&redis.url()).linked().await;
    let other = Node::join(&redis.url()).linked().await;
    assert!(one.arrives(1).await && one.sees(1).await && other.sees(1).await);
    assert!(!other.arrives(1).await, "he was here already");
    assert!(!one.goes(1).await, "he is still there");
    assert!(one.sees(1).await && other.sees(1).await);
    assert!(other.goes(1).await);
    assert!(!one.sees(1).await && !other.sees(1).await);
}

#[rstest]
#[case::server(Between::server())]
#[case::cluster(Between::cluster())]
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_takes_its_people_with_it(#[case] redis: Between) {
    let mut one = Node::join(&redis.url()).linked().await;
    let other = Node::join(&redis.url()).linked().await;
    for n in [1, 2] {
        assert!(one.arrives(n).await);
    }
    assert!(!other.arrives(2).await);
    one.die();
    assert_eq!(other.loses().await, [user_id(1)]);
    assert!(!other.sees(1).await && other.sees(2).await);
}

#[rstest]
#[case::server(Between::server())]
#[case::cluster(Between::cluster())]
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_forgets_is_told_again(#[case] mut redis: Between) {
    let one = Node::join(&redis.url()).linked().await;
    let other = Node::join(&redis.url()).linked().await;
    assert!(one.arrives(1).await && one.arrives(2).await && other.sees(1).await);
    redis.one().kill();
    for node in [&one, &other] {
        node.until_linked(false).await;
    }
    assert!(one.sees(1).await && !other.sees(1).await);
    assert!(one.goes(2).await, "he goes while nobody can be told");
    redis.one().go_on();
    other.until_it_sees(1, true).await;
    assert!(!other.sees(2).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_while_a_node_comes_anew_is_away() {
    const PEOPLE: u64 = 3_000;
    let mut redis = Redis::start();
    let one = Node::join(&redis.url()).linked().await;
    let other = Node::join(&redis.url()).linked().await;
    join_all((0..PEOPLE).map(|n| one.arrives(n))).await;
    redis.kill();
    for node in [&one, &other] {
        node.until_linked(false).await;
    }
    redis.go_on();
    one.until_linked(true).await;
    // It comes anew at some time of this.
    for n in 0..PEOPLE {
        one.goes(n).await;
    }
    let last = PEOPLE + 1;
    assert!(one.arrives(last).await);
    other.until_it_sees(last, true).await;
    for n in 0..PEOPLE {
        other.until_it_sees(n, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_lives_though_nobody_takes_what_it_finds() {
    const PEOPLE: usize = 20_000;
    let redis = Redis::start();
    let mut one = Node::join(&redis.url()).linked().await;
    let mut other = Node::join(&redis.url()).linked().await;
    let people: Vec<u64> = (1..).take(PEOPLE).collect();
    for step in people.chunks(1_000) {
        join_all(step.iter().map(|n| one.arrives(*n))).await;
    }
    let here = 0;
    assert!(other.arrives(here).await);
    let mut listener = other.listen(user_id(here), &[]).await;
    one.die();
    let mut gone = other.loses().await.len();
    tokio::time::sleep(LEASE * 2).await;
    while gone < PEOPLE {
        gone += other.loses().await.len();
    }
    // It would let its sockets go if it had stood still.
    tokio::time::sleep(LEASE).await;
    other.cluster.publish(vec![to_user(user_id(here))]).await;
    assert_eq!(listener.next().await, "settings_updated");
}
