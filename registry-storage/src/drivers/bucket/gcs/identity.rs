//! Who we are for Google: the kinds of credential files, and the place without one.
//!
//! <https://google.aip.dev/auth/4110>

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use registry_core::BoxError;
use serde::Deserialize;

use super::super::options::{GcsCredentials, Secret};
use super::key::PrivateKey;

/// Where access tokens come from.
#[derive(Debug)]
pub(super) enum Identity {
    /// One that never changes; none is sent if it is empty.
    Bearer(Secret),
    /// A service account whose key we have.
    Account(Account),
    /// A person, by a refresh token.
    User(User),
    /// Somebody whom another provider vouches for: workload identity federation.
    External(External),
    /// A service account that another identity may speak for.
    Impersonated(Box<Self>, Impersonation),
    /// The service account of the machine or pod that we run on.
    Metadata,
}

/// A service account and its key.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) email: String,
    pub(super) key_id: String,
    pub(super) key: PrivateKey,
}

/// A person who has signed in with `gcloud auth application-default login`.
#[derive(Debug)]
pub(super) struct User {
    pub(super) client: String,
    pub(super) client_secret: Secret,
    pub(super) refresh_token: Secret,
    pub(super) token_url: String,
}

/// Workload identity federation: a token of another provider for one of Google's
/// (<https://google.aip.dev/auth/4117>).
#[derive(Debug)]
pub(super) struct External {
    pub(super) audience: String,
    pub(super) token_type: String,
    pub(super) token_url: String,
    pub(super) subject: Subject,
    pub(super) format: SubjectFormat,
}

/// Where the token of the other provider is.
#[derive(Debug)]
pub(super) enum Subject {
    /// In a file, which whoever writes it renews.
    File(PathBuf),
    /// Behind a URL, asked for with these headers.
    Url(String, BTreeMap<String, String>),
}

/// How the token of the other provider is wrapped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SubjectFormat {
    /// Not at all.
    Text,
    /// In the field with this name.
    Json(String),
}

/// A service account that somebody else speaks for.
#[derive(Debug)]
pub(super) struct Impersonation {
    /// Where its tokens are.
    pub(super) url: String,
    /// For how many seconds they are asked for.
    pub(super) lifetime: u64,
}

impl Impersonation {
    /// The account, which is part of the URL.
    pub(super) fn email(&self) -> Option<&str> {
        let (_, rest) = self.url.rsplit_once("/serviceAccounts/")?;
        Some(rest.rsplit_once(':')?.0)
    }
}

/// Reads the environment.
pub(super) type Env<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

impl Identity {
    /// What the options say, or what the environment offers.
    ///
    /// # Errors
    /// A file that is not there or not of a kind that is understood, in words for the operator.
    pub(super) fn find(credentials: &GcsCredentials, env: Env<'_>) -> Result<Self, BoxError> {
        match credentials {
            GcsCredentials::Bearer(token) => Ok(Self::Bearer(token.clone())),
            GcsCredentials::Json(text) => {
                Self::parse(text.expose()).map_err(|error| format!("the given credentials: {error}").into())
            }
            GcsCredentials::File(path) => Self::read(path),
            GcsCredentials::Default => {
                if let Some(path) = env("GOOGLE_APPLICATION_CREDENTIALS").filter(|path| !path.is_empty()) {
                    return Self::read(Path::new(&path));
                }
                let gcloud = env("CLOUDSDK_CONFIG")
                    .map(PathBuf::from)
                    .or_else(|| Some(Path::new(&env("HOME")?).join(".config/gcloud")));
                match gcloud.map(|dir| dir.join("application_default_credentials.json")) {
                    Some(path) if path.exists() => Self::read(&path),
                    _ => Ok(Self::Metadata),
                }
            }
        }
    }

