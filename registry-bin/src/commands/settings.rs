//! What of the configuration can change while the registry serves: the level of the log, and rules of access.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use registry::auth::policy::LivePolicy;
use serde_json::{Map, Value};

use super::source::Source;
use crate::access::policy;
use crate::config::model::Policy;
use crate::config::{self, Strictness};
use crate::logging::Threshold;
use crate::reload::Reload;

/// The configuration file, for [`Reload`].
pub(super) struct Settings {
    file: PathBuf,
    environment: Vec<(String, String)>,
    strictness: Strictness,
    threshold: Threshold,
    /// The rules, if they are in this file.
    policy: Option<Arc<LivePolicy>>,
    /// What was in force at the start, by key.
    start: Map<String, Value>,
    /// What was said last about the keys that have changed.
    said: Mutex<Vec<String>>,
}

/// The keys that take effect at once.
const LIVE: [&str; 2] = ["log.level", "loglevel"];

/// What the keys of rules begin with.
const POLICY: &str = "auth.policy.";

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
        Self { file, environment, strictness, threshold, policy: None, start, said: Mutex::default() }
    }

    /// Puts new rules in force here; `None` if none are in this file.
    pub(super) fn with_policy(self, policy: Option<Arc<LivePolicy>>) -> Self {
        Self { policy, ..self }
    }

    /// The keys, except those that take effect at once, that are not as they were at the start. `rules` tells whether
    /// those of the rules do.
    fn changed(&self, now: &Map<String, Value>, rules: bool) -> Vec<String> {
        let differs = |key: &&String| {
            let value =
                |map: &Map<String, Value>| map.get(*key).and_then(|entry| entry.get("value")).cloned();
            let live = LIVE.contains(&key.as_str()) || rules && key.starts_with(POLICY);
            !live && value(now) != value(&self.start)
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
        let rules = match (&self.policy, &loaded.config.auth.policy) {
            (Some(live), Some(policy @ Policy::Inline(_))) => {
                Some((live, policy::rules(policy).map_err(|lines| first(&lines))?))
            }
            // Whether there are rules at all, and where, is decided at the start.
            _ => None,
        };
        let changed = self.changed(&flat(&source, &self.environment, self.strictness)?, rules.is_some());
        let level = loaded.config.log.level;
        self.threshold.set(level);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = format!("log.level is {}", level.word());
        if let Some((live, rules)) = rules {
            text.push_str(&format!(", auth.policy has {} rules", rules.len()));
            live.replace(rules);
        }
        if changed != *said && !changed.is_empty() {
            text.push_str(&format!("; what else has changed waits for a restart: {}", changed.join(", ")));
        }
        *said = changed;
        Ok(text)
    }
}
