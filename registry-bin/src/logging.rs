//! Log lines on standard error, in the shapes that operators of the original registry parse, and by mail.
//!
//! A layer of our own rather than the stock formatter: the stock one renders the fields of spans to text once
//! and for all, which neither shape can use.

mod fields;
mod json;
mod mail;
mod text;

use std::time::{Duration, Instant, SystemTime};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use self::fields::{Fields, Pair};
use self::mail::{Entry, Queue};
use crate::config::{self, Formatter, Log, Severity};
use crate::output;
use crate::telemetry::SpanLayer;
use crate::time::Civil;

pub(crate) use self::mail::MailError;

/// Where finished lines go; each call gets one line with its newline.
type Sink = Box<dyn Fn(&[u8], Severity) + Send + Sync>;

/// Marks events about a defect of this program.
const PANIC: &str = "panic";

/// How long the end of the process waits for mail that is on its way.
const LAST_MAIL: Duration = Duration::from_secs(5);

/// The log of this process; see [`install`].
#[derive(Debug)]
pub(crate) struct Logging {
    hooks: Vec<Queue>,
    threshold: Threshold,
}

/// Decides which lines are bad enough to be written.
#[derive(Debug, Clone)]
pub(crate) struct Threshold(reload::Handle<LevelFilter, Registry>);

impl Threshold {
    /// From now on it is this level.
    pub(crate) fn set(&self, least: config::Level) {
        // Fails only when the subscriber is gone, which is never before the process.
        let _ = self.0.reload(level(least));
    }
}

/// Sends everything that is traced in this process to standard error from now on, panics included; and the spans of
/// requests to `spans` as well, if that is there.
///
/// # Errors
/// A mail hook that could never send anything.
pub(crate) fn install(log: &Log, spans: Option<SpanLayer>) -> Result<Logging, MailError> {
    let hooks = log.hooks.iter().map(Queue::start).collect::<Result<Vec<_>, _>>()?;
    let output = output::standard_error();
    // What is not in order is written at once: the process may be about to end.
    let sink: Sink = Box::new(move |line, severity| output.line(line, severity <= Severity::Warning));
    let mut lines = Lines::new(log, sink, hooks.clone());
    lines.about_this_process();
    let (filter, threshold) = reload::Layer::new(level(log.level));
    let mut layers: Vec<SpanLayer> = vec![lines.with_filter(filter).boxed()];
    layers.extend(spans);
    let subscriber = tracing_subscriber::registry().with(layers);
    // Only fails when somebody else installed a subscriber, whose choice then stands.
    let _ = subscriber.try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(target: PANIC, place, "a defect in this program: {text}");
    }));
    Ok(Logging { hooks, threshold: Threshold(threshold) })
}

impl Logging {
    /// For changing the level while the process runs.
    pub(crate) fn threshold(&self) -> Threshold {
        self.threshold.clone()
    }

    /// Mails why the process ends; the caller tells standard error.
    pub(crate) fn fatal(&self, reasons: &[String]) {
        for hook in self.hooks.iter().filter(|hook| hook.wants(Severity::Fatal)) {
            for reason in reasons {
                hook.push(Entry::new(Severity::Fatal, SystemTime::now(), reason.clone(), String::new()));
            }
        }
    }

    /// Waits until mail that is on its way has gone, but not for long.
    pub(crate) fn finish(self) {
        let until = Instant::now() + LAST_MAIL;
        for hook in self.hooks {
            hook.finish(until);
        }
    }
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
    /// On every line.
    constant: Fields,
    report_caller: bool,
    sink: Sink,
    hooks: Vec<Queue>,
}

/// What a formatter needs besides the fields.
struct Head<'a> {
    severity: Severity,
    message: &'a str,
    time: Civil,
}

impl Lines {
    fn new(log: &Log, sink: Sink, hooks: Vec<Queue>) -> Self {
        let mut constant = Fields::default();
        for (name, value) in &log.fields {
            constant.set(name.clone(), value.clone());
        }
        Self { formatter: log.formatter, constant, report_caller: log.report_caller, sink, hooks }
    }

    /// Adds which program and which of its processes writes, as Distribution does.
    fn about_this_process(&mut self) {
        self.constant.set("version", env!("CARGO_PKG_VERSION").into());
        self.constant.set("instance.id", uuid::Uuid::now_v7().to_string().into());
    }

    fn line(&self, head: &Head<'_>, fields: &[Pair<'_>]) -> String {
        match self.formatter {
            Formatter::Text => text::line(head, fields),
            Formatter::Json => json::line(head, fields),
            Formatter::Logstash => json::logstash_line(head, fields),
        }
    }
}

/// The original has no `trace`.
fn severity(metadata: &Metadata<'_>) -> Severity {
    match *metadata.level() {
        Level::ERROR if metadata.target() == PANIC => Severity::Panic,
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warning,
        Level::INFO => Severity::Info,
        _ => Severity::Debug,
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
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        if self.report_caller {
            fields.set("func", metadata.module_path().unwrap_or_default().into());
            let place = (metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
            fields.set("file", format!("{}:{}", place.0, place.1).into());
        }
        let (severity, message, now) = (severity(metadata), fields.take_message(), SystemTime::now());
        let head = Head { severity, message: &message, time: Civil::new(now) };
        let spans: Vec<_> =
            context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()).collect();
        let extensions: Vec<_> = spans.iter().map(|span| span.extensions()).collect();
        let outer = extensions.iter().filter_map(|extensions| extensions.get::<Fields>());
        let fields = fields::merged([&self.constant].into_iter().chain(outer).chain([&fields]));
        let mut line = self.line(&head, &fields);
        line.push('\n');
        (self.sink)(line.as_bytes(), severity);
        // What the hooks have to say themselves would come back to them for ever.
        if metadata.target() != mail::TARGET {
            for hook in self.hooks.iter().filter(|hook| hook.wants(severity)) {
                hook.push(Entry::new(severity, now, message.clone(), text::list(&fields)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
