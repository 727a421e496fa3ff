//! `registry config show` and `registry config schema`

use std::io::Write;
use std::path::PathBuf;

use super::Failure;
use super::source::{Source, environment, strictness};
use crate::config::{self, schema};

/// How the configuration in force is written.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Format {
    /// A configuration file, with the source of each value in a comment
    Yaml,
    /// An object of all keys in full, each with value and source
    Json,
}

/// Writes what `serve` would go by, with the source of each value and without secrets. Warnings go to standard
/// error.
pub(crate) fn show(
    file: Option<PathBuf>,
    format: Format,
    lenient: bool,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let environment = environment(std::env::vars_os())?;
    let source = Source::find(file, &environment)?;
    let shown = config::show(&source.text, &source.name, environment, strictness(lenient));
    let (shown, warnings) = shown.map_err(|rejected| Failure(rejected.errors))?;
    let text = match format {
        Format::Yaml => shown.yaml(),
        Format::Json => format!("{:#}\n", shown.json()),
    };
    let warnings: String = warnings.iter().map(|line| format!("registry: warning: {line}\n")).collect();
    // Whoever closed an output does not want to know.
    let _ = std::io::stderr().lock().write_all(warnings.as_bytes());
    let _ = output.write_all(text.as_bytes());
    Ok(())
}

/// Writes the JSON Schema of a configuration file.
pub(crate) fn schema(output: &mut impl Write) {
    let _ = output.write_all(format!("{:#}\n", schema::json::schema()).as_bytes());
}
