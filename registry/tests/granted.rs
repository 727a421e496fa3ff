//! No request without the needed grant reaches a repository: every route, with every set of grants, over a
//! namespace that records what is done to it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use proptest::prelude::*;
use registry::core::{AuthError, AuthRequest, Error, Grant, Result};
use registry::http::Body;
use registry::middleware::intercept::{
    Call, InterceptNamespace, InterceptRepository, Interceptor, Operation, Outcome,
};
use registry::prelude::*;
use tower::ServiceExt;

const HELLO: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const CONFIG: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const REPOSITORIES: [&str; 2] = ["a", "b/c"];

/// Everything that can be granted here, as scopes have it.
const GRANTS: [&str; 8] = [
    "repository:a:pull",
    "repository:a:push",
    "repository:a:delete",
    "repository:b/c:pull",
    "repository:b/c:push",
    "repository:b/c:delete",
    "registry:catalog:*",
    "registry:blobs:pull",
];

/// Grants what is in the set. It compares the words of scopes, as token servers do.
#[derive(Debug, Clone, Default)]
struct Granted(BTreeSet<String>);

#[async_trait::async_trait]
impl AccessController for Granted {
    async fn authorize(&self, request: &AuthRequest<'_>) -> Result<Grant, AuthError> {
        if request.required.iter().all(|access| self.0.contains(&access.to_string())) {
            let optional = request.optional.iter().filter(|access| self.0.contains(&access.to_string()));
            return Ok(Grant::new(None).with_optional(optional.cloned()));
        }
        Err(AuthError::Unauthorized { reason: "not in the set".into(), challenges: Vec::new() })
    }
}

/// Writes down every call, and lets none of them change anything.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<(Operation, Option<String>)>>);

impl Recorder {
    fn take(&self) -> Vec<(Operation, Option<String>)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[async_trait::async_trait]
impl Interceptor for Recorder {
    async fn before(&self, call: &Call<'_>) -> Result<()> {
        self.0.lock().unwrap().push((call.operation, call.repository.map(ToString::to_string)));
        if call.operation.writes() { Err(Error::unsupported("changing anything here")) } else { Ok(()) }
    }

    fn after(&self, _: &Call<'_>, _: Duration, _: Outcome<'_>) {}
}

/// One store with the same in both repositories, and the requests that can be made to it.
struct World {
    driver: MemoryDriver,
    recorder: Arc<Recorder>,
    targets: Vec<String>,
}

impl World {
    async fn new() -> Self {
        let driver = MemoryDriver::new();
        let open = Registry::builder(driver.clone()).build().await.unwrap().service(HttpOptions::default());
        let manifest = manifest();
        let digest = registry::core::Algorithm::Sha256.digest(manifest.as_bytes()).to_string();
        let mut targets: Vec<String> =
            ["/v2/", "/v2", "/v2/_catalog", "/v2/_catalog?n=1", "/"].map(Into::into).into();
        for name in REPOSITORIES {
            for (digest, body) in [(HELLO, "hello"), (CONFIG, "{}")] {
                let uri = format!("/v2/{name}/blobs/uploads/?digest={digest}");
                assert_eq!(send(&open, Method::POST, &uri, body).await.status(), StatusCode::CREATED);
            }
            let uri = format!("/v2/{name}/manifests/latest");
            assert_eq!(send(&open, Method::PUT, &uri, &manifest).await.status(), StatusCode::CREATED);
            let started = send(&open, Method::POST, &format!("/v2/{name}/blobs/uploads/"), "").await;
            let location = started.headers()["location"].to_str().unwrap().to_owned();
            let other = if name == "a" { "b/c" } else { "a" };
            targets.extend([
                format!("/v2/{name}/tags/list"),
                format!("/v2/{name}/tags/list?n=1&last=a"),
                format!("/v2/{name}/manifests/latest"),
                format!("/v2/{name}/manifests/new?tag=x"),
                format!("/v2/{name}/manifests/{digest}"),
                format!("/v2/{name}/manifests/{digest}/"),
                format!("/v2/{name}/referrers/{digest}?artifactType=x"),
                format!("/v2/{name}/blobs/{HELLO}"),
                format!("/v2/{name}/blobs/uploads/"),
                format!("/v2/{name}/blobs/uploads/?digest={HELLO}"),
                format!("/v2/{name}/blobs/uploads/?mount={HELLO}"),
                format!("/v2/{name}/blobs/uploads/?mount={HELLO}&from={other}"),
                format!("/v2/{name}/blobs/uploads/?mount={HELLO}&from={name}"),
                format!("/v2/{name}/blobs/uploads/?mount={HELLO}&from={other}&from={name}"),
                format!("/v2/{name}/blobs/uploads/?from={other}&mount={HELLO}&digest={HELLO}"),
                format!("{location}&digest={HELLO}"),
                location,
            ]);
        }
        targets.extend(targets.clone().iter().map(|target| target.replace("b/c", "b%2Fc")));
        Self { driver, recorder: Arc::default(), targets }
    }

