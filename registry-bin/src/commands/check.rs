//! `registry config check`

use std::io::Write;
use std::path::Path;

use super::Failure;
use super::source::{Source, environment};
use crate::access::policy;
use crate::config::{self, Rejected, Strictness};

/// Reads `file` as `serve` would, environment included, and says what it finds. Old keys, which `serve` warns
/// about, are errors here, unless it is to be `lenient`.
pub(crate) fn check(file: &Path, lenient: bool, output: &mut impl Write) -> Result<(), Failure> {
    let environment = environment(std::env::vars_os())?;
    let source = Source::file(file)?;
    let strictness = if lenient { Strictness::Lenient } else { Strictness::Strict };
    let (warnings, result) = match config::load(&source.text, &source.name, environment, strictness) {
        Ok(loaded) => {
            let policy = loaded.config.auth.policy.as_ref().map(policy::rules).transpose();
            (loaded.warnings, policy.map(|_| ()).map_err(Failure))
        }
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
