//! Which code the memory of this process was asked for by: what jemalloc has noted, with names.
//!
//! The text of jemalloc has the addresses of a stack in a line that begins with `@`, from the inside out, and in the
//! next one how much was asked for there, `t*: <objects>: <bytes> [<objects>: <bytes>]`: what is held, and in brackets
//! what ever was. Lines for threads follow, `t7: …`, and say the same in parts.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::document::{Document, Frame, Function, Kind};
use super::{ProfileError, blocking};

/// As Go names them, and in its order.
const KINDS: [Kind; 4] = [
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
];

/// The profile, or as `text` what jemalloc itself says.
pub(in crate::debug) async fn record(text: bool) -> Result<Vec<u8>, ProfileError> {
    let dump = || crate::heap::dump().map_err(|error| ProfileError::Failed(error.to_string()));
    blocking(move || {
        let dump = dump()?;
        if text {
            return Ok(dump);
        }
        let profile = encode(&String::from_utf8_lossy(&dump), frame);
        // The debug information of the program, many MiB of it.
        backtrace::clear_symbol_cache();
        crate::heap::give_back();
        profile
    })
    .await
}

/// Stacks and how much they have asked for, with `frame` for each address.
fn encode(dump: &str, mut frame: impl FnMut(usize) -> Frame) -> Result<Vec<u8>, ProfileError> {
    let mut lines = dump.lines();
    let period: u64 = lines
        .next()
        .and_then(|line| line.strip_prefix("heap_v2/")?.parse().ok())
        .ok_or_else(|| ProfileError::Failed("jemalloc writes another form".to_owned()))?;
    let mut document = Document::new(&KINDS);
    let mut frames = HashMap::new();
    let mut stack: Option<Vec<usize>> = None;
    for line in lines {
        if let Some(addresses) = line.strip_prefix("@ ") {
            let addresses = addresses.split(' ').map(|text| text.trim_start_matches("0x"));
            stack = addresses.map(|text| usize::from_str_radix(text, 16).ok()).collect();
        } else if let Some(counts) = line.trim_start().strip_prefix("t*: ")
            && let Some(addresses) = stack.take()
            && let Some([held, held_bytes, ever, ever_bytes]) = numbers(counts)
        {
            let (ever, ever_bytes) = scaled(ever, ever_bytes, period);
            let (held, held_bytes) = scaled(held, held_bytes, period);
            let mut of = |address| frames.entry(address).or_insert_with(|| frame(address)).clone();
            let frames: Vec<Frame> = addresses.into_iter().map(&mut of).collect();
            document.sample(asking(frames), &[ever, ever_bytes, held, held_bytes], None);
        }
    }
    let period = i64::try_from(period).unwrap_or(i64::MAX);
    Ok(document.finish(SystemTime::now(), Duration::ZERO, (("space", "bytes"), period)))
}

/// The four numbers of `1: 2 [3: 4]`.
fn numbers(text: &str) -> Option<[u64; 4]> {
    let mut numbers = text.split([':', '[', ']', ' ']).filter(|part| !part.is_empty()).map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some([next()?, next()?, next()?, next()?])
}

/// What the samples stand for. Of allocations of a size `s`, a part of `1 - e^(-s / period)` is sampled.
fn scaled(objects: u64, bytes: u64, period: u64) -> (i64, i64) {
    if objects == 0 || bytes == 0 {
        return (0, 0);
    }
    let (objects, bytes) = (objects as f64, bytes as f64);
    let scale = 1.0 / -(-(bytes / objects) / period as f64).exp_m1();
    ((objects * scale).round() as i64, (bytes * scale).round() as i64)
}

/// The stack without what allocates for others, so that those stand at its end who asked.
fn asking(frames: Vec<Frame>) -> Vec<Frame> {
    let mut rest = frames.clone().into_iter();
    for mut frame in rest.by_ref() {
        if let Some(first) = frame.iter().position(|(function, _)| !allocates(function)) {
            frame.drain(..first);
            return std::iter::once(frame).chain(rest).collect();
        }
    }
    frames
}

/// Whether this is jemalloc, or the boxes and vectors of Rust's library.
fn allocates(Function { name, file, .. }: &Function) -> bool {
    const NAMES: [&str; 5] = ["_rjem_", "prof_", "__rust_alloc", "__rust_realloc", "__rustc::"];
    const FILES: [&str; 3] = ["jemalloc", "/library/alloc/src/", "/library/std/src/alloc.rs"];
    NAMES.iter().any(|start| name.starts_with(start)) || FILES.iter().any(|part| file.contains(part))
}

fn frame(address: usize) -> Frame {
    let mut frame = Frame::new();
    backtrace::resolve(std::ptr::without_provenance_mut(address), |symbol| {
        let name = symbol.name();
        let function = Function {
            name: name.as_ref().map_or_else(|| format!("{address:#x}"), |name| format!("{name:#}")),
            mangled: name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default(),
            file: symbol.filename().map(|file| file.display().to_string()).unwrap_or_default(),
        };
        frame.push((function, u64::from(symbol.lineno().unwrap_or_default())));
    });
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_for_what_was_not_sampled() {
        assert_eq!(scaled(0, 0, 1 << 19), (0, 0));
        // Of large allocations each is sampled, of small ones about one in 512 KiB.
        assert_eq!(scaled(3, 3 << 30, 1 << 19), (3, 3 << 30));
        let (objects, bytes) = scaled(2, 128, 1 << 19);
        assert_eq!((objects / 100, bytes / 10_000), (2 * 8192 / 100, (2 << 19) / 10_000));
    }

    fn named(name: &str) -> (Function, u64) {
        let file = if name == "push" { "/rustc/59807616/library/alloc/src/vec/mod.rs" } else { "serve.rs" };
        (Function { name: name.to_owned(), mangled: String::new(), file: file.to_owned() }, 1)
    }

    #[test]
    fn who_allocates_for_others_is_left_out() {
        let of = |frames: &[&[&str]]| -> Vec<Frame> {
            frames.iter().map(|frame| frame.iter().map(|name| named(name)).collect()).collect()
        };
        let stack = of(&[
            &["_rjem_je_prof_backtrace"],
            &["__rustc::__rust_alloc", "push", "serve", "push"],
            &["main"],
        ]);
        assert_eq!(asking(stack), of(&[&["serve", "push"], &["main"]]));
        let only = of(&[&["_rjem_malloc"]]);
        assert_eq!(asking(only.clone()), only, "something has to stand there");
    }

    #[test]
    fn stacks_and_counts_are_read_and_what_is_not_understood_is_said() {
        let dump = "heap_v2/524288\n  t*: 5: 9 [7: 9]\n  t1: 5: 9 [7: 9]\n@ 0x10 0x20\n  t*: 1: 1073741824 \
            [2: 2147483648]\n  t1: 1: 1073741824 [2: 2147483648]\n\nMAPPED_LIBRARIES:\n00-ff r-xp\n";
        let mut asked = Vec::new();
        let profile = encode(dump, |address| {
            asked.push(address);
            Frame::new()
        });
        let profile = profile.unwrap();
        assert_eq!(asked, [0x10, 0x20]);
        // The values of the only sample: 2, 2 GiB, 1, 1 GiB.
        let values = b"\x10\x02\x10\x80\x80\x80\x80\x08\x10\x01\x10\x80\x80\x80\x80\x04";
        assert!(profile.windows(values.len()).any(|part| part == values));
        assert!(encode("heap_v3/1\n", |_| Frame::new()).is_err());
    }
}
