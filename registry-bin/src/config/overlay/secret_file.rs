//! Values that a variable does not hold but points to: `REGISTRY_HTTP_SECRET_FILE=/run/secrets/http`.

use std::fs::File;
use std::io::Read;

/// The end of the name of such a variable.
pub(super) const SUFFIX: &str = "FILE";

/// No secret comes near this.
const MAX_BYTES: u64 = 1 << 20;

/// The name of the variable without the suffix, if it may be one that points to a file.
///
/// Keys may end in `file` too, and so may those of the operator's own: only the number of an entry in a list of
/// theirs makes sure that nothing but a file can be meant.
pub(super) fn subject<'s>(segments: &'s [&'s str]) -> Option<(&'s [&'s str], Certainty)> {
    let (last, rest) = segments.split_last()?;
    if *last != SUFFIX || rest.is_empty() {
        return None;
    }
    let number = rest.last().is_some_and(|segment| segment.parse::<usize>().is_ok());
    Some((rest, if number { Certainty::IfValue } else { Certainty::IfUnknown }))
}

/// When a name that ends in the suffix points to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certainty {
    /// When the name is no key as it stands.
    IfUnknown,
    /// When the name without the suffix is a single value.
    IfValue,
}

/// The text of the file, without the line end that editors and tools put after it.
pub(super) fn read(path: &str) -> Result<String, String> {
    let failed = |why: &str| format!("cannot read the value from {path}: {why}");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| failed(&error.to_string()))?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(&error.to_string()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(failed("it is larger than 1 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(failed("it is empty"));
    }
    Ok(text.to_owned())
}
