//! A registry behind hyper and nothing else.
//!
//! [`serve`] is a whole server in one function: it accepts connections, gives each a task, tells the
//! service who calls, and stops when it is told to, after the requests that are under way.
//!
//! ```text
//! cargo run -p example-embed-hyper
//! curl -i http://127.0.0.1:5000/v2/
//! ```

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use registry::core::BoxError;
use tokio::net::TcpListener;
use tower_service::Service;

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long to wait before accepting again after that failed, for want of file descriptors most often.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers every connection with `service` until `stop` completes, then lets requests finish that are
/// under way, for at most `patience`. Whether all of them did.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    stop: impl Future<Output = ()>,
    patience: Duration,
) -> bool
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut stop = std::pin::pin!(stop);
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let mut http = Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        let service = TowerToHyperService::new(WithPeer { inner: service.clone(), peer });
        let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = connections.watch(connection);
        // An error means that the client went away; the registry has logged what it made of that.
        tokio::spawn(async move { drop(connection.await) });
    }
    drop(listener);
    tokio::time::timeout(patience, connections.shutdown()).await.is_ok()
}

/// Puts the address of the client where the registry looks for it.
#[derive(Debug, Clone)]
struct WithPeer<S> {
    inner: S,
    peer: SocketAddr,
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for WithPeer<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> S::Future {
        request.extensions_mut().insert(self.peer);
        self.inner.call(request)
    }
}
