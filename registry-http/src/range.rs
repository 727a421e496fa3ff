//! `Range` and `Content-Range`: the only place that counts inclusively.

use std::ops::Range;

use registry_core::{ByteRange, InvalidText, TextKind};

/// What a `Range` header asks for (RFC 9110, section 14.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeHeader {
    /// Nothing that we understand: the header is as if it were not there.
    Ignored,
    /// A range with its last byte before its first. Distribution and the conformance suite answer 416.
    Inverted,
    /// One or more ranges.
    Ranges(Vec<ByteRange>),
}

impl RangeHeader {
    /// More ranges than this are not worth serving apart; the whole content is sent instead
    /// (RFC 9110, section 14.2).
    const MOST: usize = 256;

    /// Reads the value of a `Range` header.
    pub fn parse(text: &str) -> Self {
        let Some((unit, set)) = text.split_once('=') else { return Self::Ignored };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Self::Ignored;
        }
        let mut ranges = Vec::new();
        let mut inverted = false;
        for spec in set.split(',').map(str::trim).filter(|spec| !spec.is_empty()) {
            let Some((first, last)) = spec.split_once('-') else { return Self::Ignored };
            let range = match (number(first), number(last)) {
                (Number::Some(first), Number::Some(last)) if first > last => {
                    inverted = true;
                    continue;
                }
                // Beyond the last number that there is, the end cannot be told from the beginning.
                (Number::Some(first), Number::Some(last)) => {
                    ByteRange::bounded(first, last.saturating_add(1)).or(Some(ByteRange::From(first)))
                }
                (Number::Some(first), Number::None) => Some(ByteRange::From(first)),
                (Number::None, Number::Some(count)) => {
                    let suffix = ByteRange::suffix(count);
                    inverted |= suffix.is_none();
                    if suffix.is_none() {
                        continue;
                    }
                    suffix
                }
                _ => return Self::Ignored,
            };
            match range {
                Some(range) if ranges.len() < Self::MOST => ranges.push(range),
                _ => return Self::Ignored,
            }
        }
        match (ranges.is_empty(), inverted) {
            (true, true) => Self::Inverted,
            (true, false) => Self::Ignored,
            (false, _) => Self::Ranges(ranges),
        }
    }

    /// The parts of content of length `len` that several ranges mean: those that lie outside are left
    /// out, and where some overlap or touch they are joined and put in order, so that no byte is sent
    /// twice (RFC 9110, section 15.3.7.2).
    pub(crate) fn parts(ranges: &[ByteRange], len: u64) -> Vec<Range<u64>> {
        let parts: Vec<Range<u64>> = ranges.iter().filter_map(|range| range.resolve(len).ok()).collect();
        let mut sorted = parts.clone();
        sorted.sort_by_key(|part| part.start);
        if sorted.windows(2).all(|pair| pair[0].end < pair[1].start) {
            return parts;
        }
        let mut joined: Vec<Range<u64>> = Vec::new();
        for part in sorted {
            match joined.last_mut() {
                Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
                _ => joined.push(part),
            }
        }
        joined
    }
}

enum Number {
    None,
    Some(u64),
    Bad,
}

fn number(text: &str) -> Number {
    let text = text.trim();
    if text.is_empty() {
        return Number::None;
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Number::Bad;
    }
    // More digits than fit are beyond the end of anything.
    Number::Some(text.parse().unwrap_or(u64::MAX))
}

/// `Content-Range` of a response: `bytes 0-4/10`.
pub(crate) fn content_range(part: &Range<u64>, len: u64) -> String {
    format!("bytes {}-{}/{len}", part.start, part.end.saturating_sub(1))
}

/// `Content-Range` of a response that has nothing to offer: `bytes */10`.
pub(crate) fn unsatisfied_range(len: u64) -> String {
    format!("bytes */{len}")
}

/// `Range` of a response about an upload: `0-<last byte>`, and `0-0` for none, as Distribution has it.
pub(crate) fn upload_range(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}

/// `Content-Range` of a chunk (end-5): `<first>-<last>`, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// The offset of the first byte.
    pub start: u64,
    /// How many bytes, at least one.
    pub len: u64,
}

