//! The `registry` command: command line, configuration and listener around the registry library.

mod access_log;
mod assemble;
mod bench;
mod cli;
mod commands;
mod config;
mod listener;
mod logging;
mod time;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
