//! The `registry` command: command line, configuration and listener around the registry library.

mod access;
mod access_log;
mod assemble;
mod bench;
mod cli;
mod commands;
mod config;
mod debug;
mod health;
#[cfg(feature = "heap-profile")]
mod heap;
mod listener;
mod logging;
mod maintenance;
mod notifications;
mod notify;
mod observe;
mod output;
mod outside;
mod reload;
#[cfg(feature = "otlp")]
mod telemetry;
#[cfg(not(feature = "otlp"))]
#[path = "telemetry_off.rs"]
mod telemetry;
mod time;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