impl ContentRange {
    /// Reads the header. The form of HTTP itself, `bytes <first>-<last>/<length>`, is understood too.
    ///
    /// # Errors
    /// [`InvalidText`] of the kind [`TextKind::Range`].
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let fail = |reason| InvalidText::new(TextKind::Range, text, reason);
        let rest = text.trim();
        let rest = rest.strip_prefix("bytes").map_or(rest, |rest| rest.trim_start_matches(['=', ' ']));
        let rest = rest.split_once('/').map_or(rest, |(range, _)| range);
        let form = "it has the form <first>-<last>";
        let (first, last) = rest.split_once('-').ok_or_else(|| fail(form))?;
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(first) || !digits(last) {
            return Err(fail(form));
        }
        let first: u64 = first.parse().map_err(|_| fail("the first byte is out of bounds"))?;
        let last: u64 = last.parse().map_err(|_| fail("the last byte is out of bounds"))?;
        let len = last.checked_sub(first).and_then(|len| len.checked_add(1));
        Ok(Self { start: first, len: len.ok_or_else(|| fail("the last byte comes before the first"))? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn range_headers_are_read_as_rfc_9110_says() {
        let bounded = |first, end| ByteRange::bounded(first, end).unwrap();
        let cases = [
            ("bytes=0-4", RangeHeader::Ranges(vec![bounded(0, 5)])),
            ("Bytes= 0-4 , 6-", RangeHeader::Ranges(vec![bounded(0, 5), ByteRange::From(6)])),
            ("bytes=-3", RangeHeader::Ranges(vec![ByteRange::suffix(3).unwrap()])),
            ("bytes=0-99999999999999999999999", RangeHeader::Ranges(vec![bounded(0, u64::MAX)])),
            // Ranges with no byte that can be counted: beyond the end of anything, and not without meaning.
            (
                "bytes=18446744073709551615-18446744073709551615",
                RangeHeader::Ranges(vec![ByteRange::From(u64::MAX)]),
            ),
            (
                "bytes=99999999999999999998-99999999999999999999",
                RangeHeader::Ranges(vec![ByteRange::From(u64::MAX)]),
            ),
            ("bytes=500-0", RangeHeader::Inverted),
            ("bytes=-0", RangeHeader::Inverted),
            ("bytes=", RangeHeader::Ignored),
            ("bytes", RangeHeader::Ignored),
            ("items=0-4", RangeHeader::Ignored),
            ("bytes=a-b", RangeHeader::Ignored),
            ("bytes=-", RangeHeader::Ignored),
            ("bytes=1-2-3", RangeHeader::Ignored),
        ];
        for (text, expected) in cases {
            assert_eq!(RangeHeader::parse(text), expected, "{text}");
        }
        let many = format!("bytes={}", vec!["0-0"; 1000].join(","));
        assert_eq!(RangeHeader::parse(&many), RangeHeader::Ignored);
    }

    #[test]
    fn parts_that_overlap_are_joined_and_others_keep_their_order() {
        let parts = |text: &str| match RangeHeader::parse(text) {
            RangeHeader::Ranges(ranges) => RangeHeader::parts(&ranges, 10),
            other => panic!("{other:?}"),
        };
        assert_eq!(parts("bytes=6-7,0-1"), [6..8, 0..2]);
        assert_eq!(parts("bytes=0-3,2-5,9-"), [0..6, 9..10]);
        assert_eq!(parts("bytes=20-30,-1"), vec![9..10]);
        assert!(parts("bytes=20-30").is_empty());
    }

    #[test]
    fn chunks_say_where_they_are() {
        assert_eq!(ContentRange::parse("0-4"), Ok(ContentRange { start: 0, len: 5 }));
        assert_eq!(ContentRange::parse("bytes 5-9/10"), Ok(ContentRange { start: 5, len: 5 }));
        assert_eq!(ContentRange::parse("bytes=5-9"), Ok(ContentRange { start: 5, len: 5 }));
        for refused in ["", "5", "5-", "-5", "9-5", "a-b", "0-18446744073709551615", "0-99999999999999999999"]
        {
            assert!(ContentRange::parse(refused).is_err(), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_headers_never_panic_and_parts_lie_inside(text in "(bytes=)?[0-9,= -]{0,30}", len in 0..50_u64) {
            let _ = ContentRange::parse(&text);
            if let RangeHeader::Ranges(ranges) = RangeHeader::parse(&text) {
                let parts = RangeHeader::parts(&ranges, len);
                prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= len));
                prop_assert!(parts.iter().map(|part| part.end - part.start).sum::<u64>() <= len);
            }
        }
    }
}
