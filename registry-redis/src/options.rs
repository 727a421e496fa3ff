//! What a cache in Redis can be told, and the check of it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where Redis is and how it is spoken to. The fields are the keys of the section `redis` of the
/// configuration; [`RedisOptions::default`] has their defaults.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// `host:port` of the node; of several nodes of a cluster; or, with [`master_name`](Self::master_name), of
    /// sentinels.
    pub addrs: Vec<String>,
    /// The name of the master that the sentinels at [`addrs`](Self::addrs) watch.
    pub master_name: Option<String>,
    /// What connections call themselves (`CLIENT SETNAME`).
    pub client_name: Option<String>,
    /// The database; a cluster has only number 0.
    pub db: i64,
    /// Whether RESP3 is spoken, or RESP2.
    pub resp3: bool,
    /// The user of an access control list; `None` for the default user.
    pub username: Option<String>,
    /// The password of the user.
    pub password: Option<String>,
    /// The user that sentinels want.
    pub sentinel_username: Option<String>,
    /// The password that sentinels want.
    pub sentinel_password: Option<String>,
    /// How often a command is sent again after a failure that may pass.
    pub max_retries: u32,
    /// How long to wait before the first of these, at least.
    pub min_retry_backoff: Duration,
    /// How long to wait before a later one, at most.
    pub max_retry_backoff: Duration,
    /// How long a connection may take until it can be used.
    pub dial_timeout: Duration,
    /// How long the answer to a command may take; `None` for as long as the whole operation may take.
    pub read_timeout: Option<Duration>,
    /// How long sending may take; `None` for as long as an answer.
    pub write_timeout: Option<Duration>,
    /// Whether the connection that was idle longest is used next, instead of the one used last.
    pub pool_fifo: bool,
    /// How many connections to one node there are at most; `None` for ten for each usable CPU.
    pub pool_size: Option<usize>,
    /// How long to wait for a connection when all are in use; `None` for a second more than an answer.
    pub pool_timeout: Option<Duration>,
    /// How many idle connections are kept at least.
    pub min_idle: usize,
    /// How many idle connections are kept at most; 0 for no limit but the size.
    pub max_idle: usize,
    /// How many connections to one node there are at most, if that is less than the size; 0 for no limit.
    pub max_active: usize,
    /// How long a connection may be idle before it is closed; `None` for ever.
    pub max_idle_time: Option<Duration>,
    /// How old a connection may get; `None` for any age.
    pub max_lifetime: Option<Duration>,
    /// How many redirections of a cluster are followed for one command.
    pub max_redirects: u32,
    /// Which nodes of a cluster answer reads.
    pub reads: Reads,
    /// Whether connections say which library they come from (`CLIENT SETINFO`).
    pub identity: bool,
    /// Added to the name of that library.
    pub identity_suffix: Option<String>,
    /// TLS; `None` for plain TCP.
    pub tls: Option<RedisTls>,
}

/// Which nodes of a cluster are asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reads {
    /// The master, which knows every removal at once.
    #[default]
    Master,
    /// A replica, or the master if there is none that answers.
    Replica,
    /// Whichever node answers fastest.
    Nearest,
    /// Any node.
    Random,
}

/// How TLS is spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// A certificate chain and its key, both PEM, to show to the server.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// PEM files with the authorities that the server's certificate may come from; none for those that the
    /// system trusts.
    pub root_cas: Vec<PathBuf>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            addrs: Vec::new(),
            master_name: None,
            client_name: None,
            db: 0,
            resp3: true,
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            max_retries: 3,
            min_retry_backoff: Duration::from_millis(8),
            max_retry_backoff: Duration::from_millis(512),
            dial_timeout: Duration::from_secs(5),
            read_timeout: None,
            write_timeout: None,
            pool_fifo: false,
            pool_size: None,
            pool_timeout: None,
            min_idle: 0,
            max_idle: 0,
            max_active: 0,
            max_idle_time: Some(Duration::from_secs(30 * 60)),
            max_lifetime: None,
            max_redirects: 3,
            reads: Reads::Master,
            identity: true,
            identity_suffix: None,
            tls: None,
        }
    }
}

