//! Credentials that are not in the configuration: of the environment, a profile, a pod, a container or a
//! machine, the first that there are.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Uri};
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpRequestBody, ReqwestConnector};
use registry_core::{BoxError, BuildError};
use serde::Deserialize;

use super::{Credentials, Environment, Source, profile};
use crate::drivers::bucket::http::{body, describe};
use crate::drivers::bucket::options::Secret;
use crate::drivers::bucket::text::percent;
use crate::drivers::bucket::xml;

/// The most of an answer that is read.
const LIMIT: usize = 64 << 10;
/// How often a request for credentials is sent.
const TRIES: u32 = 3;

/// Looks for credentials, from the environment on.
pub(in crate::drivers::bucket::s3) struct Outside {
    env: Environment,
    region: String,
    client: HttpClient,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("region", &self.region).finish_non_exhaustive()
    }
}

/// What containers and machines answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "SessionToken")]
    token: Option<String>,
    expiration: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Assumed {
    assume_role_with_web_identity_result: AssumedResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedResult {
    credentials: Given,
}

impl From<Given> for Credentials {
    fn from(given: Given) -> Self {
        let expires = given.expiration.and_then(|text| humantime::parse_rfc3339_weak(&text).ok());
        Self {
            access_key: given.access_key_id,
            secret_key: Secret::new(given.secret_access_key),
            session_token: given.token.filter(|token| !token.is_empty()).map(Secret::new),
            // What has an end that cannot be read is asked for again within the hour.
            expires: Some(expires.unwrap_or_else(|| SystemTime::now() + Duration::from_secs(3600))),
        }
    }
}

#[async_trait]
impl Source for Outside {
    async fn fetch(&self) -> Result<Credentials, BoxError> {
        if let Some(found) = self.environment()? {
            return Ok(found);
        }
        if let Some(found) = profile::load(&self.env).await? {
            return Ok(found);
        }
        if let (Some(file), Some(role)) = (self.var("AWS_WEB_IDENTITY_TOKEN_FILE"), self.var("AWS_ROLE_ARN"))
        {
            return self.web_identity(&file, &role).await.map_err(|error| context("web identity", &*error));
        }
        if let Some((url, token)) = self.container().await? {
            let found = self.container_credentials(url, token).await;
            return found.map_err(|error| context("the container's credentials", &*error));
        }
        if self.var("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(NONE.into());
        }
        let found = self.instance().await;
        found.map_err(|error| format!("{NONE}; instance metadata: {}", describe(&*error)).into())
    }
}

/// What is said when nothing was found.
const NONE: &str = "no credentials: neither accesskey and secretkey, nor in the environment, a profile, a \
                    web identity or a container";

impl Outside {
    /// `env` stands for the environment of the process.
    pub(in crate::drivers::bucket::s3) fn new(env: Environment, region: &str) -> Result<Self, BuildError> {
        let options = ClientOptions::new()
            .with_allow_http(true)
            .with_connect_timeout(Duration::from_secs(2))
            .with_timeout(Duration::from_secs(5));
        let client = ReqwestConnector::default()
            .connect(&options)
            .map_err(|error| BuildError::failed("client for credentials", error))?;
        Ok(Self { env, region: region.to_owned(), client })
    }

    fn var(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    fn environment(&self) -> Result<Option<Credentials>, BoxError> {
        match (self.var("AWS_ACCESS_KEY_ID"), self.var("AWS_SECRET_ACCESS_KEY")) {
            (Some(access_key), Some(secret)) => Ok(Some(Credentials {
                access_key,
                secret_key: Secret::new(secret),
                session_token: self.var("AWS_SESSION_TOKEN").map(Secret::new),
                expires: None,
            })),
            (None, None) => Ok(None),
            _ => Err("only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set".into()),
        }
    }

    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>
    async fn web_identity(&self, file: &str, role: &str) -> Result<Credentials, BoxError> {
        let token = read(file).await?;
        let session = self.var("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "registry".to_owned());
        let form = format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={}&RoleSessionName={}&WebIdentityToken={}",
            percent(role),
            percent(&session),
            percent(&token),
        );
        let domain = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let url = self
            .var("AWS_ENDPOINT_URL_STS")
            .unwrap_or_else(|| format!("https://sts.{}.{domain}", self.region));
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        let url = format!("{}/", url.trim_end_matches('/'));
        let answer = self.ask(Method::POST, &url, &headers, form).await?;
        let assumed: Assumed = xml::parse(&answer).map_err(|error| describe(&error))?;
        Ok(assumed.assume_role_with_web_identity_result.credentials.into())
    }

    /// Where a container asks, and with what.
    async fn container(&self) -> Result<Option<(String, Option<String>)>, BoxError> {
        let url = match (
            self.var("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            self.var("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ) {
            (Some(path), _) => format!("http://169.254.170.2/{}", path.trim_start_matches('/')),
            (None, Some(url)) => {
                if !is_near(&url) {
                    return Err(
                        "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor on this machine".into()
                    );
                }
                url
            }
            (None, None) => return Ok(None),
        };
        let token = match self.var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(file) => Some(read(&file).await?),
            None => self.var("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        };
        Ok(Some((url, token)))
    }

    async fn container_credentials(
        &self,
        url: String,
        token: Option<String>,
    ) -> Result<Credentials, BoxError> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let mut token = HeaderValue::from_str(token.trim())?;
            token.set_sensitive(true);
            headers.insert(AUTHORIZATION, token);
        }
        let answer = self.ask(Method::GET, &url, &headers, String::new()).await?;
        Ok(serde_json::from_slice::<Given>(&answer)?.into())
    }

    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>
    async fn instance(&self) -> Result<Credentials, BoxError> {
        let base = self.var("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        let base = base.unwrap_or_else(|| "http://169.254.169.254".to_owned());
        let base = format!("{}/latest", base.trim_end_matches('/'));
        let mut headers = HeaderMap::new();
        headers.insert("x-aws-ec2-metadata-token-ttl-seconds", HeaderValue::from_static("21600"));
        let token = self.ask(Method::PUT, &format!("{base}/api/token"), &headers, String::new()).await?;
        let mut token = HeaderValue::from_bytes(token.trim_ascii())?;
        token.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("x-aws-ec2-metadata-token", token);
        let roles = format!("{base}/meta-data/iam/security-credentials/");
        let role = self.ask(Method::GET, &roles, &headers, String::new()).await?;
        let role = String::from_utf8_lossy(&role).lines().next().unwrap_or_default().trim().to_owned();
        if role.is_empty() {
            return Err("the machine has no role".into());
        }
        let url = format!("{roles}{}", percent(&role));
        let answer = self.ask(Method::GET, &url, &headers, String::new()).await?;
        Ok(serde_json::from_slice::<Given>(&answer)?.into())
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: &HeaderMap,
        form: String,
    ) -> Result<Bytes, BoxError> {
        let mut tried = 1;
        loop {
            let mut request = http::Request::new(HttpRequestBody::from(form.clone()));
            *request.method_mut() = method.clone();
            *request.uri_mut() = url.parse()?;
            *request.headers_mut() = headers.clone();
            let error: BoxError = match self.client.execute(request).await {
                Ok(answer) if answer.status().is_success() => return Ok(body(answer, LIMIT).await?),
                Ok(answer) => {
                    let status = answer.status();
                    let text = body(answer, LIMIT).await.unwrap_or_default();
                    let code = xml::error_body(&text).map(|error| error.code).unwrap_or_default();
                    let error = format!("{method} {url}: {status} {code}");
                    if !status.is_server_error() {
                        return Err(error.trim_end().into());
                    }
                    error.into()
                }
                Err(error) => format!("{method} {url}: {}", describe(&error)).into(),
            };
            if tried == TRIES {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(200) * tried).await;
            tried += 1;
        }
    }
}

fn context(what: &str, error: &(dyn std::error::Error + 'static)) -> BoxError {
    format!("{what}: {}", describe(error)).into()
}

async fn read(path: &str) -> Result<String, BoxError> {
    let file = path.to_owned();
    let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(file)).await?;
    text.map(|text| text.trim().to_owned()).map_err(|error| format!("{path}: {error}").into())
}

/// Whether a token may be sent there: encrypted, or not beyond this machine and those who serve it.
fn is_near(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    if url.scheme_str() == Some("https") || host == "localhost" {
        return true;
    }
    let known = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
    host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || known.contains(&host))
}

#[cfg(test)]
mod tests {
    //! Where credentials are looked for, and in which order.

    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const GIVEN: &str = r#"{"Code":"Success","AccessKeyId":"ASIA","SecretAccessKey":"s","Token":"t",
        "Expiration":"2040-01-01T00:00:00Z"}"#;

    /// A server that answers by path and remembers what it was asked.
    async fn server(answers: &[(&'static str, &'static str)]) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answers, log) = (answers.to_vec(), Arc::clone(&asked));
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                let mut chunk = [0; 4096];
                loop {
                    let read = socket.read(&mut chunk).await.unwrap();
                    request.extend_from_slice(&chunk[..read]);
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.to_ascii_lowercase().lines().find_map(|line| {
                        line.strip_prefix("content-length: ").map(|length| length.parse::<usize>().unwrap())
                    });
                    if body.len() >= length.unwrap_or(0) {
                        break;
                    }
                }
                let text = String::from_utf8(request).unwrap();
                let line = text.lines().next().unwrap();
                let answer = answers.iter().find(|(path, _)| line.starts_with(path));
                let (status, body) = answer.map_or(("404 Not Found", ""), |(_, body)| ("200 OK", *body));
                log.lock().unwrap().push(text.to_ascii_lowercase());
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        });
        (url, asked)
    }

    async fn fetch(variables: &[(&str, String)]) -> Result<Credentials, String> {
        let map: HashMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let env: Environment = Arc::new(move |name| map.get(name).cloned());
        let outside = Outside::new(env, "eu-west-1").unwrap();
        outside.fetch().await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn the_environment_comes_first() {
        let found = fetch(&[
            ("AWS_ACCESS_KEY_ID", "AK".into()),
            ("AWS_SECRET_ACCESS_KEY", "SK".into()),
            ("AWS_SESSION_TOKEN", "ST".into()),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/".into()),
        ])
        .await
        .unwrap();
        assert_eq!((found.access_key.as_str(), found.secret_key.expose()), ("AK", "SK"));
        assert_eq!((found.session_token.unwrap().expose(), found.expires), ("ST", None));
        let error = fetch(&[("AWS_ACCESS_KEY_ID", "AK".into())]).await.unwrap_err();
        assert!(error.contains("only one of"), "{error}");
        let error = fetch(&[("AWS_EC2_METADATA_DISABLED", "true".into())]).await.unwrap_err();
        assert!(error.starts_with("no credentials: "), "{error}");
    }

    #[tokio::test]
    async fn a_pod_assumes_its_role() {
        let answer = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
            <AssumeRoleWithWebIdentityResult><Audience>a</Audience><Credentials>\
            <SessionToken>t</SessionToken><SecretAccessKey>s</SecretAccessKey>\
            <Expiration>2040-01-01T00:00:00Z</Expiration><AccessKeyId>ASIA</AccessKeyId></Credentials>\
            </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
        let (url, asked) = server(&[("POST / ", answer)]).await;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "jwt+\n").unwrap();
        let found = fetch(&[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file.path().to_str().unwrap().to_owned()),
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x".into()),
            ("AWS_ENDPOINT_URL_STS", url),
        ])
        .await
        .unwrap();
        assert_eq!((found.access_key.as_str(), found.secret_key.expose()), ("ASIA", "s"));
        assert_eq!(found.session_token.unwrap().expose(), "t");
        let expires = humantime::parse_rfc3339("2040-01-01T00:00:00Z").unwrap();
        assert_eq!(found.expires, Some(expires));
        let asked = asked.lock().unwrap().concat();
        assert!(asked.contains("&rolearn=arn%3aaws%3aiam%3a%3a1%3arole%2fx&"), "{asked}");
        assert!(asked.ends_with("&webidentitytoken=jwt%2b"), "{asked}");
    }

    #[tokio::test]
    async fn a_container_asks_with_its_token() {
        let (url, asked) = server(&[("GET /v1/creds ", GIVEN)]).await;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "pod-token\n").unwrap();
        let found = fetch(&[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{url}/v1/creds")),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.path().to_str().unwrap().to_owned()),
        ])
        .await
        .unwrap();
        assert_eq!(found.access_key, "ASIA");
        assert!(asked.lock().unwrap()[0].contains("authorization: pod-token\r\n"));
        let error = fetch(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.org/".into())]).await;
        assert!(error.unwrap_err().contains("neither https nor on this machine"));
        for near in ["http://[::1]/", "http://169.254.170.23/v1", "http://[fd00:ec2::23]/", "https://a.org"] {
            assert!(is_near(near), "{near}");
        }
    }

    #[tokio::test]
    async fn a_machine_is_asked_last_and_with_a_session() {
        let (url, asked) = server(&[
            ("PUT /latest/api/token ", "session"),
            ("GET /latest/meta-data/iam/security-credentials/ ", "the-role\n"),
            ("GET /latest/meta-data/iam/security-credentials/the-role ", GIVEN),
        ])
        .await;
        let found = fetch(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)]).await.unwrap();
        assert_eq!(found.session_token.unwrap().expose(), "t");
        let asked = asked.lock().unwrap();
        assert!(asked[0].contains("x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n"));
        assert!(asked[2].contains("x-aws-ec2-metadata-token: session\r\n"));
    }

    #[tokio::test]
    async fn a_refusal_says_what_was_asked() {
        let (url, asked) = server(&[]).await;
        let error = fetch(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)]).await.unwrap_err();
        assert!(error.contains("/latest/api/token: 404 Not Found"), "{error}");
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}
