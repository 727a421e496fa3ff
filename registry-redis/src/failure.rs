//! Why a command was not answered.

use std::fmt;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// What went wrong, as far as it matters for what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Redis is known not to answer and was not asked.
    Skipped,
    /// Every connection is in use.
    Busy,
    /// The connection failed, or nothing came in time.
    Broken(String),
    /// This node does not answer commands now, another one or this one may soon.
    Later(String),
    /// A cluster says where the key is: the address, and whether that is so for this command only.
    Elsewhere { addr: String, once: bool },
    /// The answer is no.
    Refused(String),
}

impl Failure {
    pub(crate) fn broken(error: impl fmt::Display) -> Self {
        Self::Broken(error.to_string())
    }

    pub(crate) fn of(error: &RedisError) -> Self {
        if let Some((addr, _)) = error.redirect_node() {
            let once = error.kind() == ErrorKind::Server(ServerErrorKind::Ask);
            return Self::Elsewhere { addr: addr.to_owned(), once };
        }
        let text = match (error.code(), error.detail()) {
            (Some(code), Some(detail)) => format!("{code} {detail}"),
            (Some(code), None) => code.to_owned(),
            (None, _) => error.to_string(),
        };
        match error.kind() {
            ErrorKind::Io | ErrorKind::Parse => Self::Broken(text),
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly,
            ) => Self::Later(text),
            _ => Self::Refused(text),
        }
    }

    /// Whether the same may work a moment later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Later(_))
    }

    /// Whether the node should be left alone for a while.
    pub(crate) fn condemns(&self) -> bool {
        match self {
            // A key that somebody else put there in another form is not the node's fault.
            Self::Refused(text) => !text.starts_with("WRONGTYPE"),
            Self::Broken(_) | Self::Later(_) => true,
            Self::Skipped | Self::Busy | Self::Elsewhere { .. } => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped => f.write_str("not asked"),
            Self::Busy => f.write_str("every connection is in use"),
            Self::Broken(text) | Self::Later(text) | Self::Refused(text) => f.write_str(text),
            Self::Elsewhere { addr, .. } => write!(f, "the key is at {addr}"),
        }
    }
}