    async fn service(&self, granted: Granted) -> RegistryService {
        let recorder = Arc::<Recorder>::clone(&self.recorder);
        Registry::builder(self.driver.clone())
            .access_controller(granted)
            .registry_middleware(InterceptNamespace::new(Arc::<Recorder>::clone(&self.recorder)))
            .repository_middleware(InterceptRepository::new(recorder))
            .build()
            .await
            .unwrap()
            .service(HttpOptions::default())
    }
}

/// An image that is its own subject's referrer is not needed here; one that names another manifest is.
fn manifest() -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
        "config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{CONFIG}","size":2}},
        "layers":[{{"mediaType":"application/octet-stream","digest":"{HELLO}","size":5}}]}}"#
    )
}

async fn send(service: &RegistryService, method: Method, target: &str, body: &str) -> Response<Body> {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("content-type", "application/vnd.oci.image.manifest.v1+json")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .unwrap();
    service.clone().oneshot(request).await.unwrap()
}

/// Whether the grants allow what was done, said apart from how routes ask for accesses.
fn is_allowed(granted: &Granted, method: &Method, operation: Operation, repository: Option<&str>) -> bool {
    use Operation as O;
    let has = |scope: &str| granted.0.contains(scope);
    let may = |action: &str| repository.is_some_and(|name| has(&format!("repository:{name}:{action}")));
    match operation {
        O::Repositories => has("registry:catalog:*"),
        O::GlobalStat | O::GlobalGet => has("registry:blobs:pull"),
        O::Repository => may("pull") || (*method == Method::DELETE && may("delete")),
        O::BlobStat | O::ManifestStat | O::TagGet | O::TagLookup => {
            may("pull") || (*method == Method::DELETE && may("delete"))
        }
        O::BlobGet | O::ManifestGet | O::ManifestReferrers | O::TagList | O::UploadStatus => may("pull"),
        O::BlobDelete | O::ManifestDelete | O::TagDelete => may("delete"),
        O::UploadStart | O::UploadResume | O::UploadWrite | O::UploadClose | O::UploadCommit => may("push"),
        O::UploadCancel | O::ManifestPut | O::TagSet => may("push"),
        // Nothing else is for clients.
        _ => false,
    }
}

const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
    Method::CONNECT,
];

#[tokio::test]
async fn nothing_is_done_that_was_not_granted() {
    let world = World::new().await;
    let manifest = manifest();
    let mut reached: BTreeSet<Operation> = BTreeSet::new();
    for set in 0..1_u32 << GRANTS.len() {
        let of_set = GRANTS.iter().enumerate().filter(|(bit, _)| set & (1 << bit) != 0);
        let granted = Granted(of_set.map(|(_, scope)| (*scope).to_owned()).collect());
        let service = world.service(granted.clone()).await;
        for target in &world.targets {
            for method in METHODS {
                let status = send(&service, method.clone(), target, &manifest).await.status();
                let calls = world.recorder.take();
                assert!(
                    status != StatusCode::UNAUTHORIZED || calls.is_empty(),
                    "{method} {target} was refused and did {calls:?}"
                );
                for (operation, repository) in calls {
                    assert!(
                        is_allowed(&granted, &method, operation, repository.as_deref()),
                        "{method} {target} did {operation} in {repository:?} with {granted:?}"
                    );
                    reached.insert(operation);
                }
            }
        }
    }
    // The requests are such that everything that clients can do was tried.
    for operation in [
        Operation::Repositories,
        Operation::Repository,
        Operation::GlobalStat,
        Operation::BlobStat,
        Operation::BlobGet,
        Operation::BlobDelete,
        Operation::UploadStart,
        Operation::UploadResume,
        Operation::UploadStatus,
        Operation::ManifestGet,
        Operation::ManifestPut,
        Operation::ManifestDelete,
        Operation::ManifestReferrers,
        Operation::TagGet,
        Operation::TagDelete,
        Operation::TagList,
    ] {
        assert!(reached.contains(&operation), "no request came as far as {operation}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// However a path is written, a caller without any grant reaches nothing.
    #[test]
    fn no_path_leads_past_the_controller(
        method in proptest::sample::select(METHODS.to_vec()),
        segments in proptest::collection::vec(
            proptest::sample::select(vec![
                "v2", "a", "b", "c", "b%2Fc", "%61", "..", ".", "", "%2e%2e", "tags", "list", "manifests", "latest",
                "blobs", "uploads", "referrers", "_catalog", HELLO, "%00", "V2", ";x", "A",
            ]),
            0..8,
        ),
        query in proptest::sample::select(vec!["", "?", "?n=1", "?mount=x", "?from=a", "?digest=sha256:00", "?_state=x"]),
        versioned in any::<bool>(),
    ) {
        let target = format!("/{}{}{query}", if versioned { "v2/" } else { "" }, segments.join("/"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let recorder: Arc<Recorder> = Arc::default();
            let service = Registry::builder(MemoryDriver::new())
                .access_controller(Granted::default())
                .registry_middleware(InterceptNamespace::new(Arc::<Recorder>::clone(&recorder)))
                .build()
                .await
                .unwrap()
                .service(HttpOptions::default());
            send(&service, method.clone(), &target, "").await;
            assert_eq!(recorder.take(), [], "{method} {target}");
        });
    }
}
