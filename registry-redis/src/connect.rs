//! Opening connections.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::command::arguments;
use crate::failure::Failure;
use crate::options::{RedisConfigError, RedisOptions, split};
use crate::stream::WriteTimeout;
use crate::tls;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Entries.
    Data,
    /// Entries, at a replica of a cluster too.
    DataAnywhere,
    /// To ask a sentinel.
    Sentinel,
}

/// Opens connections as the options say.
pub(crate) struct Connector {
    pub(crate) options: RedisOptions,
    tls: Option<TlsConnector>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A connection. One command at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    inner: MultiplexedConnection,
    driver: JoinHandle<()>,
    read_timeout: Duration,
    pub(crate) born: Instant,
    pub(crate) used: Instant,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Sends a command and waits for the answer.
    pub(crate) async fn run(&mut self, command: &redis::Cmd) -> Result<Value, Failure> {
        self.used = Instant::now();
        match timeout(self.read_timeout, self.inner.send_packed_command(command)).await {
            Ok(Ok(value)) => value.extract_error().map_err(|error| Failure::of(&error)),
            Ok(Err(error)) => Err(Failure::of(&error)),
            Err(_) => Err(Failure::Broken(format!("no answer within {:?}", self.read_timeout))),
        }
    }

    /// Whether the other end has hung up.
    pub(crate) fn is_closed(&self) -> bool {
        self.driver.is_finished()
    }
}

impl Connector {
    pub(crate) fn new(options: RedisOptions) -> Result<Arc<Self>, RedisConfigError> {
        options.check()?;
        let tls = options.tls.as_ref().map(tls::connector).transpose()?;
        Ok(Arc::new(Self { options, tls }))
    }

    /// A connection that is ready for commands.
    pub(crate) async fn open(&self, addr: &str, role: Role) -> Result<Connection, Failure> {
        let limit = self.options.dial_timeout;
        match timeout(limit, self.dial(addr, role)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Broken(format!("no connection within {limit:?}"))),
        }
    }

    async fn dial(&self, addr: &str, role: Role) -> Result<Connection, Failure> {
        let (host, port) = split(addr).ok_or_else(|| Failure::Broken(format!("{addr:?} is no address")))?;
        let stream = TcpStream::connect((host, port)).await.map_err(Failure::broken)?;
        // A command is one small packet, whose answer is waited for.
        stream.set_nodelay(true).map_err(Failure::broken)?;
        match &self.tls {
            None => self.greet(stream, role).await,
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned()).map_err(Failure::broken)?;
                let stream = tls.connect(name, stream).await.map_err(|error| tls_failure(&error))?;
                self.greet(stream, role).await
            }
        }
    }

    async fn greet<S>(&self, stream: S, role: Role) -> Result<Connection, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let options = &self.options;
        let stream = WriteTimeout::new(stream, options.write_timeout());
        // The answer is timed where it is waited for.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (inner, driver) = MultiplexedConnection::new_with_config(&self.info(role), stream, config)
            .await
            .map_err(|error| Failure::of(&error))?;
        let now = Instant::now();
        let driver = tokio::spawn(driver);
        let mut connection =
            Connection { inner, driver, read_timeout: options.read_timeout(), born: now, used: now };
        if let Some(name) = &options.client_name {
            connection.run(&arguments("CLIENT", &[b"SETNAME", name.as_bytes()])).await?;
        }
        if role == Role::DataAnywhere {
            connection.run(&arguments("READONLY", &[])).await?;
        }
        Ok(connection)
    }

    fn info(&self, role: Role) -> RedisConnectionInfo {
        let options = &self.options;
        let (username, password) = match role {
            Role::Data | Role::DataAnywhere => (&options.username, &options.password),
            Role::Sentinel => (&options.sentinel_username, &options.sentinel_password),
        };
        let protocol = if options.resp3 { ProtocolVersion::RESP3 } else { ProtocolVersion::RESP2 };
        let mut info = RedisConnectionInfo::default().set_protocol(protocol);
        if role == Role::Data && !options.is_cluster() {
            info = info.set_db(options.db);
        }
        if let Some(username) = username {
            info = info.set_username(username);
        }
        if let Some(password) = password {
            info = info.set_password(password);
        }
        if !options.identity {
            return info.set_skip_set_lib_name();
        }
        let name = match &options.identity_suffix {
            Some(suffix) => format!("registry-redis({suffix})"),
            None => "registry-redis".to_owned(),
        };
        info.set_lib_name(name, env!("CARGO_PKG_VERSION"))
    }
}

/// What the handshake says, without the words that wrap it.
fn tls_failure(error: &io::Error) -> Failure {
    let inner = error.get_ref().map(ToString::to_string);
    Failure::Broken(format!("TLS: {}", inner.unwrap_or_else(|| error.to_string())))
}
