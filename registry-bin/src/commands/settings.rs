//! What of the configuration can change while the registry serves: the level of the log.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use super::source::Source;
use crate::config::{self, Strictness};
use crate::logging::Threshold;
use crate::reload::Reload;

/// The configuration file, for [`Reload`].
pub(super) struct Settings {
    file: PathBuf,
    environment: Vec<(String, String)>,
    strictness: Strictness,
    threshold: Threshold,
    /// What was in force at the start, by key.
    start: Map<String, Value>,
    /// What was said last about the keys that have changed.
    said: Mutex<Vec<String>>,
}

/// The keys that take effect at once.
const LIVE: [&str; 2] = ["log.level", "loglevel"];

impl Settings {
    /// Remembers what is in force now.
    pub(super) fn new(
        file: PathBuf,
        source: &Source,
        environment: Vec<(String, String)>,
        strictness: Strictness,
        threshold: Threshold,
    ) -> Self {
        let start = flat(source, &environment, strictness).unwrap_or_default();
        Self { file, environment, strictness, threshold, start, said: Mutex::default() }
    }

    /// The keys, except those that take effect at once, that are not as they were at the start.
    fn changed(&self, now: &Map<String, Value>) -> Vec<String> {
        let differs = |key: &&String| {
            let value =
                |map: &Map<String, Value>| map.get(*key).and_then(|entry| entry.get("value")).cloned();
            !LIVE.contains(&key.as_str()) && value(now) != value(&self.start)
        };
        let mut keys: Vec<String> = now.keys().chain(self.start.keys()).filter(differs).cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// Every key with its value; secrets are masked, so that a change of one is not seen.
fn flat(
    source: &Source,
    environment: &[(String, String)],
    strictness: Strictness,
) -> Result<Map<String, Value>, String> {
    match config::show(&source.text, &source.name, environment.iter().cloned(), strictness) {
        Ok((shown, _)) => match shown.json() {
            Value::Object(map) => Ok(map),
            _ => Ok(Map::new()),
        },
        Err(rejected) => Err(first(&rejected.errors)),
    }
}

/// One line for all that is wrong.
fn first(errors: &[String]) -> String {
    let more = errors.len().saturating_sub(1);
    let first = errors.first().cloned().unwrap_or_default();
    if more == 0 { first } else { format!("{first} (and {more} more)") }
}

impl Reload for Settings {
    fn name(&self) -> &'static str {
        "configuration"
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.file.clone()]
    }

    fn reload(&self) -> Result<String, String> {
        let source = Source::file(&self.file).map_err(|failure| first(&failure.0))?;
        let variables = || self.environment.iter().cloned();
        let loaded = config::load(&source.text, &source.name, variables(), self.strictness)
            .map_err(|rejected| first(&rejected.errors))?;
        let changed = self.changed(&flat(&source, &self.environment, self.strictness)?);
        let level = loaded.config.log.level;
        self.threshold.set(level);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = format!("log.level is {}", level.word());
        if changed != *said && !changed.is_empty() {
            text.push_str(&format!("; what else has changed waits for a restart: {}", changed.join(", ")));
        }
        *said = changed;
        Ok(text)
    }
}
