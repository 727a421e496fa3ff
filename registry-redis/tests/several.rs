//! Several nodes: sentinels and clusters.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each suite uses its part")]
mod fake;

use std::time::{Duration, Instant};

use fake::{Fake, bulk};
use registry_core::{Algorithm, CacheScope, Descriptor, DescriptorCache};
use registry_redis::{Reads, RedisCache, RedisOptions};
use tokio::time::sleep;

const CONTENT: CacheScope<'static> = CacheScope::Content;

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(10), "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Puts entries until each of `fakes` has some, and expects to get each of them.
async fn used(cache: &RedisCache, fakes: &[&Fake]) {
    for n in 0..64_u8 {
        let digest = Algorithm::Sha256.digest(&[n]);
        cache.put(CONTENT, &digest, &Descriptor::blob(digest.clone(), 1)).await;
        assert!(cache.get(CONTENT, &digest).await.is_some(), "entry {n}");
    }
    for fake in fakes {
        assert!(fake.logged("SET registry:v1:content") > 0, "{}", fake.addr);
    }
}

#[tokio::test]
async fn the_master_is_whom_a_sentinel_names() {
    let (dead, lost, sentinel) = (Fake::start().await, Fake::start().await, Fake::start().await);
    let (master, next) = (Fake::start().await, Fake::start().await);
    sentinel.state().password = Some(("watch".into(), "word".into()));
    sentinel.state().master = Some(master.addr);
    let addrs = [dead.addr, lost.addr, sentinel.addr].map(|addr| addr.to_string());
    drop(dead);
    let mut options = RedisOptions::new(addrs);
    options.master_name = Some("themaster".into());
    (options.sentinel_username, options.sentinel_password) = (Some("watch".into()), Some("word".into()));
    let cache = RedisCache::connect(options).await.unwrap();
    used(&cache, &[&master]).await;

    // A removal that the next master may not have heard of is told to it as well.
    let digest = Algorithm::Sha256.digest(b"x");
    cache.remove(CONTENT, &digest).await;
    sentinel.state().master = Some(next.addr);
    drop(master);
    for n in 0..3_u8 {
        cache.get(CONTENT, &Algorithm::Sha256.digest(&[n])).await;
    }
    let key = format!("SET registry:v1:content:{digest} removed");
    eventually("the next master is used", async || next.logged(&key) > 0).await;
    used(&cache, &[&next]).await;
}

fn slots(shards: &[(u16, u16, &[&Fake])]) -> String {
    let mut answer = format!("*{}\r\n", shards.len());
    for (first, last, nodes) in shards {
        answer += &format!("*{}\r\n:{first}\r\n:{last}\r\n", 2 + nodes.len());
        for node in *nodes {
            // One host for all, which is not told.
            answer += &format!("*3\r\n{}:{}\r\n{}", bulk(""), node.addr.port(), bulk("id"));
        }
    }
    answer
}

#[tokio::test]
async fn keys_of_a_cluster_go_to_their_nodes() {
    let (a, b, spare) = (Fake::start().await, Fake::start().await, Fake::start().await);
    let map = slots(&[(0, 8000, &[&a]), (8001, 16383, &[&b])]);
    (a.state().slots, b.state().slots) = (map.clone(), map);
    let options = RedisOptions::new([a.addr, b.addr].map(|addr| addr.to_string()));
    let cache = RedisCache::connect(options).await.unwrap();
    used(&cache, &[&a, &b]).await;
    assert_eq!(a.logged("SELECT") + b.logged("SELECT"), 0);

    // A slot on its way, and one that has moved.
    for (once, word) in [(true, "ASK"), (false, "MOVED")] {
        let digest = Algorithm::Sha256.digest(word.as_bytes());
        let key = format!("registry:v1:content:{digest}");
        let error = (format!("{word} 1 127.0.0.1:{}", spare.addr.port()), once);
        (a.state().elsewhere, b.state().elsewhere) =
            ([(key.clone(), error.clone())].into(), [(key.clone(), error)].into());
        eventually(word, async || {
            cache.put(CONTENT, &digest, &Descriptor::blob(digest.clone(), 1)).await;
            cache.get(CONTENT, &digest).await.is_some()
        })
        .await;
        assert!(spare.state().data.contains_key(&key), "{word}");
    }
    assert!(spare.logged("ASKING") >= 2);

    // Two nodes that send us from one to the other.
    let digest = Algorithm::Sha256.digest(b"round");
    let key = format!("registry:v1:content:{digest}");
    let to = |fake: &Fake| (key.clone(), (format!("MOVED 1 127.0.0.1:{}", fake.addr.port()), false));
    (a.state().elsewhere, b.state().elsewhere) = ([to(&b)].into(), [to(&a)].into());
    let started = Instant::now();
    assert_eq!(cache.get(CONTENT, &digest).await, None);
    assert!(started.elapsed() < Duration::from_millis(400));
}

