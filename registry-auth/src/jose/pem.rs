//! PEM (RFC 7468): base64 between lines that say what it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use x509_parser::pem::Pem;

/// Columns of a line, as section 2 wants.
const WIDTH: usize = 64;

/// The blocks of a text with their labels. What lies between blocks is passed over.
///
/// # Errors
/// A block that does not end, or that is not base64.
pub(crate) fn decode(text: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    Pem::iter_from_buffer(text)
        .map(|block| block.map(|pem| (pem.label, pem.contents)).map_err(|error| error.to_string()))
        .collect()
}

/// One block.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(WIDTH));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}
