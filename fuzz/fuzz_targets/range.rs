//! `Range` over blobs of up to 64 bytes, held against a second reading of RFC 9110, and `Content-Range`.
//!
//! The first byte of the input, modulo 65, is the length of the blob; the rest is the header.

#![no_main]

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::{Empty, Full};
use libfuzzer_sys::fuzz_target;
use regex::Regex;
use registry::core::{Algorithm, ByteRange};
use registry::http::{ContentRange, HttpOptions, RangeHeader};
use registry::storage::MemoryDriver;
use registry_fuzz::wire::{Reply, Wire};

const SIZES: usize = 65;

/// More ranges than these are not served apart.
const MOST: usize = 256;

/// One range as RFC 9110, section 14.1.2, spells it; the header is a list of them.
static SPEC: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\A(?:([0-9]+)-([0-9]*)|-([0-9]+))\z").expect("a range"));

thread_local! {
    static WIRE: Wire = stored();
}

/// A registry with one blob of each size.
fn stored() -> Wire {
    let wire = Wire::new(Arc::new(MemoryDriver::new()), HttpOptions::default());
    for size in 0..SIZES {
        let url = format!("/v2/a/blobs/uploads/?digest={}", Algorithm::Sha256.digest(&content(size)));
        let request = Request::post(url).body(Full::<Bytes>::from(content(size))).expect("a request");
        assert_eq!(wire.send(request).status, 201);
    }
    wire
}

/// Bytes of which no two are alike.
fn content(size: usize) -> Vec<u8> {
    (0..size).map(|index| index as u8 + b' ').collect()
}

fuzz_target!(|data: &[u8]| {
    let Some((first, header)) = data.split_first() else { return };
    let size = usize::from(*first) % SIZES;
    if let Ok(text) = std::str::from_utf8(header) {
        chunk(text);
        resolved(text, size as u64);
    }
    let Ok(value) = HeaderValue::from_bytes(header) else { return };
    let url = format!("/v2/a/blobs/{}", Algorithm::Sha256.digest(&content(size)));
    let request = Request::get(url).header("range", value).body(Empty::<Bytes>::new()).expect("a request");
    let reply = WIRE.with(|wire| wire.send(request));
    let sent = sent(&reply, size);
    if let Some(expected) = std::str::from_utf8(header).ok().and_then(|text| expected(text, size)) {
        assert_eq!(sent, expected, "{size}: {:?}", String::from_utf8_lossy(header));
    }
});

/// What a header means: nothing, no byte, or these.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Whole,
    Unsatisfiable,
    Parts([bool; SIZES]),
}

/// What RFC 9110 and our two decisions say (inverted ranges are passed over, and a header of nothing else
/// is answered 416; more than 256 ranges are not worth it). `None` for what the RFC has no meaning for.
fn expected(text: &str, size: usize) -> Option<Meaning> {
    let (unit, list) = text.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (mut ranges, mut inverted) = (Vec::new(), false);
    for spec in list.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty()) {
        let spec = SPEC.captures(spec)?;
        let number = |index: usize| spec.get(index).map(|digits| digits.as_str().trim_start_matches('0'));
        match (number(1), number(2), number(3)) {
            // The last no bytes are inverted; the last bytes of nothing are a range, and lie outside.
            (None, _, Some("")) => inverted = true,
            (None, _, suffix) => ranges.push(size - clamp(suffix?, size)..size),
            (Some(first), None | Some(_), _) if spec[2].is_empty() => ranges.push(clamp(first, size)..size),
            (Some(first), last, _) => {
                let last = last?;
                // Compared as decimal numbers of any length.
                if (first.len(), first) > (last.len(), last) {
                    inverted = true;
                } else {
                    ranges.push(clamp(first, size)..size.min(clamp(last, size) + 1));
                }
            }
        }
    }
    Some(match (ranges.len(), inverted) {
        (0, false) => Meaning::Whole,
        (0, true) => Meaning::Unsatisfiable,
        (count, _) if count > MOST => Meaning::Whole,
        _ => {
            let mut bytes = [false; SIZES];
            ranges.into_iter().flatten().for_each(|byte| bytes[byte] = true);
            if bytes.contains(&true) { Meaning::Parts(bytes) } else { Meaning::Unsatisfiable }
        }
    })
}

