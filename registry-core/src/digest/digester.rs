//! Computing a digest piece by piece, with a state that another process can continue from.

use digest::common::hazmat::SerializableState;
use futures::TryStreamExt;
use sha2::{Digest as _, Sha256, Sha512};

use super::{Algorithm, Digest};
use crate::error::Error;
use crate::stream::ByteStream;

/// A digest that is being computed.
///
/// [`save`](Self::save) and [`restore`](Self::restore) carry the computation over to another request,
/// process or machine. The saved form is the one Distribution keeps in `hashstates/<algorithm>/<offset>`
/// (Go's binary form of its hash state), so that either registry can go on where the other stopped:
///
/// ```text
/// sha256  "sha" 0x03 | 8 x u32 big-endian |  64 bytes pending, zero-padded | u64 big-endian length
/// sha512  "sha" 0x07 | 8 x u64 big-endian | 128 bytes pending, zero-padded | u64 big-endian length
/// ```
#[derive(Debug, Clone)]
pub struct Digester {
    state: State,
    len: u64,
}

#[derive(Debug, Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Digester {
    /// Begins a digest.
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        };
        Self { state, len: 0 }
    }

    /// Begins the computation that can verify `digest`.
    ///
    /// # Errors
    /// [`Error::DigestUnsupported`] if its algorithm is not one that we compute.
    pub fn for_digest(digest: &Digest) -> Result<Self, Error> {
        let algorithm =
            digest.algorithm().ok_or_else(|| Error::DigestUnsupported { digest: digest.clone() })?;
        Ok(Self::new(algorithm))
    }

    /// Which algorithm this computes.
    pub fn algorithm(&self) -> Algorithm {
        match self.state {
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// How many bytes have been taken in.
    pub fn bytes_hashed(&self) -> u64 {
        self.len
    }

    /// Takes in more content.
    pub fn update(&mut self, content: &[u8]) {
        self.len += content.len() as u64;
        match &mut self.state {
            State::Sha256(hasher) => hasher.update(content),
            State::Sha512(hasher) => hasher.update(content),
        }
    }

    /// The digest of everything taken in.
    pub fn finish(self) -> Digest {
        match self.state {
            State::Sha256(hasher) => Digest::from_hash(Algorithm::Sha256, &hasher.finalize()),
            State::Sha512(hasher) => Digest::from_hash(Algorithm::Sha512, &hasher.finalize()),
        }
    }

    /// The state so far, in the form described above.
    pub fn save(&self) -> Vec<u8> {
        match &self.state {
            State::Sha256(hasher) => save_go::<4, 64>(b"sha\x03", &hasher.serialize(), self.len),
            State::Sha512(hasher) => save_go::<8, 128>(b"sha\x07", &hasher.serialize(), self.len),
        }
    }

    /// Continues from a saved state, or `None` if `saved` is not a state of `algorithm`.
    pub fn restore(algorithm: Algorithm, saved: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Sha256 => {
                let (ours, len) = load_go::<4, 64>(b"sha\x03", saved, 8)?;
                let hasher = Sha256::deserialize(ours.as_slice().try_into().ok()?).ok()?;
                Some(Self { state: State::Sha256(hasher), len })
            }
            Algorithm::Sha512 => {
                let (ours, len) = load_go::<8, 128>(b"sha\x07", saved, 16)?;
                let hasher = Sha512::deserialize(ours.as_slice().try_into().ok()?).ok()?;
                Some(Self { state: State::Sha512(hasher), len })
            }
        }
    }
}

/// From the state of `sha2` (words little-endian, block count, pending count, pending bytes) to Go's.
fn save_go<const WORD: usize, const BLOCK: usize>(magic: &[u8; 4], ours: &[u8], len: u64) -> Vec<u8> {
    let pending = (len % BLOCK as u64) as usize;
    let tail = &ours[ours.len() - (BLOCK - 1)..];
    let mut go = Vec::with_capacity(4 + 8 * WORD + BLOCK + 8);
    go.extend_from_slice(magic);
    for word in ours[..8 * WORD].chunks_exact(WORD) {
        go.extend(word.iter().rev());
    }
    go.extend_from_slice(&tail[..pending]);
    go.resize(4 + 8 * WORD + BLOCK, 0);
    go.extend_from_slice(&len.to_be_bytes());
    go
}

/// From Go's state to that of `sha2`, with the number of bytes hashed. `counter` is the width of the
/// block counter in `sha2`'s form.
fn load_go<const WORD: usize, const BLOCK: usize>(
    magic: &[u8; 4],
    go: &[u8],
    counter: usize,
) -> Option<(Vec<u8>, u64)> {
    let rest = go.strip_prefix(magic)?;
    if rest.len() != 8 * WORD + BLOCK + 8 {
        return None;
    }
    let (words, rest) = rest.split_at(8 * WORD);
    let (block, len) = rest.split_at(BLOCK);
    // SHA-256 counts bits in 64 of them. No content comes near it, a damaged state does.
    let len = u64::from_be_bytes(len.try_into().ok()?);
    if len >= 1 << 61 {
        return None;
    }
    let pending = (len % BLOCK as u64) as usize;
    let mut ours = Vec::with_capacity(8 * WORD + counter + BLOCK);
    for word in words.chunks_exact(WORD) {
        ours.extend(word.iter().rev());
    }
    let blocks = u128::from(len / BLOCK as u64).to_le_bytes();
    ours.extend_from_slice(&blocks[..counter]);
    ours.push(pending as u8);
    ours.extend_from_slice(&block[..pending]);
    ours.resize(8 * WORD + counter + BLOCK, 0);
    Some((ours, len))
}

