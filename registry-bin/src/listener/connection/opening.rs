//! The beginning of a connection: who is there, TLS, and what is going to be spoken.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use registry::core::ClientCertificate;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tracing::debug;

use crate::listener::proxy_protocol;
use crate::listener::stream::Stream;
use crate::listener::traffic::Traffic;
use crate::listener::transport::{Io, Protocol, Transport};

/// With what a client begins that speaks HTTP/2 without being asked.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first byte of a client that speaks TLS.
const HANDSHAKE: u8 = 22;

/// For clients that do not, in words that every one of them shows.
const WRONG_PORT: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    Client sent an HTTP request to an HTTPS server.\n";

/// A connection that requests can come on.
pub(super) struct Opened {
    pub(super) io: Io,
    pub(super) protocol: Protocol,
    pub(super) peer: Option<SocketAddr>,
    /// Whether TLS is around it.
    pub(super) secure: bool,
    /// What the client has shown of itself.
    pub(super) certificate: Option<ClientCertificate>,
}

/// `None` if nothing came of it within `time`, which the log then knows.
pub(super) async fn open(
    stream: Stream,
    peer: Option<SocketAddr>,
    transport: &Transport,
    traffic: &Arc<Traffic>,
    time: Duration,
) -> Option<Opened> {
    match timeout(time, begin(stream, peer, transport, traffic)).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => {
            debug!(error = &error as &(dyn Error + 'static), "a connection came to nothing");
            None
        }
        Err(_) => {
            debug!("a connection came to nothing within {time:?}");
            None
        }
    }
}

async fn begin(
    mut stream: Stream,
    mut peer: Option<SocketAddr>,
    transport: &Transport,
    traffic: &Arc<Traffic>,
) -> io::Result<Option<Opened>> {
    if transport.trusts(peer) {
        peer = proxy_protocol::read(&mut stream).await?.or(peer);
    }
    let mut certificate = None;
    let (io, protocol, secure) = match &transport.tls {
        Some(tls) => {
            let first = stream.look(1, |_| false).await?;
            if first.first().is_some_and(|byte| *byte != HANDSHAKE) {
                stream.write_all(WRONG_PORT).await?;
                stream.shutdown().await?;
                return Ok(None);
            }
            let Some(secured) = tls.accept(stream).await? else { return Ok(None) };
            certificate = secured.certificate;
            (secured.io, secured.protocol, true)
        }
        None if transport.h2c => {
            let other = |bytes: &[u8]| !PREFACE.starts_with(bytes);
            let start = stream.look(PREFACE.len(), other).await?;
            let protocol = if start == PREFACE { Protocol::Http2 } else { Protocol::Http1 };
            (Io::Plain(stream), protocol, false)
        }
        None => (Io::Plain(stream), Protocol::Http1, false),
    };
    if protocol == Protocol::Http2 {
        traffic.in_frames();
    }
    Ok(Some(Opened { io, protocol, peer, secure, certificate }))
}