/// A decimal number without leading zeros, or `most` if it is larger.
fn clamp(digits: &str, most: usize) -> usize {
    if digits.is_empty() { 0 } else { digits.parse().map_or(most, |number: usize| number.min(most)) }
}

/// What was sent, which has to be bytes of the blob, and none of them twice.
fn sent(reply: &Reply, size: usize) -> Meaning {
    let whole = content(size);
    let mut bytes = [false; SIZES];
    let mut part = |range: &str, body: &[u8]| {
        let range = content_range(range, size);
        assert_eq!(body, &whole[range.clone()], "{reply:?}");
        for byte in range {
            assert!(!std::mem::replace(&mut bytes[byte], true), "byte {byte} twice: {reply:?}");
        }
    };
    match reply.status.as_u16() {
        200 => {
            assert_eq!(reply.body, whole);
            return Meaning::Whole;
        }
        416 => {
            assert_eq!(reply.header("content-range"), format!("bytes */{size}"));
            assert_eq!(reply.code(), "RANGE_INVALID");
            return Meaning::Unsatisfiable;
        }
        206 => match reply.header("content-type").strip_prefix("multipart/byteranges; boundary=") {
            None => part(reply.header("content-range"), &reply.body),
            Some(boundary) => {
                assert_eq!(reply.header("content-range"), "", "only the parts have one (section 15.3.7.2)");
                let text = std::str::from_utf8(&reply.body).expect("ASCII");
                let pieces: Vec<&str> = text.split(&format!("\r\n--{boundary}")).collect();
                let ["", pieces @ .., "--\r\n"] = pieces.as_slice() else { panic!("{text:?}") };
                assert!(pieces.len() > 1, "one part alone is not sent as several");
                for piece in pieces {
                    let (head, body) = piece.split_once("\r\n\r\n").expect("a part has a head");
                    let range = head.lines().find_map(|line| line.strip_prefix("Content-Range: "));
                    part(range.expect("a part says where it is from"), body.as_bytes());
                }
            }
        },
        _ => panic!("{reply:?}"),
    }
    Meaning::Parts(bytes)
}

fn content_range(text: &str, size: usize) -> Range<usize> {
    let text = text.strip_prefix("bytes ").and_then(|text| text.strip_suffix(&format!("/{size}")));
    let (first, last) = text.and_then(|text| text.split_once('-')).expect("Content-Range");
    let range = first.parse().expect("a number")..last.parse::<usize>().expect("a number") + 1;
    assert!(range.start < range.end && range.end <= size, "{range:?} of {size}");
    range
}

/// `Content-Range` of a chunk: never empty, never beyond the end of numbers, and its own canonical form.
fn chunk(text: &str) {
    let Ok(chunk) = ContentRange::parse(text) else { return };
    let last = chunk.start.checked_add(chunk.len - 1).expect("the last byte is a number");
    assert_eq!(ContentRange::parse(&format!("{}-{last}", chunk.start)), Ok(chunk));
    assert_eq!(ContentRange::parse(&format!("bytes {}-{last}/*", chunk.start)), Ok(chunk));
}

/// Whatever was read resolves to bytes that there are.
fn resolved(text: &str, size: u64) {
    let RangeHeader::Ranges(ranges) = RangeHeader::parse(text) else { return };
    assert!((1..=MOST).contains(&ranges.len()));
    for len in [size, 0, u64::MAX] {
        for range in &ranges {
            if let Ok(bytes) = range.resolve(len) {
                assert!(bytes.start < bytes.end && bytes.end <= len);
                let exact = ByteRange::bounded(bytes.start, bytes.end).expect("not empty");
                assert_eq!(exact.resolve(len), Ok(bytes));
            }
        }
    }
}
