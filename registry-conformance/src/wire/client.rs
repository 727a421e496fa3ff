//! A client without sockets: requests go straight into a service, answers come back whole.
//!
//! Every answer is checked for what holds whatever was asked: see [`Reply`].

use std::convert::Infallible;
use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use registry_core::BoxError;
use tower_service::Service;

use super::reply::Reply;

/// The body of a request of this suite.
pub type Body = BoxBody<Bytes, BoxError>;

/// What requests say in `Host`.
pub const AUTHORITY: &str = "registry.example:5000";

type Exchange = dyn Fn(Request<Body>) -> BoxFuture<'static, Response<Bytes>> + Send + Sync;

/// Something to send requests with. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    exchange: Arc<Exchange>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// A client of a service.
    ///
    /// # Panics
    /// Not here; each request panics if the body of its answer breaks off.
    pub fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: BodyExt<Data = Bytes> + Send + 'static,
        B::Error: fmt::Debug,
    {
        let service = Mutex::new(service);
        let exchange = move |request: Request<Body>| {
            let mut service = service.lock().unwrap_or_else(PoisonError::into_inner).clone();
            async move {
                let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
                let called: BoxFuture<'static, Result<Response<B>, Infallible>> =
                    service.call(request).boxed();
                let Ok(response) = called.await;
                let (parts, body) = response.into_parts();
                let announced = body.size_hint().exact();
                let body = body.collect().await.expect("an answer does not break off").to_bytes();
                if let Some(announced) = announced {
                    assert_eq!(announced, body.len() as u64, "a body is as long as it says");
                }
                Response::from_parts(parts, body)
            }
            .boxed()
        };
        Self { exchange: Arc::new(exchange) }
    }

    /// Begins a request. Of an absolute URL the path and query count, as they do for a server.
    pub fn request(&self, method: Method, uri: impl AsRef<str>) -> Ask {
        Ask {
            client: self.clone(),
            method,
            uri: path_and_query(uri.as_ref()).to_owned(),
            headers: HeaderMap::from_iter([(HOST, HeaderValue::from_static(AUTHORITY))]),
            body: empty(),
        }
    }

    /// Begins a `GET`.
    pub fn get(&self, uri: impl AsRef<str>) -> Ask {
        self.request(Method::GET, uri)
    }

    /// Begins a `HEAD`.
    pub fn head(&self, uri: impl AsRef<str>) -> Ask {
        self.request(Method::HEAD, uri)
    }

    /// Begins a `POST`.
    pub fn post(&self, uri: impl AsRef<str>) -> Ask {
        self.request(Method::POST, uri)
    }

    /// Begins a `PATCH`.
    pub fn patch(&self, uri: impl AsRef<str>) -> Ask {
        self.request(Method::PATCH, uri)
    }

    /// Begins a `PUT`.
    pub fn put(&self, uri: impl AsRef<str>) -> Ask {
        self.request(Method::PUT, uri)
    }

    /// Begins a `DELETE`.
    pub fn delete(&self, uri: impl AsRef<str>) -> Ask {
        self.request(Method::DELETE, uri)
    }

    /// Asks by `GET` and by `HEAD`, asserts that the answers differ in nothing but the body, and gives
    /// that to `GET`.
    ///
    /// # Panics
    /// If they differ.
    pub async fn get_and_head(&self, uri: impl AsRef<str>) -> Reply {
        let (get, mut head) = (self.get(&uri).await, self.head(&uri).await);
        // Each request has an id of its own.
        const REQUEST_ID: &str = "x-request-id";
        assert_eq!(get.headers.contains_key(REQUEST_ID), head.headers.contains_key(REQUEST_ID));
        if let Some(id) = get.headers.get(REQUEST_ID) {
            head.headers.insert(REQUEST_ID, id.clone());
        }
        assert_eq!(get.status, head.status, "the status of GET and HEAD {}", uri.as_ref());
        assert_eq!(get.headers, head.headers, "the headers of GET and HEAD {}", uri.as_ref());
        get
    }
}

/// A request that is being put together. It is sent when it is awaited.
#[must_use]
pub struct Ask {
    client: Client,
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: Body,
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.method, self.uri, self.headers)
    }
}

impl Ask {
    /// Adds a header.
    ///
    /// # Panics
    /// If it is none.
    pub fn header(mut self, name: impl TryInto<HeaderName>, value: impl AsRef<str>) -> Self {
        let name = name.try_into().unwrap_or_else(|_| panic!("the name of a header"));
        self.headers.append(name, value.as_ref().parse().expect("the value of a header"));
        self
    }

    /// Sends these bytes, and says in `Content-Length` how many they are.
    pub fn body(self, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let len = bytes.len().to_string();
        self.streamed(bytes).header(CONTENT_LENGTH, len)
    }

    /// Sends these bytes without saying how many they are.
    pub fn streamed(self, bytes: impl Into<Bytes>) -> Self {
        self.with(whole(bytes.into()))
    }

    /// Sends this body.
    pub fn with(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Sends the request, unless what it asks for is no URL, in which case no server would see it.
    pub async fn try_send(self) -> Option<Reply> {
        let asked = format!("{} {}", self.method, self.uri);
        let mut request = Request::new(self.body);
        *request.uri_mut() = self.uri.parse::<Uri>().ok()?;
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.headers;
        let response = (self.client.exchange)(request).await;
        Some(Reply::check(asked, &self.method, response))
    }

    /// Sends the request.
    ///
    /// # Panics
    /// If the answer is not sound.
    pub async fn send(self) -> Reply {
        let asked = self.uri.clone();
        self.try_send().await.unwrap_or_else(|| panic!("{asked} is no URL"))
    }
}

impl IntoFuture for Ask {
    type Output = Reply;
    type IntoFuture = BoxFuture<'static, Reply>;

    fn into_future(self) -> Self::IntoFuture {
        self.send().boxed()
    }
}

/// No bytes.
fn empty() -> Body {
    whole(Bytes::new())
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// What a client does that has sent part of a body.
#[derive(Debug)]
pub struct Held {
    reached: oneshot::Receiver<()>,
    end: oneshot::Sender<()>,
}

impl Held {
    /// Waits until the server has taken the part that was sent, and wants more.
    ///
    /// # Panics
    /// If the server drops the body before.
    pub async fn reached(&mut self) {
        (&mut self.reached).await.expect("the server asks for the rest of the body");
    }

    /// The body ends here.
    pub fn finish(self) {
        let _ = self.end.send(());
    }

    /// The connection is lost.
    pub fn break_off(self) {
        drop(self.end);
    }
}

/// A body of which a part arrives, and the rest when the holder says so.
pub fn held(part: Bytes) -> (Body, Held) {
    let (reached_sender, reached) = oneshot::channel();
    let (end, ended) = oneshot::channel::<()>();
    let rest = async move {
        let _ = reached_sender.send(());
        match ended.await {
            Ok(()) => None,
            Err(_) => Some(Err(BoxError::from("the connection was lost"))),
        }
    };
    let body = Full::new(part).map_err(|never| match never {}).with_trailers(rest).boxed();
    (body, Held { reached, end })
}

/// The path and query of a URL, which may be one without scheme and host.
pub(super) fn path_and_query(url: &str) -> &str {
    match url.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => url,
    }
}
