//! The debug server without its listener, and the files in `deploy` that name its metrics.

use http_body_util::BodyExt;
use registry::core::StorageDriver;
use registry::metrics::names::{self, Kind};
use registry::storage::MemoryDriver;

use super::*;
use crate::config::model::Driver;

async fn sources(prometheus: Option<&str>) -> Sources {
    let driver: Arc<dyn StorageDriver> = Arc::new(MemoryDriver::new());
    let (_, stops) = watch::channel(0);
    let none = model::Health::default();
    let (health, _checking) = crate::health::start(&none, &Driver::InMemory, &driver, None, stops).unwrap();
    Sources {
        health,
        metrics: Metrics::new(),
        prometheus: prometheus.map(str::to_owned),
        notifications: model::Notifications {
            include_references: false,
            directory: None,
            max_bytes: 0,
            endpoints: Vec::new(),
        },
        notifier: None,
        redis: None,
    }
}

async fn ask(sources: &Sources, method: Method, uri: &str) -> (StatusCode, String, Bytes) {
    let (parts, body) = sources.answer(&method, &uri.parse().unwrap()).await.into_parts();
    let kind = parts.headers[CONTENT_TYPE].to_str().unwrap().to_owned();
    (parts.status, kind, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn health_is_for_get_alone_and_empty_while_all_is_well() {
    let sources = sources(None).await;
    let (status, kind, body) = ask(&sources, Method::GET, "/debug/health").await;
    assert_eq!((status, kind.as_str(), &body[..]), (StatusCode::OK, "application/json", &b"{}"[..]));
    for method in [Method::POST, Method::HEAD, Method::PUT] {
        assert_eq!(ask(&sources, method, "/debug/health").await.0, StatusCode::NOT_FOUND);
    }
    let (status, _, body) = ask(&sources, Method::GET, "/debug/health/down").await;
    assert_eq!((status, &body[..]), (StatusCode::NOT_FOUND, &b"404 page not found\n"[..]));
}

#[tokio::test]
async fn metrics_are_where_they_are_configured_or_nowhere() {
    let here = sources(Some("/m")).await;
    let (status, kind, body) = ask(&here, Method::GET, "/m").await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, TEXT_FORMAT));
    assert!(body.starts_with(b"# HELP "));
    assert_eq!(ask(&here, Method::GET, "/metrics").await.0, StatusCode::NOT_FOUND);
    assert_eq!(ask(&sources(None).await, Method::GET, "/metrics").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn variables_say_what_distributions_readers_look_for() {
    let (status, kind, body) = ask(&sources(None).await, Method::GET, "/debug/vars").await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/json; charset=utf-8"));
    let vars: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert!(vars["cmdline"][0].is_string());
    assert!(vars["memstats"]["Sys"].as_u64().unwrap() > 100_000);
    assert_eq!(vars["registry"]["notifications"]["endpoints"], serde_json::json!([]));
}

#[tokio::test]
async fn profiles_that_are_not_there_say_what_to_use() {
    let sources = sources(None).await;
    let without = if cfg!(feature = "heap-profile") { 0 } else { 2 };
    let heap = [("heap", "--features heap-profile"), ("allocs", "heaptrack")];
    for (path, expected) in heap.into_iter().take(without).chain([("goroutine", "perf record")]) {
        let (status, _, body) = ask(&sources, Method::GET, &format!("/debug/pprof/{path}")).await;
        assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
        assert!(String::from_utf8_lossy(&body).contains(expected), "{path}");
    }
    assert_eq!(ask(&sources, Method::GET, "/debug/pprof/").await.0, StatusCode::OK);
    assert_eq!(ask(&sources, Method::GET, "/debug/pprof/nothing").await.0, StatusCode::NOT_FOUND);
}

#[cfg(all(feature = "profiling", not(feature = "heap-profile")))]
#[tokio::test]
async fn a_profile_takes_a_sensible_time_and_one_at_a_time() {
    let sources = sources(None).await;
    for seconds in ["0", "301", "-1", "soon", ""] {
        let (status, ..) =
            ask(&sources, Method::GET, &format!("/debug/pprof/profile?seconds={seconds}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{seconds:?}");
    }
    let one = ask(&sources, Method::GET, "/debug/pprof/profile?seconds=1");
    let other = ask(&sources, Method::GET, "/debug/pprof/profile?seconds=1");
    let ((first, kind, profile), (second, ..)) = tokio::join!(one, other);
    assert_eq!(
        (first, second, kind.as_str()),
        (StatusCode::OK, StatusCode::CONFLICT, "application/octet-stream")
    );
    // Its first field is a message, the type of the samples.
    assert_eq!(profile[0], 1 << 3 | 2);
}

#[cfg(feature = "heap-profile")]
#[tokio::test]
async fn a_heap_profile_names_who_holds_memory() {
    #[inline(never)]
    fn somebody_who_holds_memory() -> Vec<Vec<u8>> {
        (0..64).map(|_| vec![1; 1 << 20]).collect()
    }
    let sources = sources(None).await;
    let held = std::hint::black_box(somebody_who_holds_memory());
    for path in ["heap", "allocs", "heap?gc=1", "heap?debug=0"] {
        let (status, kind, profile) = ask(&sources, Method::GET, &format!("/debug/pprof/{path}")).await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/octet-stream"), "{profile:?}");
        for text in ["inuse_space", "alloc_objects", "somebody_who_holds_memory"] {
            assert!(profile.windows(text.len()).any(|part| part == text.as_bytes()), "{path}: no {text}");
        }
    }
    let (status, kind, dump) = ask(&sources, Method::GET, "/debug/pprof/heap?debug=1").await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "text/plain; charset=utf-8"));
    assert!(dump.starts_with(b"heap_v2/524288\n"));
    drop(held);
}

/// Every metric that a file in `deploy` names.
fn named(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = |word: &&str| ["registry_", "process_"].iter().any(|prefix| word.starts_with(prefix));
    words.filter(ours).map(str::to_owned).collect()
}

fn exists(metric: &str) -> bool {
    let endings: &[&str] = &["", "_bucket", "_sum", "_count"];
    names::ALL.iter().any(|name| {
        let endings = if name.kind == Kind::Histogram { endings } else { &endings[..1] };
        endings.iter().any(|ending| format!("{}{ending}", name.name) == metric)
    })
}

#[test]
fn dashboards_and_alerts_name_only_metrics_that_there_are() {
    let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
    for (directory, ending) in [("grafana", "json"), ("prometheus", "yml")] {
        let files =
            std::fs::read_dir(format!("{deploy}/{directory}")).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|found| found == ending)).collect();
        assert!(!files.is_empty(), "{directory}");
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let metrics = named(&text);
            assert!(metrics.len() >= 5, "{}", file.display());
            let unknown: Vec<_> = metrics.iter().filter(|metric| !exists(metric)).collect();
            assert!(unknown.is_empty(), "{}: no such metrics: {unknown:?}", file.display());
        }
    }
}
