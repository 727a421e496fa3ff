//! Opens the listening socket.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener, lookup_host};

use super::connection::Stream;
use crate::config::Address;

/// An open socket that accepts connections.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    local: String,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "removes the file when dropped")] SocketFile),
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
        match address {
            Address::Tcp { host, port } => {
                let socket = tcp(address, host, *port).await?;
                let local =
                    socket.local_addr().map_or_else(|_| address.to_string(), |local| local.to_string());
                Ok(Self { socket: Socket::Tcp(socket), local })
            }
            Address::Unix(path) => {
                let (socket, file) = unix(address, path)?;
                Ok(Self { socket: Socket::Unix(socket, file), local: address.to_string() })
            }
        }
    }

    /// The address with the port that was really taken.
    pub(crate) fn local(&self) -> &str {
        &self.local
    }

    pub(super) async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                // Without it small answers wait for the client's acknowledgement; worth no more than a try.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Some(SocketAddr::new(peer.ip().to_canonical(), peer.port()))))
            }
            Socket::Unix(socket, _) => {
                let (stream, _) = socket.accept().await?;
                Ok((Stream::Unix(stream), None))
            }
        }
    }
}

async fn tcp(address: &Address, host: &str, port: u16) -> Result<TcpListener, BindError> {
    let failed = |cause| BindError::Socket { address: address.to_string(), cause };
    let mut candidates: Vec<SocketAddr> = if host.is_empty() {
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

fn unix(address: &Address, path: &Path) -> Result<(UnixListener, SocketFile), BindError> {
    let failed = |cause| BindError::Socket { address: address.to_string(), cause };
    match std::fs::symlink_metadata(path) {
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
