//! Answers that mean something else to us than to the service: objects that do not count as there.

use std::fmt;

use async_trait::async_trait;
use http::{HeaderMap, Method, StatusCode};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

use super::http::Refused;

/// Sends requests with a client, and looks at the answer to each GET or HEAD.
#[derive(Clone)]
pub(crate) struct Screened {
    pub(crate) client: HttpClient,
    /// What an answer with these headers is made, if not taken as it is.
    pub(crate) refuse: fn(&HeaderMap) -> Option<Refused>,
}

impl fmt::Debug for Screened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Screened").field(&self.client).finish()
    }
}

impl HttpConnector for Screened {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Screen { inner: self.client.clone(), refuse: self.refuse }))
    }
}

struct Screen {
    inner: HttpClient,
    refuse: fn(&HeaderMap) -> Option<Refused>,
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Screen").field(&self.inner).finish()
    }
}

#[async_trait]
impl HttpService for Screen {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let answer = self.inner.execute(request).await?;
        match (self.refuse)(answer.headers()).filter(|_| reads) {
            Some(refused) => Err(HttpError::new(HttpErrorKind::Unknown, refused)),
            None => Ok(answer),
        }
    }
}

/// An object that does not count as there.
pub(crate) fn absent(why: &str) -> Refused {
    refused(StatusCode::NOT_FOUND, why, HeaderMap::new())
}

/// What the service should have said.
pub(crate) fn refused(status: StatusCode, why: &str, headers: HeaderMap) -> Refused {
    Refused { status, code: String::new(), message: why.to_owned(), region: None, headers, repeated: false }
}
