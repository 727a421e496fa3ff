//! Which crate may depend on which. The table is that of `ARCHITECTURE.md`; an edge outside of it fails.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// The direct dependencies, development ones aside, that each crate may have.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "registry-core",
        &[
            "async-trait",
            "bytes",
            "digest",
            "futures",
            "hex",
            "http",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
        ],
    ),
    (
        "registry-storage",
        &[
            "registry-core",
            "async-trait",
            "aws-lc-rs",
            "base64",
            "bytes",
            "futures",
            "getrandom",
            "hex",
            "http",
            "httpdate",
            "humantime",
            "md-5",
            "memmap2",
            "object_store",
            "percent-encoding",
            "quick-xml",
            "quick_cache",
            "rustix",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tracing",
            "uuid",
        ],
    ),
    (
        "registry-auth",
        &[
            "registry-core",
            "async-trait",
            "aws-lc-rs",
            "base64",
            "bcrypt",
            "bytes",
            "getrandom",
            "hmac",
            "http",
            "humantime",
            "percent-encoding",
            "quick_cache",
            "reqwest",
            "rustix",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "tokio",
            "tracing",
            "x509-parser",
        ],
    ),
    (
        "registry-middleware",
        &[
            "registry-core",
            "async-trait",
            "aws-lc-rs",
            "base64",
            "bytes",
            "futures",
            "http",
            "humantime",
            "percent-encoding",
            "regex",
            "reqwest",
            "rustls-pki-types",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tracing",
        ],
    ),
    (
        "registry-metrics",
        &[
            "registry-core",
            "async-trait",
            "bytes",
            "http",
            "http-body",
            "pin-project-lite",
            "rustix",
            "tower-layer",
            "tower-service",
        ],
    ),
    (
        "registry-http",
        &[
            "registry-core",
            "base64",
            "bytes",
            "futures",
            "getrandom",
            "hmac",
            "http",
            "http-body",
            "http-body-util",
            "humantime",
            "percent-encoding",
            "serde",
            "serde_json",
            "sha2",
            "tower-layer",
            "tower-service",
            "tracing",
            "uuid",
        ],
    ),
    (
        "registry-notifications",
        &[
            "registry-core",
            "async-trait",
            "base64",
            "bytes",
            "http",
            "http-body-util",
            "humantime",
            "hyper",
            "hyper-util",
            "percent-encoding",
            "rustls",
            "rustls-native-certs",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tokio-rustls",
            "tracing",
            "uuid",
        ],
    ),
    (
        "registry-redis",
        &[
            "registry-core",
            "async-trait",
            "futures",
            "redis",
            "rustls-native-certs",
            "serde_json",
            "thiserror",
            "tokio",
            "tokio-rustls",
            "tracing",
        ],
    ),
    (
        "registry",
        &[
            "registry-auth",
            "registry-core",
            "registry-http",
            "registry-metrics",
            "registry-middleware",
            "registry-storage",
            "bytes",
            "futures",
            "http",
            "http-body",
            "http-body-util",
            "tower-service",
            "tracing",
        ],
    ),
    (
        "registry-conformance",
        &[
            "registry-core",
            "async-trait",
            "aws-lc-rs",
            "base64",
            "bytes",
            "futures",
            "http",
            "http-body",
            "http-body-util",
            "hyper",
            "hyper-util",
            "percent-encoding",
            "s3s",
            "serde",
            "serde_json",
            "tempfile",
            "tokio",
            "tower-service",
        ],
    ),
];

/// Crates of the workspace that the binary may know. Everything else it may choose freely.
const BINARY_KNOWS: &[&str] = &["registry", "registry-notifications", "registry-redis"];

/// Leaf crates that speak to others over the network, which the facade therefore does without: an HTTP client
/// and TLS are their trade.
const REACH_OUT: &[&str] = &["registry-notifications", "registry-redis"];

/// Dependencies that a feature brings which is not on by default, so that whoever does not ask for it builds none of
/// them: the HTTP client that fetches the keys of identity providers (`oidc`) and the addresses of AWS
/// (`cloudfront`), the servers of the emulated stores (`emulators`), and the clients of buckets (`s3`, `gcs`, `azure`).
const ON_REQUEST: &[(&str, &str)] = &[
    ("registry-auth", "reqwest"),
    ("registry-middleware", "reqwest"),
    ("registry-conformance", "hyper"),
    ("registry-conformance", "hyper-util"),
    ("registry-conformance", "s3s"),
    ("registry-storage", "object_store"),
];

/// What no library crate may pull in, however indirectly: servers, TLS, clouds, command lines, YAML.
const NEVER_IN_LIBRARIES: &[&str] = &[
    "axum",
    "clap",
    "hyper",
    "hyper-util",
    "native-tls",
    "openssl",
    "reqwest",
    "ring",
    "rustls",
    "serde-saphyr",
    "tracing-subscriber",
];

struct Metadata(Value);

