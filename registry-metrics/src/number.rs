//! Counters, gauges and histograms: atomic integers, so that counting waits for nobody.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::family::Value;

/// Only ever grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(pub(crate) AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn value(&self) -> Value {
        Value::Number(self.get() as f64)
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) fn enter(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn value(&self) -> Value {
        Value::Number(self.get() as f64)
    }
}

/// What a histogram measures, and in which steps. Measurements are whole numbers of a small unit; the text of a
/// bound is in the unit that is shown, as Go would write it.
#[derive(Debug)]
pub(crate) struct Scale {
    /// Upper bounds, ascending, with their texts.
    bounds: &'static [(u64, &'static str)],
    /// How many of the unit of measurements make one of the unit that is shown.
    per_unit: f64,
}

const fn milliseconds(count: u64) -> u64 {
    count * 1_000_000
}

/// The buckets of Distribution's calls to the storage.
pub(crate) static ACTION_SECONDS: Scale = Scale { bounds: SECONDS.split_at(11).0, per_unit: 1e9 };

/// The buckets of Distribution's requests.
pub(crate) static REQUEST_SECONDS: Scale = Scale { bounds: REQUEST_BOUNDS, per_unit: 1e9 };

const SECONDS: &[(u64, &str)] = &[
    (milliseconds(5), "0.005"),
    (milliseconds(10), "0.01"),
    (milliseconds(25), "0.025"),
    (milliseconds(50), "0.05"),
    (milliseconds(100), "0.1"),
    (milliseconds(250), "0.25"),
    (milliseconds(500), "0.5"),
    (milliseconds(1000), "1"),
    (milliseconds(2500), "2.5"),
    (milliseconds(5000), "5"),
    (milliseconds(10_000), "10"),
];

const REQUEST_BOUNDS: &[(u64, &str)] = &[
    SECONDS[0],
    SECONDS[1],
    SECONDS[2],
    SECONDS[3],
    SECONDS[4],
    SECONDS[5],
    SECONDS[6],
    SECONDS[7],
    SECONDS[8],
    SECONDS[9],
    SECONDS[10],
    (milliseconds(25_000), "25"),
    (milliseconds(60_000), "60"),
];

/// Powers of two, as Distribution's sizes of requests and answers.
pub(crate) static BYTES: Scale = Scale {
    bounds: &[
        (1 << 10, "1024"),
        (1 << 11, "2048"),
        (1 << 12, "4096"),
        (1 << 13, "8192"),
        (1 << 14, "16384"),
        (1 << 15, "32768"),
        (1 << 16, "65536"),
        (1 << 17, "131072"),
        (1 << 18, "262144"),
        (1 << 19, "524288"),
        (1 << 20, "1.048576e+06"),
        (1 << 21, "2.097152e+06"),
        (1 << 22, "4.194304e+06"),
        (1 << 23, "8.388608e+06"),
        (1 << 24, "1.6777216e+07"),
        (1 << 25, "3.3554432e+07"),
        (1 << 26, "6.7108864e+07"),
        (1 << 27, "1.34217728e+08"),
        (1 << 28, "2.68435456e+08"),
        (1 << 29, "5.36870912e+08"),
        (1 << 30, "1.073741824e+09"),
        (1 << 31, "2.147483648e+09"),
    ],
    per_unit: 1.0,
};

/// Most buckets of any scale, that of everything above the last bound included.
const BUCKETS: usize = 23;

/// How measurements are distributed.
#[derive(Debug)]
pub(crate) struct Histogram {
    scale: &'static Scale,
    /// Not cumulative. The one after the last bound has what is above it.
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(scale: &'static Scale) -> Self {
        Self { scale, buckets: Default::default(), sum: AtomicU64::new(0) }
    }

    pub(crate) fn observe(&self, measured: u64) {
        let index = self.scale.bounds.iter().position(|(bound, _)| measured <= *bound);
        let index = index.unwrap_or(self.scale.bounds.len());
        if let Some(bucket) = self.buckets.get(index) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(measured, Ordering::Relaxed);
    }

    pub(crate) fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn value(&self) -> Value {
        let mut count = 0;
        let mut cumulated = |bucket: &AtomicU64| {
            count += bucket.load(Ordering::Relaxed);
            count
        };
        let buckets = self.scale.bounds.iter().zip(&self.buckets);
        let buckets = buckets.map(|((_, text), bucket)| (*text, cumulated(bucket))).collect();
        let count = self.buckets.get(self.scale.bounds.len()).map_or(0, cumulated);
        let sum = self.sum.load(Ordering::Relaxed) as f64 / self.scale.per_unit;
        Value::Histogram { buckets, count, sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_is_in_the_first_bucket_that_is_not_below_it_and_in_all_after() {
        let histogram = Histogram::new(&REQUEST_SECONDS);
        for time in [0, 5_000_000, 5_000_001, 60_000_000_000, 60_000_000_001] {
            histogram.observe(time);
        }
        let Value::Histogram { buckets, count, sum } = histogram.value() else { unreachable!() };
        assert_eq!(buckets[..2], [("0.005", 2), ("0.01", 3)]);
        assert_eq!((buckets[12], count), (("60", 4), 5));
        assert!((sum - 120.010_000_002).abs() < 1e-6, "{sum}");
    }

    #[test]
    fn the_texts_of_bounds_are_their_numbers() {
        for scale in [&REQUEST_SECONDS, &ACTION_SECONDS, &BYTES] {
            assert!(scale.bounds.len() < BUCKETS);
            for (bound, text) in scale.bounds {
                let shown: f64 = text.parse().unwrap();
                assert!((shown * scale.per_unit - *bound as f64).abs() < 1e-6, "{text}");
            }
            assert!(scale.bounds.is_sorted());
        }
        assert_eq!((ACTION_SECONDS.bounds.len(), BYTES.bounds.len()), (11, 22));
    }
}
