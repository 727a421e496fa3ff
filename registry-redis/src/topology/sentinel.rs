//! The master that sentinels name.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::time::{Instant, timeout};

use super::Whereabouts;
use crate::command::arguments;
use crate::connect::{Connector, Role};
use crate::failure::Failure;
use crate::node::Node;

/// How often the sentinels are asked while the master answers.
const INTERVAL: Duration = Duration::from_secs(10);
/// The same while it does not.
const URGENT: Duration = Duration::from_secs(1);
/// How long one sentinel may take, so that a dead one does not keep the others from being asked.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Sentinel {
    connector: Arc<Connector>,
    master: Mutex<Option<Arc<Node>>>,
    asked: Mutex<Option<Instant>>,
    whereabouts: Whereabouts,
}

impl Sentinel {
    pub(crate) fn new(connector: Arc<Connector>) -> Self {
        let whereabouts = Whereabouts::default();
        Self { connector, master: Mutex::default(), asked: Mutex::default(), whereabouts }
    }

    pub(crate) fn master(&self) -> Option<Arc<Node>> {
        self.master.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks who the master is, if it is time. True if it is another one than before.
    pub(crate) async fn look(&self) -> bool {
        let master = self.master();
        let interval = if master.as_ref().is_some_and(|node| node.is_up()) { INTERVAL } else { URGENT };
        {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if asked.is_some_and(|asked| asked.elapsed() < interval) {
                return false;
            }
            *asked = Some(Instant::now());
        }
        match self.ask().await {
            Ok(addr) => {
                self.whereabouts.found();
                if let Some(master) = master {
                    if master.addr() == addr {
                        return false;
                    }
                    tracing::info!(redis = addr, "the descriptor cache has another master");
                }
                let node = Node::new(&self.connector, &addr, Role::Data);
                *self.master.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
                true
            }
            // A master that answers is not given up because sentinels do not.
            Err(failure) => {
                if !master.is_some_and(|master| master.is_up()) {
                    self.whereabouts.lost(&failure);
                }
                false
            }
        }
    }

    async fn ask(&self) -> Result<String, Failure> {
        let options = &self.connector.options;
        let name = options.master_name.as_deref().unwrap_or_default();
        let question = arguments("SENTINEL", &[b"get-master-addr-by-name", name.as_bytes()]);
        let mut last = Failure::broken("no sentinel is named");
        for addr in &options.addrs {
            let answer = timeout(PATIENCE, async {
                self.connector.open(addr, Role::Sentinel).await?.run(&question).await
            });
            let answer = answer.await.unwrap_or_else(|_| Err(Failure::broken("no answer in time")));
            last = match answer {
                Ok(Value::Nil) => Failure::Refused(format!("sentinel {addr} knows no master {name:?}")),
                Ok(value) => match redis::from_redis_value::<(String, u16)>(value) {
                    Ok((host, port)) if host.contains(':') => return Ok(format!("[{host}]:{port}")),
                    Ok((host, port)) => return Ok(format!("{host}:{port}")),
                    Err(error) => Failure::Refused(format!("sentinel {addr}: {error}")),
                },
                Err(failure) => Failure::Broken(format!("sentinel {addr}: {failure}")),
            };
        }
        Err(last)
    }
}
