//! Two replicas at the same tag, blob or upload while much goes wrong with the store: what is left afterwards is
//! what one of the two orders leaves.
//!
//! `registry-storage/tests/replicas/races.rs` has one of them in the middle of the other at each call, in memory; here
//! are real answers, which get lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use registry::core::{Algorithm, Digest};
use registry::http::RegistryService;
use registry_conformance::emulator::{FaultPlan, S3Emulator};

use super::ask::{Answer, image, send};
use super::{patient_s3, service};

const ROUNDS: usize = 12;
/// A push of a manifest that took less than half of this is not done again by itself.
const SETTLED: Duration = Duration::from_secs(3);

/// Two replicas and a third that sees what they have done; and the store, which goes wrong.
struct Race {
    one: RegistryService,
    two: RegistryService,
    judge: RegistryService,
    emulator: Arc<S3Emulator>,
    seed: u64,
}

/// A request: method, URL, what else it says, and its body.
type Request<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], Bytes);

impl Race {
    async fn new(seed: u64) -> Self {
        let emulator = Arc::new(S3Emulator::start().await);
        let replica = async || service(patient_s3(&emulator, 8).driver()).await;
        let (one, two, judge) = (replica().await, replica().await, replica().await);
        Self { one, two, judge, emulator, seed: FaultPlan::replayed(seed).seed() }
    }

    /// The same with a judge that has seen nothing.
    async fn judged_anew(&self) -> Self {
        let judge = service(patient_s3(&self.emulator, 8).driver()).await;
        let (one, two) = (self.one.clone(), self.two.clone());
        Self { one, two, judge, emulator: Arc::clone(&self.emulator), seed: self.seed }
    }

    /// What both are answered that ask at once.
    async fn run(&self, round: usize, one: Request<'_>, two: Request<'_>) -> [Answer; 2] {
        self.emulator.inject(FaultPlan::seeded(self.seed + round as u64).ridden_out());
        let ask = |service: &RegistryService, (method, uri, headers, body): Request<'_>| {
            let (service, method, uri) = (service.clone(), method.to_owned(), uri.to_owned());
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            tokio::spawn(async move {
                let headers: Vec<_> =
                    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                send(&service, &method, &uri, &headers, body).await
            })
        };
        let (one, two) = tokio::join!(ask(&self.one, one), ask(&self.two, two));
        let answers = [one.unwrap(), two.unwrap()];
        for answer in &answers {
            assert!(!answer.status.is_server_error(), "round {round}: {answers:?}");
        }
        answers
    }

    /// Asks while nothing goes wrong, and wants this status.
    async fn expect(&self, status: u16, method: &str, uri: &str, body: &Bytes) -> Answer {
        let answer = self.judged(method, uri, body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {uri}: {answer:?}");
        answer
    }

    async fn judged(&self, method: &str, uri: &str, body: &Bytes) -> Answer {
        self.emulator.heal();
        send(&self.judge, method, uri, &[], body.clone()).await
    }

    async fn get(&self, uri: &str) -> Option<Bytes> {
        let answer = self.judged("GET", uri, &Bytes::new()).await;
        match answer.status {
            StatusCode::OK => answer.body,
            StatusCode::NOT_FOUND => None,
            _ => panic!("{uri}: {answer:?}"),
        }
    }

    /// The tags of a repository, as they are listed.
    async fn tags(&self, name: &str) -> Vec<String> {
        let list = self.get(&format!("/v2/{name}/tags/list")).await;
        let list = list.map(|list| serde_json::from_slice::<serde_json::Value>(&list).unwrap());
        list.map(|list| serde_json::from_value(list["tags"].clone()).unwrap()).unwrap_or_default()
    }

    /// A repository with a configuration for images.
    async fn repository(&self, name: &str, config: &Bytes) {
        let uri = format!("/v2/{name}/blobs/uploads/?digest={}", sha256(config));
        self.expect(201, "POST", &uri, config).await;
    }
}

fn sha256(content: &[u8]) -> Digest {
    Algorithm::Sha256.digest(content)
}

