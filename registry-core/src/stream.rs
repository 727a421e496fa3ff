//! Streams of bytes.

use bytes::{Bytes, BytesMut};
use futures::{TryStreamExt, stream::BoxStream};

use crate::error::Error;

/// Content on its way. A stream owns what it needs, ends after exactly the bytes that were announced,
/// and yields at most one error and then nothing. Nobody may assume a size for its pieces.
pub type ByteStream<E = Error> = BoxStream<'static, Result<Bytes, E>>;

/// Collects a stream of at most `limit` bytes; `None` if there is more.
///
/// Reading stops at the first piece beyond the limit, so memory is bounded by `limit` and one piece.
///
/// # Errors
/// The stream's own.
pub async fn collect<E>(mut stream: ByteStream<E>, limit: usize) -> Result<Option<Bytes>, E> {
    let Some(first) = stream.try_next().await? else { return Ok(Some(Bytes::new())) };
    if first.len() > limit {
        return Ok(None);
    }
    let Some(second) = stream.try_next().await? else { return Ok(Some(first)) };
    let mut all = BytesMut::with_capacity((first.len() + second.len()).min(limit));
    all.extend_from_slice(&first);
    let mut next = Some(second);
    while let Some(piece) = next {
        if all.len() + piece.len() > limit {
            return Ok(None);
        }
        all.extend_from_slice(&piece);
        next = stream.try_next().await?;
    }
    Ok(Some(all.freeze()))
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, executor::block_on};

    use super::*;

    fn stream(pieces: &[&'static [u8]]) -> ByteStream {
        futures::stream::iter(pieces.iter().map(|p| Ok(Bytes::from_static(p))).collect::<Vec<_>>()).boxed()
    }

    #[test]
    fn collecting_stops_at_the_limit() {
        assert_eq!(block_on(collect(stream(&[]), 0)).unwrap().unwrap(), "");
        assert_eq!(block_on(collect(stream(&[b"abc"]), 3)).unwrap().unwrap(), "abc");
        assert_eq!(block_on(collect(stream(&[b"ab", b"c"]), 3)).unwrap().unwrap(), "abc");
        assert_eq!(block_on(collect(stream(&[b"abcd"]), 3)).unwrap(), None);
        assert_eq!(block_on(collect(stream(&[b"ab", b"c", b"d"]), 3)).unwrap(), None);
    }
}
