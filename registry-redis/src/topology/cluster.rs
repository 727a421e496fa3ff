//! Nodes by the slots of a cluster.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::Whereabouts;
use crate::command::{Command, arguments};
use crate::connect::{Connector, Role};
use crate::failure::Failure;
use crate::node::Node;
use crate::options::{Reads, split};

const SLOTS: u16 = 16384;
/// How often the map is read again.
const INTERVAL: Duration = Duration::from_secs(60);
/// The same when it is known to be wrong, or a node does not answer.
const URGENT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Cluster {
    connector: Arc<Connector>,
    map: Mutex<Map>,
    read: Mutex<Option<Instant>>,
    outdated: AtomicBool,
    turn: AtomicUsize,
    whereabouts: Whereabouts,
}

#[derive(Debug, Default)]
struct Map {
    nodes: HashMap<String, Arc<Node>>,
    shards: Vec<Shard>,
}

/// A range of slots, with the master first among its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shard {
    first: u16,
    last: u16,
    addrs: Vec<String>,
}

impl Cluster {
    pub(crate) fn new(connector: Arc<Connector>) -> Self {
        Self {
            connector,
            map: Mutex::default(),
            read: Mutex::default(),
            outdated: AtomicBool::new(true),
            turn: AtomicUsize::new(0),
            whereabouts: Whereabouts::default(),
        }
    }

    /// The node that is to be asked first.
    pub(crate) fn node(&self, command: &Command) -> Option<Arc<Node>> {
        let slot = slot(command.key());
        let map = self.lock();
        let shard = map.shards.iter().find(|shard| (shard.first..=shard.last).contains(&slot))?;
        let nodes: Vec<&Arc<Node>> = shard.addrs.iter().filter_map(|addr| map.nodes.get(addr)).collect();
        let (master, replicas) = nodes.split_first()?;
        if !command.is_read() {
            return Some(Arc::clone(master));
        }
        let any = |nodes: &[&Arc<Node>]| {
            let up: Vec<_> = nodes.iter().filter(|node| node.is_up()).collect();
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            (!up.is_empty()).then(|| Arc::clone(up[turn % up.len()]))
        };
        let chosen = match self.connector.options.reads {
            Reads::Master => None,
            Reads::Replica => any(replicas),
            Reads::Random => any(&nodes),
            Reads::Nearest => {
                let up = nodes.iter().filter(|node| node.is_up());
                up.min_by_key(|node| node.latency()).map(|node| Arc::clone(node))
            }
        };
        Some(chosen.unwrap_or_else(|| Arc::clone(master)))
    }

    /// Sends a command and follows where the cluster says it belongs. A failure comes with its node.
    pub(crate) async fn follow(
        &self,
        mut node: Arc<Node>,
        command: &Command,
        until: Instant,
    ) -> Result<Value, (Arc<Node>, Failure)> {
        let mut asking = false;
        for _ in 0..=self.connector.options.max_redirects {
            match node.run(command, asking, until).await {
                Ok(value) => return Ok(value),
                Err(Failure::Elsewhere { addr, once }) => {
                    if !once {
                        self.outdated.store(true, Ordering::Relaxed);
                    }
                    asking = once;
                    node = self.known(&complete(&addr, node.addr()));
                }
                Err(failure) => return Err((node, failure)),
            }
        }
        let most = self.connector.options.max_redirects;
        Err((node, Failure::Later(format!("redirected more than {most} times"))))
    }

    pub(crate) fn nodes(&self) -> Vec<Arc<Node>> {
        self.lock().nodes.values().cloned().collect()
    }

    /// Reads the map again, if it is time. True if there are nodes that were not there before.
    pub(crate) async fn look(&self) -> bool {
        let urgent = self.outdated.load(Ordering::Relaxed) || self.nodes().iter().any(|node| !node.is_up());
        let interval = if urgent { URGENT } else { INTERVAL };
        {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if read.is_some_and(|read| read.elapsed() < interval) {
                return false;
            }
            *read = Some(Instant::now());
        }
        // Those that answer first, then those that may.
        let mut nodes = self.nodes();
        nodes.sort_by_key(|node| !node.is_up());
        let mut sources: Vec<String> = nodes.iter().map(|node| node.addr().to_owned()).collect();
        for addr in &self.connector.options.addrs {
            if !sources.contains(addr) {
                sources.push(addr.clone());
            }
        }
        let mut last = Failure::broken("no node is named");
        for source in sources {
            let patience = Duration::from_secs(1);
            let answer = tokio::time::timeout(patience, self.slots(&source)).await;
            match answer.unwrap_or_else(|_| Err(Failure::broken("no answer in time"))) {
                Ok(shards) => {
                    self.outdated.store(false, Ordering::Relaxed);
                    self.whereabouts.found();
                    return self.adopt(shards);
                }
                Err(failure) => last = Failure::Broken(format!("{source}: {failure}")),
            }
        }
        if !self.nodes().iter().any(|node| node.is_up()) {
            self.whereabouts.lost(&last);
        }
        false
    }

