//! What a token says (RFC 7519).

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use super::object;

/// How far clocks may be apart.
const LEEWAY: Duration = Duration::from_secs(60);

/// The claims of a token. Those without a meaning here are in `other`.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    #[serde(default)]
    iss: Option<String>,
    #[serde(default)]
    pub(crate) sub: Option<String>,
    #[serde(default)]
    aud: Option<OneOrMany>,
    /// Seconds since 1970, whole ones.
    #[serde(default)]
    pub(crate) exp: Option<i64>,
    #[serde(default)]
    pub(crate) nbf: Option<i64>,
    /// Read to be sure that it is one, as Distribution does.
    #[serde(default)]
    #[allow(dead_code, reason = "a time that is none makes the claims unreadable")]
    iat: Option<i64>,
    #[serde(default)]
    pub(crate) jti: Option<String>,
    #[serde(flatten)]
    pub(crate) other: Others,
}

/// Claims by their names, each of which is there once.
#[derive(Debug, Default)]
pub(crate) struct Others(pub(crate) BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Others {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Others;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Others, A::Error> {
                let mut claims = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        return Err(A::Error::custom("a claim is there twice"));
                    }
                }
                Ok(Others(claims))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    /// Reads claims.
    ///
    /// # Errors
    /// What is not as it has to be. A name that is there twice is an error.
    pub(crate) fn parse(json: &[u8]) -> serde_json::Result<Self> {
        object(json)
    }

    /// Who is said to have signed; empty if nobody is.
    pub(crate) fn issuer(&self) -> &str {
        self.iss.as_deref().unwrap_or_default()
    }

    /// Whether the token is of this issuer and for this service.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check(&self, issuer: &str, service: &str) -> Result<(), String> {
        let iss = self.issuer();
        if iss != issuer {
            return Err(format!("token of another issuer: {iss:?}"));
        }
        let intended = match &self.aud {
            None => false,
            Some(OneOrMany::One(audience)) => audience == service,
            Some(OneOrMany::Many(audiences)) => audiences.iter().any(|audience| audience == service),
        };
        if intended { Ok(()) } else { Err(format!("token for another audience: {:?}", self.aud)) }
    }
}

/// The times between which something can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    /// Seconds since 1970 of the first moment.
    from: i64,
    /// Seconds since 1970 of the last moment.
    until: i64,
}

impl Validity {
    /// The times of a token, with leeway. A token without `exp` has expired in 1970, as in Distribution.
    pub(crate) fn of(claims: &Claims) -> Self {
        let leeway = i64::try_from(LEEWAY.as_secs()).unwrap_or(i64::MAX);
        Self {
            from: claims.nbf.map_or(i64::MIN, |nbf| nbf.saturating_sub(leeway)),
            until: claims.exp.unwrap_or(0).saturating_add(leeway),
        }
    }

    /// The times of a certificate, both inclusive (RFC 5280, section 4.1.2.5).
    pub(crate) fn between(from: i64, until: i64) -> Self {
        Self { from, until }
    }

    /// The times at which both can be used.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    /// Whether it can be used now.
    ///
    /// # Errors
    /// Whether it is too early or too late.
    pub(crate) fn at(self, now: SystemTime) -> Result<(), &'static str> {
        // Before 1970 nothing is valid: a clock that says so is wrong.
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| "clock is before 1970")?;
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if seconds < self.from {
            Err("not yet valid")
        } else if seconds > self.until || seconds == self.until && now.subsec_nanos() > 0 {
            Err("expired")
        } else {
            Ok(())
        }
    }
}

/// The texts of a claim that is a list of them, or a single one. What is no text is passed over.
pub(crate) fn texts(claim: Option<&Value>) -> Vec<String> {
    match claim {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(texts)) => {
            texts.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}
