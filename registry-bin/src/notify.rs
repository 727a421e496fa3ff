//! Tells the service manager how far we are (`sd_notify`), if it wants to know.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tracing::debug;

/// Names the socket that is told.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Everything is there that requests need.
pub(crate) const READY: &str = "READY=1";

/// No new requests are taken.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// Tells it; nobody is there to be told about a failure.
pub(crate) fn tell(state: &str) {
    let Some(socket) = std::env::var_os(SOCKET).filter(|socket| !socket.is_empty()) else { return };
    if let Err(error) = send(&socket, state) {
        debug!(error = &error as &(dyn std::error::Error + 'static), "cannot tell {SOCKET}");
    }
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), READY).unwrap();
        let mut buffer = [0; 64];
        let len = manager.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"READY=1");
        drop(manager);
        assert!(send(path.as_os_str(), STOPPING).is_err(), "nobody is there any more");
    }
}
