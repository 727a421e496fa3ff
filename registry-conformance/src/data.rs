//! Content that looks like nothing in particular and is the same every time.

use bytes::Bytes;

/// `len` bytes that depend on `seed` alone (xorshift64*).
pub fn random(seed: u64, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

/// Asserts that two runs of bytes are the same, without printing megabytes if they are not.
///
/// # Panics
/// If they differ, with where.
pub fn assert_same(actual: &[u8], expected: &[u8], what: &str) {
    if actual == expected {
        return;
    }
    let at = actual.iter().zip(expected).take_while(|(a, b)| a == b).count();
    panic!("{what}: {} bytes instead of {}, the first difference is at {at}", actual.len(), expected.len());
}
