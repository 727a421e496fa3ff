//! Replicas over one bucket, between which clients go back and forth.

use http::StatusCode;
use registry::core::Algorithm;
use registry_conformance::emulator::{Kind, S3Emulator};

use super::ask::ask;
use super::{s3_driver, service};

/// Chunks of one upload go to three replicas of which each comes to it for the first time; the bytes are read by
/// none of them again.
#[tokio::test]
async fn chunks_alternate_between_replicas_without_being_read_again() {
    let emulator = S3Emulator::start().await;
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(service(s3_driver(&emulator)).await);
    }
    let chunks: Vec<Vec<u8>> = (0..6_u8).map(|n| vec![n; 6 << 20]).collect();
    let (status, mut location) = ask(&replicas[0], "POST", "/v2/a/b/blobs/uploads/", Vec::new()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    emulator.clear_requests();
    for (n, chunk) in chunks.iter().enumerate() {
        let (status, next) = ask(&replicas[(n + 1) % 3], "PATCH", &location, chunk.clone()).await;
        assert_eq!(status, StatusCode::ACCEPTED, "chunk {n}");
        location = next;
    }
    let digest = Algorithm::Sha256.digest(&chunks.concat());
    let (status, _) = ask(&replicas[1], "PUT", &format!("{location}&digest={digest}"), Vec::new()).await;
    assert_eq!(status, StatusCode::CREATED);
    let read: Vec<_> = emulator.requests().into_iter().filter(|request| request.kind == Kind::Get).collect();
    assert!(read.iter().all(|request| request.key.ends_with("/startedat")), "{read:?}");
    let (status, _) = ask(&replicas[2], "HEAD", &format!("/v2/a/b/blobs/{digest}"), Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
}

/// A client that asked a third where it is goes on with one that has seen less of its upload.
#[tokio::test]
async fn a_replica_that_remembers_less_than_a_client_was_told_looks_into_the_store() {
    let emulator = S3Emulator::start().await;
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(service(s3_driver(&emulator)).await);
    }
    let (_, begun) = ask(&replicas[0], "POST", "/v2/a/blobs/uploads/", Vec::new()).await;
    let (_, one) = ask(&replicas[0], "PATCH", &begun, vec![1; 1000]).await;
    let (status, _) = ask(&replicas[1], "PATCH", &one, vec![2; 1000]).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (status, told) = ask(&replicas[2], "GET", begun.split('?').next().unwrap(), Vec::new()).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let digest = Algorithm::Sha256.digest(&[vec![1; 1000], vec![2; 1000]].concat());
    let (status, _) = ask(&replicas[0], "PUT", &format!("{told}&digest={digest}"), Vec::new()).await;
    assert_eq!(status, StatusCode::CREATED);
}
