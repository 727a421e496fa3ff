//! The whole command against a registry in this process.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use clap::ValueEnum;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use registry::Registry;
use registry::http::HttpOptions;
use registry::storage::MemoryDriver;
use tokio::sync::watch;

use super::*;
use crate::config::{Address, Limits};
use crate::listener::{Intake, Listener, ServeOptions, Transport, serve};

struct Server {
    url: String,
    /// Dropped, the server goes on until the test's runtime ends.
    _stop: watch::Sender<usize>,
}

async fn listen<S, B>(service: S) -> Server
where
    S: crate::listener::Serve<B>,
    B: http_body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let address = Address::Tcp { host: "127.0.0.1".into(), port: 0 };
    let listener = Listener::bind(&address).await.unwrap();
    let url = format!("http://{}", listener.local());
    let (stop, stops) = watch::channel(0);
    let limits = Limits::default();
    let options = ServeOptions {
        drain_timeout: Duration::from_secs(1),
        access_log: None,
        limits,
        transport: Transport::default(),
    };
    tokio::spawn(serve(listener, service, stops, options));
    Server { url, _stop: stop }
}

async fn registry(deletes: bool) -> Server {
    let registry = Registry::builder(MemoryDriver::new()).deletes(deletes).build().await.unwrap();
    listen(registry.service(HttpOptions::default())).await
}

/// Answers every request with `status`.
async fn answering(status: StatusCode) -> Server {
    let answer = move |_: Request<Intake>| async move {
        let mut response = Response::new(Full::<Bytes>::from("so\nbe it"));
        *response.status_mut() = status;
        Ok::<_, std::convert::Infallible>(response)
    };
    listen(tower::service_fn(answer)).await
}

fn options(url: &str) -> Options {
    Options {
        target: url.parse().unwrap(),
        pid: Some(std::process::id()),
        duration: Duration::from_millis(50),
        clients: 3,
        large_clients: 2,
        large_size: 3 << 20,
        workloads: Workload::value_variants().to_vec(),
        repository: None,
        tags: 130,
        keep: false,
    }
}

async fn bench(options: &Options) -> Result<Report, BenchError> {
    let (_stop, stops) = watch::channel(0);
    run(options, &stops, silent()).await
}

fn silent() -> Progress {
    Progress::new(Box::new(std::io::sink()), false)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_workload_does_something_without_an_error_and_leaves_nothing() {
    let server = registry(true).await;
    let report = bench(&options(&server.url)).await.unwrap();
    let table = report.table();
    assert_eq!(report.rows.len(), Workload::value_variants().len(), "{table}");
    for row in report.json()["workloads"].as_array().unwrap() {
        assert!(row["requests"].as_u64() > Some(0), "{row}\n{table}");
        assert_eq!((&row["errors"], &row["first_error"]), (&0.into(), &serde_json::Value::Null), "{table}");
        assert!(row["p50_seconds"].as_f64() <= row["p99_seconds"].as_f64(), "{row}");
        assert!(row["highest_resident_bytes"].as_u64() > Some(1 << 20), "{row}");
    }
    assert!(report.left.contains("were emptied"), "{}", report.left);
    assert!(!report.interrupted);
}

#[tokio::test]
async fn without_deletes_it_says_what_is_left() {
    let server = registry(false).await;
    let workloads = vec![Workload::ManifestTag];
    let options = Options { workloads, repository: Some("mine".into()), ..options(&server.url) };
    let report = bench(&options).await.unwrap();
    assert_eq!(report.rows[0].tally.errors, 0, "{}", report.table());
    assert!(report.left.contains("are left in mine") && report.left.contains("405"), "{}", report.left);
    let kept = Options { keep: true, ..options };
    assert_eq!(bench(&kept).await.unwrap().left, "mine and mine/tags were kept");
}

#[tokio::test]
async fn what_is_no_open_registry_is_one_clear_line() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    let line = bench(&options(&url)).await.unwrap_err().to_string();
    assert!(line.starts_with(&format!("{url}: cannot connect: Connection refused")), "{line}");
    for (status, expected) in [
        (StatusCode::UNAUTHORIZED, "asks for credentials, which bench does not send"),
        (StatusCode::NOT_FOUND, "is no registry: GET /v2/ was answered 404 Not Found: so be it"),
    ] {
        let server = answering(status).await;
        let line = bench(&options(&server.url)).await.unwrap_err().to_string();
        assert!(line.starts_with(&server.url) && line.contains(expected), "{line}");
    }
}

#[tokio::test]
async fn a_registry_that_refuses_pushes_is_one_clear_line() {
    let server = answering(StatusCode::OK).await;
    let workloads = vec![Workload::BlobHead];
    let line = bench(&Options { workloads, ..options(&server.url) }).await.unwrap_err().to_string();
    assert!(line.starts_with("cannot prepare small images: POST /v2/bench/"), "{line}");
    assert!(line.ends_with("answered 200 OK, not 202 Accepted"), "{line}");
}

#[tokio::test]
async fn unexpected_answers_are_counted_and_the_first_is_kept() {
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let server = listen(tower::service_fn(move |_: Request<Intake>| {
        let fails = asked.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        async move {
            let status = if fails { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            let mut response = Response::new(Full::<Bytes>::from("busy"));
            *response.status_mut() = status;
            Ok::<_, std::convert::Infallible>(response)
        }
    }))
    .await;
    let workloads = vec![Workload::Ping];
    let report = bench(&Options { workloads, clients: 1, ..options(&server.url) }).await.unwrap();
    let tally = &report.rows[0].tally;
    assert!(tally.errors > 0 && tally.latencies.count() > 0, "{tally:?}");
    let expected = "GET /v2/: answered 503 Service Unavailable, not 200 OK: busy";
    assert_eq!(tally.first_error.as_deref(), Some(expected));
}

#[tokio::test]
async fn a_stop_ends_the_run_with_what_there_is() {
    let server = registry(true).await;
    let (stop, stops) = watch::channel(0);
    let options = Options { duration: Duration::from_secs(3600), ..options(&server.url) };
    let running = tokio::spawn(async move { run(&options, &stops, silent()).await });
    // The first workload prepares nothing: whenever the stop comes, it is that one which ends.
    tokio::task::yield_now().await;
    stop.send_modify(|count| *count += 1);
    let report = tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap().unwrap();
    assert!(report.interrupted && report.rows.len() <= 1, "{}", report.table());
}
