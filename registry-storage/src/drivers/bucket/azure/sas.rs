//! Shared access signatures: URLs with which a client reads one blob.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/create-service-sas> and
//! <https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas>

use std::time::SystemTime;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use registry_core::BoxError;
use serde::Deserialize;

use super::super::text::percent;

/// The version of the service whose form of signatures this is.
pub(super) const VERSION: &str = "2023-11-03";

/// What may be read, and until when.
#[derive(Debug)]
pub(super) struct Grant<'a> {
    pub(super) account: &'a str,
    pub(super) container: &'a str,
    pub(super) key: &'a str,
    /// From when on. Without it from now on, whatever the clocks say.
    pub(super) starts: Option<SystemTime>,
    pub(super) ends: SystemTime,
    /// Whether only by HTTPS.
    pub(super) https: bool,
}

/// What a service principal or managed identity signs with: a key that the service gives it for a while.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DelegationKey {
    signed_oid: String,
    signed_tid: String,
    signed_start: String,
    pub(super) signed_expiry: String,
    signed_service: String,
    signed_version: String,
    value: String,
}

impl Grant<'_> {
    /// The query of a URL that is signed with the account's key.
    pub(super) fn by_account(&self, account_key: &str) -> Result<String, BoxError> {
        let message = self.message(&[]);
        Ok(self.query(&[], &sign(account_key, &message)?))
    }

    /// The query of a URL that is signed with a user delegation key.
    pub(super) fn by_delegation(&self, key: &DelegationKey) -> Result<String, BoxError> {
        let named = [
            ("skoid", key.signed_oid.as_str()),
            ("sktid", &key.signed_tid),
            ("skt", &key.signed_start),
            ("ske", &key.signed_expiry),
            ("sks", &key.signed_service),
            ("skv", &key.signed_version),
        ];
        // Then three fields that say on whose behalf, which nobody is.
        let signed: Vec<&str> = named.iter().map(|(_, value)| *value).chain(["", "", ""]).collect();
        Ok(self.query(&named, &sign(&key.value, &self.message(&signed))?))
    }

    /// The text that is signed. The fields that only one of both kinds has are put in the middle.
    fn message(&self, kind: &[&str]) -> String {
        let Self { account, container, key, .. } = self;
        let resource = format!("/blob/{account}/{container}/{key}");
        let (starts, ends) = (self.start(), date(self.ends));
        let mut fields = vec!["r", &starts, &ends, &resource];
        match kind {
            // The name of a stored policy.
            [] => fields.push(""),
            kind => fields.extend(kind),
        }
        // Address, protocol, version, kind of resource, snapshot, encryption scope, and five headers that
        // the answer could be given.
        fields.extend(["", self.protocol(), VERSION, "b", "", "", "", "", "", "", ""]);
        fields.join("\n")
    }

    fn query(&self, kind: &[(&str, &str)], signature: &str) -> String {
        let (starts, ends) = (self.start(), date(self.ends));
        let all = [("sv", VERSION), ("sp", "r"), ("sr", "b"), ("st", &starts), ("se", &ends)];
        let rest = [("spr", self.protocol()), ("sig", signature)];
        let pairs = all.iter().chain(kind).chain(&rest).filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", percent(value))).collect();
        pairs.join("&")
    }

    fn start(&self) -> String {
        self.starts.map(date).unwrap_or_default()
    }

    fn protocol(&self) -> &'static str {
        if self.https { "https" } else { "" }
    }
}

/// As signatures and keys have dates.
pub(super) fn date(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

fn sign(key: &str, message: &str) -> Result<String, BoxError> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key)?);
    Ok(STANDARD.encode(hmac::sign(&key, message.as_bytes())))
}
