//! A notifier against real listeners that fail in every way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue};
use registry_core::events::Action;
use registry_core::{Event, EventSink, EventTarget, RepositoryName, RequestContext, Tag};
use registry_notifications::{
    EndpointOptions, Format, Notifier, NotifierError, NotifierOptions, QueueOptions,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a receiver does with the next request.
#[derive(Debug, Clone)]
enum Act {
    Answer(u16, Option<String>),
    Hang,
    Reset,
}

/// An HTTP server that acts as it is told, and 200 after that.
struct Receiver {
    address: std::net::SocketAddr,
    acts: Arc<Mutex<VecDeque<Act>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<usize>>,
}

#[derive(Debug, Clone)]
struct Seen {
    head: String,
    body: Value,
}

impl Seen {
    fn tag(&self) -> String {
        self.body["events"][0]["target"]["tag"].as_str().unwrap().to_owned()
    }
}

impl Receiver {
    async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acts = Arc::new(Mutex::new(acts.into_iter().collect()));
        let (seen, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let receiver = Self { address, acts, seen, connections };
        let (acts, seen, connections) =
            (Arc::clone(&receiver.acts), Arc::clone(&receiver.seen), Arc::clone(&receiver.connections));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *connections.lock().unwrap() += 1;
                tokio::spawn(serve(stream, Arc::clone(&acts), Arc::clone(&seen)));
            }
        });
        receiver
    }

    fn endpoint(&self) -> EndpointOptions {
        EndpointOptions::new("e", format!("http://{}/hook", self.address).parse().unwrap())
            .with_backoff(1000, Duration::from_millis(10))
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// Answers requests on one connection; only what is accepted counts as seen.
async fn serve(mut stream: TcpStream, acts: Arc<Mutex<VecDeque<Act>>>, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut buffer = Vec::new();
    loop {
        let request = loop {
            if let Some(request) = take(&mut buffer) {
                break request;
            }
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let act = acts.lock().unwrap().pop_front().unwrap_or(Act::Answer(200, None));
        match act {
            Act::Hang => std::future::pending().await,
            Act::Reset => return,
            Act::Answer(status, location) => {
                if status < 300 {
                    seen.lock().unwrap().push(request);
                }
                let location = location.map(|to| format!("Location: {to}\r\n")).unwrap_or_default();
                let answer = format!("HTTP/1.1 {status} X\r\n{location}Content-Length: 2\r\n\r\nok");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    }
}

fn take(buffer: &mut Vec<u8>) -> Option<Seen> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.unwrap().parse().unwrap();
    let body = buffer.get(end..end + length)?;
    let body = serde_json::from_slice(body).unwrap();
    buffer.drain(..end + length);
    Some(Seen { head, body })
}

fn start(endpoint: EndpointOptions) -> Notifier {
    Notifier::start(NotifierOptions::new("node:5000").with_endpoint(endpoint)).unwrap()
}

async fn publish(notifier: &Notifier, tag: &str) {
    publish_as(notifier, Action::Delete, tag).await;
}

async fn publish_as(notifier: &Notifier, action: Action, tag: &str) {
    let target = EventTarget::Tag(Tag::parse(tag).unwrap());
    let event = Event::now(action, RepositoryName::parse("a/b").unwrap(), target);
    notifier.publish(&RequestContext::new("r"), event).await;
}

fn tags(receiver: &Receiver) -> Vec<String> {
    receiver.seen().iter().map(Seen::tag).collect()
}

#[tokio::test]
async fn whatever_fails_is_sent_again_and_the_order_stays() {
    let answer = |status| Act::Answer(status, None);
    let acts = [answer(500), Act::Reset, answer(200), Act::Hang, answer(404), answer(200), Act::Reset];
    let receiver = Receiver::start(acts).await;
    let notifier = start(receiver.endpoint().with_timeout(Duration::from_millis(200)));
    for number in 0..20 {
        publish(&notifier, &format!("t{number}")).await;
    }
    assert!(notifier.shutdown(Duration::from_secs(10)).await.is_empty());
    assert_eq!(tags(&receiver), (0..20).map(|number| format!("t{number}")).collect::<Vec<_>>());
    let stats = notifier.stats().remove(0);
    assert_eq!((stats.pending, stats.events, stats.successes, stats.failures), (0, 20, 20, 2), "{stats:?}");
    // The one that hung. A kept connection that breaks may have been closed before the request: no failure yet.
    assert_eq!(stats.errors, 1, "{stats:?}");
    let statuses: Vec<_> = stats.statuses.into_iter().collect();
    let expected = [("200 OK", 20), ("404 Not Found", 1), ("500 Internal Server Error", 1)];
    assert_eq!(statuses, expected.map(|(name, count)| (name.to_owned(), count)));
}

#[tokio::test]
async fn a_request_has_the_headers_and_one_event_and_connections_are_kept() {
    let receiver = Receiver::start([]).await;
    let mut headers = HeaderMap::new();
    headers.append("authorization", HeaderValue::from_static("Bearer t"));
    headers.append("x-a", HeaderValue::from_static("1"));
    headers.append("x-a", HeaderValue::from_static("2"));
    let notifier = start(receiver.endpoint().with_headers(headers));
    publish(&notifier, "one").await;
    publish(&notifier, "two").await;
    assert!(notifier.shutdown(Duration::from_secs(10)).await.is_empty());
    let seen = receiver.seen();
    assert_eq!(seen.len(), 2);
    let head = &seen[0].head;
    assert!(head.starts_with("POST /hook HTTP/1.1\r\n"), "{head}");
    for line in [
        format!("host: {}", receiver.address),
        "content-type: application/vnd.docker.distribution.events.v2+json".to_owned(),
        "authorization: Bearer t".to_owned(),
        "x-a: 1".to_owned(),
        "x-a: 2".to_owned(),
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    assert_eq!(seen[0].body["events"].as_array().unwrap().len(), 1);
    assert_eq!(seen[0].body["events"][0]["source"]["addr"], "node:5000");
    assert_eq!(*receiver.connections.lock().unwrap(), 1);
}

#[tokio::test]
async fn what_is_ignored_is_not_sent() {
    let receiver = Receiver::start([]).await;
    let endpoint = receiver.endpoint().with_ignored(vec!["a/b".into()], vec!["pull".into()]);
    let notifier = start(endpoint);
    publish_as(&notifier, Action::Pull, "pulled").await;
    publish(&notifier, "deleted").await;
    assert!(notifier.shutdown(Duration::from_secs(10)).await.is_empty());
    assert_eq!(tags(&receiver), ["deleted"]);
    assert_eq!(notifier.stats()[0].events, 1);
}

#[tokio::test]
async fn redirects_keep_the_event_and_secrets_stay_at_home() {
    let there = Receiver::start([]).await;
    let url = format!("http://{}/there", there.address);
    let acts = [301, 302, 307, 308].map(|status| Act::Answer(status, Some(url.clone())));
    let here = Receiver::start(acts.into_iter().chain([Act::Answer(303, Some(url.clone()))])).await;
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static("secret"))]);
    let notifier = start(here.endpoint().with_headers(headers));
    for number in 0..5 {
        publish(&notifier, &format!("t{number}")).await;
    }
    assert!(notifier.shutdown(Duration::from_secs(10)).await.is_empty());
    // The last is a 303: the event was taken, and something else is to be seen elsewhere.
    assert_eq!(tags(&there), ["t0", "t1", "t2", "t3"]);
    assert!(there.seen().iter().all(|seen| !seen.head.contains("secret")));
    assert!(there.seen().iter().all(|seen| seen.head.starts_with("POST /there ")));
    assert_eq!(notifier.stats()[0].statuses["303 See Other"], 1);
}

#[tokio::test]
async fn a_batch_has_what_waits_and_cloud_events_have_a_type() {
    let receiver = Receiver::start([Act::Hang]).await;
    let endpoint = receiver.endpoint().with_timeout(Duration::from_millis(100)).with_batch(50);
    let notifier = start(endpoint.with_format(Format::CloudEvents));
    for number in 0..60 {
        publish(&notifier, &format!("t{number}")).await;
    }
    assert!(notifier.shutdown(Duration::from_secs(10)).await.is_empty());
    let seen = receiver.seen();
    let batches: Vec<usize> = seen.iter().map(|seen| seen.body.as_array().unwrap().len()).collect();
    assert_eq!(batches, [50, 10]);
    assert!(seen[0].head.contains("content-type: application/cloudevents-batch+json\r\n"));
    assert_eq!(seen[1].body[9]["subject"], "a/b:t59");
    assert_eq!(notifier.stats()[0].successes, 60);
}

#[tokio::test]
async fn a_dead_endpoint_holds_up_neither_requests_nor_others() {
    let receiver = Receiver::start([]).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let dead = EndpointOptions::new("dead", format!("http://{closed}/").parse().unwrap());
    let hangs = Receiver::start(vec![Act::Hang; 1000]).await;
    let mut slow = hangs.endpoint();
    slow.name = "slow".into();
    let options =
        NotifierOptions::new("n").with_endpoint(dead).with_endpoint(slow).with_endpoint(receiver.endpoint());
    let notifier = Notifier::start(options).unwrap();
    let begun = Instant::now();
    for number in 0..100 {
        publish(&notifier, &format!("t{number}")).await;
    }
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    let left = notifier.shutdown(Duration::from_millis(500)).await;
    assert_eq!(tags(&receiver).len(), 100);
    let left: Vec<_> = left.into_iter().map(|left| (left.endpoint, left.events, left.kept)).collect();
    assert_eq!(left, [("dead".to_owned(), 100, false), ("slow".to_owned(), 100, false)]);
}

#[tokio::test]
async fn a_restart_delivers_what_was_left_and_a_failing_endpoint_does_not_delay_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(vec![Act::Answer(503, None); 3]).await;
    let options = |threshold| {
        let endpoint = receiver.endpoint().with_backoff(threshold, Duration::from_secs(60));
        NotifierOptions::new("n")
            .with_endpoint(endpoint)
            .with_queue(QueueOptions::default().with_directory(directory.path()))
    };
    let notifier = Notifier::start(options(3)).unwrap();
    for number in 0..5 {
        publish(&notifier, &format!("t{number}")).await;
    }
    while notifier.stats()[0].failures < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(Notifier::start(options(3)), Err(NotifierError::InUse { .. })), "one process at a time");
    let begun = Instant::now();
    let left = notifier.shutdown(Duration::from_secs(30)).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!((left[0].events, left[0].kept), (5, true));
    drop(notifier);
    let notifier = Notifier::start(options(10)).unwrap();
    publish(&notifier, "t5").await;
    assert!(notifier.shutdown(Duration::from_secs(10)).await.is_empty());
    assert_eq!(tags(&receiver), ["t0", "t1", "t2", "t3", "t4", "t5"]);
}

#[tokio::test]
async fn what_can_never_work_is_refused_at_the_start() {
    for url in ["ftp://host/", "/path"] {
        let endpoint = EndpointOptions::new("e", url.parse().unwrap());
        let refused = Notifier::start(NotifierOptions::new("n").with_endpoint(endpoint));
        assert!(matches!(refused, Err(NotifierError::Endpoint { .. })), "{url}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let endpoint = EndpointOptions::new("e", "http://127.0.0.1:1/".parse().unwrap());
    let queue = QueueOptions::default().with_directory(file.path());
    let refused = Notifier::start(NotifierOptions::new("n").with_endpoint(endpoint).with_queue(queue));
    assert!(matches!(refused, Err(NotifierError::Queue { .. })));
}
