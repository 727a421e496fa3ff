//! `auth.policy`: rules for callers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use registry::auth::policy::{LivePolicy, PolicyRules};
use tracing::info;

use super::AccessError;
use crate::config::{self, model};
use crate::reload::Reload;

/// More rules than anybody writes, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// The rules in force, and the file that they come from.
pub(super) struct PolicyFile {
    path: PathBuf,
    live: Arc<LivePolicy>,
}

/// The rules of a policy.
///
/// # Errors
/// Rules that cannot be read, one line each.
pub(crate) fn rules(policy: &model::Policy) -> Result<PolicyRules, Vec<String>> {
    match policy {
        model::Policy::Inline(document) => {
            PolicyRules::new(document).map_err(|error| vec![format!("auth.policy.{error}")])
        }
        model::Policy::File(path) => read(path),
    }
}

/// Puts a policy in force.
///
/// # Errors
/// Rules that cannot be read.
pub(super) fn open(policy: &model::Policy) -> Result<(Arc<LivePolicy>, Option<PolicyFile>), AccessError> {
    let rules = rules(policy).map_err(|lines| AccessError(lines.join("; ")))?;
    info!("auth.policy: {} rules; what none of them allows is denied", rules.len());
    let live = Arc::new(LivePolicy::new(rules));
    let file = match policy {
        model::Policy::Inline(_) => None,
        model::Policy::File(path) => Some(PolicyFile { path: path.clone(), live: Arc::clone(&live) }),
    };
    Ok((live, file))
}

fn read(path: &Path) -> Result<PolicyRules, Vec<String>> {
    let wrong = |why: String| vec![format!("auth.policy.file: {}: {why}", path.display())];
    let length = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if length > MAX_FILE {
        return Err(wrong(format!("larger than {MAX_FILE} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    config::policy(&text, &path.display().to_string())
}

impl Reload for PolicyFile {
    fn name(&self) -> &'static str {
        "auth.policy"
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn reload(&self) -> Result<String, String> {
        let rules = read(&self.path).map_err(|lines| lines.join("; "))?;
        let changes = format!("{} rules are in force now", rules.len());
        self.live.replace(rules);
        Ok(changes)
    }
}
