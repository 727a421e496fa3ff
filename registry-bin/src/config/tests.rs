//! Mistakes and the messages they get; files and the values they mean.

mod accepted;
mod auth;
#[cfg(all(feature = "s3", feature = "gcs", feature = "azure"))]
mod buckets;
mod environment;
mod health;
mod hooks;
mod http;
mod issuer;
mod middleware;
mod mistakes;
mod notifications;
mod oidc;
mod plausible;
mod policy;
mod redis;
mod reference;
mod schema;
mod secret_files;
mod show;
mod token;

use super::{Loaded, Rejected, Strictness, load};

/// A file that is complete without the part under test.
const BASE: &str = "version: 0.1\nstorage: inmemory\n";

fn variables(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load_with(text: &str, environment: &[(&str, &str)]) -> Result<Loaded, Rejected> {
    load(text, "c.yml", variables(environment), Strictness::Usual)
}

/// The configuration of a file that has to load without a warning.
fn clean(text: &str, environment: &[(&str, &str)]) -> super::Config {
    let loaded = load_with(text, environment).unwrap_or_else(|rejected| panic!("{text}\n{rejected:#?}"));
    assert_eq!(loaded.warnings, [""; 0], "{text}");
    loaded.config
}

/// The warnings of a file that has to load.
fn warnings(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    load_with(text, environment).unwrap_or_else(|rejected| panic!("{text}\n{rejected:#?}")).warnings
}

/// The errors of a file that must not load.
fn errors(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    match load_with(text, environment) {
        Ok(loaded) => panic!("{text} {environment:?} loads as {loaded:#?}"),
        Err(rejected) => rejected.errors,
    }
}
