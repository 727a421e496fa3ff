//! The command line.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::commands::{self, BenchArguments, Failure};

/// A container registry.
#[derive(Debug, Parser)]
#[command(name = "registry", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the registry API until a signal ends it
    Serve {
        /// Configuration file; without it REGISTRY_CONFIGURATION_PATH, then a built-in configuration that
        /// stores in ./registry-data and listens on 127.0.0.1:5000
        config: Option<PathBuf>,
        /// Start in spite of unknown configuration keys
        #[arg(long)]
        lenient_config: bool,
    },
    /// Measure a registry, this one or another, over plain HTTP/1.1
    Bench(BenchArguments),
    /// Work with configuration files
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read a configuration file as `serve` would, environment included, and report every problem
    Check {
        /// Configuration file
        file: PathBuf,
        /// Report unknown configuration keys as warnings
        #[arg(long)]
        lenient_config: bool,
    },
}

/// Exit code for a command line that makes no sense.
const USAGE: u8 = 2;

/// Runs the command that `arguments` name.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments.command,
        Err(error) => return usage(&error),
    };
    let result = match command {
        Command::Serve { config, lenient_config } => commands::serve(config, lenient_config),
        Command::Bench(arguments) => commands::bench(&arguments, &mut std::io::stdout().lock()),
        Command::Config(ConfigCommand::Check { file, lenient_config }) => {
            commands::check(&file, lenient_config, &mut std::io::stdout().lock())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(lines)) => {
            complain(&lines);
            ExitCode::FAILURE
        }
    }
}

/// Help and version go to standard output; everything else is one line and a failure.
fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(USAGE)
        }
        _ => {
            let text = error.to_string();
            let words = text.split("\n\n").next().unwrap_or_default().split_whitespace();
            let words = words.collect::<Vec<_>>().join(" ");
            let what = words.trim_start_matches("error: ");
            complain(&[format!("{what} (see registry help)")]);
            ExitCode::from(USAGE)
        }
    }
}

fn complain(lines: &[String]) {
    let text: String = lines.iter().map(|line| format!("registry: {line}\n")).collect();
    // There is nowhere left to report that standard error is gone.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
