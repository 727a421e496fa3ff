//! One node: what is answered when, with every fault that a node can have.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each suite uses its part")]
mod fake;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fake::Fake;
use registry_core::{Algorithm, CacheScope, Descriptor, DescriptorCache, Digest, RepositoryName};
use registry_redis::{RedisCache, RedisOptions};
use tokio::time::sleep;

const CONTENT: CacheScope<'static> = CacheScope::Content;

fn entry(text: &str) -> (Digest, Descriptor) {
    let digest = Algorithm::Sha256.digest(text.as_bytes());
    (digest.clone(), Descriptor::blob(digest, 7))
}

fn options(fake: &Fake) -> RedisOptions {
    RedisOptions::new([fake.addr.to_string()])
}

async fn cache(fake: &Fake) -> RedisCache {
    RedisCache::connect(options(fake)).await.unwrap()
}

/// Waits for something that a task does in its own time.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(10), "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_one_replica_removes_no_other_answers() {
    let fake = Fake::start().await;
    let (one, other) = (cache(&fake).await, cache(&fake).await);
    let (digest, descriptor) = entry("x");
    assert_eq!(one.get(CONTENT, &digest).await, None);
    one.put(CONTENT, &digest, &descriptor).await;
    assert_eq!(one.get(CONTENT, &digest).await, Some(descriptor.clone()));
    assert_eq!(other.get(CONTENT, &digest).await, Some(descriptor.clone()));
    let name = RepositoryName::parse("a/b").unwrap();
    assert_eq!(other.get(CacheScope::Repository(&name), &digest).await, None, "scopes are kept apart");
    one.remove(CONTENT, &digest).await;
    assert_eq!(other.get(CONTENT, &digest).await, None);
    let counts = one.counts();
    assert_eq!((counts.requests, counts.hits, counts.misses, counts.errors), (2, 1, 1, 0));
}

#[tokio::test]
async fn who_asked_the_store_before_a_removal_remembers_nothing_after_it() {
    let fake = Fake::start().await;
    let (one, other) = (cache(&fake).await, cache(&fake).await);
    let (digest, descriptor) = entry("x");
    // `other` has asked the store; then the content goes; then `other` wants to remember.
    one.remove(CONTENT, &digest).await;
    other.put(CONTENT, &digest, &descriptor).await;
    assert_eq!(other.get(CONTENT, &digest).await, None);
    assert_eq!(cache(&fake).await.get(CONTENT, &digest).await, None);
}

#[tokio::test]
async fn an_entry_ends_by_the_clock_of_redis_and_is_not_prolonged() {
    let fake = Fake::start().await;
    fake.state().clock_ahead = Duration::from_secs(3600);
    let cache = cache(&fake).await;
    let (digest, descriptor) = entry("x");
    cache.put(CONTENT, &digest, &descriptor).await;
    let until = |fake: &Fake| {
        let state = fake.state();
        let (_, until) = state.data[&format!("registry:v1:content:{digest}")];
        until.unwrap() - state.now()
    };
    let left = until(&fake);
    assert!((295_000..=301_000).contains(&left), "{left}");
    sleep(Duration::from_millis(50)).await;
    cache.put(CONTENT, &digest, &descriptor).await;
    assert!(until(&fake) < left);
    fake.state().clock_ahead += Duration::from_secs(301);
    assert_eq!(cache.get(CONTENT, &digest).await, None);
}

#[tokio::test]
async fn a_redis_that_hangs_costs_a_quarter_of_a_second_once() {
    let fake = Fake::start().await;
    let cache = cache(&fake).await;
    let (digest, descriptor) = entry("x");
    cache.put(CONTENT, &digest, &descriptor).await;
    fake.state().hangs = true;
    let started = Instant::now();
    assert_eq!(cache.get(CONTENT, &digest).await, None);
    assert!(started.elapsed() < Duration::from_millis(400), "{:?}", started.elapsed());
    let started = Instant::now();
    for _ in 0..100 {
        assert_eq!(cache.get(CONTENT, &digest).await, None);
        cache.put(CONTENT, &digest, &descriptor).await;
    }
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    assert_eq!(cache.counts().errors, 1);
    fake.state().hangs = false;
    eventually("it is used again", async || cache.get(CONTENT, &digest).await.is_some()).await;
}

