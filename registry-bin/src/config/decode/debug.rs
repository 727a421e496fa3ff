//! Decodes `http.debug`.

use super::http::tcp;
use crate::config::model::Debug;
use crate::config::reader::Reader;

/// Where the metrics are unless the file says otherwise.
const DEFAULT_PATH: &str = "/metrics";

/// What the debug server itself answers.
const OURS: &str = "/debug/";

pub(super) fn debug(reader: &Reader<'_>) -> Debug {
    let addr = reader.filled("addr").and_then(|text| match tcp(&text) {
        Ok(address) => Some(address),
        Err(text) => {
            reader.fail("addr", text);
            None
        }
    });
    let section = reader.section("prometheus");
    let path = section.filled("path").unwrap_or_else(|| DEFAULT_PATH.to_owned());
    if !path.starts_with('/') || path.contains(['?', '#', ' ']) {
        section.fail("path", format!("{path:?} is not a path such as {DEFAULT_PATH}"));
    } else if path.starts_with(OURS) {
        section.fail("path", format!("{path:?} belongs to the debug server; choose one outside of {OURS}"));
    }
    let enabled = section.flag("enabled").unwrap_or(false);
    if enabled && reader.filled("addr").is_none() {
        section.warn("enabled", "has no effect without http.debug.addr, where the metrics would be served");
    }
    Debug { prometheus: enabled.then_some(path), addr }
}
