//! Gets the keys of a provider.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use registry_core::BoxError;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Url};
use serde::Deserialize;

use super::{KeySource, ProviderOptions};
use crate::jose::{JwkSet, object};

/// How long one answer may take. A login waits for it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest document that is read, in bytes.
const MOST: u64 = 1 << 20;

/// Where keys are, and how to get there.
pub(super) struct Fetch {
    source: Source,
    token_file: Option<PathBuf>,
}

enum Source {
    Discovery { client: Client, document: Url, issuer: String },
    Url { client: Client, url: Url },
    File(PathBuf),
}

/// A discovery document, as far as it matters (OpenID Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Fetch {
    /// What the options say.
    ///
    /// # Errors
    /// What cannot work.
    pub(super) fn new(options: &ProviderOptions, client: ClientBuilder) -> Result<Self, String> {
        let client = || {
            // Where a redirect leads is not where the operator said.
            let mut client = client.timeout(TIMEOUT).redirect(Policy::none());
            if let Some(pem) = &options.authorities {
                let authorities = Certificate::from_pem_bundle(pem).map_err(|error| error.to_string())?;
                if authorities.is_empty() {
                    return Err("no certificate of an authority".to_owned());
                }
                client = client.tls_certs_only(authorities);
            }
            client.build().map_err(|error| describe(&error))
        };
        let source = match &options.keys {
            KeySource::Discovery => {
                let issuer = options.issuer.clone();
                // Section 4: a slash at the end is left out before this is added.
                let document = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
                Source::Discovery { document: checked(&document)?, client: client()?, issuer }
            }
            KeySource::Url(url) => Source::Url { url: checked(url)?, client: client()? },
            KeySource::File(path) => Source::File(path.clone()),
        };
        Ok(Self { source, token_file: options.token_file.clone() })
    }

    /// The keys in the file, if they are in one.
    ///
    /// # Errors
    /// That they are not.
    pub(super) fn keys_now(&self) -> Result<Option<JwkSet>, String> {
        match &self.source {
            Source::File(path) => read_keys(path).map(Some),
            Source::Discovery { .. } | Source::Url { .. } => Ok(None),
        }
    }

    /// Fetches the keys.
    ///
    /// # Errors
    /// What went wrong, on one line.
    pub(super) async fn keys(&self) -> Result<JwkSet, BoxError> {
        let json = match &self.source {
            Source::Discovery { client, document, issuer } => {
                let found: Discovery = object(&self.get(client, document, true).await?)
                    .map_err(|error| format!("{document}: {error}"))?;
                // Section 4.3. Otherwise it is the document of somebody else.
                if found.issuer != *issuer {
                    return Err(format!("{document} is about {:?}, not {issuer:?}", found.issuer).into());
                }
                let url = checked(&found.jwks_uri)?;
                // Our token is for the server that the operator named.
                let same = url.origin() == document.origin();
                self.get(client, &url, same).await?
            }
            Source::Url { client, url } => self.get(client, url, true).await?,
            Source::File(path) => {
                let path = path.clone();
                return Ok(tokio::task::spawn_blocking(move || read_keys(&path)).await??);
            }
        };
        parse(&json).map_err(Into::into)
    }

    async fn get(&self, client: &Client, url: &Url, show_token: bool) -> Result<Vec<u8>, BoxError> {
        let mut request = client.get(url.clone()).header(ACCEPT, "application/json");
        if let Some(path) = self.token_file.as_ref().filter(|_| show_token) {
            let path = path.clone();
            let token = tokio::task::spawn_blocking(move || read(&path)).await??;
            let mut header = HeaderValue::from_bytes(&[b"Bearer ", token.trim_ascii()].concat())?;
            header.set_sensitive(true);
            request = request.header(AUTHORIZATION, header);
        }
        let failed = |error: reqwest::Error| format!("{url}: {}", describe(&error.without_url()));
        let mut response = request.send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(format!("{url}: answered {}", response.status()).into());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if (body.len() + chunk.len()) as u64 > MOST {
                return Err(format!("{url}: answered more than {MOST} bytes").into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// A URL whose answer can be believed: `https`, or on this machine.
fn checked(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
    let here = match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse().is_ok_and(|address: std::net::Ipv4Addr| address.is_loopback()),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if here => Ok(url),
        _ => Err(format!("{text:?} is not a URL of https")),
    }
}

fn parse(json: &[u8]) -> Result<JwkSet, String> {
    let mut set = JwkSet::parse(json)?;
    // Nothing that a provider publishes is a secret.
    set.keys.retain(|(_, key)| !key.is_secret());
    if set.keys.is_empty() { Err("there is no key in the JWK set".to_owned()) } else { Ok(set) }
}

fn read_keys(path: &Path) -> Result<JwkSet, String> {
    parse(&read(path)?).map_err(|error| format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST {
        return Err(format!("{} has more than {MOST} bytes", path.display()));
    }
    Ok(bytes)
}

/// An error with its causes, on one line.
fn describe(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
