//! Opens the listening sockets, or takes those that were opened for us.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use listenfd::ListenFd;
use tokio::net::{TcpListener, UnixListener, UnixStream, lookup_host};

use super::stream::Socket as Accepted;
use crate::config::Address;

/// Open sockets that accept connections.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<Socket>,
    local: String,
    /// Whose turn it is, so that no socket keeps the others waiting.
    turn: AtomicUsize,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "removes the file when dropped")] Option<SocketFile>),
}

/// Why the address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BindError {
    /// The system refused.
    #[error("cannot listen on {address}: {}", reason(cause))]
    Socket {
        /// As configured.
        address: String,
        /// Spelled out in the message, so it is not repeated as its source.
        cause: io::Error,
    },
    /// The host has no address.
    #[error("cannot listen on {address}: the host name has no address")]
    NoAddress { address: String },
    /// The socket is somebody else's.
    #[error("cannot listen on unix:{}: another process is using it", path.display())]
    InUse { path: PathBuf },
    /// What the process was started with cannot be listened on.
    #[error("cannot listen on the sockets that the process was started with (LISTEN_FDS): {cause}")]
    Inherited {
        /// Spelled out in the message, so it is not repeated as its source.
        cause: io::Error,
    },
    /// Only sockets are replaced.
    #[error("cannot listen on unix:{}: the file exists and is not a socket", path.display())]
    NotASocket { path: PathBuf },
}

/// The cause in words an operator acts on.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another process is using it".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        _ => error.to_string(),
    }
}

impl Listener {
    pub(crate) async fn bind(address: &Address) -> Result<Self, BindError> {
        Self::bind_all(std::slice::from_ref(address)).await
    }

    /// Listens on all of these, or on none.
    pub(crate) async fn bind_all(addresses: &[Address]) -> Result<Self, BindError> {
        let mut sockets = Vec::new();
        for address in addresses {
            sockets.push(match address {
                Address::Tcp { host, port } => Socket::Tcp(tcp(address, host, *port).await?),
                Address::Unix(path) => {
                    let (socket, file) = unix(address, path).await?;
                    Socket::Unix(socket, Some(file))
                }
            });
        }
        Ok(Self::over(sockets))
    }

    /// Takes the sockets that systemd, or whoever started the process, has opened for it (`LISTEN_FDS` and
    /// `LISTEN_PID`). `None` if there are none.
    pub(crate) fn inherited() -> Result<Option<Self>, BindError> {
        let failed = |cause| BindError::Inherited { cause };
        let mut given = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..given.len() {
            // It is asked what it is before it is taken, and stays where it was if it is something else.
            let tcp = given.take_tcp_listener(index);
            sockets.push(if let Ok(Some(socket)) = tcp {
                socket.set_nonblocking(true).map_err(failed)?;
                Socket::Tcp(TcpListener::from_std(socket).map_err(failed)?)
            } else {
                let socket = given.take_unix_listener(index).map_err(failed)?;
                let socket = socket.ok_or_else(|| failed(io::Error::other("one of them is missing")))?;
                socket.set_nonblocking(true).map_err(failed)?;
                Socket::Unix(UnixListener::from_std(socket).map_err(failed)?, None)
            });
        }
        Ok(if sockets.is_empty() { None } else { Some(Self::over(sockets)) })
    }

    fn over(sockets: Vec<Socket>) -> Self {
        let local = sockets.iter().map(Socket::local).collect::<Vec<_>>().join(", ");
        Self { sockets, local, turn: AtomicUsize::new(0) }
    }

    /// The addresses with the ports that were really taken.
    pub(crate) fn local(&self) -> &str {
        &self.local
    }

    pub(super) async fn accept(&self) -> io::Result<(Accepted, Option<SocketAddr>)> {
        poll_fn(|cx| {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            for at in 0..self.sockets.len() {
                let socket = &self.sockets[turn.wrapping_add(at) % self.sockets.len()];
                if let Poll::Ready(accepted) = socket.poll_accept(cx) {
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Socket {
    fn local(&self) -> String {
        let unknown = |_| "an address that the system does not tell".to_owned();
        match self {
            Self::Tcp(socket) => socket.local_addr().map_or_else(unknown, |local| local.to_string()),
            Self::Unix(socket, _) => socket.local_addr().map_or_else(unknown, |local| {
                let path = local.as_pathname().map(|path| path.display().to_string());
                format!("unix:{}", path.unwrap_or_default())
            }),
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Accepted, Option<SocketAddr>)>> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = ready!(socket.poll_accept(cx))?;
                // Without it small answers wait for the client's acknowledgement; worth no more than a try.
                let _ = stream.set_nodelay(true);
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                Poll::Ready(Ok((Accepted::Tcp(stream), Some(peer))))
            }
            Self::Unix(socket, _) => {
                let (stream, _) = ready!(socket.poll_accept(cx))?;
                Poll::Ready(Ok((Accepted::Unix(stream), None)))
            }
        }
    }
}

async fn tcp(address: &Address, host: &str, port: u16) -> Result<TcpListener, BindError> {
    let failed = |cause| BindError::Socket { address: address.to_string(), cause };
    // Go, and so Distribution, takes 0.0.0.0 for every interface, those of IPv6 too.
    let mut candidates: Vec<SocketAddr> = if host.is_empty() || host == "0.0.0.0" {
        // The first one takes IPv4 as well, unless the machine has no IPv6 at all.
        vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]
    } else {
        let mut found: Vec<_> = lookup_host((host, port)).await.map_err(failed)?.collect();
        found.sort_by_key(|address| !address.is_ipv4());
        found
    };
    let mut first_error = None;
    for candidate in candidates.drain(..) {
        match TcpListener::bind(candidate).await {
            Ok(socket) => return Ok(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(failed(error)),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.map_or_else(|| BindError::NoAddress { address: address.to_string() }, failed))
}

/// How long a process that holds a socket has time to show itself.
const ANSWER: Duration = Duration::from_secs(1);

/// Whether somebody listens on the socket. One who is too busy to answer does.
async fn is_alive(path: &Path) -> bool {
    let answer = tokio::time::timeout(ANSWER, UnixStream::connect(path)).await;
    !matches!(answer, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
}

async fn unix(address: &Address, path: &Path) -> Result<(UnixListener, SocketFile), BindError> {
    let failed = |cause| BindError::Socket { address: address.to_string(), cause };
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() && is_alive(path).await => {
            return Err(BindError::InUse { path: path.to_owned() });
        }
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path).map_err(failed)?,
        Ok(_) => return Err(BindError::NotASocket { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let socket = UnixListener::bind(path).map_err(failed)?;
    let inode = std::fs::symlink_metadata(path).map_err(failed)?.ino();
    Ok((socket, SocketFile { path: path.to_owned(), inode }))
}

/// The file of our socket; goes away with it, unless somebody has put another one there.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            // Left behind, it is replaced at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.local)
    }
}
