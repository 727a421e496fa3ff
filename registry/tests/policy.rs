//! A registry behind a policy: what callers see of it, and what is recorded of them. With what other registries gave
//! away, by the numbers of the public advisories.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use registry::auth::audit::AuditLog;
use registry::auth::policy::{LivePolicy, Policy, PolicyRules};
use registry::auth::{Htpasswd, Passwords};
use registry::core::access::Action;
use registry::core::{
    Algorithm, AuthError, AuthRequest, Challenge, Grant, Principal, RepositoryMiddleware, RequestContext,
};
use registry::prelude::*;
use registry_conformance::access::{Subject, repository};
use registry_conformance::wire::{Client, Reply};
use serde_json::{Value, json};

/// Believes whoever says who they are: `Authorization: alice`, or `alice+group`.
#[derive(Debug)]
struct Believer;

#[async_trait]
impl AccessController for Believer {
    async fn authorize(&self, request: &AuthRequest<'_>) -> Result<Grant, AuthError> {
        let Some(user) = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            let params = vec![("realm".into(), "here".to_owned())];
            let challenges = vec![Challenge { scheme: "Basic".into(), params }];
            return Err(AuthError::Unauthorized { reason: "no credentials".into(), challenges });
        };
        let mut words = user.split('+').map(str::to_owned);
        let principal =
            Principal::new(words.next().unwrap_or_default()).with_groups(words).with_method("test");
        Ok(Grant::new(Some(principal)).with_optional(request.optional.iter().cloned()))
    }
}

fn rules() -> Value {
    json!({
        "private": ["secret/**"],
        "rules": [
            { "name": "public", "allow": ["pull"], "repositories": ["public/**"], "who": ["anyone"] },
            { "name": "team", "allow": ["push"], "repositories": ["team/**"], "who": ["group:devs"] },
            { "name": "own", "allow": ["push", "delete"], "repositories": ["users/{user}/**"], "who": ["authenticated"] },
            { "name": "root", "allow": ["all"], "repositories": ["**"], "who": ["user:root"] },
        ],
    })
}

/// A registry that holds an image tagged `v1`, with its layer, in each of a few repositories.
struct Guarded {
    client: Client,
    live: Arc<LivePolicy>,
    lines: Arc<Mutex<Vec<Value>>>,
}

const LAYER: &str = "a layer of some size";
const REPOSITORIES: [&str; 6] =
    ["public/app", "secret/app", "team/app", "team/other", "users/alice/app", "users/bob/app"];

impl Guarded {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(add: impl FnOnce(RegistryBuilder) -> RegistryBuilder) -> Self {
        let live = Arc::new(LivePolicy::new(PolicyRules::from_value(rules()).unwrap()));
        let lines: Arc<Mutex<Vec<Value>>> = Arc::default();
        let into = Arc::clone(&lines);
        let log = AuditLog::to(move |line| {
            into.lock().unwrap().push(serde_json::from_slice(line).unwrap());
            Ok(())
        });
        let builder = Registry::builder(MemoryDriver::new())
            .access_controller(Policy::new(Arc::new(Believer), Arc::clone(&live)));
        let registry = add(builder).build().await.unwrap();
        let options = HttpOptions::default().with_audit(Some(Arc::new(log)));
        let guarded = Self { client: Client::new(registry.service(options)), live, lines };
        for repository in REPOSITORIES {
            guarded.fill(repository).await;
        }
        guarded.lines.lock().unwrap().clear();
        guarded
    }

    async fn fill(&self, repository: &str) {
        for blob in [LAYER, "{}"] {
            let digest = Algorithm::Sha256.digest(blob.as_bytes());
            let post = self.client.post(format!("/v2/{repository}/blobs/uploads/?digest={digest}"));
            post.header("authorization", "root").body(blob).await.expect(201);
        }
        let put = self.client.put(format!("/v2/{repository}/manifests/v1"));
        let put = put.header("authorization", "root").header("content-type", OCI);
        put.body(image().to_string()).await.expect(201);
    }

