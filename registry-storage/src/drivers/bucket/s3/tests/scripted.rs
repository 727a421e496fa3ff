//! Answers that the emulator does not give.

use std::collections::HashSet;
use std::time::SystemTime;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that answers by script, once each, and gives what it was asked.
pub(super) async fn script(answers: Vec<String>) -> (S3Options, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = S3Options::new("images", "");
    options.endpoint = Some(format!("http://{}", listener.local_addr().unwrap()));
    options.credentials = Some(S3Credentials {
        access_key: "AK".to_owned(),
        secret_key: Secret::new("SK"),
        session_token: None,
    });
    let server = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                socket.read_buf(&mut request).await.unwrap();
            }
            asked.push(String::from_utf8_lossy(&request).into_owned());
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
        }
        asked
    });
    (options, server)
}

pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("{name} is not in {request}")).split_once(": ").unwrap().1
}

#[tokio::test]
async fn the_time_of_the_service_is_taken_where_ours_is_wrong() {
    let hours = Duration::from_secs(5 * 3600);
    let date = httpdate::fmt_http_date(SystemTime::now() + hours);
    let skewed = "<Error><Code>RequestTimeTooSkewed</Code></Error>";
    let (options, server) = script(vec![
        answer("403 Forbidden", &format!("date: {date}\r\n"), skewed),
        answer("200 OK", "", ""),
        answer("403 Forbidden", &format!("date: {date}\r\n"), skewed),
    ])
    .await;
    let bucket = bucket(&options);
    bucket.put("k", "content".into(), false).await.unwrap();
    let error = bucket.put("k", "content".into(), false).await.unwrap_err();
    assert!(matches!(error, BucketError::Denied(_)), "the same time again does not help: {error:?}");
    let asked = server.await.unwrap();
    let hour =
        |at| humantime::format_rfc3339_seconds(at).to_string().replace(['-', ':'], "")[..11].to_owned();
    let (now, then) = (SystemTime::now(), SystemTime::now() + hours);
    // An hour may end while the test runs.
    let near = |at: SystemTime| HashSet::from([hour(at), hour(at - Duration::from_secs(60))]);
    assert!(near(now).contains(&header(&asked[0], "x-amz-date")[..11]));
    assert!(near(then).contains(&header(&asked[1], "x-amz-date")[..11]));
}

#[tokio::test]
async fn an_answer_of_200_can_be_a_refusal() {
    let busy = "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>again</Message></Error>";
    let denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let (options, server) = script(vec![
        answer("200 OK", "", busy),
        answer("200 OK", "", "<CopyObjectResult><ETag>\"x\"</ETag></CopyObjectResult>"),
        answer("200 OK", "", denied),
    ])
    .await;
    let bucket = bucket(&options);
    bucket.copy("a", "b", 1).await.unwrap();
    let error = bucket.copy("a", "b", 1).await.unwrap_err();
    assert!(format!("{error:?}").contains("AccessDenied"), "{error:?}");
    assert_eq!(header(&server.await.unwrap()[0], "x-amz-copy-source"), "/images/a");
}

#[tokio::test]
async fn keys_that_a_service_could_not_delete_are_named_or_tried_again() {
    let error = |key: &str, code: &str| format!("<Error><Key>{key}</Key><Code>{code}</Code></Error>");
    let result = |errors: String| answer("200 OK", "", &format!("<DeleteResult>{errors}</DeleteResult>"));
    let (options, server) = script(vec![
        result(error("b", "InternalError") + &error("c", "NoSuchKey")),
        result(String::new()),
        result(error("b", "AccessDenied")),
    ])
    .await;
    let bucket = bucket(&options);
    let keys: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
    bucket.delete(&keys).await.unwrap();
    let error = bucket.delete(&keys).await.unwrap_err();
    assert!(matches!(error, BucketError::Denied(_)), "{error:?}");
    let asked = server.await.unwrap();
    assert_eq!(header(&asked[0], "content-md5").len(), 24);
}

#[tokio::test]
async fn version_2_signs_with_a_date() {
    let (mut options, server) = script(vec![answer("200 OK", "", "")]).await;
    options.v4_auth = false;
    let bucket = bucket(&options);
    bucket.put("k", "content".into(), false).await.unwrap();
    let asked = server.await.unwrap();
    assert!(header(&asked[0], "authorization").starts_with("AWS AK:"));
    assert!(header(&asked[0], "date").ends_with(" GMT"));
    let url = bucket.sign("k", &RedirectHint::new(Method::GET, None)).await.unwrap().unwrap();
    assert!(url.query().unwrap().starts_with("AWSAccessKeyId=AK&Expires="), "{url}");
}
