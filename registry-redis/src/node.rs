//! One node: its connections, whether it answers, and what time it is there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use crate::command::{Command, PROBE_KEY, arguments};
use crate::connect::{Connector, Role};
use crate::failure::Failure;
use crate::pool::{Lease, Pool};

/// How long a node that failed is not asked.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The same for a node that fails again and again.
const LONGEST_REST: Duration = Duration::from_secs(10);
/// A node that fails this soon after it came back gets a longer rest.
const PROBATION: Duration = Duration::from_secs(30);
/// How often a node that answers is looked at.
const LOOK: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Node {
    pool: Arc<Pool>,
    health: Mutex<Health>,
}

#[derive(Debug, Clone, Copy)]
struct Health {
    /// Since when it does not answer.
    down: Option<Instant>,
    /// Since when it answers.
    up: Instant,
    rest: Duration,
    /// When to look next.
    due: Instant,
    /// What time it was at the node, in milliseconds, and when that was here.
    clock: Option<(u64, Instant)>,
    latency: Duration,
}

/// What a look at a node has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// It is not time yet.
    NotDue,
    /// Nothing has changed.
    Same,
    /// It answers for the first time, or again.
    Recovered,
}

impl Node {
    pub(crate) fn new(connector: &Arc<Connector>, addr: &str, role: Role) -> Arc<Self> {
        let now = Instant::now();
        let health =
            Health { down: None, up: now, rest: FIRST_REST, due: now, clock: None, latency: Duration::MAX };
        let pool = Pool::new(Arc::clone(connector), addr.to_owned(), role);
        Arc::new(Self { pool, health: Mutex::new(health) })
    }

    pub(crate) fn addr(&self) -> &str {
        self.pool.addr()
    }

    /// How many of its connections have work.
    pub(crate) fn in_use(&self) -> usize {
        self.pool.in_use()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.lock().down.is_none()
    }

    /// How long an answer took when it was last looked at.
    pub(crate) fn latency(&self) -> Duration {
        self.lock().latency
    }

    /// Sends a command, unless the node is known not to answer.
    pub(crate) async fn run(
        &self,
        command: &Command,
        asking: bool,
        until: Instant,
    ) -> Result<Value, Failure> {
        let health = *self.lock();
        if health.down.is_some() {
            return Err(Failure::Skipped);
        }
        // A node that a cluster has just pointed to has not been looked at yet.
        let wire = command.wire(health.now()).ok_or(Failure::Skipped)?;
        let mut lease = self.pool.take(until).await?;
        let result = tokio::time::timeout_at(until, async {
            if asking {
                lease.connection.run(&arguments("ASKING", &[])).await?;
            }
            lease.connection.run(&wire).await
        });
        let result = result.await.unwrap_or_else(|_| Err(Failure::broken("no answer in time")));
        self.done(lease, &result);
        result
    }

    /// Sends a question about the node itself, though it may be known not to answer.
    pub(crate) async fn ask(&self, command: &redis::Cmd) -> Result<Value, Failure> {
        let mut lease = self.pool.take(Instant::now() + Duration::from_secs(30)).await?;
        let result = lease.connection.run(command).await;
        self.done(lease, &result);
        result
    }

    fn done(&self, lease: Lease, result: &Result<Value, Failure>) {
        if !matches!(result, Err(Failure::Broken(_))) {
            self.pool.give_back(lease);
        }
    }

    /// Leaves the node alone for a while. Says so, once.
    pub(crate) fn condemn(&self, failure: &Failure) {
        let now = Instant::now();
        let mut health = self.lock();
        if health.down.is_none() {
            let flaps = now - health.up < PROBATION && health.clock.is_some();
            health.rest = if flaps { (health.rest * 2).min(LONGEST_REST) } else { FIRST_REST };
            health.down = Some(now);
            health.due = now + health.rest;
            drop(health);
            self.pool.clear();
            let redis = self.addr();
            tracing::warn!(redis, error = %failure, "the descriptor cache cannot be used, going on without");
        }
    }

    /// Looks at the node, if it is time.
    pub(crate) async fn look(&self) -> Look {
        if Instant::now() < self.lock().due {
            return Look::NotDue;
        }
        let found = self.probe().await;
        let mut health = self.lock();
        let now = Instant::now();
        match found {
            Ok((clock, latency)) => {
                let first = health.clock.is_none() && health.down.is_none();
                (health.clock, health.latency) = (Some((clock, now)), latency);
                health.due = now + LOOK;
                let Some(down) = health.down.take() else {
                    return if first { Look::Recovered } else { Look::Same };
                };
                health.up = now;
                drop(health);
                let seconds = (now - down).as_secs();
                tracing::info!(redis = self.addr(), seconds, "the descriptor cache is in use again");
                Look::Recovered
            }
            Err(failure) if health.down.is_some() => {
                tracing::debug!(redis = self.addr(), error = %failure, "the descriptor cache is still away");
                health.due = now + FIRST_REST;
                Look::Same
            }
            Err(failure) => {
                drop(health);
                self.condemn(&failure);
                Look::Same
            }
        }
    }

    /// Whether the node takes writes, or says which one does; what time it is there; how fast it is.
    async fn probe(&self) -> Result<(u64, Duration), Failure> {
        let write = arguments("SET", &[PROBE_KEY.as_bytes(), b"", b"PX", b"60000"]);
        match self.ask(&write).await {
            Ok(_) | Err(Failure::Elsewhere { .. }) => {}
            Err(failure) => return Err(failure),
        }
        let asked = Instant::now();
        let time = self.ask(&arguments("TIME", &[])).await?;
        let latency = asked.elapsed();
        let (seconds, micros): (u64, u64) =
            redis::from_redis_value(time).map_err(|error| Failure::Refused(format!("TIME: {error}")))?;
        Ok((seconds * 1000 + micros / 1000, latency))
    }

    pub(crate) async fn maintain(&self) {
        if self.is_up() {
            self.pool.maintain().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        // Plain values, each of them good.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Health {
    /// The time at the node, in milliseconds.
    fn now(&self) -> Option<u64> {
        let (then, at) = self.clock?;
        Some(then.saturating_add(u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)))
    }
}
