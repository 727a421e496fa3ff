//! From a target to a connection.

use http::HeaderValue;
use http::uri::Scheme;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use registry_core::BoxError;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::outside::Proxy;
use super::{Connection, Outside, Target};

/// The longest answer to `CONNECT` that is read.
const PROXY_ANSWER: usize = 8 << 10;

/// That a proxy reads each request.
#[derive(Debug)]
pub(super) struct ViaProxy {
    pub(super) authorization: Option<HeaderValue>,
}

/// Connects, through a proxy if there is one for the target.
pub(super) async fn connect(target: &Target, outside: &Outside) -> Result<Connection, BoxError> {
    let Some(proxy) = outside.proxy(target) else {
        let stream = tcp(&target.host, target.port).await?;
        return over(stream, target, outside, None).await;
    };
    if proxy.uri.scheme() != Some(&Scheme::HTTP) {
        return Err(format!("the proxy {} is not one that is spoken to by http", proxy.uri).into());
    }
    let host = proxy.uri.host().unwrap_or_default();
    let mut stream = tcp(host, proxy.uri.port_u16().unwrap_or(80)).await?;
    if !target.secure {
        let via = ViaProxy { authorization: proxy.authorization };
        return over(stream, target, outside, Some(via)).await;
    }
    tunnel(&mut stream, target, &proxy).await?;
    over(stream, target, outside, None).await
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, BoxError> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Asks a proxy for a tunnel.
async fn tunnel(stream: &mut TcpStream, target: &Target, proxy: &Proxy) -> Result<(), BoxError> {
    let to = format!("{}:{}", target.host, target.port);
    let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
    if let Some(authorization) = &proxy.authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    let mut answer = Vec::new();
    // Until the end of the head. The server behind it does not speak first.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == PROXY_ANSWER {
            return Err("the answer of the proxy is too long".into());
        }
        answer.push(stream.read_u8().await?);
    }
    let line = String::from_utf8_lossy(&answer);
    let line = line.lines().next().unwrap_or_default();
    match line.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(format!("the proxy refuses a tunnel: {line}").into()),
    }
}

/// Speaks HTTP over a stream, inside of TLS if the target wants that.
async fn over(
    stream: TcpStream,
    target: &Target,
    outside: &Outside,
    proxy: Option<ViaProxy>,
) -> Result<Connection, BoxError> {
    if target.secure {
        let host = target.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let connector = TlsConnector::from(outside.tls()?);
        let stream = connector.connect(ServerName::try_from(host)?, stream).await?;
        speak(stream, target, proxy).await
    } else {
        speak(stream, target, proxy).await
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    target: &Target,
    proxy: Option<ViaProxy>,
) -> Result<Connection, BoxError> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends when the sender is dropped, and has nothing to say that the sender does not.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(Connection { sender, target: target.clone(), proxy, used: Instant::now() })
}
