//! Lines of the access log and the count of requests in flight.

use std::convert::Infallible;
use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tower_service::Service as _;

use super::*;

fn recorder() -> (Sink, Arc<Mutex<Vec<String>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&lines);
    let sink: Sink =
        Arc::new(move |line: &[u8]| writer.lock().unwrap().push(String::from_utf8(line.to_vec()).unwrap()));
    (sink, lines)
}

async fn answer(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::builder().status(201).body(Full::from("four")).unwrap())
}

#[tokio::test]
async fn a_line_is_written_when_the_body_has_been_sent() {
    let (sink, lines) = recorder();
    let in_flight = InFlight::default();
    let mut service = Tracked::new(tower::service_fn(answer), in_flight.clone(), Some(sink));
    let request = Request::get("/v2/a\"b/tags/list?n=1")
        .header("user-agent", "curl/8 \"x\"\t\\")
        .header("referer", &b"\xe9"[..])
        .extension("[::ffff:10.1.2.3]:555".parse::<SocketAddr>().unwrap());
    let response = service.call(request.body(()).unwrap()).await.unwrap();
    assert_eq!((in_flight.count(), lines.lock().unwrap().len()), (1, 0));
    response.into_body().collect().await.unwrap();
    assert_eq!(in_flight.count(), 0);
    let lines = lines.lock().unwrap();
    let (start, rest) = lines[0].split_once('[').unwrap();
    let (_, end) = rest.split_once(']').unwrap();
    assert_eq!(start, "10.1.2.3 - - ");
    assert_eq!(
        end,
        " \"GET /v2/a\\\"b/tags/list?n=1 HTTP/1.1\" 201 4 \"\\xe9\" \"curl/8 \\\"x\\\"\\x09\\\\\"\n"
    );
    assert_eq!(lines.len(), 1);
}

#[tokio::test]
async fn an_abandoned_response_leaves_a_line_and_an_abandoned_request_none() {
    let (sink, lines) = recorder();
    let in_flight = InFlight::default();
    let mut service = Tracked::new(tower::service_fn(answer), in_flight.clone(), Some(sink));
    drop(service.call(Request::new(())));
    assert!(lines.lock().unwrap().is_empty());
    drop(service.call(Request::new(())).await.unwrap());
    assert!(lines.lock().unwrap()[0].ends_with("\"GET / HTTP/1.1\" 201 0 \"\" \"\"\n"), "{lines:?}");
    assert_eq!(in_flight.count(), 0);
}

#[tokio::test]
async fn without_a_sink_nothing_is_written_and_requests_still_count() {
    let in_flight = InFlight::default();
    let mut service = Tracked::new(tower::service_fn(answer), in_flight.clone(), None);
    let response = service.call(Request::new(())).await.unwrap();
    assert_eq!((in_flight.count(), response.body().is_end_stream()), (1, false));
    drop(response);
    assert_eq!(in_flight.count(), 0);
}