fn statuses(answers: &[Answer; 2]) -> [u16; 2] {
    [answers[0].status.as_u16(), answers[1].status.as_u16()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_is_that_of_one_of_two_pushes() {
    let race = Race::new(700).await;
    let config = Bytes::from_static(b"{}");
    let (x, y) = (image(&config, "x"), image(&config, "y"));
    for round in 0..ROUNDS {
        let name = format!("tags/{round}");
        race.repository(&name, &config).await;
        let uri = format!("/v2/{name}/manifests/v1");
        let answers = race.run(round, ("PUT", &uri, &[], x.clone()), ("PUT", &uri, &[], y.clone())).await;
        assert_eq!(statuses(&answers), [201, 201], "round {round}: {answers:?}");
        let tagged = race.get(&uri).await.expect("a tag that was pushed");
        assert!([&x, &y].contains(&&tagged), "round {round}");
        for manifest in [&x, &y] {
            race.expect(200, "GET", &format!("/v2/{name}/manifests/{}", sha256(manifest)), &Bytes::new())
                .await;
        }
        assert_eq!(race.tags(&name).await, ["v1"], "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_or_manifest_is_pushed_before_it_is_deleted_or_after() {
    let race = Race::new(720).await;
    let config = Bytes::from_static(b"{}");
    let (old, x) = (image(&config, "old"), image(&config, "x"));
    let none = Bytes::new();
    for round in 0..ROUNDS {
        let name = format!("deleted/{round}");
        race.repository(&name, &config).await;
        let tag = format!("/v2/{name}/manifests/v1");
        race.expect(201, "PUT", &tag, &old).await;
        let answers =
            race.run(round, ("PUT", &tag, &[], x.clone()), ("DELETE", &tag, &[], none.clone())).await;
        assert_eq!(statuses(&answers), [201, 202], "round {round}: {answers:?}");
        let left = race.get(&tag).await;
        assert!(left.is_none_or(|left| left == x), "round {round}: the tag of before is back");
        let digest = format!("/v2/{name}/manifests/{}", sha256(&x));
        race.expect(200, "GET", &digest, &none).await;

        // The manifest itself, which has a tag already and gets another.
        race.expect(201, "PUT", &format!("/v2/{name}/manifests/v2"), &x).await;
        let tag = format!("/v2/{name}/manifests/v3");
        let begun = Instant::now();
        let answers =
            race.run(round, ("PUT", &tag, &[], x.clone()), ("DELETE", &digest, &[], none.clone())).await;
        assert_eq!(statuses(&answers), [201, 202], "round {round}: {answers:?}");
        // The tag of before is gone. Where an answer was lost, and so the new one or its index is written again
        // when nobody looks any more, it may be left of a manifest that is not (ARCHITECTURE.md, "Flat stores").
        let (there, left) = (race.get(&digest).await.is_some(), race.tags(&name).await);
        let once = begun.elapsed() < SETTLED / 2;
        assert!(left == ["v3"] || left.is_empty() && !(there && once), "round {round}: {there}, {left:?}");
        for tag in &left {
            let tag = race.expect(200, "GET", &format!("/v2/{name}/manifests/{tag}"), &none).await;
            assert!(tag.body.as_ref() == Some(&x), "round {round}");
        }
        // Whatever is left, another push puts right, and then a DELETE takes all of it along.
        race.expect(201, "PUT", &tag, &x).await;
        race.expect(200, "GET", &digest, &none).await;
        assert_eq!(race.tags(&name).await, ["v3"], "round {round}");
        race.expect(202, "DELETE", &digest, &none).await;
        assert_eq!(race.tags(&name).await, [""; 0], "round {round}: a tag outlives its manifest");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_is_pushed_twice_or_deleted_before_or_after() {
    let race = Race::new(740).await;
    let none = Bytes::new();
    for round in 0..ROUNDS {
        let content = Bytes::from(format!("round {round}").repeat(1000));
        let name = format!("blobs/{round}");
        let (push, blob) = (
            format!("/v2/{name}/blobs/uploads/?digest={}", sha256(&content)),
            format!("/v2/{name}/blobs/{}", sha256(&content)),
        );
        let pushed = ("POST", push.as_str(), &[][..], content.clone());
        let answers = race.run(round, pushed.clone(), pushed.clone()).await;
        assert_eq!(statuses(&answers), [201, 201], "round {round}: {answers:?}");
        assert!(race.get(&blob).await.as_ref() == Some(&content), "round {round}");
        // The judge has seen it, and may serve it for a while. Another judge has not.
        let answers = race.run(round, pushed, ("DELETE", &blob, &[], none.clone())).await;
        let race = race.judged_anew().await;
        assert_eq!(statuses(&answers), [201, 202], "round {round}: {answers:?}");
        let head = race.judged("HEAD", &blob, &none).await.status;
        let left = race.get(&blob).await;
        assert_eq!(head == StatusCode::OK, left.is_some(), "round {round}");
        assert!(left.is_none_or(|left| left == content), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_on_with_the_bytes_of_one_and_ends_once() {
    let race = Race::new(760).await;
    let none = Bytes::new();
    for round in 0..ROUNDS {
        let name = format!("uploads/{round}");
        let begun = race.expect(202, "POST", &format!("/v2/{name}/blobs/uploads/"), &none).await;
        let url = begun.header("location").to_owned();
        // The same chunk of two clients who both believe to have the session.
        let chunks = ["one", "two"].map(|who| Bytes::from(format!("{who} {round}").repeat(100)));
        let range = format!("0-{}", chunks[0].len() - 1);
        let said = [("content-range", range.as_str())];
        let patch = |chunk: &Bytes| ("PATCH", url.as_str(), &said[..], chunk.clone());
        let answers = race.run(round, patch(&chunks[0]), patch(&chunks[1])).await;
        let accepted: Vec<usize> =
            (0..2).filter(|&one| answers[one].status == StatusCode::ACCEPTED).collect();
        assert_eq!(accepted.len(), 1, "round {round}: {answers:?}");
        let refused = answers[1 - accepted[0]].status.as_u16();
        assert!([409, 416].contains(&refused), "round {round}: {answers:?}");
        let content = &chunks[accepted[0]];
        let url = answers[accepted[0]].header("location");
        let status = race.expect(204, "GET", url, &none).await;
        assert_eq!(status.header("range"), range, "round {round}");

        // It is ended by both, or ended and given up.
        let put = format!("{url}&digest={}", sha256(content));
        let ends = ("PUT", put.as_str(), &[][..], none.clone());
        let gives_up = round % 3 == 2;
        let other = if gives_up { ("DELETE", url, &[][..], none.clone()) } else { ends.clone() };
        let answers = race.run(round, ends, other).await;
        let created = answers.iter().any(|answer| answer.status == StatusCode::CREATED);
        let allowed = if gives_up {
            [[201, 204], [201, 404], [404, 204]]
        } else {
            [[201, 201], [201, 404], [404, 201]]
        };
        let busy = statuses(&answers).contains(&409);
        assert!(allowed.contains(&statuses(&answers)) || busy, "round {round}: {answers:?}");
        let blob = race.get(&format!("/v2/{name}/blobs/{}", sha256(content))).await;
        assert!(blob.is_some() == created || gives_up, "round {round}: {answers:?}");
        assert!(blob.is_none_or(|blob| blob == *content), "round {round}");
    }
}
