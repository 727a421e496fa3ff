//! One connection to the registry, opened again when it is lost.

use std::io;

use http::uri::{InvalidUri, Uri};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::payload::Payload;
use super::target::{Target, location};

/// How much of an unwelcome answer is kept for the message about it.
const DETAIL: usize = 300;

/// Speaks HTTP/1.1 on a connection that is kept open, one request at a time.
#[derive(Debug)]
pub(super) struct Client {
    target: Target,
    host: HeaderValue,
    sender: Option<SendRequest<Payload>>,
}

/// An answer whose body has been read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Bytes of body.
    pub(super) length: u64,
    /// Beginning of the body of an answer that is no success.
    detail: Vec<u8>,
}

/// Why a request counts as an error.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("{request}: {}", reason(error))]
    Http { request: String, error: hyper::Error },
    #[error("{request}: answered {status}, not {expected}{detail}")]
    Status { request: String, status: StatusCode, expected: StatusCode, detail: String },
    #[error("{request}: {found} bytes instead of {expected}")]
    Length { request: String, found: u64, expected: u64 },
    #[error("{request}: no way to follow its location {location:?}")]
    Location { request: String, location: String },
    #[error("cannot make a request: {0}")]
    Request(#[from] InvalidUri),
}

/// hyper keeps to generalities; what happened is in the chain of causes.
fn reason(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl Client {
    pub(super) fn new(target: &Target) -> Self {
        Self { host: target.host_header(), target: target.clone(), sender: None }
    }

    /// Opens the connection unless it is open.
    pub(super) async fn connect(&mut self) -> Result<&mut SendRequest<Payload>, RequestError> {
        let kept = match self.sender.take() {
            // The server may have closed it since.
            Some(mut sender) => sender.ready().await.is_ok().then_some(sender),
            None => None,
        };
        let sender = match kept {
            Some(sender) => sender,
            None => {
                let stream =
                    TcpStream::connect(self.target.address()).await.map_err(RequestError::Connect)?;
                stream.set_nodelay(true).map_err(RequestError::Connect)?;
                let failed = |error| RequestError::Http { request: "connecting".to_owned(), error };
                let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(failed)?;
                // What goes wrong on it is reported to the request that it happens to.
                tokio::spawn(connection);
                sender
            }
        };
        Ok(self.sender.insert(sender))
    }

    /// Sends a request and reads its answer, whatever the status.
    pub(super) async fn ask(
        &mut self,
        method: &Method,
        uri: &Uri,
        kind: Option<(header::HeaderName, HeaderValue)>,
        payload: Payload,
    ) -> Result<Answer, RequestError> {
        let mut request = Request::new(payload);
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.clone();
        request.headers_mut().insert(header::HOST, self.host.clone());
        request.headers_mut().extend(kind);
        let failed = |error| RequestError::Http { request: format!("{method} {uri}"), error };
        let answer = self.connect().await?.send_request(request).await;
        let (head, mut body) = answer.inspect_err(|_| self.sender = None).map_err(failed)?.into_parts();
        let mut answer = Answer { status: head.status, headers: head.headers, length: 0, detail: Vec::new() };
        while let Some(frame) = body.frame().await {
            let frame = frame.inspect_err(|_| self.sender = None).map_err(failed)?;
            if let Some(data) = frame.data_ref() {
                answer.length += data.len() as u64;
                if !answer.status.is_success() {
                    let room = DETAIL.saturating_sub(answer.detail.len()).min(data.len());
                    answer.detail.extend_from_slice(&data[..room]);
                }
            }
        }
        Ok(answer)
    }

    /// As [`ask`](Self::ask), with any status but `expected` an error.
    pub(super) async fn expect(
        &mut self,
        expected: StatusCode,
        method: &Method,
        uri: &Uri,
        kind: Option<(header::HeaderName, HeaderValue)>,
        payload: Payload,
    ) -> Result<Answer, RequestError> {
        self.expect_any(&[expected], method, uri, kind, payload).await
    }

    /// As [`expect`](Self::expect), with several statuses to choose from.
    pub(super) async fn expect_any(
        &mut self,
        expected: &[StatusCode],
        method: &Method,
        uri: &Uri,
        kind: Option<(header::HeaderName, HeaderValue)>,
        payload: Payload,
    ) -> Result<Answer, RequestError> {
        let answer = self.ask(method, uri, kind, payload).await?;
        if expected.contains(&answer.status) {
            return Ok(answer);
        }
        let detail = answer.detail();
        let request = format!("{method} {uri}");
        let expected = expected.first().copied().unwrap_or_default();
        Err(RequestError::Status { request, status: answer.status, expected, detail })
    }

    /// Pushes a blob with POST and PUT (`end-4a`, `end-6`).
    pub(super) async fn push(
        &mut self,
        uploads: &Uri,
        digest: &str,
        payload: Payload,
    ) -> Result<(), RequestError> {
        let (post, put) = (Method::POST, Method::PUT);
        let answer = self.expect(StatusCode::ACCEPTED, &post, uploads, None, Payload::default()).await?;
        let location = location(&answer.headers);
        let Some(upload) = location.and_then(|location| self.target.follow(uploads, location, digest)) else {
            let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            let location = location.unwrap_or_default();
            return Err(RequestError::Location { request: format!("POST {uploads}"), location });
        };
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        self.expect(StatusCode::CREATED, &put, &upload, Some(kind), payload).await.map(drop)
    }
}

impl Answer {
    /// The beginning of the body on one line, with what separates it from the words before; or nothing.
    pub(super) fn detail(&self) -> String {
        let text = String::from_utf8_lossy(&self.detail);
        let words: Vec<_> = text.split_whitespace().collect();
        if words.is_empty() { String::new() } else { format!(": {}", words.join(" ")) }
    }
}
