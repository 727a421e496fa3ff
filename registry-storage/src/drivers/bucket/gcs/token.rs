//! Access tokens: fetched, kept, and renewed before they end.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, header};
use object_store::client::{HttpClient, HttpError, HttpRequest, HttpRequestBody};
use registry_core::BoxError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::super::http::{body, describe};
use super::super::text::percent;
use super::identity::{Account, External, Identity, Impersonation, Subject, SubjectFormat, User};

/// What tokens are for. Signing through IAM needs all of the platform; what is allowed in it is up to roles.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// A token with less time than this left is renewed.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// The most that an answer with a token has.
const ANSWER_LIMIT: usize = 64 << 10;

/// The tokens of an identity.
pub(super) struct Tokens {
    identity: Identity,
    /// Without anything that our requests to buckets need.
    http: HttpClient,
    places: Places,
    kept: Mutex<Option<Token>>,
}

/// Where Google's services are that no credential file names.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The metadata server.
    pub(super) metadata: String,
    /// IAM Service Account Credentials.
    pub(super) iam: String,
}

/// A token and when it ends.
#[derive(Clone)]
struct Token {
    bearer: Arc<str>,
    ends: Option<Instant>,
}

/// Who can sign URLs.
pub(super) enum SignedBy<'a> {
    /// We can, with the key of this account.
    Key(&'a Account),
    /// IAM, for the account with this address.
    Iam(String),
    /// Nobody.
    Nobody,
}

impl Tokens {
    pub(super) fn new(identity: Identity, http: HttpClient, places: Places) -> Self {
        Self { identity, http, places, kept: Mutex::new(None) }
    }

    /// A token that stays good for a while. Renewed by one caller while the others wait; if that fails, the
    /// old one serves as long as it is good.
    pub(super) async fn token(&self) -> Result<Arc<str>, BoxError> {
        let mut kept = self.kept.lock().await;
        let left = |token: &Token| match token.ends {
            Some(ends) => ends.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        };
        if let Some(token) = kept.as_ref().filter(|token| left(token) > EARLY) {
            return Ok(Arc::clone(&token.bearer));
        }
        match self.fetch(&self.identity).await {
            Ok(token) => {
                let bearer = Arc::clone(&token.bearer);
                *kept = Some(token);
                Ok(bearer)
            }
            Err(error) => match kept.as_ref().filter(|token| !left(token).is_zero()) {
                Some(token) => {
                    tracing::warn!(error = %error, "no new access token for Google; the old one still serves");
                    Ok(Arc::clone(&token.bearer))
                }
                None => Err(error),
            },
        }
    }

    async fn fetch(&self, identity: &Identity) -> Result<Token, BoxError> {
        match identity {
            Identity::Bearer(token) => Ok(Token::new(token.expose().to_owned(), None)),
            Identity::Account(account) => account.token(),
            Identity::User(user) => self.of_user(user).await,
            Identity::External(external) => self.of_external(external).await,
            Identity::Impersonated(source, impersonation) => {
                let source = Box::pin(self.fetch(source)).await?;
                self.impersonate(&source, impersonation).await
            }
            Identity::Metadata => {
                let text = self.metadata("token").await?;
                let answer: Granted = serde_json::from_slice(&text)?;
                Ok(answer.token())
            }
        }
    }

