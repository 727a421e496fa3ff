//! Decodes `auth.audit`.

use std::path::PathBuf;

use crate::config::model::Audit;
use crate::config::reader::Reader;

/// The word for standard output.
const STANDARD_OUTPUT: &str = "-";

/// The audit log.
pub(super) fn audit(reader: &Reader<'_>) -> Option<Audit> {
    let Some(path) = reader.filled("path") else {
        reader.missing("path", "is missing; write the file for the audit log, or - for standard output");
        return None;
    };
    let path = (path != STANDARD_OUTPUT).then(|| PathBuf::from(path));
    Some(Audit { path, reads: reader.flag("reads").unwrap_or(true) })
}
