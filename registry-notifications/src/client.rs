//! An HTTP client for one endpoint: one connection, which is kept, and one request at a time.

mod connect;
mod outside;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, LOCATION, USER_AGENT};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use registry_core::BoxError;
use tokio::time::Instant;

use crate::format::Message;
use crate::options::EndpointOptions;

pub(crate) use outside::Outside;

/// After this time a connection is not trusted any more: whatever lies between may have forgotten it.
const IDLE: Duration = Duration::from_secs(15);

/// What is read of an answer, so that the connection can be used again.
const ANSWER: usize = 64 << 10;

/// How many redirects are followed.
const REDIRECTS: usize = 10;

/// Why nothing can ever be sent to an endpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL is not one of `http` or `https` with a host.
    #[error("its URL has to begin with http:// or https:// and name a host")]
    Url,
    /// There are no certificates of authorities on this system by which the endpoint could be checked.
    #[error("no certificates of authorities are found on this system, https cannot be checked: {0}")]
    Roots(String),
    /// The TLS library refuses its settings.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    secure: bool,
    host: String,
    port: u16,
    path: String,
}

impl Target {
    fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme()?;
        let secure = *scheme == Scheme::HTTPS;
        if !secure && *scheme != Scheme::HTTP {
            return None;
        }
        let host = uri.host().filter(|host| !host.is_empty())?.to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Some(Self { secure, host, port, path: if path.is_empty() { "/" } else { path }.to_owned() })
    }

    /// Without the port that the scheme implies.
    fn authority(&self) -> String {
        match (self.secure, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    fn same_server(&self, other: &Self) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
    }

    fn uri(&self, absolute: bool) -> Result<Uri, http::uri::InvalidUri> {
        match absolute {
            true => format!("http://{}{}", self.authority(), self.path).parse(),
            false => self.path.parse(),
        }
    }

    /// Where `location` leads to from here.
    fn join(&self, location: &str) -> Option<Self> {
        if location.starts_with("//") {
            let scheme = if self.secure { "https" } else { "http" };
            return Self::of(&format!("{scheme}:{location}").parse().ok()?);
        }
        if location.contains("://") {
            return Self::of(&location.parse().ok()?);
        }
        let path = match location.strip_prefix('/') {
            Some(_) => location.to_owned(),
            None => {
                let here = self.path.split(['?', '#']).next().unwrap_or_default();
                let directory = here.rsplit_once('/').map_or("", |(directory, _)| directory);
                format!("{directory}/{location}")
            }
        };
        Some(Self { path, ..self.clone() })
    }
}

/// The URL without user name and password, for logs.
pub(crate) fn shown(uri: &Uri) -> String {
    let host = uri.authority().map(Authority::as_str).unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{}://{host}{}", uri.scheme_str().unwrap_or_default(), uri.path())
}

/// `Authorization` for the user name and password in a URL.
fn basic(uri: &Uri) -> Option<HeaderValue> {
    let (user, _) = uri.authority()?.as_str().rsplit_once('@')?;
    let user = percent_encoding::percent_decode_str(user).collect::<Vec<u8>>();
    let user = if user.contains(&b':') { user } else { [user, b":".to_vec()].concat() };
    let encoded = base64::engine::general_purpose::STANDARD.encode(user);
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    target: Target,
    /// What a proxy wants in each request; `None` if there is no proxy that reads them.
    proxy: Option<connect::ViaProxy>,
    used: Instant,
}

/// A client of one endpoint.
#[derive(Debug)]
pub(crate) struct Client {
    target: Target,
    /// For the configured server alone.
    headers: HeaderMap,
    outside: Arc<Outside>,
    connection: Option<Connection>,
}

impl Client {
    /// # Errors
    /// [`ClientError`], also if the endpoint needs TLS and TLS cannot work on this system.
    pub(crate) fn new(options: &EndpointOptions, outside: &Arc<Outside>) -> Result<Self, ClientError> {
        let target = Target::of(&options.url).ok_or(ClientError::Url)?;
        if target.secure {
            outside.tls()?;
        }
        let mut headers = options.headers.clone();
        if let Some(basic) = basic(&options.url)
            && !headers.contains_key(AUTHORIZATION)
        {
            headers.insert(AUTHORIZATION, basic);
        }
        Ok(Self { target, headers, outside: Arc::clone(outside), connection: None })
    }

    /// Gives up the connection: nobody knows what it would answer next.
    pub(crate) fn forget(&mut self) {
        self.connection = None;
    }

    /// Posts a message. Redirects that keep the method are followed, and so are 301 and 302 with the method kept,
    /// since a GET would lose the event.
    pub(crate) async fn post(&mut self, message: &Message) -> Result<StatusCode, BoxError> {
        let mut target = self.target.clone();
        for _ in 0..=REDIRECTS {
            let response = self.send(&target, message).await?;
            let status = response.0;
            let follow = matches!(
                status,
                StatusCode::MOVED_PERMANENTLY
                    | StatusCode::FOUND
                    | StatusCode::TEMPORARY_REDIRECT
                    | StatusCode::PERMANENT_REDIRECT
            );
            let Some(location) = response.1.filter(|_| follow) else { return Ok(status) };
            let next = target.join(&location).ok_or("it redirects to something that is no URL")?;
            if target.secure && !next.secure {
                return Err("it redirects from https to http".into());
            }
            target = next;
        }
        Err("it redirects in circles".into())
    }

    /// Posts to one server; its status, and where it sends us.
    async fn send(
        &mut self,
        target: &Target,
        message: &Message,
    ) -> Result<(StatusCode, Option<String>), BoxError> {
        let kept = self.connection.take().filter(|connection| {
            connection.target.same_server(target)
                && connection.used.elapsed() < IDLE
                && !connection.sender.is_closed()
        });
        if let Some(connection) = kept {
            // The server may have closed it at this very moment.
            if let Ok(answer) = self.exchange(connection, target, message).await {
                return Ok(answer);
            }
        }
        let connection = connect::connect(target, &self.outside).await?;
        self.exchange(connection, target, message).await
    }

    async fn exchange(
        &mut self,
        mut connection: Connection,
        target: &Target,
        message: &Message,
    ) -> Result<(StatusCode, Option<String>), BoxError> {
        connection.sender.ready().await?;
        let request = self.request(&connection, target, message)?;
        let response = connection.sender.send_request(request).await?;
        let status = response.status();
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.map(str::to_owned);
        if drain(response).await {
            connection.used = Instant::now();
            self.connection = Some(connection);
        }
        Ok((status, location))
    }

    fn request(
        &self,
        connection: &Connection,
        target: &Target,
        message: &Message,
    ) -> Result<Request<Full<Bytes>>, BoxError> {
        let mut request = Request::new(Full::new(message.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.uri(connection.proxy.is_some())?;
        let headers = request.headers_mut();
        headers.insert(HOST, target.authority().parse()?);
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("registry-notifications/", env!("CARGO_PKG_VERSION"))),
        );
        headers.extend(message.headers.clone());
        if target.same_server(&self.target) {
            for (name, value) in &self.headers {
                headers.append(name, value.clone());
            }
        }
        if let Some(authorization) = connection.proxy.as_ref().and_then(|proxy| proxy.authorization.clone()) {
            headers.insert(http::header::PROXY_AUTHORIZATION, authorization);
        }
        Ok(request)
    }
}

/// Reads the answer to its end; whether that worked, so that the connection is free again.
async fn drain(response: Response<Incoming>) -> bool {
    let mut body = Limited::new(response.into_body(), ANSWER);
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests;
