//! `http.debug`: what the process tells its operators.

use super::Address;

/// `http.debug`
#[derive(Debug, Clone, Default)]
pub(crate) struct Debug {
    /// Where the debug server listens; `None` for no debug server.
    pub(crate) addr: Option<Address>,
    /// The path of the metrics, with a slash in front; `None` if nothing is counted.
    pub(crate) prometheus: Option<String>,
}