#[tokio::test]
async fn a_dead_redis_at_the_start_is_used_when_it_comes() {
    let gone = Fake::start().await;
    let (addr, options) = (gone.addr, options(&gone));
    drop(gone);
    let started = Instant::now();
    let cache = RedisCache::connect(options).await.unwrap();
    let (digest, descriptor) = entry("x");
    assert_eq!(cache.get(CONTENT, &digest).await, None);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let fake = Fake::start_at(addr, Arc::default()).await;
    eventually("it is used", async || {
        cache.put(CONTENT, &digest, &descriptor).await;
        cache.get(CONTENT, &digest).await.is_some()
    })
    .await;
    drop(fake);
}

#[tokio::test]
async fn connections_that_were_closed_cost_no_answer() {
    let fake = Fake::start().await;
    let cache = cache(&fake).await;
    let (digest, descriptor) = entry("x");
    cache.put(CONTENT, &digest, &descriptor).await;
    for _ in 0..5 {
        fake.hang_up();
        assert!(cache.get(CONTENT, &digest).await.is_some());
    }
    assert_eq!(cache.counts().errors, 0);
}

#[tokio::test]
async fn a_removal_that_redis_did_not_hear_of_is_told_again() {
    let state = Arc::<Mutex<fake::State>>::default();
    let fake = Fake::start_at("127.0.0.1:0".parse().unwrap(), Arc::clone(&state)).await;
    let (one, addr) = (cache(&fake).await, fake.addr);
    let (digest, descriptor) = entry("x");
    one.put(CONTENT, &digest, &descriptor).await;
    drop(fake);
    one.remove(CONTENT, &digest).await;
    assert_eq!(one.get(CONTENT, &digest).await, None);
    // It comes back with all that it knew.
    let fake = Fake::start_at(addr, state).await;
    assert_eq!(one.get(CONTENT, &digest).await, None, "who removed it knows");
    let other = cache(&fake).await;
    eventually("others know too", async || other.get(CONTENT, &digest).await.is_none()).await;
}

#[tokio::test]
async fn the_handshake_is_as_configured() {
    let fake = Fake::start().await;
    fake.state().password = Some(("reg".to_owned(), "secret".to_owned()));
    let mut options = options(&fake);
    (options.username, options.password) = (Some("reg".into()), Some("secret".into()));
    (options.client_name, options.db) = (Some("the-registry".into()), 3);
    options.identity_suffix = Some("blue".into());
    let (digest, descriptor) = entry("x");
    for resp3 in [true, false] {
        options.resp3 = resp3;
        let cache = RedisCache::connect(options.clone()).await.unwrap();
        cache.put(CONTENT, &digest, &descriptor).await;
        assert!(cache.get(CONTENT, &digest).await.is_some(), "resp3: {resp3}");
    }
    for line in [
        "HELLO 3 AUTH reg secret",
        "AUTH reg secret",
        "SELECT 3",
        "CLIENT SETNAME the-registry",
        "CLIENT SETINFO LIB-NAME registry-redis(blue)",
    ] {
        assert!(fake.logged(line) > 0, "{line}: {:?}", fake.state().log);
    }
    let before = fake.logged("SETINFO");
    options.identity = false;
    RedisCache::connect(options).await.unwrap();
    assert_eq!(fake.logged("SETINFO"), before);
}

