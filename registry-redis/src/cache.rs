//! The cache itself.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use redis::Value;
use registry_core::{CacheCounters, CacheCounts, CacheScope, Descriptor, DescriptorCache, Digest};
use tokio::time::{Instant, sleep, timeout};

use crate::command::{self, Command};
use crate::connect::Connector;
use crate::failure::Failure;
use crate::options::{RedisConfigError, RedisOptions};
use crate::removals::{Removal, Removals};
use crate::topology::Topology;

/// How long the start waits for Redis.
const START: Duration = Duration::from_secs(2);
/// How often it is seen whether something is due.
const TICK: Duration = Duration::from_millis(250);
/// How many removals are told again at the same time.
const RETELL: usize = 16;

/// Keeps descriptors in Redis, for all replicas of a registry. See the [crate](crate).
#[derive(Clone)]
pub struct RedisCache {
    inner: Arc<Inner>,
}

struct Inner {
    topology: Topology,
    /// For how long a request waits.
    wait: Duration,
    removals: Removals,
    counters: CacheCounters,
    /// Whether entries of Distribution may be removed.
    courtesy: AtomicBool,
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCache").field("topology", &self.inner.topology).finish_non_exhaustive()
    }
}

impl RedisCache {
    /// A cache with these options.
    ///
    /// Waits up to two seconds for Redis to answer. If it does not, that is logged and the cache knows
    /// nothing until it does: a registry that starts before its cache works all the same. Has to be called
    /// in a tokio runtime, in which a task looks after the connections until the cache is dropped.
    ///
    /// # Errors
    /// Options and files that cannot be right, wherever Redis may be.
    pub async fn connect(options: RedisOptions) -> Result<Self, RedisConfigError> {
        let wait = options.wait();
        let topology = Topology::new(Connector::new(options)?);
        let inner = Arc::new(Inner {
            topology,
            wait,
            removals: Removals::default(),
            counters: CacheCounters::default(),
            courtesy: AtomicBool::new(true),
        });
        let (ready, started) = tokio::sync::oneshot::channel();
        tokio::spawn(Inner::keep(Arc::downgrade(&inner), ready));
        // Whoever does not answer by then is waited for no longer. It is logged when a command fails.
        let _ = timeout(START, started).await;
        Ok(Self { inner })
    }

    /// How often it was asked, how often it knew, and how many operations failed. An operation that was not
    /// tried, because Redis is known not to answer, is no failure.
    pub fn counts(&self) -> CacheCounts {
        self.inner.counters.counts()
    }

    /// How many connections are at work, or being opened, those to all nodes together. Idle ones do not count.
    pub fn connections_in_use(&self) -> usize {
        self.inner.topology.in_use()
    }
}

impl Inner {
    /// Looks after the connections for as long as there is a cache.
    async fn keep(cache: Weak<Self>, ready: tokio::sync::oneshot::Sender<()>) {
        let mut ready = Some(ready);
        while let Some(inner) = cache.upgrade() {
            if inner.topology.look().await {
                inner.retell().await;
            }
            drop(inner);
            if let Some(ready) = ready.take() {
                // Nobody waits if it took too long.
                let _ = ready.send(());
            }
            sleep(TICK).await;
        }
    }

    /// Tells a node that has come back what was removed meanwhile.
    async fn retell(&self) {
        let removals = self.removals.all();
        stream::iter(&removals).for_each_concurrent(RETELL, |removal| self.tell(removal)).await;
    }

    async fn tell(&self, removal: &Removal) {
        let (scope, digest) = (removal.scope(), &removal.digest);
        let bury = Command::Bury(command::key(scope, digest));
        let courtesy = match self.courtesy.load(Ordering::Relaxed) {
            true => command::remind_distribution(scope, digest),
            false => Vec::new(),
        };
        // At once, since in a cluster they may go to different nodes.
        let courtesy = futures::future::join_all(courtesy.iter().map(|command| self.remind(command)));
        let _ = futures::join!(self.call(&bury), courtesy);
    }

    async fn remind(&self, command: &Command) {
        let until = Instant::now() + self.wait;
        if let Err(Failure::Refused(reason)) = self.topology.call(command, until).await
            && reason.starts_with("NOPERM")
            && self.courtesy.swap(false, Ordering::Relaxed)
        {
            tracing::info!(
                %reason,
                "entries of Distribution in this Redis are left alone; it may go on showing what is deleted here"
            );
        }
    }

    async fn call(&self, command: &Command) -> Option<Value> {
        match self.topology.call(command, Instant::now() + self.wait).await {
            Ok(value) => Some(value),
            Err(Failure::Skipped) => None,
            Err(failure) => {
                tracing::debug!(key = command.key(), error = %failure, "the descriptor cache failed");
                self.counters.failed();
                None
            }
        }
    }
}

#[async_trait]
impl DescriptorCache for RedisCache {
    async fn get(&self, scope: CacheScope<'_>, digest: &Digest) -> Option<Descriptor> {
        let inner = &self.inner;
        let known = match inner.removals.contains(&Removal::new(scope, digest)) {
            true => None,
            false => {
                let value = inner.call(&Command::Get(command::key(scope, digest))).await;
                value.and_then(|value| command::decode(scope, digest, &value))
            }
        };
        inner.counters.answered(known.is_some());
        known
    }

    async fn put(&self, scope: CacheScope<'_>, digest: &Digest, descriptor: &Descriptor) {
        let inner = &self.inner;
        if inner.removals.contains(&Removal::new(scope, digest)) {
            return;
        }
        if let Some(value) = command::encode(descriptor) {
            inner.call(&Command::Put(command::key(scope, digest), value)).await;
        }
    }

    async fn remove(&self, scope: CacheScope<'_>, digest: &Digest) {
        let removal = Removal::new(scope, digest);
        // First: from now on this process neither answers it nor writes it.
        self.inner.removals.add(&removal);
        self.inner.tell(&removal).await;
    }
}
