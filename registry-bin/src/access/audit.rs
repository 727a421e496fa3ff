//! `auth.audit`: who did what, as lines of JSON.

use std::path::PathBuf;
use std::sync::Arc;

use registry::auth::audit::AuditLog;
use registry::metrics::names::AUDIT_RECORDS;
use registry::metrics::{Family, Metrics, Sample, Value};

use super::AccessError;
use crate::config::model;
use crate::output;
use crate::reload::Reload;

/// Opens the log.
///
/// # Errors
/// A file that cannot be written to.
pub(super) fn open(audit: &model::Audit) -> Result<Arc<AuditLog>, AccessError> {
    let log = match &audit.path {
        Some(path) => AuditLog::open(path).map_err(|error| {
            AccessError(format!("auth.audit.path: cannot open {}: {error}", path.display()))
        })?,
        None => {
            let output = output::standard_output();
            AuditLog::to(move |line| {
                output.line(line, false);
                Ok(())
            })
        }
    };
    Ok(Arc::new(log.with_reads(audit.reads)))
}

/// Shows how many records there were.
pub(crate) fn count(metrics: &Metrics, log: &Arc<AuditLog>) {
    let log = Arc::clone(log);
    metrics.custom(move || {
        let (written, failed) = log.counts();
        let sample = |result: &'static str, count: u64| Sample {
            labels: vec![("result", result.into())],
            value: Value::Number(count as f64),
        };
        Family { name: &AUDIT_RECORDS, samples: vec![sample("failed", failed), sample("written", written)] }
    });
}

/// Opens the file again on SIGHUP, as logrotate wants it. It is not watched: it changes all the time.
pub(super) struct Reopen(pub(super) Arc<AuditLog>);

impl Reload for Reopen {
    fn name(&self) -> &'static str {
        "auth.audit"
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn reload(&self) -> Result<String, String> {
        let path = self.0.path().map(|path| path.display().to_string()).unwrap_or_default();
        self.0.reopen().map_err(|error| format!("auth.audit.path: cannot open {path}: {error}"))?;
        Ok(if path.is_empty() {
            "goes to standard output".to_owned()
        } else {
            format!("opened {path} again")
        })
    }
}