#[tokio::test]
async fn a_wrong_password_is_a_cache_that_knows_nothing_until_it_is_right() {
    let fake = Fake::start().await;
    fake.state().password = Some(("default".to_owned(), "new".to_owned()));
    let mut options = options(&fake);
    options.password = Some("old".into());
    let cache = RedisCache::connect(options).await.unwrap();
    let (digest, descriptor) = entry("x");
    cache.put(CONTENT, &digest, &descriptor).await;
    assert_eq!(cache.get(CONTENT, &digest).await, None);
    fake.state().password = Some(("default".to_owned(), "old".to_owned()));
    eventually("it is used", async || {
        cache.put(CONTENT, &digest, &descriptor).await;
        cache.get(CONTENT, &digest).await.is_some()
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_is_not_used() {
    let fake = Fake::start().await;
    let cache = cache(&fake).await;
    let (digest, descriptor) = entry("x");
    for error in ["READONLY You can't write against a read only replica.", "OOM command not allowed"] {
        fake.state().refused.insert("SET".into(), error.to_owned());
        cache.put(CONTENT, &digest, &descriptor).await;
        let asked = fake.logged("GET registry");
        assert_eq!(cache.get(CONTENT, &digest).await, None);
        assert_eq!(fake.logged("GET registry"), asked, "{error}");
        fake.state().refused.clear();
        eventually("it is used", async || {
            cache.put(CONTENT, &digest, &descriptor).await;
            cache.get(CONTENT, &digest).await.is_some()
        })
        .await;
        fake.state().data.clear();
    }
}

#[tokio::test]
async fn distribution_on_the_same_redis_is_made_to_look_again() {
    let fake = Fake::start().await;
    let cache = cache(&fake).await;
    let (digest, _) = entry("x");
    let name = RepositoryName::parse("a/b").unwrap();
    let fill = || {
        let mut state = fake.state();
        state.data.insert(format!("blobs::{digest}"), (String::new(), None));
        state.data.insert(format!("repository::a/b::blobs::{digest}"), (String::new(), None));
        state.members.entry("repository::a/b::blobs".into()).or_default().insert(digest.to_string());
    };
    fill();
    cache.remove(CONTENT, &digest).await;
    assert!(!fake.state().data.contains_key(&format!("blobs::{digest}")));
    cache.remove(CacheScope::Repository(&name), &digest).await;
    assert!(!fake.state().data.keys().any(|key| key.starts_with("repository::")));
    assert!(fake.state().members["repository::a/b::blobs"].is_empty());
    // Where an access control list keeps us from it, our own entries are none the worse.
    fill();
    fake.state().refused.insert("DEL".into(), "NOPERM no permissions to access a key".into());
    cache.remove(CONTENT, &digest).await;
    let (other, descriptor) = entry("y");
    cache.put(CONTENT, &other, &descriptor).await;
    assert!(cache.get(CONTENT, &other).await.is_some());
    assert_eq!(cache.counts().errors, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_has_the_size_that_was_asked_for() {
    let fake = Fake::start().await;
    let mut options = options(&fake);
    (options.pool_size, options.min_idle) = (Some(4), 3);
    let cache = RedisCache::connect(options.clone()).await.unwrap();
    eventually("some are kept ready", async || fake.state().open == 3).await;
    eventually("idle ones are not in use", async || cache.connections_in_use() == 0).await;
    let (digest, descriptor) = entry("x");
    cache.put(CONTENT, &digest, &descriptor).await;
    fake.state().hangs = true;
    let waiting = tokio::spawn({
        let (cache, digest) = (cache.clone(), digest.clone());
        async move { futures::join!(cache.get(CONTENT, &digest), cache.get(CONTENT, &digest)) }
    });
    eventually("two are in use", async || cache.connections_in_use() == 2).await;
    fake.state().hangs = false;
    waiting.await.unwrap();
    eventually("it answers again", async || cache.get(CONTENT, &digest).await.is_some()).await;
    let many = (0..64).map(|_| cache.get(CONTENT, &digest));
    assert!(futures::future::join_all(many).await.iter().all(Option::is_some));
    assert!(fake.state().most_open <= 4, "{}", fake.state().most_open);
    drop(cache);
    eventually("all are closed with the cache", async || fake.state().open == 0).await;

    // All idle ones are kept: one that the cache closes still counts as open here for a moment.
    (options.min_idle, options.max_idle, options.max_active) = (0, 2, 2);
    fake.state().most_open = 0;
    let cache = RedisCache::connect(options.clone()).await.unwrap();
    futures::future::join_all((0..64).map(|_| cache.get(CONTENT, &digest))).await;
    assert!(fake.state().most_open <= 2, "{}", fake.state().most_open);
    drop(cache);

    options.max_idle = 1;
    let cache = RedisCache::connect(options.clone()).await.unwrap();
    futures::future::join_all((0..64).map(|_| cache.get(CONTENT, &digest))).await;
    eventually("one is kept", async || fake.state().open == 1).await;
    drop(cache);

    options.max_lifetime = Some(Duration::from_millis(100));
    let cache = RedisCache::connect(options.clone()).await.unwrap();
    assert!(cache.get(CONTENT, &digest).await.is_some());
    eventually("the old one is closed", async || fake.state().open == 0).await;
    options.max_lifetime = None;
    options.max_idle_time = Some(Duration::from_millis(100));
    let cache = RedisCache::connect(options).await.unwrap();
    assert!(cache.get(CONTENT, &digest).await.is_some());
    eventually("the idle one is closed", async || fake.state().open == 0).await;
}

#[tokio::test]
async fn a_silent_address_costs_no_request_the_dial_timeout() {
    let fake = Fake::start().await;
    fake.state().hangs = true;
    let started = Instant::now();
    let cache = cache(&fake).await;
    assert!(started.elapsed() < Duration::from_millis(2500), "{:?}", started.elapsed());
    let (digest, descriptor) = entry("x");
    let started = Instant::now();
    assert_eq!(cache.get(CONTENT, &digest).await, None);
    assert!(started.elapsed() < Duration::from_millis(400), "{:?}", started.elapsed());
    fake.state().hangs = false;
    eventually("it is used", async || {
        cache.put(CONTENT, &digest, &descriptor).await;
        cache.get(CONTENT, &digest).await.is_some()
    })
    .await;
}

#[tokio::test]
async fn idle_connections_are_taken_in_the_configured_order() {
    for (pool_fifo, different) in [(false, 1), (true, 3)] {
        let fake = Fake::start().await;
        let mut options = options(&fake);
        (options.min_idle, options.pool_fifo) = (3, pool_fifo);
        let cache = RedisCache::connect(options).await.unwrap();
        eventually("three are ready", async || fake.state().open == 3).await;
        for _ in 0..12 {
            cache.get(CONTENT, &entry("x").0).await;
        }
        let mut askers = fake.state().askers.clone();
        askers.sort_unstable();
        askers.dedup();
        assert_eq!(askers.len(), different, "fifo: {pool_fifo}");
    }
}

#[tokio::test]
async fn a_full_pool_is_waited_for_as_long_as_configured() {
    let fake = Fake::start().await;
    let mut options = options(&fake);
    (options.pool_size, options.pool_timeout) = (Some(1), Some(Duration::from_millis(30)));
    let cache = RedisCache::connect(options.clone()).await.unwrap();
    let (digest, descriptor) = entry("x");
    cache.put(CONTENT, &digest, &descriptor).await;
    fake.state().slow = Duration::from_millis(100);
    let both = futures::join!(cache.get(CONTENT, &digest), cache.get(CONTENT, &digest));
    assert_eq!(both, (Some(descriptor.clone()), None));
    // Being busy is not being down.
    assert_eq!(cache.get(CONTENT, &digest).await, Some(descriptor.clone()));
    options.pool_timeout = None;
    let cache = RedisCache::connect(options).await.unwrap();
    let both = futures::join!(cache.get(CONTENT, &digest), cache.get(CONTENT, &digest));
    assert_eq!(both, (Some(descriptor.clone()), Some(descriptor)));
}

#[tokio::test]
async fn a_read_timeout_and_no_retries_are_kept() {
    let fake = Fake::start().await;
    let mut options = options(&fake);
    (options.read_timeout, options.max_retries) = (Some(Duration::from_millis(30)), 0);
    let cache = RedisCache::connect(options).await.unwrap();
    fake.state().hangs = true;
    let started = Instant::now();
    assert_eq!(cache.get(CONTENT, &entry("x").0).await, None);
    let took = started.elapsed();
    assert!((25..150).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn what_others_keep_under_our_keys_is_no_entry() {
    let fake = Fake::start().await;
    let cache = cache(&fake).await;
    let (digest, _) = entry("x");
    for value in ["", "{}", "removed", "{\"mediaType\":\"a/b\",\"digest\":\"sha256:00\",\"size\":1}"] {
        let key = format!("registry:v1:content:{digest}");
        fake.state().data.insert(key, (value.to_owned(), None));
        assert_eq!(cache.get(CONTENT, &digest).await, None, "{value}");
    }
    fake.state().refused.insert("GET".into(), "WRONGTYPE Operation against a key".into());
    assert_eq!(cache.get(CONTENT, &digest).await, None);
    fake.state().refused.clear();
    let (other, descriptor) = entry("y");
    cache.put(CONTENT, &other, &descriptor).await;
    assert!(cache.get(CONTENT, &other).await.is_some(), "one odd key does not end all");
}
