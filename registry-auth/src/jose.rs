//! JSON object signing (JOSE): what tokens are made of. Keys (RFC 7517), their thumbprints (RFC 7638), signatures
//! in compact form (RFC 7515) with the algorithms of RFC 7518 and RFC 8037.
//!
//! Written here rather than taken from a crate because the common ones leave out ES512, which Distribution takes,
//! or leave to their caller what must not be left out: that an algorithm fits its key, and that nothing is read from
//! a token before its signature was checked.

#![cfg_attr(
    not(all(feature = "token", feature = "issuer", feature = "oidc")),
    allow(dead_code, unused_imports, reason = "each of these features uses a part of it")
)]

mod algorithm;
pub(crate) mod base64url;
mod claims;
mod jwk;
mod jws;
mod key;
pub(crate) mod pem;
mod signing;

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};

pub use algorithm::SigningAlgorithm;
pub(crate) use claims::{Claims, Validity, texts};
pub(crate) use jwk::{Jwk, JwkSet};
pub(crate) use jws::{Header, Jws};
pub(crate) use key::{KeyError, VerifyingKey};
pub(crate) use signing::{SigningError, SigningKey, sign};

/// Reads a JSON object.
///
/// # Errors
/// What cannot be read, and where. A name that is there twice is an error as well, if the struct knows it.
pub(crate) fn object<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).map(|Object(value)| value)
}

/// A struct that is read from an object only. `serde` would take a list of its values too, which nothing of JOSE is.
#[derive(Debug, Clone)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

#[cfg(test)]
mod tests;