impl Metadata {
    fn read() -> Self {
        // For this platform alone: what others need has not been downloaded.
        let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
        let rustc = String::from_utf8_lossy(&rustc.stdout);
        let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc has a host");
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--offline", "--filter-platform", host])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo metadata runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo metadata: {stderr}");
        Self(serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON"))
    }

    fn packages(&self) -> impl Iterator<Item = &Value> {
        self.0["packages"].as_array().into_iter().flatten()
    }

    fn package(&self, name: &str) -> &Value {
        self.packages()
            .find(|package| package["name"] == name && package["source"].is_null())
            .unwrap_or_else(|| panic!("{name} is in the workspace"))
    }

    /// Direct dependencies of a kind: `None` for ordinary ones.
    fn direct(&self, name: &str, kind: Option<&str>) -> BTreeSet<String> {
        let dependencies = self.package(name)["dependencies"].as_array().into_iter().flatten();
        dependencies
            .filter(|dependency| dependency["kind"].as_str() == kind)
            .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
            .collect()
    }

    /// Every package that `name` is built with by default, by following ordinary dependencies.
    fn all(&self, name: &str) -> BTreeSet<String> {
        let nodes: BTreeMap<&str, &Value> = self.0["resolve"]["nodes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|node| Some((node["id"].as_str()?, node)))
            .collect();
        let names: BTreeMap<&str, &str> =
            self.packages().filter_map(|p| Some((p["id"].as_str()?, p["name"].as_str()?))).collect();
        let mut waiting = vec![self.package(name)["id"].as_str().expect("an id")];
        let mut seen = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            if !seen.insert(id) {
                continue;
            }
            for dependency in nodes[id]["deps"].as_array().into_iter().flatten() {
                let ordinary = dependency["dep_kinds"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|kind| kind["kind"].is_null());
                if ordinary
                    && let Some(to) = dependency["pkg"].as_str()
                    && !ON_REQUEST.contains(&(names[id], names[to]))
                {
                    waiting.push(to);
                }
            }
        }
        seen.into_iter().map(|id| names[id].to_owned()).collect()
    }
}

#[test]
fn each_library_depends_only_on_what_the_table_allows() {
    let metadata = Metadata::read();
    for (name, allowed) in ALLOWED {
        let allowed: BTreeSet<String> = allowed.iter().map(ToString::to_string).collect();
        let direct = metadata.direct(name, None);
        let outside: Vec<_> = direct.difference(&allowed).collect();
        assert!(outside.is_empty(), "{name} depends on {outside:?}, which the table does not allow");
    }
}

#[test]
fn the_binary_knows_the_facade_and_what_it_leaves_out() {
    let known: Vec<String> = Metadata::read()
        .direct("registry-bin", None)
        .into_iter()
        .filter(|name| name.starts_with("registry"))
        .collect();
    assert_eq!(known, BINARY_KNOWS);
}

#[test]
fn libraries_pull_in_no_server_tls_or_command_line() {
    let metadata = Metadata::read();
    for (name, _) in ALLOWED.iter().filter(|(name, _)| !REACH_OUT.contains(name)) {
        let all = metadata.all(name);
        let found: Vec<_> = NEVER_IN_LIBRARIES.iter().filter(|banned| all.contains(**banned)).collect();
        assert!(found.is_empty(), "{name} pulls in {found:?}");
    }
}

#[test]
fn what_is_there_on_request_is_not_there_by_default() {
    let metadata = Metadata::read();
    for (name, dependency) in ON_REQUEST {
        let package = metadata.package(name);
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let mut ordinary = dependencies.filter(|one| one["name"] == *dependency && one["kind"].is_null());
        assert!(ordinary.all(|one| one["optional"] == true), "{name} cannot do without {dependency}");
        let (mut waiting, mut seen) = (vec!["default"], BTreeSet::new());
        while let Some(feature) = waiting.pop() {
            assert_ne!(feature, format!("dep:{dependency}"), "{name} has {dependency} by default");
            if seen.insert(feature) {
                let more = package["features"][feature].as_array().into_iter().flatten();
                waiting.extend(more.filter_map(Value::as_str));
            }
        }
    }
}

#[test]
fn leaf_crates_know_each_other_only_in_tests() {
    let leaves = [
        "registry-storage",
        "registry-auth",
        "registry-middleware",
        "registry-notifications",
        "registry-redis",
        "registry-http",
        "registry-metrics",
    ];
    let metadata = Metadata::read();
    for leaf in leaves {
        let direct = metadata.direct(leaf, None);
        let others: Vec<_> = leaves.iter().filter(|other| direct.contains(**other)).collect();
        assert!(others.is_empty(), "{leaf} depends on {others:?}");
    }
}

#[test]
fn every_crate_of_the_workspace_is_in_the_table() {
    let metadata = Metadata::read();
    let known: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).chain(["registry-bin"]).collect();
    for package in metadata.packages().filter(|package| package["source"].is_null()) {
        let name = package["name"].as_str().unwrap_or_default();
        let is_example = name.starts_with("example-");
        assert!(is_example || known.contains(name), "{name} is not in the table of dependencies.rs");
    }
}
