//! `log`: what is written where.

use lettre::message::Mailbox;

use super::Secret;

/// `log`
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) level: Level,
    pub(crate) formatter: Formatter,
    /// Added to every line.
    pub(crate) fields: Vec<(String, serde_json::Value)>,
    /// Whether requests are written to standard output.
    pub(crate) access_log: bool,
    /// Adds the place in the source to every line.
    pub(crate) report_caller: bool,
    /// The entries of `log.hooks` that are not disabled.
    pub(crate) hooks: Vec<MailHook>,
}

/// Least severe level that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Level {
    /// As it is written in a configuration.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// Shape of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Formatter {
    Text,
    Json,
    /// As JSON, with the names that Logstash expects besides.
    Logstash,
}

/// How bad a line of the log is, from worst to least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// A defect of this program.
    Panic,
    /// What ends the process.
    Fatal,
    Error,
    Warning,
    Info,
    Debug,
}

impl Severity {
    /// All, from worst to least.
    pub(crate) const ALL: [Self; 6] =
        [Self::Panic, Self::Fatal, Self::Error, Self::Warning, Self::Info, Self::Debug];

    /// The name in a line of the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Fatal => "fatal",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// Reads a name, in any case; `warn` is short for `warning`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let name = if text == "warn" { "warning" } else { text.as_str() };
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

/// An entry of `log.hooks`: lines of these levels are sent as mail.
#[derive(Debug, Clone)]
pub(crate) struct MailHook {
    pub(crate) levels: Vec<Severity>,
    /// Host of the SMTP server, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Name and password, if the server wants them.
    pub(crate) credentials: Option<(String, Secret)>,
    /// Whether any certificate will do, and none as well.
    pub(crate) insecure: bool,
    pub(crate) from: Mailbox,
    /// At least one.
    pub(crate) to: Vec<Mailbox>,
}
