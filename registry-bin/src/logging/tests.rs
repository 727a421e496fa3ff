//! Lines in each shape.

use std::sync::{Arc, Mutex};

use super::*;

fn record(formatter: Formatter, report_caller: bool, emit: impl FnOnce()) -> Vec<String> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&lines);
    let sink: Sink =
        Box::new(move |line, _| writer.lock().unwrap().push(String::from_utf8(line.to_vec()).unwrap()));
    let log = Log {
        level: config::Level::Info,
        formatter,
        fields: vec![("service".to_owned(), "registry".into()), ("replica".to_owned(), 2.into())],
        access_log: false,
        report_caller,
        hooks: Vec::new(),
    };
    let layer = Lines::new(&log, sink, Vec::new()).with_filter(level(log.level));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), emit);
    let lines = lines.lock().unwrap();
    // The time differs each run: cut its value out.
    lines.iter().map(|line| cut_time(line)).collect()
}

fn cut_time(line: &str) -> String {
    let start = line.find("20").unwrap();
    format!("{}T{}", &line[..start], &line[start + 30..])
}

fn emit() {
    let outer = tracing::info_span!("outer", http.request.method = "GET", late = tracing::field::Empty);
    let _outer = outer.enter();
    outer.record("late", "x y");
    let inner = tracing::info_span!("inner", vars.name = "a/b", replica = 3);
    let _inner = inner.enter();
    tracing::warn!(count = 5, empty = "", "two \"words\"");
    tracing::debug!("below the level");
}

#[test]
fn text_lines_carry_constant_span_and_event_fields_in_order() {
    assert_eq!(
        record(Formatter::Text, false, emit),
        ["time=\"T\" level=warning msg=\"two \\\"words\\\"\" count=5 empty= http.request.method=GET \
          late=\"x y\" replica=3 service=registry vars.name=a/b\n"]
    );
}

#[test]
fn json_lines_are_one_object() {
    let lines = record(Formatter::Json, false, emit);
    assert_eq!(
        lines,
        [
            "{\"count\":5,\"empty\":\"\",\"http.request.method\":\"GET\",\"late\":\"x y\",\"level\":\"warning\",\
          \"msg\":\"two \\\"words\\\"\",\"replica\":3,\"service\":\"registry\",\"time\":\"T\",\
          \"vars.name\":\"a/b\"}\n"
        ]
    );
}

#[test]
fn the_caller_is_added_on_request() {
    let lines = record(Formatter::Text, true, || tracing::error!("x"));
    assert!(
        lines[0].contains("level=error msg=x file=\"") && lines[0].contains("logging/tests.rs:"),
        "{lines:?}"
    );
    assert!(lines[0].contains(" func=\"registry::logging::tests\""), "{lines:?}");
}

#[test]
fn reserved_names_are_moved_aside() {
    let lines = record(Formatter::Text, false, || tracing::info!(level = "mine", time = 1, "m"));
    assert!(lines[0].contains("level=info msg=m fields.level=mine fields.time=1"), "{lines:?}");
}

/// Programs that mount the service may have no line at the end of a request.
#[test]
fn a_failure_whose_request_ends_without_a_line_is_logged_when_it_goes_away() {
    use registry::core::{Error, ErrorCode};
    let failure =
        |code| Error::coded_with(code, code.message(), None, Some(std::io::Error::other("the disk").into()));
    let lines = record(Formatter::Text, false, || {
        let response = registry::http::error_response(&failure(ErrorCode::UNKNOWN));
        let again = response.extensions().clone();
        drop(response);
        tracing::info!("it may still be logged");
        drop(again);
        drop(registry::http::error_response(&failure(ErrorCode::DENIED)));
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("it may still be logged"));
    assert!(lines[1].contains("level=error") && lines[1].contains(r#"msg="request failed""#), "{}", lines[1]);
    assert!(lines[1].contains("the disk"), "{}", lines[1]);
}
