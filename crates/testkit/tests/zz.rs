//! x
#![cfg(feature = "postgres")]
use kith_testkit::postgres::*;
use std::time::Instant;
#[tokio::test]
async fn times() {
    for i in 0..6 {
        let t = Instant::now();
        let d = database("zz", async |url| { 
            let (c, k) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap(); tokio::spawn(k);
            for i in 0..30 { c.batch_execute(&format!("create table t{i}(id uuid primary key, a text, b bigint); create index on t{i}(a)")).await.unwrap(); }
        }).await;
        let a = t.elapsed();
        let t = Instant::now();
        drop(d);
        println!("{i} create {a:?} drop {:?}", t.elapsed());
    }
    let t = Instant::now();
    let mut s = Server::start(Options { durable: true, ..Options::default() });
    let a = t.elapsed();
    let t = Instant::now();
    s.stop(Mode::Fast);
    let b = t.elapsed();
    let t = Instant::now();
    s.start_again();
    let c = t.elapsed();
    let t = Instant::now();
    s.stop(Mode::Immediate);
    let d = t.elapsed();
    let t = Instant::now();
    drop(s);
    println!("server start {a:?} fast {b:?} again {c:?} immediate {d:?} drop {:?}", t.elapsed());
}
#[test]
fn many() {
    let rt = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    rt.block_on(async {
        drop(database("zy", async |_| {}).await);
        let t = Instant::now();
        let hs: Vec<_> = (0..100)
            .map(|_| tokio::spawn(async { drop(database("zy", async |_| {}).await) }))
            .collect();
        for h in hs {
            h.await.unwrap();
        }
        println!("100 at once {:?}", t.elapsed());
    });
}
#[tokio::test]
async fn quick() {
    drop(database("zq", async |_| {}).await);
}
