//! Shared access signatures, compared with those of others.

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use object_store::path::Path;
use object_store::signer::Signer;

use super::super::super::played::{Played, said, with_headers};
use super::super::sas::{DelegationKey, Grant};
use super::*;

fn grant(key: &str) -> Grant<'_> {
    let starts = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    Grant {
        account: "account",
        container: "images",
        key,
        starts: Some(starts),
        ends: starts + SIGNED_FOR,
        https: true,
    }
}

/// The fields of a query.
fn field(query: &str, name: &str) -> Option<String> {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(n, _)| *n == name)
        .map(|(_, v)| decoded(v))
}

// What Microsoft's own library for Python (azure-storage-blob 12.24.0) signs with the same keys and moments, for
// version 2023-11-03.

#[test]
fn the_signature_is_that_of_microsofts_library() {
    let query = grant("dir/a b+ä").by_account(KEY).unwrap();
    assert_eq!(field(&query, "sig").unwrap(), "e5J6DQ8Nrf/2xWQfLVjf9n8l2PdX34+0yvLesvUZKcI=");
    let (rest, _) = query.split_once("&sig=").unwrap();
    assert_eq!(
        rest,
        "sv=2023-11-03&sp=r&sr=b&st=2027-01-15T08%3A00%3A00Z&se=2027-01-15T08%3A20%3A00Z&spr=https"
    );
}

#[tokio::test]
async fn the_signature_is_that_of_object_store() {
    let store = MicrosoftAzureBuilder::new()
        .with_account("account")
        .with_container_name("images")
        .with_access_key(KEY)
        .build()
        .unwrap();
    let theirs = store.signed_url(Method::GET, &Path::from("dir/blob"), SIGNED_FOR).await.unwrap();
    let theirs = theirs.query().unwrap();
    let moment = |name| humantime::parse_rfc3339(&field(theirs, name).unwrap()).unwrap();
    // Which sign for HTTP as well.
    let grant = Grant { starts: Some(moment("st")), ends: moment("se"), https: false, ..grant("dir/blob") };
    assert_eq!(field(&grant.by_account(KEY).unwrap(), "sig"), field(theirs, "sig"));
}

const DELEGATION_KEY: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><UserDelegationKey>\
    <SignedOid>oid</SignedOid><SignedTid>tid</SignedTid><SignedStart>2027-01-15T07:00:00Z</SignedStart>\
    <SignedExpiry>EXPIRY</SignedExpiry><SignedService>b</SignedService>\
    <SignedVersion>2023-11-03</SignedVersion><Value>a2V5</Value></UserDelegationKey>";

#[test]
fn a_delegated_signature_is_that_of_microsofts_library() {
    let key: DelegationKey =
        super::super::super::xml::parse(DELEGATION_KEY.replace("EXPIRY", "2027-01-16T07:00:00Z").as_bytes())
            .unwrap();
    let query = grant("dir/blob").by_delegation(&key).unwrap();
    assert_eq!(field(&query, "sig").unwrap(), "cGINIoeAxbJkaUXMEsF/eRq3b3p67FmdSNJmDRoEr44=");
    for (name, value) in [("skoid", "oid"), ("sktid", "tid"), ("skt", "2027-01-15T07:00:00Z"), ("sks", "b")] {
        assert_eq!(field(&query, name).as_deref(), Some(value));
    }
}

#[test]
fn a_url_may_be_good_from_now_on_and_for_http() {
    let query = Grant { starts: None, https: false, ..grant("a") }.by_account(KEY).unwrap();
    assert_eq!((field(&query, "st"), field(&query, "spr")), (None, None));
    assert!(field(&query, "se").is_some());
}

/// A service that gives out keys which are good for so long.
fn keys(lifetimes: Vec<u64>) -> Played {
    let lifetimes = Mutex::new(lifetimes.into_iter());
    Played::new(move |asked| {
        assert_eq!(asked.uri(), "http://service/account/?restype=service&comp=userdelegationkey");
        match lifetimes.lock().unwrap().next().unwrap() {
            0 => with_headers(403, &[("x-ms-error-code", "AuthorizationPermissionMismatch")], ""),
            hours => {
                let ends = SystemTime::now() + Duration::from_secs(hours * 3600);
                let ends = humantime::format_rfc3339_seconds(ends).to_string();
                said(200, DELEGATION_KEY.replace("EXPIRY", &ends))
            }
        }
    })
}

#[tokio::test]
async fn a_delegation_key_is_kept_and_renewed_before_it_ends() {
    let played = keys(vec![24, 24, 0]);
    let api = Api {
        http: played.client(),
        service: "http://service/account".to_owned(),
        container: "c".to_owned(),
    };
    let delegation = Delegation::default();
    let now = SystemTime::now();
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    for _ in 0..3 {
        delegation.key(&api, now, now + SIGNED_FOR).await.unwrap();
    }
    let asked = played.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].body().contains("<KeyInfo><Start>") && asked[0].body().contains("<Expiry>"));
    // One that ends too soon after the URL.
    delegation.key(&api, now + hours(23), now + hours(23) + SIGNED_FOR * 2).await.unwrap();
    assert_eq!(played.asked().len(), 1);
    // Who is refused does not ask again at once.
    let much_later = now + hours(48);
    for _ in 0..3 {
        assert!(delegation.key(&api, much_later, much_later + SIGNED_FOR).await.is_err());
    }
    assert_eq!(played.asked().len(), 1);
}
