//! Log lines on standard error, in the two shapes that operators of the original registry parse.
//!
//! A layer of our own rather than the stock formatter: the stock one renders the fields of spans to text once
//! and for all, which neither shape can use.

mod fields;
mod json;
mod text;

use std::io::Write;
use std::time::SystemTime;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use self::fields::Fields;
use crate::config::{self, Formatter, Log};
use crate::time::Civil;

/// Where finished lines go; each call gets one line with its newline.
type Sink = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Sends everything that is traced in this process to standard error from now on.
pub(crate) fn install(log: &Log) {
    let sink: Sink = Box::new(|line| {
        // There is nowhere to report a failure of standard error.
        let _ = std::io::stderr().lock().write_all(line);
    });
    let subscriber = tracing_subscriber::registry().with(Lines::new(log, sink).with_filter(level(log.level)));
    // Only fails when somebody else installed a subscriber, whose choice then stands.
    let _ = subscriber.try_init();
}

fn level(level: config::Level) -> LevelFilter {
    match level {
        config::Level::Error => LevelFilter::ERROR,
        config::Level::Warn => LevelFilter::WARN,
        config::Level::Info => LevelFilter::INFO,
        config::Level::Debug => LevelFilter::DEBUG,
    }
}

/// Turns events into lines.
struct Lines {
    formatter: Formatter,
    /// From the configuration, on every line.
    constant: Fields,
    report_caller: bool,
    sink: Sink,
}

/// What a formatter needs besides the fields.
struct Head<'a> {
    level: &'static str,
    message: &'a str,
    time: Civil,
}

impl Lines {
    fn new(log: &Log, sink: Sink) -> Self {
        let mut constant = Fields::default();
        for (name, value) in &log.fields {
            constant.set(name, value.clone());
        }
        Self { formatter: log.formatter, constant, report_caller: log.report_caller, sink }
    }

    fn line(&self, mut fields: Fields, metadata: &Metadata<'_>, time: SystemTime) -> String {
        if self.report_caller {
            fields.set("func", metadata.module_path().unwrap_or_default().into());
            let place = (metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
            fields.set("file", format!("{}:{}", place.0, place.1).into());
        }
        let message = fields.take_message();
        let head = Head { level: name(*metadata.level()), message: &message, time: Civil::new(time) };
        match self.formatter {
            Formatter::Text => text::line(&head, &fields),
            Formatter::Json => json::line(&head, &fields),
        }
    }
}

/// The level names of the original, which has no `trace`.
fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        _ => "debug",
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = self.constant.clone();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.add(outer);
            }
        }
        event.record(&mut fields);
        let mut line = self.line(fields, event.metadata(), SystemTime::now());
        line.push('\n');
        (self.sink)(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn record(formatter: Formatter, report_caller: bool, emit: impl FnOnce()) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        let sink: Sink =
            Box::new(move |line| writer.lock().unwrap().push(String::from_utf8(line.to_vec()).unwrap()));
        let log = Log {
            level: config::Level::Info,
            formatter,
            fields: vec![("service".to_owned(), "registry".into()), ("replica".to_owned(), 2.into())],
            access_log: false,
            report_caller,
        };
        let layer = Lines::new(&log, sink).with_filter(level(log.level));
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
            lines[0].contains("level=error msg=x file=\"") && lines[0].contains("logging.rs:"),
            "{lines:?}"
        );
        assert!(lines[0].contains(" func=\"registry::logging::tests\""), "{lines:?}");
    }

    #[test]
    fn reserved_names_are_moved_aside() {
        let lines = record(Formatter::Text, false, || tracing::info!(level = "mine", time = 1, "m"));
        assert!(lines[0].contains("level=info msg=m fields.level=mine fields.time=1"), "{lines:?}");
    }
}
