//! Copies that the service does not do at once.

use std::sync::Mutex;
use std::time::Duration;

use super::super::super::played::{Asked, Played, Said, said, with_headers};
use super::*;

fn api(played: &Played) -> Api {
    Api { http: played.client(), service: "http://service/account".to_owned(), container: "c".to_owned() }
}

fn polls(most: u32) -> Polls {
    Polls { most, delay: Duration::from_millis(1) }
}

fn state(status: u16, copy: &str, progress: &str) -> Said {
    let headers = [
        ("x-ms-copy-status", copy),
        ("x-ms-copy-id", "id/1"),
        ("x-ms-copy-progress", progress),
        ("etag", "t"),
    ];
    with_headers(status, &headers, "")
}

/// Answers with these, in order.
fn row(answers: Vec<Said>) -> Played {
    let answers = Mutex::new(answers.into_iter());
    Played::new(move |asked| answers.lock().unwrap().next().unwrap_or_else(|| panic!("{asked:?}")))
}

fn lines(asked: &[Asked]) -> Vec<String> {
    asked.iter().map(|one| format!("{} {}", one.method(), one.uri().path_and_query().unwrap())).collect()
}

async fn copied(played: &Played, most: u32) -> Result<(), BucketError> {
    let (api, polls) = (api(played), polls(most));
    let state = copy::start(&api, "from", "to").await.map_err(bucket_error)?;
    copy::finish(&api, &polls, "to", state).await
}

#[tokio::test]
async fn a_copy_that_is_done_costs_one_request() {
    let played = row(vec![state(202, "success", "")]);
    copied(&played, 5).await.unwrap();
    let asked = played.asked();
    assert_eq!(lines(&asked), ["PUT /account/c/to"]);
    assert_eq!(asked[0].headers()["x-ms-copy-source"], "http://service/account/c/from");
}

#[tokio::test]
async fn a_pending_copy_is_waited_for_as_long_as_it_makes_progress() {
    let mut answers = vec![state(202, "pending", "0/9")];
    answers.extend((1..9).map(|done| state(200, "pending", &format!("{done}/9"))));
    answers.push(state(200, "success", "9/9"));
    let played = row(answers);
    copied(&played, 1).await.unwrap();
    assert_eq!(played.asked().len(), 10);
}

#[tokio::test]
async fn a_copy_that_stands_still_is_aborted_and_removed_and_no_success() {
    let mut answers = vec![state(202, "pending", "3/9")];
    answers.extend((0..2).map(|_| state(200, "pending", "3/9")));
    answers.extend([said(204, ""), state(200, "aborted", "3/9"), said(202, "")]);
    let played = row(answers);
    let error = copied(&played, 2).await.unwrap_err();
    assert!(matches!(error, BucketError::Unavailable { .. }), "{error:?}");
    let asked = played.asked();
    let abort = "PUT /account/c/to?comp=copy&copyid=id%2F1";
    assert_eq!(
        lines(&asked)[1..],
        ["HEAD /account/c/to", "HEAD /account/c/to", abort, "HEAD /account/c/to", "DELETE /account/c/to"]
            .map(str::to_owned)
    );
    assert_eq!(asked[3].headers()["x-ms-copy-action"], "abort");
    assert_eq!(asked[5].headers()["if-match"], "t", "only what was looked at");
}

#[tokio::test]
async fn without_polls_a_pending_copy_is_aborted_at_once_and_no_success() {
    let answers =
        vec![state(202, "pending", "0/9"), said(204, ""), state(200, "aborted", "0/9"), said(202, "")];
    let played = row(answers);
    // Distribution calls this a success.
    assert!(matches!(copied(&played, 0).await, Err(BucketError::Unavailable { .. })));
}

#[tokio::test]
async fn a_copy_that_ends_while_it_is_aborted_stays() {
    let answers = vec![
        state(202, "pending", "0/9"),
        with_headers(409, &[("x-ms-error-code", "NoPendingCopyOperation")], ""),
    ];
    let played = row(answers);
    assert!(copied(&played, 0).await.is_err());
    assert!(!lines(&played.asked()).iter().any(|line| line.starts_with("DELETE")));
}

#[tokio::test]
async fn a_failed_copy_is_told_and_removed() {
    let answers = vec![
        state(202, "pending", "0/9"),
        state(200, "failed", "4/9"),
        state(200, "failed", "4/9"),
        said(202, ""),
    ];
    let played = row(answers);
    let error = copied(&played, 5).await.unwrap_err();
    assert!(matches!(error, BucketError::Other(_)), "{error:?}");
    assert_eq!(lines(&played.asked()).last().unwrap(), "DELETE /account/c/to");
}

#[tokio::test]
async fn what_is_missing_is_told() {
    let played = row(vec![with_headers(404, &[("x-ms-error-code", "CannotVerifyCopySource")], "")]);
    assert!(matches!(copied(&played, 5).await, Err(BucketError::NotFound)));
}

#[test]
fn a_copy_that_is_not_done_is_not_there() {
    let of = |status: &'static str| {
        let headers = HeaderMap::from_iter([("x-ms-copy-status".parse().unwrap(), status.parse().unwrap())]);
        unreadable(&headers).map(|refused| refused.status.as_u16())
    };
    assert_eq!([of("pending"), of("failed"), of("aborted")], [Some(404); 3]);
    assert_eq!(of("success"), None);
    assert!(unreadable(&HeaderMap::new()).is_none());
}