    /// The answer to a request of `user`, nobody if that is empty.
    async fn ask(&self, user: &str, method: &str, uri: &str) -> Reply {
        let request = self.client.request(method.parse().unwrap(), uri);
        if user.is_empty() { request.await } else { request.header("authorization", user).await }
    }

    async fn catalog(&self, user: &str, query: &str) -> Vec<String> {
        let reply = self.ask(user, "GET", &format!("/v2/_catalog{query}")).await.expect(200);
        let names = reply.json()["repositories"].as_array().cloned().unwrap();
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    /// The lines of the audit log since the last time.
    fn recorded(&self) -> Vec<Value> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

fn image() -> Value {
    let blob = |media_type: &str, content: &str| {
        let digest = Algorithm::Sha256.digest(content.as_bytes());
        json!({ "mediaType": media_type, "digest": digest, "size": content.len() })
    };
    json!({
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": blob("application/vnd.oci.image.config.v1+json", "{}"),
        "layers": [blob("application/vnd.oci.image.layer.v1.tar", LAYER)],
    })
}

fn layer() -> String {
    Algorithm::Sha256.digest(LAYER.as_bytes()).to_string()
}

#[tokio::test]
async fn anybody_pulls_what_is_public_and_who_logs_in_pushes() {
    let registry = Guarded::new().await;
    let base = registry.ask("", "GET", "/v2/").await.expect(401);
    assert_eq!(base.header("www-authenticate"), "Basic realm=\"here\"");
    registry.ask("alice", "GET", "/v2/").await.expect(200);
    for uri in ["manifests/v1", "tags/list", &format!("blobs/{}", layer())] {
        registry.ask("", "GET", &format!("/v2/public/app/{uri}")).await.expect(200);
        let wanted = registry.ask("", "GET", &format!("/v2/team/app/{uri}")).await.expect(401);
        assert!(!wanted.header("www-authenticate").is_empty());
        registry.ask("alice", "GET", &format!("/v2/team/app/{uri}")).await.expect(403);
        registry.ask("alice+devs", "GET", &format!("/v2/team/app/{uri}")).await.expect(200);
    }
    registry.ask("", "POST", "/v2/public/app/blobs/uploads/").await.expect(401);
    registry.ask("alice", "POST", "/v2/public/app/blobs/uploads/").await.fails(403, "DENIED");
    registry.ask("alice", "POST", "/v2/users/alice/new/blobs/uploads/").await.expect(202);
    registry.ask("alice+devs", "DELETE", "/v2/team/app/manifests/v1").await.fails(403, "DENIED");
    registry.ask("alice", "DELETE", "/v2/users/alice/app/manifests/v1").await.expect(202);
}

/// CVE-2022-46463, CVE-2026-27771 and their like: names and contents of repositories for whoever asks.
#[tokio::test]
async fn catalog_disclosure_a_list_has_what_the_caller_may_list() {
    let registry = Guarded::new().await;
    assert_eq!(registry.catalog("", "").await, ["public/app"]);
    assert_eq!(registry.catalog("alice", "").await, ["public/app", "users/alice/app"]);
    assert_eq!(
        registry.catalog("bob+devs", "").await,
        ["public/app", "team/app", "team/other", "users/bob/app"]
    );
    assert_eq!(registry.catalog("root", "").await, REPOSITORIES);
    // Neither in the pages, nor in the links between them, nor by asking for what follows a name.
    let first = registry.ask("bob+devs", "GET", "/v2/_catalog?n=1").await.expect(200);
    let mut next = first.next_page();
    let mut seen = strings(&first);
    while let Some(uri) = next {
        assert!(!uri.contains("secret") && !uri.contains("alice"), "{uri}");
        let page = registry.ask("bob+devs", "GET", &uri).await.expect(200);
        seen.extend(strings(&page));
        next = page.next_page();
    }
    assert_eq!(seen, ["public/app", "team/app", "team/other", "users/bob/app"]);
    assert_eq!(registry.catalog("alice", "?n=1000&last=secret").await, ["users/alice/app"]);
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.to_vec()).unwrap()
}

fn strings(reply: &Reply) -> Vec<String> {
    let names = reply.json()["repositories"].as_array().cloned().unwrap_or_default();
    names.iter().map(|name| name.as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_policy_that_lists_nothing_refuses_the_catalog() {
    let registry = Guarded::new().await;
    let nothing = json!({ "rules": [{ "deny": ["all"], "repositories": ["**"], "who": ["anyone"] }] });
    registry.live.replace(PolicyRules::from_value(nothing).unwrap());
    registry.ask("", "GET", "/v2/_catalog").await.expect(401);
    registry.ask("root", "GET", "/v2/_catalog").await.fails(403, "DENIED");
}

/// CVE-2024-39897: the content of a repository that may not be read, by mounting it into one's own, or by asking for
/// it there.
#[tokio::test]
async fn mount_without_source_permission_is_an_upload_that_tells_nothing() {
    let registry = Guarded::new().await;
    let (digest, unknown) = (layer(), Algorithm::Sha256.digest(b"nowhere").to_string());
    let mut answers = Vec::new();
    for (digest, source) in [
        (&digest, "&from=secret/app"),
        (&digest, "&from=secret/absent"),
        (&digest, "&from=users/bob/app"),
        (&digest, ""),
        (&unknown, "&from=secret/app"),
        (&unknown, "&from=public/app"),
        (&unknown, ""),
    ] {
        let uri = format!("/v2/users/alice/own/blobs/uploads/?mount={digest}{source}");
        let reply = registry.ask("alice", "POST", &uri).await.expect(202);
        let reply = reply.lacks("docker-content-digest");
        let names: Vec<String> = reply.headers.keys().map(ToString::to_string).collect();
        answers.push((names, text(&reply)));
        registry.ask("alice", "HEAD", &format!("/v2/users/alice/own/blobs/{digest}")).await.expect(404);
        registry.ask("alice", "GET", &format!("/v2/users/alice/own/blobs/{digest}")).await.expect(404);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    // An image that refers to what could not be mounted is refused.
    let put = registry.client.put("/v2/users/alice/own/manifests/v1");
    let put = put.header("authorization", "alice").header("content-type", OCI).body(image().to_string());
    assert!(text(&put.await.expect(400)).contains("MANIFEST_BLOB_UNKNOWN"));

    // From where the caller may read, and to where the caller may write.
    let from_public = format!("/v2/users/alice/own/blobs/uploads/?mount={digest}&from=public/app");
    registry.ask("alice", "POST", &from_public).await.expect(201);
    let into_team = format!("/v2/team/app/blobs/uploads/?mount={digest}&from=public/app");
    registry.ask("alice", "POST", &into_team).await.fails(403, "DENIED");
    registry.ask("", "POST", &from_public).await.expect(401);
    // Who may pull everything may mount without saying from where.
    registry.ask("root", "POST", &format!("/v2/any/blobs/uploads/?mount={digest}")).await.expect(201);
}

/// What is private and what is not there answer alike, whatever is asked.
#[tokio::test]
async fn private_existence_is_not_told() {
    let registry = Guarded::new().await;
    let digest = layer();
    for (method, rest) in [
        ("GET", "tags/list".to_owned()),
        ("GET", "manifests/v1".to_owned()),
        ("HEAD", "manifests/v1".to_owned()),
        ("GET", format!("blobs/{digest}")),
        ("GET", format!("referrers/{digest}")),
        ("DELETE", "manifests/v1".to_owned()),
        ("POST", "blobs/uploads/".to_owned()),
        ("PUT", "manifests/v1".to_owned()),
    ] {
        let mut answers = Vec::new();
        for repository in ["secret/app", "secret/not"] {
            let reply = registry.ask("alice", method, &format!("/v2/{repository}/{rest}")).await.expect(404);
            let mut headers = reply.headers.clone();
            headers.remove("x-request-id");
            answers.push((headers, text(&reply).replace(repository, "…")));
            let nobody = registry.ask("", method, &format!("/v2/{repository}/{rest}")).await.expect(401);
            answers.push((Default::default(), text(&nobody).replace(repository, "…")));
        }
        assert_eq!(answers[0], answers[2], "{method} {rest}");
        assert_eq!(answers[1], answers[3], "{method} {rest}");
    }
    // As a repository that the caller may see and that is not there.
    let hidden = registry.ask("alice", "GET", "/v2/secret/app/tags/list").await;
    let absent = registry.ask("alice", "GET", "/v2/users/alice/not/tags/list").await.expect(404);
    assert_eq!(text(&hidden).replace("secret/app", "…"), text(&absent).replace("users/alice/not", "…"));
    // What is not private is denied as what it is.
    registry.ask("alice", "GET", "/v2/team/app/tags/list").await.fails(403, "DENIED");
}

/// GHSA-c9p4-xwr9-rfhx: groups that somebody has left.
#[tokio::test]
async fn a_group_that_was_left_counts_no_more() {
    let registry = Guarded::new().await;
    registry.ask("alice+devs", "GET", "/v2/team/app/manifests/v1").await.expect(200);
    registry.ask("alice", "GET", "/v2/team/app/manifests/v1").await.expect(403);
    let policy = |users: Value| {
        let rules = json!({ "groups": { "devs": users }, "rules": [
            { "allow": ["pull"], "repositories": ["team/**"], "who": ["group:devs"] }
        ]});
        PolicyRules::from_value(rules).unwrap()
    };
    registry.live.replace(policy(json!(["alice"])));
    registry.ask("alice", "GET", "/v2/team/app/manifests/v1").await.expect(200);
    registry.live.replace(policy(json!(["bob"])));
    registry.ask("alice", "GET", "/v2/team/app/manifests/v1").await.expect(403);
}

/// Names that end up in a rule of somebody else's by way of the rule's own place for them.
#[tokio::test]
async fn a_name_is_never_a_pattern() {
    let registry = Guarded::new().await;
    for user in ["*", "**", "{user}", "bob/app", "../bob", "bob%2fapp", "b*b"] {
        registry.ask(user, "GET", "/v2/users/bob/app/manifests/v1").await.expect(403);
    }
    registry.ask("bob", "GET", "/v2/users/bob/app/manifests/v1").await.expect(200);
}

#[tokio::test]
async fn every_request_leaves_one_record_of_who_did_what() {
    let registry = Guarded::new().await;
    let digest = layer();
    let post = |uri: String| {
        registry.client.post(uri).header("authorization", "alice").header("user-agent", "crane")
    };
    registry.ask("", "GET", "/v2/").await.expect(401);
    registry.ask("", "GET", "/v2/public/app/manifests/v1").await.expect(200);
    registry.ask("alice", "HEAD", &format!("/v2/public/app/blobs/{digest}")).await.expect(200);
    post(format!("/v2/users/alice/x/blobs/uploads/?mount={digest}&from=public/app")).await.expect(201);
    let put = registry.client.put("/v2/team/app/manifests/v2?tag=v3").header("authorization", "bob+devs");
    put.header("content-type", OCI).body(image().to_string()).await.expect(201);
    registry.ask("alice", "DELETE", "/v2/team/app/manifests/v1").await.expect(403);
    registry.ask("alice", "GET", "/v2/secret/app/tags/list").await.expect(404);
    registry.ask("root", "DELETE", "/v2/team/app/manifests/v3").await.expect(202);
    registry.ask("root", "GET", "/v2/team/app/manifests/absent").await.expect(404);
    registry.ask("alice", "GET", "/v2/_catalog").await.expect(200);
    let manifest = Algorithm::Sha256.digest(image().to_string().as_bytes()).to_string();
    let no_one_may = "no rule allows";
    for (line, expected) in registry.recorded().iter().zip([
        json!({ "operation": "api.check", "status": 401, "refused": true, "error": "UNAUTHORIZED" }),
        json!({ "operation": "manifest.pull", "repository": "public/app", "reference": "v1", "digest": manifest, "status": 200 }),
        json!({ "operation": "blob.pull", "method": "HEAD", "user": "alice", "auth": "test", "digest": digest, "status": 200 }),
        json!({ "operation": "blob.mount", "user": "alice", "repository": "users/alice/x", "from": "public/app", "digest": digest, "status": 201, "useragent": "crane" }),
        json!({ "operation": "manifest.push", "user": "bob", "groups": ["devs"], "repository": "team/app", "reference": "v2", "tags": ["v3"], "digest": manifest, "status": 201 }),
        json!({ "operation": "tag.delete", "user": "alice", "repository": "team/app", "reference": "v1", "status": 403, "refused": true, "error": "DENIED" }),
        json!({ "operation": "tag.list", "user": "alice", "repository": "secret/app", "status": 404, "refused": true, "error": "NAME_UNKNOWN" }),
        json!({ "operation": "tag.delete", "user": "root", "status": 202 }),
        json!({ "operation": "manifest.pull", "user": "root", "status": 404, "error": "MANIFEST_UNKNOWN" }),
        json!({ "operation": "catalog.list", "user": "alice", "status": 200 }),
    ]) {
        for (member, value) in expected.as_object().unwrap() {
            assert_eq!(&line[member], value, "{member} of {line}");
        }
        let refused = line["refused"] == true;
        assert_eq!(refused, expected["refused"] == true, "{line}");
        if refused && line["user"] == "alice" {
            assert!(line["reason"].as_str().unwrap().starts_with(no_one_may), "{line}");
        }
        assert_eq!(line["id"].as_str().unwrap().len(), 36, "{line}");
    }
    registry.ask("alice", "GET", "/v2/").await.expect(200);
    assert_eq!(registry.recorded().len(), 1);
}

/// Stops in the middle of every push.
#[derive(Debug)]
struct Stuck;

#[async_trait]
impl RepositoryMiddleware for Stuck {
    async fn wrap(
        &self,
        cx: &Arc<RequestContext>,
        inner: Arc<dyn Repository>,
    ) -> Result<Arc<dyn Repository>, Error> {
        if cx.method == Some(http::Method::DELETE) {
            std::future::pending::<()>().await;
        }
        Ok(inner)
    }
}

#[tokio::test]
async fn who_leaves_before_the_answer_is_recorded_too() {
    let registry = Guarded::with(|builder| builder.repository_middleware(Stuck)).await;
    let request = registry.ask("root", "DELETE", "/v2/team/app/manifests/v1");
    let left = tokio::time::timeout(std::time::Duration::from_millis(50), request).await;
    assert!(left.is_err());
    let lines = registry.recorded();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["operation"], &lines[0]["user"]), (&json!("tag.delete"), &json!("root")));
    assert_eq!(lines[0]["status"], Value::Null);
}

/// A policy around users in a file. They outlive the controller by the guard.
async fn guarded_users() -> (Subject, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("htpasswd");
    std::fs::write(&path, "alice:$2y$04$PwPDziO82WO57rq9gMYizOKhxAEIs7DQt1FaaviI6DtvZDKPacbqS\n").unwrap();
    let users = Htpasswd::new("here", Arc::new(Passwords::open(path).unwrap()));
    let live = Arc::new(LivePolicy::new(PolicyRules::from_value(rules()).unwrap()));
    // `alice:secret`
    let request = http::Request::get("/v2/").header(AUTHORIZATION, "Basic YWxpY2U6c2VjcmV0");
    let (credentials, ()) = request.body(()).unwrap().into_parts();
    let controller = Arc::new(Policy::new(Arc::new(users), live));
    let subject = Subject::new(controller, credentials, repository("users/alice/app", Action::Push))
        .with_principal("alice")
        .with_may_not(repository("users/bob/app", Action::Pull));
    (subject, dir)
}

registry_conformance::access_tests!(policy_around_users, guarded_users());
