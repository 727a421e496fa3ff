//! Which node a command goes to.

mod cluster;
mod sentinel;

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::time::{Instant, sleep};

use crate::command::Command;
use crate::connect::{Connector, Role};
use crate::failure::Failure;
use crate::node::{Look, Node};

use self::cluster::Cluster;
use self::sentinel::Sentinel;

#[derive(Debug)]
enum Shape {
    Single(Arc<Node>),
    Sentinel(Sentinel),
    Cluster(Cluster),
}

/// All nodes that the options lead to.
#[derive(Debug)]
pub(crate) struct Topology {
    connector: Arc<Connector>,
    shape: Shape,
}

impl Topology {
    pub(crate) fn new(connector: Arc<Connector>) -> Self {
        let options = &connector.options;
        let shape = match (&options.master_name, options.addrs.as_slice()) {
            (Some(_), _) => Shape::Sentinel(Sentinel::new(Arc::clone(&connector))),
            (None, [addr]) => Shape::Single(Node::new(&connector, addr, Role::Data)),
            (None, _) => Shape::Cluster(Cluster::new(Arc::clone(&connector))),
        };
        Self { connector, shape }
    }

    /// Sends a command and does what the options allow to get it answered before `until`.
    pub(crate) async fn call(&self, command: &Command, until: Instant) -> Result<Value, Failure> {
        let options = &self.connector.options;
        let mut attempt = 0;
        loop {
            let node = self.node(command).ok_or(Failure::Skipped)?;
            let (node, failure) = match &self.shape {
                Shape::Cluster(cluster) => match cluster.follow(node, command, until).await {
                    Ok(value) => return Ok(value),
                    Err(failed) => failed,
                },
                Shape::Single(_) | Shape::Sentinel(_) => match node.run(command, false, until).await {
                    Ok(value) => return Ok(value),
                    Err(failure) => (node, failure),
                },
            };
            let pause = backoff(attempt, options.min_retry_backoff, options.max_retry_backoff);
            attempt += 1;
            if attempt > options.max_retries || !failure.may_pass() || Instant::now() + pause >= until {
                // What a request to make others forget is answered says nothing about our own entries.
                if failure.condemns() && !command.is_courtesy() {
                    node.condemn(&failure);
                }
                return Err(failure);
            }
            sleep(pause).await;
        }
    }

    fn node(&self, command: &Command) -> Option<Arc<Node>> {
        match &self.shape {
            Shape::Single(node) => Some(Arc::clone(node)),
            Shape::Sentinel(sentinel) => sentinel.master(),
            Shape::Cluster(cluster) => cluster.node(command),
        }
    }

    /// Finds out where the nodes are and whether they answer. True if one answers that did not before.
    pub(crate) async fn look(&self) -> bool {
        let moved = match &self.shape {
            Shape::Single(_) => false,
            Shape::Sentinel(sentinel) => sentinel.look().await,
            Shape::Cluster(cluster) => cluster.look().await,
        };
        let nodes = self.nodes();
        let looks = futures::future::join_all(nodes.iter().map(|node| node.look())).await;
        futures::future::join_all(nodes.iter().map(|node| node.maintain())).await;
        moved || looks.contains(&Look::Recovered)
    }

    /// How many connections have work, to all nodes that are known.
    pub(crate) fn in_use(&self) -> usize {
        self.nodes().iter().map(|node| node.in_use()).sum()
    }

    fn nodes(&self) -> Vec<Arc<Node>> {
        match &self.shape {
            Shape::Single(node) => vec![Arc::clone(node)],
            Shape::Sentinel(sentinel) => sentinel.master().into_iter().collect(),
            Shape::Cluster(cluster) => cluster.nodes(),
        }
    }
}

/// The pause before a retry: twice as long each time, between the bounds.
fn backoff(attempt: u32, least: Duration, most: Duration) -> Duration {
    least.saturating_mul(2_u32.saturating_pow(attempt)).min(most)
}

/// Tells once that no node can be named, and once that one can.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts {
    lost: std::sync::atomic::AtomicBool,
}

impl Whereabouts {
    pub(crate) fn lost(&self, failure: &Failure) {
        if !self.lost.swap(true, std::sync::atomic::Ordering::Relaxed) {
            tracing::warn!(error = %failure, "the descriptor cache cannot be found, going on without");
        }
    }

    pub(crate) fn found(&self) {
        if self.lost.swap(false, std::sync::atomic::Ordering::Relaxed) {
            tracing::info!("the descriptor cache has been found");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound() {
        let pause = |attempt| backoff(attempt, Duration::from_millis(8), Duration::from_millis(50));
        assert_eq!([0, 1, 2, 3, 40].map(|n| pause(n).as_millis()), [8, 16, 32, 50, 50]);
    }
}
