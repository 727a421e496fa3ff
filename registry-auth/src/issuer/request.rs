//! What a client sends to the token endpoint, in either form.

use std::borrow::Cow;

use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use percent_encoding::percent_decode;

use super::refusal::Refusal;
use super::scope::Scope;
use crate::basic::{self, Credentials};

/// The grant type of RFC 8693, which exchanges a token of somebody else's for one of ours.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The grant type of RFC 7523: an identity token as it is.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What RFC 8693 may be asked to exchange (section 3).
const EXCHANGED: [&str; 2] =
    ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"];

/// What RFC 8693 may be asked for.
const EXCHANGED_FOR: [&str; 2] =
    ["urn:ietf:params:oauth:token-type:access_token", "urn:ietf:params:oauth:token-type:jwt"];

/// In which form a request came, which its answer has too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The registry token protocol: a GET with Basic credentials or none.
    Registry,
    /// OAuth 2.0: a POST with a grant (RFC 6749).
    OAuth,
    /// OAuth 2.0 by exchange of a token (RFC 8693), whose answer says what was issued.
    Exchange,
}

/// How a client proves who it is. Not `Debug`: all of it is secret.
pub(super) enum Proof {
    /// Not at all.
    Nothing,
    Password {
        user: String,
        password: String,
    },
    /// A refresh token of ours.
    Refresh(String),
    /// An identity token of an OpenID provider.
    Identity(String),
}

/// A request for a token.
pub(super) struct TokenRequest {
    pub(super) form: Form,
    pub(super) proof: Proof,
    /// For which service; `None` if the client leaves that to us.
    pub(super) service: Option<String>,
    /// What the client says it is.
    pub(super) client: String,
    pub(super) scopes: Vec<Scope>,
    /// Whether a refresh token is wanted.
    pub(super) offline: bool,
}

impl TokenRequest {
    /// The request that these parts and this body are.
    pub(super) fn read(parts: &Parts, body: &[u8]) -> Result<Self, Refusal> {
        if parts.method == Method::POST { Self::posted(parts, body) } else { Self::got(parts) }
    }

    fn got(parts: &Parts) -> Result<Self, Refusal> {
        let form = Parameters::read(parts.uri.query().unwrap_or_default().as_bytes())?;
        let proof = match basic::credentials(&parts.headers) {
            // What clients of containers/image send if they have no credentials.
            Ok(Some(Credentials { user, password })) if user.is_empty() && password.is_empty() => {
                Proof::Nothing
            }
            Ok(Some(Credentials { user, password })) => Proof::Password { user, password },
            Ok(None) if !parts.headers.contains_key(AUTHORIZATION) => Proof::Nothing,
            // Who means to show something and cannot is not anybody.
            Ok(None) => return Err(Refusal::Credentials("Authorization is not of the scheme Basic".into())),
            Err(malformed) => return Err(Refusal::Credentials(malformed.to_string().into())),
        };
        let offline = form.get("offline_token").is_some_and(|flag| matches!(flag, "true" | "1"));
        form.request(Form::Registry, proof, offline)
    }

    fn posted(parts: &Parts, body: &[u8]) -> Result<Self, Refusal> {
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Refusal::Request(
                "the body is to be of type application/x-www-form-urlencoded".into(),
            ));
        }
        let form = Parameters::read(body)?;
        let owned = |key| form.needed(key).map(str::to_owned);
        let (kind, proof) = match form.needed("grant_type")? {
            "password" => {
                (Form::OAuth, Proof::Password { user: owned("username")?, password: owned("password")? })
            }
            "refresh_token" => (Form::OAuth, Proof::Refresh(owned("refresh_token")?)),
            JWT_BEARER => (Form::OAuth, Proof::Identity(owned("assertion")?)),
            TOKEN_EXCHANGE => {
                form.one_of("subject_token_type", &EXCHANGED)?;
                if form.get("requested_token_type").is_some() {
                    form.one_of("requested_token_type", &EXCHANGED_FOR)?;
                }
                if form.get("actor_token").is_some() {
                    return Err(Refusal::Request(
                        "actor_token: nobody can act for somebody else here".into(),
                    ));
                }
                (Form::Exchange, Proof::Identity(owned("subject_token")?))
            }
            _ => return Err(Refusal::GrantType),
        };
        let offline = form.get("access_type") == Some("offline");
        form.request(kind, proof, offline)
    }
}

/// The decoded parameters of a query or form (application/x-www-form-urlencoded).
struct Parameters<'a>(Vec<(&'static str, Cow<'a, str>)>);

/// What is read. Others are passed over, as RFC 6749 wants.
const KNOWN: [&str; 15] = [
    "service",
    "scope",
    "client_id",
    "offline_token",
    "grant_type",
    "username",
    "password",
    "refresh_token",
    "access_type",
    "assertion",
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "actor_token",
    "account",
];

impl<'a> Parameters<'a> {
    fn read(text: &'a [u8]) -> Result<Self, Refusal> {
        let mut known = Self(Vec::new());
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            let Some(name) = decode(name) else { continue };
            let Some(name) = KNOWN.into_iter().find(|known| *known == name) else { continue };
            // Without a value is as good as left out (RFC 6749, section 3.2).
            if value.is_empty() {
                continue;
            }
            let unreadable = || Refusal::Request(format!("{name} is not UTF-8").into());
            let value = decode(value).ok_or_else(unreadable)?;
            if name != "scope" && known.get(name).is_some() {
                return Err(Refusal::Request(format!("{name} is there twice").into()));
            }
            known.0.push((name, value));
        }
        Ok(known)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }

    fn needed(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::Request(format!("{name} is missing").into()))
    }

    fn one_of(&self, name: &'static str, words: &[&str]) -> Result<(), Refusal> {
        if words.contains(&self.needed(name)?) {
            return Ok(());
        }
        Err(Refusal::Request(format!("{name} is to be {}", words.join(" or ")).into()))
    }

    fn request(&self, form: Form, proof: Proof, offline: bool) -> Result<TokenRequest, Refusal> {
        let scopes = self.0.iter().filter(|(name, _)| *name == "scope").map(|(_, value)| value.as_ref());
        let scopes = Scope::parse_all(scopes).map_err(Refusal::Scope)?;
        let service = self.get("service").map(str::to_owned);
        let client = self.get("client_id").unwrap_or_default().to_owned();
        Ok(TokenRequest { form, proof, service, client, scopes, offline })
    }
}

/// Decodes percent escapes, and `+`, which is a space; `None` if that is not UTF-8.
fn decode(text: &[u8]) -> Option<Cow<'_, str>> {
    if !text.contains(&b'+') {
        return match percent_decode(text).into() {
            Cow::Borrowed(text) => std::str::from_utf8(text).ok().map(Cow::Borrowed),
            Cow::Owned(text) => String::from_utf8(text).ok().map(Cow::Owned),
        };
    }
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    String::from_utf8(percent_decode(&spaced).collect()).ok().map(Cow::Owned)
}
