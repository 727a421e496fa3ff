//! `registry config check`

use std::io::Write;
use std::path::Path;

use super::Failure;
use super::source::{Source, environment};
use crate::config::{self, Rejected};

/// Reads `file` as `serve` would, environment included, and says what it finds.
pub(crate) fn check(file: &Path, lenient: bool, output: &mut impl Write) -> Result<(), Failure> {
    let environment = environment(std::env::vars_os())?;
    let source = Source::file(file)?;
    let (warnings, result) = match config::load(&source.text, &source.name, environment, lenient) {
        Ok(loaded) => (loaded.warnings, Ok(())),
        Err(Rejected { errors, warnings }) => (warnings, Err(Failure(errors))),
    };
    let mut report: String = warnings.iter().map(|line| format!("warning: {line}\n")).collect();
    if result.is_ok() {
        report.push_str(&format!("{}: ok\n", source.name));
    }
    // Whoever closed standard output does not want to know.
    let _ = output.write_all(report.as_bytes());
    result
}
