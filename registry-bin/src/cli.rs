//! The command line.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::commands::{self, BenchArguments, ExplainArguments, Explained, Failure, Format, MigrateArguments};
use crate::output;

/// A container registry.
#[derive(Debug, Parser)]
#[command(name = "registry", version, arg_required_else_help = true, disable_version_flag = true)]
struct Arguments {
    /// Print name and version
    #[arg(short, long, visible_short_alias = 'V', action = ArgAction::Version)]
    version: Option<bool>,
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
    /// Copy a store into another, between any two drivers, while the first may be served; run it again to go on
    /// where it was cut off, and to catch up
    Migrate(MigrateArguments),
    /// Work with access control
    #[command(subcommand)]
    Auth(AuthCommand),
    /// Work with configuration files
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a script that completes the command line in a shell
    Completions {
        /// The shell; bash takes the script with `source <(registry completions bash)`
        shell: Shell,
    },
    /// Print the manual page, in roff
    Man,
}

#[derive(Debug, Subcommand)]
enum AuthCommand {
    /// Say what auth.policy decides, by which rule, and what the answer would be; the exit code is 0 if it is granted,
    /// 1 if it is denied, 2 if it cannot be said
    Explain(ExplainArguments),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read a configuration file as `serve` would, environment included, and report every problem; unknown,
    /// unsupported and old keys are errors
    Check {
        /// Configuration file
        file: PathBuf,
        /// Report unknown and old configuration keys as warnings
        #[arg(long)]
        lenient_config: bool,
    },
    /// Print the configuration in force and where each value comes from: file, environment or default. Secrets
    /// are masked
    Show {
        /// Configuration file; without it REGISTRY_CONFIGURATION_PATH, then the built-in configuration
        file: Option<PathBuf>,
        /// The form
        #[arg(long, value_enum, default_value = "yaml")]
        format: Format,
        /// Go on in spite of unknown configuration keys
        #[arg(long)]
        lenient_config: bool,
    },
    /// Print a JSON Schema of the configuration file, for editors
    Schema,
}

/// Exit code for a command line that makes no sense.
const USAGE: u8 = 2;

/// Runs the command that `arguments` name.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = match Arguments::try_parse_from(&arguments) {
        Ok(arguments) => arguments.command,
        Err(error) if error.kind() == ErrorKind::DisplayVersion => return version(arguments.first()),
        Err(error) => return usage(&error),
    };
    // Not locked: the access log of `serve` is written there by other threads.
    let mut stdout = std::io::stdout();
    let result = match command {
        Command::Serve { config, lenient_config } => commands::serve(config, lenient_config),
        Command::Bench(arguments) => commands::bench(&arguments, &mut stdout),
        Command::Migrate(arguments) => commands::migrate(&arguments, &mut stdout),
        Command::Auth(AuthCommand::Explain(arguments)) => return explain(&arguments, &mut stdout),
        Command::Config(ConfigCommand::Check { file, lenient_config }) => {
            commands::check(&file, lenient_config, &mut stdout)
        }
        Command::Config(ConfigCommand::Show { file, format, lenient_config }) => {
            commands::show(file, format, lenient_config, &mut stdout)
        }
        Command::Config(ConfigCommand::Schema) => {
            commands::schema(&mut stdout);
            Ok(())
        }
        Command::Completions { shell } => {
            commands::completions(shell, Arguments::command(), &mut stdout);
            Ok(())
        }
        Command::Man => {
            commands::man(Arguments::command(), &mut stdout);
            Ok(())
        }
    };
    output::finish();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(lines)) => {
            complain(&lines);
            ExitCode::FAILURE
        }
    }
}

/// The one command whose exit code is its answer.
fn explain(arguments: &ExplainArguments, output: &mut impl Write) -> ExitCode {
    match commands::explain(arguments, output) {
        Ok(Explained::Granted) => ExitCode::SUCCESS,
        Ok(Explained::Denied) => ExitCode::FAILURE,
        Ok(Explained::Nonsense(reason)) => {
            complain(&[reason]);
            ExitCode::from(USAGE)
        }
        Err(Failure(lines)) => {
            complain(&lines);
            ExitCode::from(USAGE)
        }
    }
}

/// In the form of Distribution, which scripts take apart: as what the program was called, what it is, its
/// version.
fn version(called: Option<&OsString>) -> ExitCode {
    let called = called.map_or_else(|| "registry".into(), |name| name.to_string_lossy());
    let line = format!("{called} {} {}\n", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
    ExitCode::SUCCESS
}

/// Help goes to standard output; everything else is one line and a failure.
fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp => {
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
