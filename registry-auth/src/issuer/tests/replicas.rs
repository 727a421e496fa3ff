//! Several issuers with one directory.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::*;

fn open(directory: &Path) -> Issuer {
    let options = IssuerOptions { keys: Some(directory.to_owned()), ..IssuerOptions::default() };
    Issuer::open(options, vec![users()]).unwrap()
}

async fn reply(issuer: &Issuer) -> Reply {
    get(issuer, "offline_token=true&scope=repository:a:pull", Some(("alice", "secret"))).await
}

/// Puts a key there that another replica has made so many seconds ago.
fn other_replica(directory: &Path, seconds: u64) {
    let scratch = tempfile::tempdir().unwrap();
    drop(open(scratch.path()));
    for file in fs::read_dir(scratch.path()).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let [kind, created, id] = name.splitn(3, '-').collect::<Vec<_>>().try_into().unwrap();
        let created = created.parse::<u64>().unwrap() - seconds;
        fs::copy(file.path(), directory.join(format!("{kind}-{created}-{id}"))).unwrap();
    }
}

#[tokio::test]
async fn tokens_outlive_the_process() {
    let keys = tempfile::tempdir().unwrap();
    let before = reply(&open(keys.path())).await;
    let after = open(keys.path());
    assert!(may(&after, before.token(), access("a", Action::Pull)).await);
    let form = format!("grant_type=refresh_token&refresh_token={}", before.refresh_token());
    assert_eq!(post(&after, &form).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_that_another_replica_made_is_found_when_a_token_names_it() {
    let keys = tempfile::tempdir().unwrap();
    let first = open(keys.path());
    let controller = IssuedTokens::new(first.clone());
    // Older than ours, so that a replica that starts now uses it; published for long enough.
    other_replica(keys.path(), 1000);
    let second = open(keys.path());
    let theirs = reply(&second).await;
    let kid = |token: &str| jose::Jws::parse(token).unwrap().header.kid;
    assert_ne!(kid(theirs.token()), kid(reply(&first).await.token()), "the first has not looked again");
    // Not asked for keys too often.
    tokio::time::sleep(Duration::from_millis(250)).await;
    let bearer = format!("Bearer {}", theirs.token());
    assert!(asked(&controller, Some(&bearer), &[access("a", Action::Pull)]).await.is_ok());
    let form = format!("grant_type=refresh_token&refresh_token={}", theirs.refresh_token());
    assert_eq!(post(&first, &form).await.status, StatusCode::OK);
    assert_eq!(kid(theirs.token()), kid(reply(&first).await.token()), "both use the same by now");
}

#[tokio::test]
async fn a_made_up_key_is_refused_and_costs_no_more_than_a_look_now_and_then() {
    let keys = tempfile::tempdir().unwrap();
    let issuer = open(keys.path());
    let controller = IssuedTokens::new(issuer);
    let made_up = reply(&open(tempfile::tempdir().unwrap().path())).await;
    let bearer = format!("Bearer {}", made_up.token());
    let started = SystemTime::now();
    for _ in 0..200 {
        let params = challenge(asked(&controller, Some(&bearer), &[]).await);
        assert!(params.contains(&("error".to_owned(), "invalid_token".to_owned())), "{params:?}");
    }
    assert!(started.elapsed().unwrap() < Duration::from_secs(5));
}