    fn read(path: &Path) -> Result<Self, BoxError> {
        let named = |error: BoxError| format!("the credentials in {}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| named(error.into()))?;
        Ok(Self::parse(&text).map_err(named)?)
    }

    /// Reads a file of credentials.
    pub(super) fn parse(text: &str) -> Result<Self, BoxError> {
        let file: File = serde_json::from_str(text)?;
        file.identity()
    }
}

/// A file of credentials, whichever kind.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum File {
    ServiceAccount {
        client_email: String,
        #[serde(default)]
        private_key_id: String,
        private_key: String,
    },
    AuthorizedUser {
        client_id: String,
        client_secret: String,
        refresh_token: String,
        token_uri: Option<String>,
    },
    ExternalAccount {
        audience: String,
        subject_token_type: String,
        token_url: Option<String>,
        service_account_impersonation_url: Option<String>,
        #[serde(default)]
        service_account_impersonation: Lifetime,
        credential_source: Source,
    },
    ImpersonatedServiceAccount {
        service_account_impersonation_url: String,
        source_credentials: Box<Self>,
        #[serde(default)]
        delegates: Vec<String>,
    },
}

#[derive(Deserialize, Default)]
struct Lifetime {
    token_lifetime_seconds: Option<u64>,
}

#[derive(Deserialize)]
struct Source {
    file: Option<PathBuf>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: Option<String>,
    subject_token_field_name: Option<String>,
}

const HOUR: u64 = 3600;

impl File {
    fn identity(self) -> Result<Identity, BoxError> {
        Ok(match self {
            Self::ServiceAccount { client_email, private_key_id, private_key } => {
                let key =
                    PrivateKey::from_pem(&private_key).map_err(|error| format!("private_key: {error}"))?;
                Identity::Account(Account { email: client_email, key_id: private_key_id, key })
            }
            Self::AuthorizedUser { client_id, client_secret, refresh_token, token_uri } => {
                Identity::User(User {
                    client: client_id,
                    client_secret: Secret::new(client_secret),
                    refresh_token: Secret::new(refresh_token),
                    token_url: token_uri.unwrap_or_else(|| "https://oauth2.googleapis.com/token".to_owned()),
                })
            }
            Self::ExternalAccount {
                audience,
                subject_token_type,
                token_url,
                service_account_impersonation_url,
                service_account_impersonation,
                credential_source,
            } => {
                let (subject, format) = credential_source.subject()?;
                let external = Identity::External(External {
                    audience,
                    token_type: subject_token_type,
                    token_url: token_url.unwrap_or_else(|| "https://sts.googleapis.com/v1/token".to_owned()),
                    subject,
                    format,
                });
                match service_account_impersonation_url {
                    None => external,
                    Some(url) => {
                        let lifetime = service_account_impersonation.token_lifetime_seconds.unwrap_or(HOUR);
                        Identity::Impersonated(Box::new(external), Impersonation { url, lifetime })
                    }
                }
            }
            Self::ImpersonatedServiceAccount {
                service_account_impersonation_url,
                source_credentials,
                delegates,
            } => {
                if !delegates.is_empty() {
                    return Err("delegates are not supported; name the account itself".into());
                }
                let impersonation = Impersonation { url: service_account_impersonation_url, lifetime: HOUR };
                Identity::Impersonated(Box::new(source_credentials.identity()?), impersonation)
            }
        })
    }
}

impl Source {
    fn subject(self) -> Result<(Subject, SubjectFormat), BoxError> {
        let format = match self.format {
            None => SubjectFormat::Text,
            Some(format) => match format.kind.as_deref() {
                None | Some("text") => SubjectFormat::Text,
                Some("json") => SubjectFormat::Json(
                    format.subject_token_field_name.ok_or("credential_source.format has no field name")?,
                ),
                Some(other) => return Err(format!("credential_source.format: unknown type {other}").into()),
            },
        };
        match (self.file, self.url) {
            (Some(file), _) => Ok((Subject::File(file), format)),
            (None, Some(url)) => Ok((Subject::Url(url, self.headers), format)),
            (None, None) => {
                Err("credential_source: only tokens from a file or a url are supported, not those of \
                     Amazon or of a program"
                    .into())
            }
        }
    }
}