    async fn slots(&self, source: &str) -> Result<Vec<Shard>, Failure> {
        let mut connection = self.connector.open(source, Role::Data).await?;
        let answer = connection.run(&arguments("CLUSTER", &[b"SLOTS"])).await?;
        let shards = parse(&answer, source).ok_or_else(|| Failure::Refused("CLUSTER SLOTS: odd".into()))?;
        match shards.is_empty() {
            true => Err(Failure::Later("the cluster has no slots".to_owned())),
            false => Ok(shards),
        }
    }

    fn adopt(&self, shards: Vec<Shard>) -> bool {
        let mut map = self.lock();
        let mut known = std::mem::take(&mut map.nodes);
        let mut changed = false;
        for addr in shards.iter().flat_map(|shard| shard.addrs.iter().take(self.wanted())) {
            let node = known.remove(addr).or_else(|| map.nodes.remove(addr));
            changed |= node.is_none();
            let node = node.unwrap_or_else(|| self.open(addr));
            map.nodes.insert(addr.clone(), node);
        }
        // Another master may know less than the one before.
        if map.shards != shards && !map.shards.is_empty() {
            let masters: Vec<&str> =
                shards.iter().filter_map(|shard| shard.addrs.first()).map(String::as_str).collect();
            tracing::info!(masters = masters.join(" "), "the nodes of the descriptor cache have changed");
            changed = true;
        }
        map.shards = shards;
        changed
    }

    /// How many nodes of a shard are of interest.
    fn wanted(&self) -> usize {
        match self.connector.options.reads {
            Reads::Master => 1,
            Reads::Replica | Reads::Nearest | Reads::Random => usize::MAX,
        }
    }

    fn known(&self, addr: &str) -> Arc<Node> {
        let mut map = self.lock();
        Arc::clone(map.nodes.entry(addr.to_owned()).or_insert_with(|| self.open(addr)))
    }

    fn open(&self, addr: &str) -> Arc<Node> {
        let role = match self.connector.options.reads {
            Reads::Master => Role::Data,
            Reads::Replica | Reads::Nearest | Reads::Random => Role::DataAnywhere,
        };
        Node::new(&self.connector, addr, role)
    }

    fn lock(&self) -> MutexGuard<'_, Map> {
        // What a panic would leave is replaced by the next map.
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address as a node tells it: without a host it is on the same host as `near`.
fn complete(addr: &str, near: &str) -> String {
    let host = || split(near).map_or(near, |(host, _)| host);
    match addr.rsplit_once(':') {
        Some(("" | "?", port)) => join(host(), port),
        Some((host, port)) if !host.starts_with('[') => join(host, port),
        _ => addr.to_owned(),
    }
}

fn join(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Reads an answer to CLUSTER SLOTS, which `source` gave.
fn parse(answer: &Value, source: &str) -> Option<Vec<Shard>> {
    let slot = |value: &Value| redis::from_redis_value_ref::<u16>(value).ok().filter(|slot| *slot < SLOTS);
    let mut shards = Vec::new();
    for entry in answer.as_sequence()? {
        let [first, last, nodes @ ..] = entry.as_sequence()? else { return None };
        let mut addrs = Vec::new();
        for node in nodes {
            let [host, port, ..] = node.as_sequence()? else { return None };
            let host: Option<String> = redis::from_redis_value_ref(host).ok()?;
            let port: u16 = redis::from_redis_value_ref(port).ok()?;
            addrs.push(complete(&format!("{}:{port}", host.unwrap_or_default()), source));
        }
        shards.push(Shard { first: slot(first)?, last: slot(last)?, addrs });
    }
    Some(shards)
}

/// The slot of a key. Ours have no braces, which would name the part that counts.
fn slot(key: &str) -> u16 {
    let mut crc: u16 = 0;
    for byte in key.bytes() {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot("123456789"), 0x31c3);
        assert_eq!(slot("foo"), 12182);
        assert_eq!(slot(""), 0);
    }

    #[test]
    fn an_address_without_a_host_is_on_the_host_that_was_asked() {
        assert_eq!(complete(":7000", "a:1"), "a:7000");
        assert_eq!(complete("?:7000", "[::1]:1"), "[::1]:7000");
        assert_eq!(complete("b:7000", "a:1"), "b:7000");
        assert_eq!(complete("::1:7000", "a:1"), "[::1]:7000");
    }

    #[test]
    fn a_map_of_slots_is_read_or_refused() {
        let node = |host: Value, port| Value::Array(vec![host, Value::Int(port), Value::Array(vec![])]);
        let host = Value::BulkString(b"10.0.0.1".to_vec());
        let entry = vec![Value::Int(0), Value::Int(16383), node(host, 7000), node(Value::Nil, 7001)];
        let map = Value::Array(vec![Value::Array(entry)]);
        let shards = parse(&map, "10.0.0.9:7009").unwrap();
        let addrs = vec!["10.0.0.1:7000".to_owned(), "10.0.0.9:7001".to_owned()];
        assert_eq!(shards, [Shard { first: 0, last: 16383, addrs }]);
        let wrong = Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(20000)])]);
        assert_eq!(parse(&wrong, "a:1"), None);
        assert_eq!(parse(&Value::Okay, "a:1"), None);
    }
}
