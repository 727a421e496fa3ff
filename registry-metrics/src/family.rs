//! What the metrics say at one moment.

use std::borrow::Cow;

use crate::names::Name;

/// A metric with all its label values.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Which metric.
    pub name: &'static Name,
    /// What it says for each combination of label values that there is.
    pub samples: Vec<Sample>,
}

/// What a metric says for one combination of label values.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Names and values of the labels, in the order of the names.
    pub labels: Vec<(&'static str, Cow<'static, str>)>,
    /// What it says.
    pub value: Value,
}

/// What is counted or measured.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A counter or gauge.
    Number(f64),
    /// How measurements are distributed.
    Histogram {
        /// The upper bound of each bucket as text, and how many measurements were at most that. The bucket of
        /// all is not among them.
        buckets: Vec<(&'static str, u64)>,
        /// How many measurements there were.
        count: u64,
        /// What they add up to.
        sum: f64,
    },
}

impl Sample {
    /// A sample with these labels, in the order of their names.
    pub fn new<const N: usize, V: Into<Cow<'static, str>>>(
        labels: [(&'static str, V); N],
        value: Value,
    ) -> Self {
        Self { labels: labels.map(|(name, value)| (name, value.into())).into(), value }
    }
}

impl Family {
    /// A metric without labels.
    pub fn single(name: &'static Name, value: f64) -> Self {
        Self { name, samples: vec![Sample { labels: Vec::new(), value: Value::Number(value) }] }
    }
}
