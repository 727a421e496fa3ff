//! Proxies that say for whom they forward.

use super::http2::start;
use super::*;
use crate::config::model::ProxyProtocol;

fn trusting(network: &str) -> Transport {
    let proxies =
        ProxyProtocol { trusted: vec![registry::core::Network::parse(network).unwrap()], unix: false };
    Transport { proxies: Some(Arc::new(proxies)), ..Transport::default() }
}

const BLOCK: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\xdc\x04\x01\xbb";

#[tokio::test]
async fn a_trusted_proxy_says_who_the_client_is() {
    let server = start(trusting("127.0.0.0/8"), Limits::default()).await;
    for (start, peer) in [
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n".as_slice(), "Some(192.0.2.7)"),
        (BLOCK, "Some(192.0.2.7)"),
        (b"PROXY UNKNOWN\r\n", "Some(127.0.0.1)"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "Some(127.0.0.1)"),
    ] {
        let mut stream = server.connect().await;
        // In one piece with the request, and byte by byte.
        let request = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";
        within(stream.write_all(&[start, request].concat())).await.unwrap();
        assert!(response(&mut stream).await.ends_with(peer), "{start:?}");
        let mut stream = server.connect().await;
        for byte in start {
            within(stream.write_all(&[*byte])).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(ask(&mut stream, "/").await.ends_with(peer), "{start:?}");
        assert!(ask(&mut stream, "/").await.ends_with(peer), "also the second time");
    }
}

#[tokio::test]
async fn a_trusted_proxy_that_says_nothing_is_not_served() {
    let server = start(trusting("127.0.0.0/8"), Limits::default()).await;
    for start in [
        b"GET / HTTP/1.1\r\nhost: test\r\n\r\n".as_slice(),
        b"PROXY TCP4 192.0.2.7\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443 and so on and so on and so on and so on and so on and so on and so on",
    ] {
        let mut stream = server.connect().await;
        within(stream.write_all(start)).await.unwrap();
        assert!(closed(&mut stream).await, "{start:?}");
    }
}

#[tokio::test]
async fn nobody_else_can_say_who_it_is() {
    let server = start(trusting("192.0.2.0/24"), Limits::default()).await;
    let mut stream = server.connect().await;
    assert!(ask(&mut stream, "/").await.ends_with("Some(127.0.0.1)"));
    let mut stream = server.connect().await;
    within(stream.write_all(b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n")).await.unwrap();
    let mut answer = [0; 12];
    within(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}
