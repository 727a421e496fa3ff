//! Request bodies: content of any size out of one shared buffer, and its digest.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use sha2::{Digest, Sha256};

/// What one frame of a body holds at most. Frames share the pattern's memory.
const FRAME: usize = 128 << 10;

/// Length of what makes one blob differ from all others. It comes last, so that the hash of everything before
/// it is computed once and not once per blob.
const ENDING: u64 = 32;

/// Makes blobs of one size, all of them different.
#[derive(Debug)]
pub(super) struct BlobMaker {
    pattern: Bytes,
    /// Length of the part that all blobs begin with.
    common: u64,
    /// The hash after that part.
    hash: Sha256,
    run: [u8; 16],
    serial: AtomicU64,
}

/// A blob to push.
#[derive(Debug, Clone)]
pub(super) struct Blob {
    pub(super) digest: Hash,
    pub(super) size: u64,
    pub(super) payload: Payload,
}

/// A SHA-256 of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash([u8; 32]);

impl Hash {
    pub(super) fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl BlobMaker {
    /// Blobs of `size` bytes, or of as many as it takes to be different; `run` tells them from those of
    /// another run.
    pub(super) fn new(size: u64, run: [u8; 16]) -> Self {
        let common = size.max(ENDING) - ENDING;
        let pattern = noise(common.min(FRAME as u64) as usize);
        let mut hash = Sha256::new();
        let mut body = Payload::repeat(&pattern, common, Bytes::new());
        while let Some(part) = body.next() {
            hash.update(&part);
        }
        Self { pattern, common, hash, run, serial: AtomicU64::new(0) }
    }

    pub(super) fn make(&self) -> Blob {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let mut ending = [0; ENDING as usize];
        ending[..16].copy_from_slice(&self.run);
        ending[16..24].copy_from_slice(&serial.to_be_bytes());
        let mut hash = self.hash.clone();
        hash.update(ending);
        Blob {
            digest: Hash(hash.finalize().into()),
            size: self.common + ENDING,
            payload: Payload::repeat(&self.pattern, self.common, Bytes::copy_from_slice(&ending)),
        }
    }
}

/// Bytes that do not compress, the same in every run.
fn noise(length: usize) -> Bytes {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// The body of a request. A clone is cheap and begins where this one stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Payload {
    pattern: Bytes,
    repeated: u64,
    rest: Bytes,
}

impl Payload {
    /// `length` bytes of `pattern` over and over, then `rest`.
    fn repeat(pattern: &Bytes, length: u64, rest: Bytes) -> Self {
        Self { pattern: pattern.clone(), repeated: length, rest }
    }

    pub(super) fn length(&self) -> u64 {
        self.repeated + self.rest.len() as u64
    }

    fn next(&mut self) -> Option<Bytes> {
        if self.repeated > 0 {
            let length = self.repeated.min(self.pattern.len() as u64);
            self.repeated -= length;
            return Some(self.pattern.slice(..length as usize));
        }
        (!self.rest.is_empty()).then(|| std::mem::take(&mut self.rest))
    }
}

impl From<Bytes> for Payload {
    fn from(content: Bytes) -> Self {
        Self { pattern: Bytes::new(), repeated: 0, rest: content }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.get_mut().next().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.length() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(mut payload: Payload) -> Vec<u8> {
        std::iter::from_fn(|| payload.next()).flatten().collect()
    }

    #[test]
    fn digest_and_size_are_those_of_the_bytes_sent() {
        for size in [0, 1, 31, 32, 33, 4096, FRAME as u64 + 32, 3 * FRAME as u64 + 7] {
            let blob = BlobMaker::new(size, [7; 16]).make();
            let sent = content(blob.payload.clone());
            assert_eq!(blob.digest, Hash::of(&sent), "{size}");
            assert_eq!((blob.size, blob.payload.length()), (sent.len() as u64, sent.len() as u64));
            assert_eq!(blob.size, size.max(32));
        }
    }

    #[test]
    fn no_two_blobs_are_alike() {
        let (one, other) = (BlobMaker::new(64, [1; 16]), BlobMaker::new(64, [2; 16]));
        let digests = [one.make(), one.make(), other.make()].map(|blob| blob.digest.to_string());
        assert!(digests[0] != digests[1] && digests[0] != digests[2] && digests[1] != digests[2]);
    }

    #[test]
    fn a_digest_is_written_as_in_manifests() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Hash::of(b"").to_string(), empty);
    }
}