impl RedisOptions {
    /// How long a request waits for the cache at least, if it has to.
    pub const LEAST_WAIT: Duration = Duration::from_millis(250);
    /// How long a request waits for the cache at most, whatever the other times say.
    pub const LONGEST_WAIT: Duration = Duration::from_secs(1);

    /// Options for these addresses.
    pub fn new(addrs: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { addrs: addrs.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// How long one operation of the cache may take with everything that belongs to it.
    pub(crate) fn wait(&self) -> Duration {
        self.read_timeout.map_or(Self::LEAST_WAIT, |time| time.clamp(Self::LEAST_WAIT, Self::LONGEST_WAIT))
    }

    pub(crate) fn read_timeout(&self) -> Duration {
        self.read_timeout.unwrap_or_else(|| self.wait())
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        self.write_timeout.unwrap_or_else(|| self.read_timeout())
    }

    pub(crate) fn pool_timeout(&self) -> Duration {
        self.pool_timeout.unwrap_or_else(|| self.read_timeout() + Duration::from_secs(1))
    }

    /// Most connections to one node; at least one.
    pub(crate) fn pool_limit(&self) -> usize {
        let cpus = || std::thread::available_parallelism().map_or(1, usize::from);
        let size = self.pool_size.filter(|size| *size > 0).unwrap_or_else(|| 10 * cpus());
        if self.max_active > 0 { size.min(self.max_active) } else { size }
    }

    /// Whether `addrs` are nodes of a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        self.master_name.is_none() && self.addrs.len() > 1
    }

    pub(crate) fn check(&self) -> Result<(), RedisConfigError> {
        if self.addrs.is_empty() {
            return Err(RedisConfigError::NoAddress);
        }
        match self.addrs.iter().find(|addr| split(addr).is_none()) {
            Some(addr) => Err(RedisConfigError::Address { addr: addr.clone() }),
            None => Ok(()),
        }
    }
}

/// Host and port of `host:port` or `[v6]:port`.
pub(crate) fn split(addr: &str) -> Option<(&str, u16)> {
    let (host, port) = addr.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']')?,
        None if host.contains([':', '/', '@']) => return None,
        None => host,
    };
    (!host.is_empty()).then_some((host, port))
}

/// Whether `addr` has the form that [`RedisOptions::addrs`] wants.
pub fn is_address(addr: &str) -> bool {
    split(addr).is_some()
}

/// Why there can be no cache with these options, wherever Redis may be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisConfigError {
    /// Nobody to ask.
    #[error("no address of a Redis is given")]
    NoAddress,
    /// An address that is none.
    #[error("{addr:?} is not an address such as redis.example.com:6379")]
    Address {
        /// What was given.
        addr: String,
    },
    /// A file that cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(String),
}

impl fmt::Debug for RedisOptions {
    /// Without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("addrs", &self.addrs)
            .field("master_name", &self.master_name)
            .field("db", &self.db)
            .field("username", &self.username)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        assert_eq!(split("a.example:6379"), Some(("a.example", 6379)));
        assert_eq!(split("[::1]:6380"), Some(("::1", 6380)));
        for wrong in ["a", "a:", ":6379", "a:0", "a:70000", "::1", "[::1:1", "redis://a:6379", "u@a:1", ""] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_request_waits_between_a_quarter_of_a_second_and_one() {
        let wait = |ms| RedisOptions { read_timeout: Some(Duration::from_millis(ms)), ..Default::default() };
        assert_eq!(RedisOptions::default().wait(), RedisOptions::LEAST_WAIT);
        assert_eq!(wait(10).wait(), RedisOptions::LEAST_WAIT);
        assert_eq!(wait(10).read_timeout(), Duration::from_millis(10));
        assert_eq!(wait(600).wait(), Duration::from_millis(600));
        assert_eq!(wait(3000).wait(), RedisOptions::LONGEST_WAIT);
    }

    #[test]
    fn passwords_are_not_shown() {
        let password = Some("hunter2".to_owned());
        let options =
            RedisOptions { password: password.clone(), sentinel_password: password, ..Default::default() };
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