/// Passes a stream through and checks it at its end against `expected`.
///
/// All bytes reach the consumer before the verdict does: after them comes one
/// [`Error::DigestMismatch`] if they were not those of the digest. For consumers that can still throw
/// away what they were given, such as a copy between two stores.
///
/// # Errors
/// [`Error::DigestUnsupported`] if the algorithm is not one that we compute.
pub fn verify_stream(expected: &Digest, stream: ByteStream) -> Result<ByteStream, Error> {
    let digester = Digester::for_digest(expected)?;
    let expected = expected.clone();
    let verified = futures::stream::try_unfold(Some((stream, digester)), move |state| {
        let expected = expected.clone();
        async move {
            let Some((mut stream, mut digester)) = state else { return Ok(None) };
            match stream.try_next().await? {
                Some(chunk) => {
                    digester.update(&chunk);
                    Ok(Some((chunk, Some((stream, digester)))))
                }
                None => {
                    let actual = digester.finish();
                    if actual == expected {
                        Ok(None)
                    } else {
                        Err(Error::DigestMismatch { expected, actual: Some(actual) })
                    }
                }
            }
        }
    });
    Ok(Box::pin(verified))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_saved_after_any_number_of_bytes_resumes_to_the_same_digest() {
        let content: Vec<u8> = (0..1000_u32).map(|i| (i * 7) as u8).collect();
        for algorithm in Algorithm::ALL {
            for cut in [0, 1, 10, 63, 64, 65, 70, 127, 128, 129, 1000] {
                let mut first = Digester::new(algorithm);
                first.update(&content[..cut]);
                let mut second = Digester::restore(algorithm, &first.save()).unwrap();
                assert_eq!(second.bytes_hashed(), cut as u64);
                second.update(&content[cut..]);
                assert_eq!(second.finish(), algorithm.digest(&content), "{algorithm} cut at {cut}");
            }
        }
    }

    /// The state of Go's SHA-256 after the ten bytes `0123456789`.
    #[test]
    fn the_saved_form_is_byte_for_byte_that_of_go() {
        let mut digester = Digester::new(Algorithm::Sha256);
        digester.update(b"0123456789");
        let expected = [
            "73686103", // magic
            "6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19",
            "30313233343536373839",
            &"00".repeat(54),
            "000000000000000a",
        ]
        .concat();
        assert_eq!(hex::encode(digester.save()), expected);
        assert_eq!(digester.save().len(), 108);
        assert_eq!(Digester::new(Algorithm::Sha512).save().len(), 204);
    }

    #[test]
    fn foreign_or_damaged_states_are_refused() {
        let saved = Digester::new(Algorithm::Sha256).save();
        assert!(Digester::restore(Algorithm::Sha512, &saved).is_none());
        assert!(Digester::restore(Algorithm::Sha256, &saved[..107]).is_none());
        assert!(Digester::restore(Algorithm::Sha256, b"").is_none());
        assert!(Digester::restore(Algorithm::Sha256, &[0; 108]).is_none());
    }

    #[test]
    fn a_state_of_more_bytes_than_a_digest_can_count_is_refused() {
        for algorithm in Algorithm::ALL {
            let mut saved = Digester::new(algorithm).save();
            let len = saved.len() - 8;
            saved[len..].copy_from_slice(&u64::MAX.to_be_bytes());
            assert!(Digester::restore(algorithm, &saved).is_none());
            saved[len..].copy_from_slice(&((1_u64 << 61) - 1).to_be_bytes());
            let mut last = Digester::restore(algorithm, &saved).unwrap();
            last.update(b"a byte and more");
            assert_eq!(last.bytes_hashed(), (1 << 61) + 14);
        }
    }

    #[test]
    fn a_verified_stream_ends_in_an_error_when_the_bytes_are_others() {
        use futures::{StreamExt, executor::block_on};
        let stream = |content: &'static [u8]| -> ByteStream {
            futures::stream::iter([Ok(bytes::Bytes::from_static(content))]).boxed()
        };
        let digest = Algorithm::Sha256.digest(b"good");
        let good: Vec<_> = block_on(verify_stream(&digest, stream(b"good")).unwrap().collect());
        assert!(good.iter().all(Result::is_ok));
        let bad: Vec<_> = block_on(verify_stream(&digest, stream(b"evil")).unwrap().collect());
        assert!(matches!(bad.last(), Some(Err(Error::DigestMismatch { .. }))));
    }
}
