//! The metrics of the registry, shown to OpenTelemetry under the same names.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use registry::metrics::names::{self, Kind, Name};
use registry::metrics::{Family, Metrics, Sample, Value};

use super::SERVICE;

/// One look at all metrics serves all instruments of a collection.
const FRESH: Duration = Duration::from_millis(500);

struct Snapshot {
    metrics: Metrics,
    taken: Mutex<(Instant, Arc<Vec<Family>>)>,
}

impl Snapshot {
    fn families(&self) -> Arc<Vec<Family>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.0.elapsed() > FRESH || taken.1.is_empty() {
            *taken = (Instant::now(), Arc::new(self.metrics.families()));
        }
        Arc::clone(&taken.1)
    }
}

/// Has the provider collect all metrics. Of a histogram, which OpenTelemetry takes only one measurement at a time,
/// the count and the sum are shown, with the endings that Prometheus gives them.
pub(super) fn observe(provider: &SdkMeterProvider, metrics: &Metrics) {
    let meter = provider.meter(SERVICE);
    let snapshot =
        Arc::new(Snapshot { metrics: metrics.clone(), taken: Mutex::new((Instant::now(), Arc::default())) });
    for name in names::ALL.iter().copied().filter(|name| !name.name.starts_with("promhttp_")) {
        let show = |read: fn(&Sample) -> Option<f64>| {
            let snapshot = Arc::clone(&snapshot);
            move |observer: &dyn AsyncInstrument<f64>| show(&snapshot.families(), name, read, observer)
        };
        // The instruments live in the provider; what is returned is only a name for them.
        match name.kind {
            Kind::Counter => {
                meter
                    .f64_observable_counter(name.name)
                    .with_description(name.help)
                    .with_callback(show(number))
                    .build();
            }
            Kind::Gauge => {
                meter
                    .f64_observable_gauge(name.name)
                    .with_description(name.help)
                    .with_callback(show(number))
                    .build();
            }
            Kind::Histogram => {
                for (ending, read) in [("count", count as fn(&Sample) -> Option<f64>), ("sum", sum)] {
                    let name = format!("{}_{ending}", name.name);
                    meter.f64_observable_counter(name).with_callback(show(read)).build();
                }
            }
        }
    }
}

fn show(
    families: &[Family],
    name: &'static Name,
    read: fn(&Sample) -> Option<f64>,
    observer: &dyn AsyncInstrument<f64>,
) {
    for sample in families.iter().filter(|family| family.name == name).flat_map(|family| &family.samples) {
        if let Some(value) = read(sample) {
            let labels = sample.labels.iter();
            let labels: Vec<KeyValue> =
                labels.map(|(name, value)| KeyValue::new(*name, value.clone().into_owned())).collect();
            observer.observe(value, &labels);
        }
    }
}

fn number(sample: &Sample) -> Option<f64> {
    match sample.value {
        Value::Number(value) => Some(value),
        Value::Histogram { .. } => None,
    }
}

fn count(sample: &Sample) -> Option<f64> {
    match sample.value {
        Value::Histogram { count, .. } => Some(count as f64),
        Value::Number(_) => None,
    }
}

fn sum(sample: &Sample) -> Option<f64> {
    match sample.value {
        Value::Histogram { sum, .. } => Some(sum),
        Value::Number(_) => None,
    }
}
