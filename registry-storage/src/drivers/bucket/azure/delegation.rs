//! The key with which a principal without the account's key signs URLs.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;
use registry_core::BoxError;
use tokio::sync::Mutex;

use super::super::http::describe;
use super::super::xml;
use super::api::Api;
use super::sas::{DelegationKey, date};

/// For how long a key is asked for; the service gives none for more than a week.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// A key is good for URLs that end before it by at least this.
const EARLY: Duration = Duration::from_secs(30 * 60);
/// How far clocks may differ.
const SKEW: Duration = Duration::from_secs(5 * 60);
/// After a key could not be had, for how long nobody asks.
const PAUSE: Duration = Duration::from_secs(60);

/// The key, fetched when it is first needed and renewed before it ends.
#[derive(Debug, Default)]
pub(super) struct Delegation(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    key: Option<(DelegationKey, SystemTime)>,
    refused: Option<SystemTime>,
}

impl Delegation {
    /// A key that is good for URLs until `ends`.
    pub(super) async fn key(
        &self,
        api: &Api,
        now: SystemTime,
        ends: SystemTime,
    ) -> Result<DelegationKey, BoxError> {
        let mut kept = self.0.lock().await;
        if let Some((key, good_until)) = &kept.key
            && ends + EARLY <= *good_until
        {
            return Ok(key.clone());
        }
        if kept.refused.is_some_and(|when| now < when + PAUSE) {
            return Err("the last request for a user delegation key failed".into());
        }
        match fetch(api, now, ends).await {
            Ok(fetched) => {
                let key = fetched.0.clone();
                *kept = Kept { key: Some(fetched), refused: None };
                Ok(key)
            }
            Err(error) => {
                kept.refused = Some(now);
                Err(error)
            }
        }
    }
}

/// <https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key>
async fn fetch(
    api: &Api,
    now: SystemTime,
    ends: SystemTime,
) -> Result<(DelegationKey, SystemTime), BoxError> {
    let until = (now + LIFETIME).max(ends + EARLY);
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>{}</Start><Expiry>{}</Expiry></KeyInfo>",
        date(now - SKEW),
        date(until)
    );
    let request = Request::post(format!("{}/?restype=service&comp=userdelegationkey", api.service));
    let answer = api.send(request, Bytes::from(body)).await;
    let answer = answer.map_err(|error| format!("no user delegation key: {}", describe(&error)))?;
    let key: DelegationKey = xml::parse(answer.body())?;
    let until = humantime::parse_rfc3339(&key.signed_expiry).unwrap_or(until);
    Ok((key, until))
}
