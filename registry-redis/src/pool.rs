//! The connections to one node.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::connect::{Connection, Connector, Role};
use crate::failure::Failure;

/// A bounded number of connections, each used for one command at a time.
#[derive(Debug)]
pub(crate) struct Pool {
    connector: Arc<Connector>,
    addr: String,
    role: Role,
    limit: usize,
    permits: Arc<Semaphore>,
    /// The one used last is at the back.
    idle: Mutex<VecDeque<Connection>>,
}

/// A connection that is in use. Dropped without [`Pool::give_back`], the connection is closed.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) connection: Connection,
    permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(connector: Arc<Connector>, addr: String, role: Role) -> Arc<Self> {
        let limit = connector.options.pool_limit();
        Arc::new(Self {
            connector,
            addr,
            role,
            limit,
            permits: Arc::new(Semaphore::new(limit)),
            idle: Mutex::default(),
        })
    }

    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    /// How many connections have work, or are being opened for it.
    pub(crate) fn in_use(&self) -> usize {
        self.limit - self.permits.available_permits()
    }

    /// A connection, an idle one or a new one.
    pub(crate) async fn take(self: &Arc<Self>, until: Instant) -> Result<Lease, Failure> {
        let patience = until.min(Instant::now() + self.connector.options.pool_timeout());
        let permit = timeout_at(patience, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Failure::Busy) };
        if let Some(connection) = self.take_idle() {
            return Ok(Lease { connection, permit });
        }
        // In a task: a connection that comes too late for this command serves the next.
        let (sender, receiver) = oneshot::channel();
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let opened = pool.connector.open(&pool.addr, pool.role).await;
            let opened = opened.map(|connection| Lease { connection, permit });
            if let Err(Ok(lease)) = sender.send(opened) {
                pool.give_back(lease);
            }
        });
        match timeout_at(until, receiver).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(_)) => Err(Failure::broken("the connection was given up")),
            Err(_) => Err(Failure::broken("no connection in time")),
        }
    }

    /// Keeps a connection for the next command.
    pub(crate) fn give_back(&self, lease: Lease) {
        let most = match self.connector.options.max_idle {
            0 => self.limit,
            most => most,
        };
        let mut idle = self.lock();
        if idle.len() < most && !lease.connection.is_closed() {
            idle.push_back(lease.connection);
        }
        drop(idle);
        drop(lease.permit);
    }

    /// Closes all idle connections, as after a failure: the others are most likely broken too.
    pub(crate) fn clear(&self) {
        drop(std::mem::take(&mut *self.lock()));
    }

    /// Closes what is too old, and opens what should be kept ready.
    pub(crate) async fn maintain(self: &Arc<Self>) {
        self.lock().retain(|connection| !self.is_over(connection));
        for _ in 0..self.connector.options.min_idle.min(self.limit) {
            if self.lock().len() >= self.connector.options.min_idle {
                return;
            }
            let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return };
            let Ok(connection) = self.connector.open(&self.addr, self.role).await else { return };
            self.give_back(Lease { connection, permit });
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.lock();
        loop {
            let next = match self.connector.options.pool_fifo {
                true => idle.pop_front(),
                false => idle.pop_back(),
            };
            let connection = next?;
            if !self.is_over(&connection) {
                return Some(connection);
            }
        }
    }

    fn is_over(&self, connection: &Connection) -> bool {
        let options = &self.connector.options;
        let over = |limit: Option<Duration>, since: Instant| limit.is_some_and(|max| since.elapsed() >= max);
        connection.is_closed()
            || over(options.max_idle_time, connection.used)
            || over(options.max_lifetime, connection.born)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Connection>> {
        // Nothing panics while it is held, and a queue is never half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
