//! What the sub-commands do.

mod bench;
mod check;
mod describe;
mod explain;
mod migrate;
mod serve;
mod settings;
mod show;
mod source;

pub(crate) use self::bench::{BenchArguments, bench};
pub(crate) use self::check::check;
pub(crate) use self::describe::{completions, man};
pub(crate) use self::explain::{ExplainArguments, Explained, explain};
pub(crate) use self::migrate::{MigrateArguments, migrate};
pub(crate) use self::serve::serve;
pub(crate) use self::show::{Format, schema, show};

/// Why a command ended without success: the lines for standard error, each without its prefix.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) Vec<String>);

impl<E: std::error::Error> From<E> for Failure {
    /// One line with the chain of causes, as far as the causes add to what has been said.
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let cause = error.to_string();
            if !text.contains(&cause) {
                text.push_str(&format!(": {cause}"));
            }
            source = error.source();
        }
        Self(vec![text.replace('\n', " ")])
    }
}
