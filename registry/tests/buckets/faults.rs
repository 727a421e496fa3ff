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

use super::ask::{Answer, image, send};
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
            // Where somebody else is said to write, what the URL knows of the session may be what is wrong.
            let session = if answer.status == StatusCode::CONFLICT {
                location.split('?').next().unwrap().to_owned()
            } else {
                location.clone()
            };
            let (status, _) = self.ask("GET", &session, &Bytes::new()).await;
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
