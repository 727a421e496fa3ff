//! URLs for those who have no keys.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn urls_are_signed_for_those_who_have_no_keys() {
    let emulator = S3Emulator::start().await;
    let bucket = bucket(&options(&emulator));
    bucket.put("a b+c", "content".into(), false).await.unwrap();
    emulator.clear_requests();
    let hint = |method| RedirectHint::new(method, None);
    let url = bucket.sign("a b+c", &hint(Method::GET)).await.unwrap().unwrap();
    assert!(url.query().unwrap().contains("X-Amz-Expires=1200&"), "{url}");
    assert_eq!(bucket.sign("a b+c", &hint(Method::PUT)).await.unwrap(), None);
    assert_eq!(kinds(&emulator), [], "signing asks nobody");

    let get = async |method: &str, url: &Uri| {
        let mut socket = tokio::net::TcpStream::connect(url.authority().unwrap().as_str()).await.unwrap();
        let (host, path) = (url.authority().unwrap(), url.path_and_query().unwrap());
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = get("GET", &url).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("content"), "{answer}");
    let head = bucket.sign("a b+c", &hint(Method::HEAD)).await.unwrap().unwrap();
    assert!(get("HEAD", &head).await.starts_with("HTTP/1.1 200"));
    let forged: Uri = url.to_string().replace("Expires=1200", "Expires=9000").parse().unwrap();
    assert!(get("GET", &forged).await.starts_with("HTTP/1.1 403"));

    let mut for_long = hint(Method::GET);
    for_long.expires_in = Some(Duration::from_secs(30 * 24 * 3600));
    let url = bucket.sign("k", &for_long).await.unwrap().unwrap();
    assert!(url.query().unwrap().contains("X-Amz-Expires=604800&"), "{url}");

    let mut elsewhere = options(&emulator);
    elsewhere.redirect_endpoint = Some("https://cdn.example.org".to_owned());
    let url = super::bucket(&elsewhere).sign("k", &hint(Method::GET)).await.unwrap().unwrap();
    assert!(url.to_string().starts_with("https://cdn.example.org/test/k?X-Amz-"), "{url}");
}
