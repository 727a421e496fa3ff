//! Ranges of bytes.

use std::num::NonZeroU64;
use std::ops::Range;

/// Part of some content, as asked for before its length is known. Ends are exclusive.
///
/// Made by constructors that refuse an empty range. Inclusive ends, as HTTP counts, exist only in
/// `registry-http`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// From `start` up to but not including `end`.
    Bounded {
        /// The first byte.
        start: u64,
        /// The byte after the last.
        end: u64,
    },
    /// From this byte to the end.
    From(u64),
    /// This many bytes at the end, or everything if there are fewer.
    Suffix(NonZeroU64),
}

/// The asked-for range has no byte in common with the content, which has `len` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeNotSatisfiable {
    /// The length of the content in bytes.
    pub len: u64,
}

impl ByteRange {
    /// From `start` up to but not including `end`; `None` if that is empty.
    pub fn bounded(start: u64, end: u64) -> Option<Self> {
        (start < end).then_some(Self::Bounded { start, end })
    }

    /// The last `len` bytes; `None` if that is empty.
    pub fn suffix(len: u64) -> Option<Self> {
        NonZeroU64::new(len).map(Self::Suffix)
    }

    /// The bytes of content of length `len` that this means. Never empty; what reaches past the end is
    /// cut off (RFC 9110, section 14.1.2).
    ///
    /// # Errors
    /// [`RangeNotSatisfiable`] if no byte of the content is in the range.
    pub fn resolve(self, len: u64) -> Result<Range<u64>, RangeNotSatisfiable> {
        let range = match self {
            Self::Bounded { start, end } => start..end.min(len),
            Self::From(start) => start..len,
            Self::Suffix(count) => len.saturating_sub(count.get())..len,
        };
        if range.is_empty() { Err(RangeNotSatisfiable { len }) } else { Ok(range) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_the_end_and_never_empty() {
        let bounded = |start, end| ByteRange::bounded(start, end).unwrap();
        assert_eq!(bounded(2, 5).resolve(10), Ok(2..5));
        assert_eq!(bounded(2, 50).resolve(10), Ok(2..10));
        assert_eq!(bounded(10, 11).resolve(10), Err(RangeNotSatisfiable { len: 10 }));
        assert_eq!(ByteRange::From(9).resolve(10), Ok(9..10));
        assert_eq!(ByteRange::From(10).resolve(10), Err(RangeNotSatisfiable { len: 10 }));
        assert_eq!(ByteRange::suffix(3).unwrap().resolve(10), Ok(7..10));
        assert_eq!(ByteRange::suffix(30).unwrap().resolve(10), Ok(0..10));
        assert_eq!(ByteRange::suffix(3).unwrap().resolve(0), Err(RangeNotSatisfiable { len: 0 }));
        assert_eq!(ByteRange::bounded(5, 5), None);
        assert_eq!(ByteRange::suffix(0), None);
    }
}
