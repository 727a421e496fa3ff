//! What the fuzz targets share: the grammars of the specifications, written a second time, and a client
//! that holds every answer of the service against what is true of all answers.

pub mod grammar;
pub mod wire;

/// Splits the input of a target that takes several texts: the parts stand between lines of `%%`.
pub fn parts(data: &[u8]) -> Vec<&[u8]> {
    const LINE: &[u8] = b"\n%%\n";
    let (mut parts, mut rest) = (Vec::new(), data);
    while let Some(at) = rest.windows(LINE.len()).position(|window| window == LINE) {
        parts.push(&rest[..at]);
        rest = &rest[at + LINE.len()..];
    }
    parts.push(rest);
    parts
}

/// The text up to the first newline, and what follows it.
pub fn line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}
