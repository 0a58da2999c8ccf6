use kith_testkit::redis::{Redis as Server, RedisCluster};
use rstest::rstest;

use super::*;

fn row(first: i64, last: i64, host: &str, name: &str) -> Value {
    let text = |it: &str| Value::BulkString(it.as_bytes().to_vec());
    let master = vec![text(host), Value::Int(7000), text(name), Value::Array(vec![])];
    let replica = vec![text("replica"), Value::Int(7001), text("another"), Value::Array(vec![])];
    Value::Array(vec![
        Value::Int(first),
        Value::Int(last),
        Value::Array(master),
        Value::Array(replica),
    ])
}

#[rstest]
// Of the specification, and as `CLUSTER KEYSLOT` says.
#[case("123456789", 0x31C3)]
#[case("foo", 12182)]
#[case("bar{foo}", 12182)]
#[case("{foo}{bar}", 12182)]
#[case("foo{}{bar}", 8363)]
#[case("{{foo}}", 13308)]
fn a_key_has_the_slot_that_redis_says(#[case] key: &str, #[case] expected: usize) {
    assert_eq!(slot(key.as_bytes()), expected);
}

#[test]
fn each_slot_has_its_master() {
    let rows =
        [row(10_001, 16_383, "", "b"), row(0, 5_000, "a", "a"), row(5_001, 10_000, "a", "a")];
    let (slots, addresses) = Slots::read(&rows).unwrap();
    assert_eq!(addresses, [(Some("a".to_owned()), 7000), (None, 7000)]);
    assert_eq!((slots.master("foo"), slots.master("bar")), (Some(1), Some(0)));
    assert_eq!(Slots::default().master("foo"), None);
}

#[rstest]
#[case::gap(&[row(0, 5, "a", "a"), row(7, 16_383, "b", "b")])]
#[case::end(&[row(0, 16_382, "a", "a")])]
#[case::twice(&[row(0, 16_383, "a", "a"), row(5, 6, "b", "b")])]
#[case::nameless(&[row(0, 16_383, "?", "a")])]
#[case::nothing(&[])]
#[case::odd(&[Value::Nil])]
fn who_has_what_must_be_clear(#[case] rows: &[Value]) {
    assert_eq!(Slots::read(rows), None);
}

#[rstest]
#[case("redis://host", &["host:6379"], false)]
#[case("rediss://:secret@host:1", &["host:1"], false)]
#[case("redis+cluster://host", &["host:6379"], true)]
#[case("redis+cluster://one:1,two,[::1]:3", &["one:1", "two:6379", "::1:3"], true)]
#[case("rediss+cluster://ann:secret@one:1,two:2", &["one:1", "two:2"], true)]
fn a_url_names_a_server_or_a_cluster(
    #[case] url: &str,
    #[case] expected: &[&str],
    #[case] sharded: bool,
) {
    let clients = match Redis::at(url).unwrap() {
        Redis::Single(client) => {
            assert!(!sharded);
            vec![*client]
        }
        Redis::Sharded(it) => {
            assert!(sharded);
            it.named.clone()
        }
    };
    let addresses: Vec<String> =
        clients.iter().map(|it| it.get_connection_info().addr().to_string()).collect();
    assert_eq!(addresses, expected);
    for client in clients {
        let info = client.get_connection_info();
        let secure = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        assert_eq!(secure, url.starts_with("rediss"));
        assert_eq!(info.redis_settings().password().is_some(), url.contains("secret"));
    }
}

#[rstest]
#[case("http://redis", "did not parse")]
#[case("redis://one:1,two:2", "several servers are a cluster, `redis+cluster://")]
#[case("redis+cluster://", "")]
#[case("redis+cluster://one,,two", "")]
#[case("redis+cluster://one:port", "did not parse")]
#[case("redis+cluster://one:1/0", "nothing follows")]
#[case("redis+cluster://one:1?protocol=3", "nothing follows")]
#[case("rediss+cluster://one:1#insecure", "nothing follows")]
#[case("http+cluster://one:1", "did not parse")]
#[case("redis+sentinel://one:1", "did not parse")]
fn any_other_url_is_refused(#[case] url: &str, #[case] problem: &str) {
    let said = Redis::at(url).err().unwrap().to_string();
    assert!(said.starts_with("it is not the URL of a Redis server, like `redis://"), "{said}");
    assert!(said.contains(problem) && !said.contains('\n'), "{said}");
}

#[tokio::test]
async fn a_server_that_is_not_what_the_url_says_is_not_used() {
    let (server, cluster) = (Server::start(), RedisCluster::start());
    for (url, problem) in [
        (server.url().replace("redis://", "redis+cluster://"), "cluster support disabled"),
        (cluster.0[0].url(), "name it `redis+cluster://…`"),
    ] {
        let (pushes, _incoming) = mpsc::channel(1);
        let said = Redis::at(&url).unwrap().subscriber(pushes).await.err().unwrap().to_string();
        assert!(said.contains(problem), "{said}");
    }
}

#[tokio::test]
async fn channels_of_all_masters_are_listened_to_and_let_go() {
    let cluster = RedisCluster::start();
    let redis = Redis::at(&cluster.url()).unwrap();
    let (pushes, mut incoming) = mpsc::channel(4_096);
    let mut subscriber = redis.subscriber(pushes).await.unwrap();
    let channels: Vec<String> = (0..600).map(|n| format!("channel {n}")).collect();
    let (stays, goes) = channels.split_at(300);
    subscriber.subscribe(&channels).await.unwrap();
    subscriber.unsubscribe(goes).await.unwrap();
    let commands = redis.commands().unwrap();
    let envelopes = channels.iter().map(|it| (it.clone(), it.as_bytes().into()));
    let sent = commands.publishing(envelopes.collect::<Vec<_>>().into_iter());
    assert_eq!(sent.len(), 3, "one pipeline for each master");
    for (mut connection, pipeline) in sent {
        pipeline.exec_async(&mut connection).await.unwrap();
    }
    subscriber.check().await.unwrap();
    let mut heard = Vec::new();
    while let Ok(push) = incoming.try_recv() {
        match subscriber.hear(push) {
            Heard::Envelope { envelope, .. } => heard.push(String::from_utf8(envelope).unwrap()),
            Heard::Lost => panic!("nothing is lost"),
            Heard::Nothing => {}
        }
    }
    heard.sort_unstable_by_key(|it| channels.iter().position(|channel| channel == it));
    assert_eq!(heard, stays);
    // Nobody has asked for this one.
    let (kind, data) = (PushKind::SUnsubscribe, Vec::new());
    assert!(matches!(subscriber.hear(PushInfo { kind, data }), Heard::Lost));
}