    async fn of_user(&self, user: &User) -> Result<Token, BoxError> {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &user.client),
            ("client_secret", user.client_secret.expose()),
            ("refresh_token", user.refresh_token.expose()),
        ];
        let granted: Granted = self.json(form_post(&user.token_url, &form)?).await?;
        Ok(granted.token())
    }

    async fn of_external(&self, external: &External) -> Result<Token, BoxError> {
        let subject = self.subject(external).await?;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", &external.audience),
            ("scope", SCOPE),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", &external.token_type),
            ("subject_token", &subject),
        ];
        let granted: Granted = self.json(form_post(&external.token_url, &form)?).await?;
        Ok(granted.token())
    }

    /// The token of the other provider, read anew each time.
    async fn subject(&self, external: &External) -> Result<String, BoxError> {
        let content = match &external.subject {
            Subject::File(path) => tokio::fs::read(path)
                .await
                .map(Bytes::from)
                .map_err(|error| format!("the token in {}: {error}", path.display()))?,
            Subject::Url(url, headers) => {
                let request = headers.iter().fold(Request::get(url), |request, (name, value)| {
                    request.header(name.as_str(), value.as_str())
                });
                self.send(request.body(HttpRequestBody::empty())?).await?
            }
        };
        match &external.format {
            SubjectFormat::Text => Ok(std::str::from_utf8(&content)?.trim().to_owned()),
            SubjectFormat::Json(field) => {
                let value: Value = serde_json::from_slice(&content)?;
                let text = value[field].as_str();
                Ok(text.ok_or_else(|| format!("the token to exchange has no field {field}"))?.to_owned())
            }
        }
    }

    async fn impersonate(&self, source: &Token, of: &Impersonation) -> Result<Token, BoxError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Impersonated {
            access_token: String,
            expire_time: String,
        }
        let body = json!({ "scope": [SCOPE], "lifetime": format!("{}s", of.lifetime) });
        let answer: Impersonated = self.json(json_post(&of.url, &body, &source.bearer)?).await?;
        let left = humantime::parse_rfc3339(&answer.expire_time)?.duration_since(SystemTime::now());
        Ok(Token::new(answer.access_token, Some(left.unwrap_or_default())))
    }

    /// What the metadata server knows of the account that we run as.
    async fn metadata(&self, what: &str) -> Result<Bytes, BoxError> {
        let places = &self.places.metadata;
        let url = format!("http://{places}/computeMetadata/v1/instance/service-accounts/default/{what}");
        let request = Request::get(url).header("metadata-flavor", "Google");
        self.send(request.body(HttpRequestBody::empty())?).await.map_err(|error| {
            format!("no credentials are configured, and the metadata server gives none: {error}").into()
        })
    }

    /// Who can sign for us.
    pub(super) async fn signed_by(&self) -> Result<SignedBy<'_>, BoxError> {
        Ok(match &self.identity {
            Identity::Account(account) => SignedBy::Key(account),
            Identity::Impersonated(_, account) => match account.email() {
                Some(email) => SignedBy::Iam(email.to_owned()),
                None => SignedBy::Nobody,
            },
            Identity::Metadata => {
                let email = self.metadata("email").await?;
                SignedBy::Iam(std::str::from_utf8(&email)?.trim().to_owned())
            }
            Identity::Bearer(_) | Identity::User(_) | Identity::External(_) => SignedBy::Nobody,
        })
    }

    /// Has IAM sign for a service account.
    pub(super) async fn sign_blob(&self, email: &str, message: &[u8]) -> Result<Vec<u8>, BoxError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Signed {
            signed_blob: String,
        }
        let url = format!("{}/v1/projects/-/serviceAccounts/{}:signBlob", self.places.iam, percent(email));
        let body = json!({ "payload": STANDARD.encode(message) });
        let token = self.token().await?;
        let signed: Signed = self.json(json_post(&url, &body, &token)?).await?;
        Ok(STANDARD.decode(signed.signed_blob)?)
    }

    /// Forgets the token, which the service does not take. Whether another can be had.
    pub(super) async fn forget(&self) -> bool {
        *self.kept.lock().await = None;
        !matches!(self.identity, Identity::Bearer(_))
    }

    async fn json<T: DeserializeOwned>(&self, request: HttpRequest) -> Result<T, BoxError> {
        Ok(serde_json::from_slice(&self.send(request).await?)?)
    }

    async fn send(&self, request: HttpRequest) -> Result<Bytes, BoxError> {
        let url = request.uri().clone();
        let said = |error: HttpError| format!("{url}: {}", describe(&error));
        let answer = self.http.execute(request).await.map_err(said)?;
        Ok(body(answer, ANSWER_LIMIT).await.map_err(said)?)
    }
}

impl Account {
    /// A token that we sign ourselves, without asking anybody (<https://google.aip.dev/auth/4111>).
    fn token(&self) -> Result<Token, BoxError> {
        let lifetime = Duration::from_secs(3600);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let claims = json!({
            "iss": self.email,
            "sub": self.email,
            "scope": SCOPE,
            "iat": now,
            "exp": now + lifetime.as_secs(),
        });
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes())?);
        Ok(Token::new(format!("{message}.{signature}"), Some(lifetime)))
    }
}

impl Token {
    fn new(bearer: String, lifetime: Option<Duration>) -> Self {
        let ends = lifetime.map(|lifetime| Instant::now() + lifetime);
        Self { bearer: bearer.into(), ends }
    }
}

/// The answer of a token endpoint (RFC 6749 5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

impl Granted {
    fn token(self) -> Token {
        Token::new(self.access_token, Some(Duration::from_secs(self.expires_in)))
    }
}

fn form_post(url: &str, form: &[(&str, &str)]) -> Result<HttpRequest, http::Error> {
    let form: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect();
    let request = Request::post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.body(form.join("&").into())
}

fn json_post(url: &str, body: &Value, bearer: &str) -> Result<HttpRequest, http::Error> {
    let request = Request::post(url).header(header::CONTENT_TYPE, "application/json");
    request.header(header::AUTHORIZATION, format!("Bearer {bearer}")).body(body.to_string().into())
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("identity", &self.identity).finish_non_exhaustive()
    }
}
