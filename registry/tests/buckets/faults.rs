//! Faults that outlast the tries of the driver: what fails says so clearly, whoever asks again gets to the end, and
//! nothing that was acknowledged is lost.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use registry::core::{Algorithm, Digest};
use registry::http::RegistryService;
use registry::storage::UploadPurge;
use registry_conformance::data::random;
use registry_conformance::emulator::{Effect, Fault, FaultPlan, Kind, S3Emulator};

use super::ask::{Answer, ask, image, send};
use super::{open_s3, patient_s3, service};

const MIB: usize = 1 << 20;
/// More tries than any request needs, also while nobody is let through to the bucket for a second.
const TRIES: usize = 1000;

/// A client that asks one replica after the other, and again where it was told that now is not the time.
struct Client {
    replicas: Vec<RegistryService>,
    name: String,
    asked: usize,
    /// How many requests failed.
    failed: usize,
}

impl Client {
    async fn send(&mut self, method: &str, uri: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        let replica = &self.replicas[self.asked % self.replicas.len()];
        self.asked += 1;
        let answer = send(replica, method, uri, headers, body).await;
        if answer.status.is_server_error() {
            self.failed += 1;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{method} {uri}: {answer:?}");
            assert_eq!(answer.header("retry-after"), "1", "{method} {uri}: {answer:?}");
            assert!(method == "HEAD" || answer.code() == "UNAVAILABLE", "{method} {uri}: {answer:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        answer
    }

    /// The first answer that is one, and whether it is to the first try.
    async fn ask(&mut self, method: &str, uri: &str, body: &Bytes) -> (Answer, bool) {
        for tries in 0..TRIES {
            let answer = self.send(method, uri, &[], body.clone()).await;
            if !answer.status.is_server_error() && answer.body.is_some() {
                return (answer, tries == 0);
            }
        }
        panic!("{method} {uri} fails for ever");
    }

    async fn get(&mut self, what: &str) -> Answer {
        self.ask("GET", &format!("/v2/{}/{what}", self.name), &Bytes::new()).await.0
    }

    async fn has_blob(&mut self, digest: &Digest, content: &Bytes) {
        let answer = self.get(&format!("blobs/{digest}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert!(answer.body.as_ref() == Some(content), "another blob than was pushed");
    }

    /// Pushes a blob in chunks of this size.
    async fn push(&mut self, content: &Bytes, chunk: usize) -> Digest {
        let digest = Algorithm::Sha256.digest(content);
        let begin = format!("/v2/{}/blobs/uploads/", self.name);
        let (begun, _) = self.ask("POST", &begin, &Bytes::new()).await;
        assert_eq!(begun.status, StatusCode::ACCEPTED, "{begun:?}");
        let mut location = begun.header("location").to_owned();
        let (mut acknowledged, mut ending) = (0, false);
        let mut last = std::collections::VecDeque::new();
        for _ in 0..TRIES {
            let left = content.slice(acknowledged..);
            let answer = if left.is_empty() {
                ending = true;
                self.send("PUT", &format!("{location}&digest={digest}"), &[], left).await
            } else {
                let piece = left.slice(..chunk.min(left.len()));
                let range = format!("{acknowledged}-{}", acknowledged + piece.len() - 1);
                self.send("PATCH", &location, &[("content-range", &range)], piece).await
            };
            match answer.status.as_u16() {
                201 => return digest,
                202 => {
                    acknowledged += chunk.min(content.len() - acknowledged);
                    location = answer.header("location").to_owned();
                    continue;
                }
                404 if ending => {
                    // It was done, and the answer was lost.
                    self.has_blob(&digest, content).await;
                    return digest;
                }
                409 | 416 | 503 => {}
                _ => panic!("after {acknowledged} bytes: {answer:?}"),
            }
            last.push_back(format!("after {acknowledged} bytes: {answer:?}"));
            if last.len() > 6 {
                drop(last.pop_front());
            }
            let (status, _) = self.ask("GET", &location, &Bytes::new()).await;
            if ending && status.status == StatusCode::NOT_FOUND {
                self.has_blob(&digest, content).await;
                return digest;
            }
            assert_eq!(status.status, StatusCode::NO_CONTENT, "after {acknowledged} bytes: {status:?}");
            let (_, last) = status.header("range").split_once('-').unwrap();
            // The range of no byte is that of one.
            let arrived = last.parse::<usize>().unwrap() + 1;
            let arrived = if arrived == 1 { 0 } else { arrived };
            assert!(arrived >= acknowledged, "{arrived} bytes are left of {acknowledged}");
            assert!(arrived <= content.len(), "{arrived} bytes were never sent");
            (acknowledged, location) = (arrived, status.header("location").to_owned());
        }
        panic!("an upload never ends; the last answers: {last:#?}");
    }

    async fn put(&mut self, tag: &str, manifest: &Bytes) {
        let uri = format!("/v2/{}/manifests/{tag}", self.name);
        let (answer, _) = self.ask("PUT", &uri, manifest).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    }

    /// Deletes what is there. A second try may find that the first one has done it.
    async fn delete(&mut self, what: &str) {
        let (answer, first) = self.ask("DELETE", &format!("/v2/{}/{what}", self.name), &Bytes::new()).await;
        let gone = !first && answer.status == StatusCode::NOT_FOUND;
        assert!(gone || answer.status == StatusCode::ACCEPTED, "{what}: {answer:?}");
    }

    async fn is_gone(&mut self, what: &str) {
        let answer = self.get(what).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{what}: {answer:?}");
    }

    async fn has_manifest(&mut self, reference: &str, manifest: &Bytes) {
        let answer = self.get(&format!("manifests/{reference}")).await;
        assert_eq!((answer.status, answer.body.as_ref()), (StatusCode::OK, Some(manifest)), "{reference}");
    }

    async fn has_tags(&mut self, tags: &[&str]) {
        let answer = self.get("tags/list").await;
        let list: serde_json::Value = serde_json::from_slice(&answer.body.clone().unwrap()).unwrap();
        assert_eq!(list["tags"], serde_json::json!(tags), "{answer:?}");
    }
}

/// Everything at once, so that hardly an operation is done at the first try.
fn plan(seed: u64) -> FaultPlan {
    let mut plan = FaultPlan::seeded(seed);
    for effect in [
        Effect::SlowDown(Some(Duration::ZERO)),
        Effect::InternalError,
        Effect::ResetBefore,
        Effect::ResetAfter,
        Effect::ResetInBody(700),
        Effect::ResetInBody(3 << 20),
    ] {
        plan = plan.with(Fault::new(effect).chance(0.06));
    }
    // Which nobody can put right here, and so no second try of the driver helps.
    plan = plan.with(Fault::new(Effect::ExpiredToken).chance(0.02));
    plan = plan.with(Fault::new(Effect::ResetAfter).on(Kind::Complete).chance(0.3));
    plan.with(Fault::new(Effect::ShortListing(1)).on(Kind::List).chance(0.3))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_again_gets_to_the_end_and_nothing_acknowledged_is_lost() {
    let first = FaultPlan::replayed(600).seed();
    let mut failed = 0;
    for seed in first..first + 4 {
        let emulator = S3Emulator::start().await;
        let drivers = [patient_s3(&emulator, 1).driver(), patient_s3(&emulator, 1).driver()];
        let mut replicas = Vec::new();
        for driver in drivers {
            replicas.push(service(driver).await);
        }
        let mut client = Client { replicas, name: "team/app".to_owned(), asked: 0, failed: 0 };
        emulator.inject(plan(seed));

        let blobs = [random(seed, 11 * MIB), random(seed + 1, 11 * MIB + 5), random(seed + 2, 1000)];
        let mut digests = Vec::new();
        for (content, chunk) in blobs.iter().zip([11 * MIB, 4 * MIB, 400]) {
            digests.push(client.push(content, chunk).await);
        }
        let manifests = ["one", "two"].map(|label| image(&blobs[2], label));
        for (tag, manifest) in ["v1", "v2", "v3"].iter().zip(manifests.iter().cycle()) {
            client.put(tag, manifest).await;
        }
        client.has_tags(&["v1", "v2", "v3"]).await;
        client.has_manifest("v3", &manifests[0]).await;
        client.has_blob(&digests[1], &blobs[1]).await;
        client.delete("manifests/v1").await;
        client.is_gone("manifests/v1").await;
        let gone = Algorithm::Sha256.digest(&manifests[1]);
        client.delete(&format!("manifests/{gone}")).await;
        client.delete(&format!("blobs/{}", digests[0])).await;
        failed += client.failed;

        // As it is seen by a replica that joins, when all is well again.
        emulator.heal();
        let driver = open_s3(&emulator).driver();
        client.replicas = vec![service(driver.clone()).await];
        for (digest, content) in digests.iter().zip(&blobs).skip(1) {
            client.has_blob(digest, content).await;
        }
        client.has_tags(&["v3"]).await;
        client.has_manifest("v3", &manifests[0]).await;
        client.is_gone(&format!("manifests/{gone}")).await;
        client.is_gone(&format!("blobs/{}", digests[0])).await;
        // What was begun and never heard of again goes with the purge.
        UploadPurge::new(Arc::new(driver), Duration::ZERO).run().await.unwrap();
        assert_eq!(emulator.uploads(), [], "uploads are left that the purge does not find");
    }
    assert!(failed > 20, "only {failed} requests failed");
}

/// Two replicas, and a session that the first has begun with this content: where it goes on, and its digest.
async fn begun(emulator: &S3Emulator, content: &Bytes) -> ([RegistryService; 2], String, Digest) {
    let replica = async || service(patient_s3(emulator, 1).driver()).await;
    let replicas = [replica().await, replica().await];
    let begin = "/v2/team/app/blobs/uploads/";
    let (status, location) = ask(&replicas[0], "POST", begin, Vec::new()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (status, location) = ask(&replicas[0], "PATCH", &location, content.to_vec()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    (replicas, location, Algorithm::Sha256.digest(content))
}

/// A client that knows nothing but to send its last request again, to this replica or to another, is done then:
/// what its URL says of the session is not what is in the bucket since the first try.
#[tokio::test]
async fn the_put_that_failed_is_sent_again_and_done() {
    for (seed, size) in [(1, 1000), (2, 5 * MIB), (3, 5 * MIB + 1000)] {
        for then in [0, 1] {
            let emulator = S3Emulator::start().await;
            let content = random(seed, size);
            let (replicas, location, digest) = begun(&emulator, &content).await;
            let end = format!("{location}&digest={digest}");
            // What is to be moved to where blobs are stays where it was.
            let fault = Fault::new(Effect::InternalError).on(Kind::Copy).key("/blobs/sha256/").times(2);
            emulator.inject(FaultPlan::none().with(fault));
            let answer = send(&replicas[0], "PUT", &end, &[], Bytes::new()).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{size}: {answer:?}");
            let answer = send(&replicas[then], "PUT", &end, &[], Bytes::new()).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{size} on {then}: {answer:?}");
            let answer =
                send(&replicas[1], "GET", &format!("/v2/team/app/blobs/{digest}"), &[], Bytes::new()).await;
            assert!(answer.body == Some(content), "another blob than was pushed");
        }
    }
}

/// Also where nobody has kept the digest of what came so far, and all of it is read again: that could fail, too,
/// and the second try was answered 500.
#[tokio::test]
async fn the_put_that_failed_while_it_read_is_sent_again_and_done() {
    for then in [0, 1] {
        let emulator = S3Emulator::start().await;
        let content = random(4, 1000);
        let (replicas, location, _) = begun(&emulator, &content.slice(..400)).await;
        // The second replica goes on with what it finds in the bucket.
        let session = location.split('?').next().unwrap();
        let (status, location) = ask(&replicas[1], "GET", session, Vec::new()).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let (status, location) = ask(&replicas[1], "PATCH", &location, content[400..].to_vec()).await;
        assert_eq!(status, StatusCode::ACCEPTED);

        let digest = Algorithm::Sha256.digest(&content);
        let end = format!("{location}&digest={digest}");
        let fault = Fault::new(Effect::InternalError).on(Kind::Get).key("/data").times(2);
        emulator.inject(FaultPlan::none().with(fault));
        let answer = send(&replicas[1], "PUT", &end, &[], Bytes::new()).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        let answer = send(&replicas[then], "PUT", &end, &[], Bytes::new()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "on {then}: {answer:?}");
    }
}

/// A client that goes on after such a failure is refused once by the replica that believed its URL, and never again.
#[tokio::test]
async fn what_a_url_says_of_a_session_is_not_believed_twice() {
    let emulator = S3Emulator::start().await;
    let content = random(5, 1000);
    let (replicas, location, digest) = begun(&emulator, &content).await;
    let fault = Fault::new(Effect::InternalError).on(Kind::Copy).key("/blobs/sha256/").times(2);
    emulator.inject(FaultPlan::none().with(fault));
    let answer = send(&replicas[0], "PUT", &format!("{location}&digest={digest}"), &[], Bytes::new()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    let more = || vec![7; 10];
    let (status, _) = ask(&replicas[1], "PATCH", &location, more()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let (status, location) = ask(&replicas[1], "GET", &location, Vec::new()).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    // What it is told to go on with holds everywhere.
    let (status, location) = ask(&replicas[0], "PATCH", &location, more()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let whole = [&content[..], &more()].concat();
    let end = format!("{location}&digest={}", Algorithm::Sha256.digest(&whole));
    let (status, _) = ask(&replicas[1], "PUT", &end, Vec::new()).await;
    assert_eq!(status, StatusCode::CREATED);
}

/// A session of whole parts alone is no file that can be seen, and what is remembered of it may be old.
#[tokio::test]
async fn a_replica_knows_of_parts_that_another_has_sent() {
    let emulator = S3Emulator::start().await;
    let content = random(6, 5 * MIB);
    let (replicas, location, _) = begun(&emulator, &Bytes::new()).await;
    let (status, _) = ask(&replicas[1], "PATCH", &location, content.to_vec()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    for replica in &replicas {
        for url in [location.as_str(), location.split('?').next().unwrap()] {
            let answer = send(replica, "GET", url, &[], Bytes::new()).await;
            assert_eq!(answer.header("range"), format!("0-{}", content.len() - 1), "{answer:?}");
        }
    }
}