#[tokio::test]
async fn a_dead_node_of_a_cluster_costs_its_keys_alone() {
    let (a, b) = (Fake::start().await, Fake::start().await);
    let map = slots(&[(0, 8000, &[&a]), (8001, 16383, &[&b])]);
    (a.state().slots, b.state().slots) = (map.clone(), map);
    let mut options = RedisOptions::new([a.addr, b.addr].map(|addr| addr.to_string()));
    options.max_retries = 1;
    let cache = RedisCache::connect(options).await.unwrap();
    used(&cache, &[&a, &b]).await;
    drop(b);
    let mut found = 0;
    for n in 0..64_u8 {
        found += usize::from(cache.get(CONTENT, &Algorithm::Sha256.digest(&[n])).await.is_some());
    }
    assert!((1..64).contains(&found), "{found}");
    assert!(cache.counts().errors <= 2, "{:?}", cache.counts());
    // The slots of the dead node are taken over.
    a.state().slots = slots(&[(0, 16383, &[&a])]);
    eventually("all keys have a node", async || {
        let digest = Algorithm::Sha256.digest(b"probe");
        cache.put(CONTENT, &digest, &Descriptor::blob(digest.clone(), 1)).await;
        a.logged("CLUSTER SLOTS") > 1 && cache.get(CONTENT, &digest).await.is_some()
    })
    .await;
    sleep(Duration::from_millis(1500)).await;
    used(&cache, &[&a]).await;
}

#[tokio::test]
async fn replicas_are_asked_only_if_that_is_wanted() {
    for (reads, at_master, at_replica) in
        [(Reads::Master, true, false), (Reads::Replica, false, true), (Reads::Random, true, true)]
    {
        let (master, replica, other) = (Fake::start().await, Fake::start().await, Fake::start().await);
        master.state().slots = slots(&[(0, 16383, &[&master, &replica])]);
        let mut options = RedisOptions::new([&master, &other].map(|fake| fake.addr.to_string()));
        options.reads = reads;
        let cache = RedisCache::connect(options).await.unwrap();
        for n in 0..16_u8 {
            cache.get(CONTENT, &Algorithm::Sha256.digest(&[n])).await;
        }
        let digest = Algorithm::Sha256.digest(b"x");
        cache.put(CONTENT, &digest, &Descriptor::blob(digest.clone(), 1)).await;
        assert_eq!(master.logged("GET registry") > 0, at_master, "{reads:?}");
        assert_eq!(replica.logged("GET registry") > 0, at_replica, "{reads:?}");
        assert_eq!(replica.logged("READONLY") > 0, at_replica, "{reads:?}");
        assert_eq!(master.logged("SET registry:v1:content"), 1, "{reads:?}");
        if at_replica {
            drop(replica);
            cache.get(CONTENT, &digest).await;
            cache.get(CONTENT, &digest).await;
            assert!(cache.get(CONTENT, &digest).await.is_some(), "{reads:?}: the master is left");
        }
    }
}

#[tokio::test]
async fn the_nearest_node_is_asked() {
    let (master, replica, other) = (Fake::start().await, Fake::start().await, Fake::start().await);
    master.state().slots = slots(&[(0, 16383, &[&master, &replica])]);
    let mut options = RedisOptions::new([&master, &other].map(|fake| fake.addr.to_string()));
    options.reads = Reads::Nearest;
    let cache = RedisCache::connect(options).await.unwrap();
    for n in 0..8_u8 {
        cache.get(CONTENT, &Algorithm::Sha256.digest(&[n])).await;
    }
    let (at_master, at_replica) = (master.logged("GET registry"), replica.logged("GET registry"));
    assert!(at_master == 8 || at_replica == 8, "{at_master} and {at_replica}");
}
