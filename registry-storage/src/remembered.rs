//! What a process remembers of a flat store, where each question is a round trip.
//!
//! Three memories, each with its own reason why it may be believed; the section "Flat stores" of
//! ARCHITECTURE.md puts them side by side. None is used on a tree.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use registry_core::{Descriptor, Digest, RepositoryName};
use tokio::time::Instant;

/// How many blobs are remembered to have arrived.
const ARRIVALS: usize = 8192;

/// The blobs that this process has pushed or mounted into a repository lately.
///
/// It is what is believed when a manifest is stored: a client pushes blobs and then the manifest that refers
/// to them, so asking the store for each would ask what was just told. Believing it is safe because
/// collectors go by age: they spare content that was written, or linked in a repository, within the last
/// hour at least, since any manifest that refers to it may still be on its way. Ten minutes are well within
/// that. What is remembered through a mount counts from when the content was last written or seen in the
/// store, so a chain of mounts lengthens nothing. If another process unlinks the blob meanwhile, the manifest
/// is stored as if it had come before that: deleting a blob never asks which manifests refer to it.
pub(crate) struct Arrivals {
    blobs: Cache<(RepositoryName, Digest), Arrival>,
    /// What a mount was told of its source, until it asks.
    sources: Cache<(RepositoryName, Digest), Arrival>,
}

/// A blob that is in a repository.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) content: Descriptor,
    /// When its content was written or seen in the store.
    since: Instant,
}

impl Arrival {
    /// Content that was written or seen this moment.
    pub(crate) fn now(content: Descriptor) -> Self {
        Self { content, since: Instant::now() }
    }

    fn within(&self, limit: Duration) -> bool {
        self.since.elapsed() < limit
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { blobs: Cache::new(ARRIVALS), sources: Cache::new(64) }
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals").field("len", &self.blobs.len()).finish()
    }
}

impl Arrivals {
    /// How long an arrival is believed.
    const BELIEVED: Duration = Duration::from_secs(10 * 60);

    /// How long the source of a mount is believed: it was asked for by the same request.
    const SOURCE: Duration = Duration::from_secs(5);

    pub(crate) fn get(&self, name: &RepositoryName, digest: &Digest) -> Option<Arrival> {
        let key = (name.clone(), digest.clone());
        self.blobs.get(&key).filter(|arrival| arrival.within(Self::BELIEVED))
    }

    pub(crate) fn put(&self, name: &RepositoryName, digest: &Digest, arrival: Arrival) {
        self.blobs.insert((name.clone(), digest.clone()), arrival);
    }

    pub(crate) fn forget(&self, name: &RepositoryName, digest: &Digest) {
        let key = (name.clone(), digest.clone());
        self.blobs.remove(&key);
        self.sources.remove(&key);
    }

    /// Remembers, for the request that is asking, that the store has said a blob is in a repository.
    pub(crate) fn put_source(&self, name: &RepositoryName, digest: &Digest, content: &Descriptor) {
        self.sources.insert((name.clone(), digest.clone()), Arrival::now(content.clone()));
    }

    /// A blob that can be mounted from a repository without asking again. Says so once.
    pub(crate) fn take_source(&self, name: &RepositoryName, digest: &Digest) -> Option<Arrival> {
        let asked = self.sources.remove(&(name.clone(), digest.clone()));
        let asked = asked.map(|(_, arrival)| arrival).filter(|arrival| arrival.within(Self::SOURCE));
        asked.or_else(|| self.get(name, digest))
    }
}

/// The bytes of manifests, by digest.
///
/// Never wrong, since a digest names its bytes for ever. What is in here says nothing of whether a repository
/// has the manifest: that is asked of the store each time.
#[derive(Clone)]
pub(crate) struct ManifestCache(Option<Arc<Cache<Digest, Bytes, Weight>>>);

#[derive(Debug, Clone)]
struct Weight;

/// What an entry takes beside its bytes, about.
const OVERHEAD: u64 = 256;

impl Weighter<Digest, Bytes> for Weight {
    fn weight(&self, _: &Digest, payload: &Bytes) -> u64 {
        OVERHEAD + payload.len() as u64
    }
}

impl fmt::Debug for ManifestCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.as_ref().map(|cache| cache.weight());
        f.debug_struct("ManifestCache").field("bytes", &bytes).finish()
    }
}

impl ManifestCache {
    /// How many bytes are kept unless said otherwise.
    pub(crate) const DEFAULT_BYTES: u64 = 16 << 20;

    /// A cache of at most `bytes`; none at all for 0.
    pub(crate) fn new(bytes: u64) -> Self {
        // Most manifests have a kilobyte or two.
        let entries = (bytes / 2048) as usize;
        Self((bytes > 0).then(|| Arc::new(Cache::with_weighter(entries, bytes, Weight))))
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<Bytes> {
        self.0.as_ref()?.get(digest)
    }

    pub(crate) fn put(&self, digest: &Digest, payload: &Bytes) {
        if let Some(cache) = &self.0 {
            // A copy: what is given may be a small part of a large buffer.
            cache.insert(digest.clone(), Bytes::copy_from_slice(payload));
        }
    }

    pub(crate) fn forget(&self, digest: &Digest) {
        if let Some(cache) = &self.0 {
            cache.remove(digest);
        }
    }
}

/// Where a tag of a repository led to just now, in the request that asked for it: whoever follows the tag
/// need not be asked again whether the manifest is in the repository. Tags go before their manifest does.
#[derive(Debug, Default)]
pub(crate) struct Followed(Mutex<Option<(Digest, Instant)>>);

impl Followed {
    /// A request follows its tag at once.
    const HOLDS: Duration = Duration::from_secs(5);

    pub(crate) fn put(&self, target: &Digest) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((target.clone(), Instant::now()));
    }

    /// Whether a tag led here. Says so once.
    pub(crate) fn take(&self, digest: &Digest) -> bool {
        let mut followed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let led_here = |(target, at): &(Digest, Instant)| target == digest && at.elapsed() < Self::HOLDS;
        followed.take_if(|followed| followed.0 == *digest).is_some_and(|followed| led_here(&followed))
    }
}

#[cfg(test)]
mod tests {
    //! What ends with its time, and what is bounded.

    use registry_core::Algorithm;

    use super::*;

    fn blob(text: &str) -> Descriptor {
        Descriptor::blob(Algorithm::Sha256.digest(text.as_bytes()), text.len() as u64)
    }

    #[tokio::test(start_paused = true)]
    async fn an_arrival_is_believed_for_ten_minutes_however_often_it_is_mounted() {
        let arrivals = Arrivals::default();
        let [a, b] = ["a", "b"].map(|name| RepositoryName::parse(name).unwrap());
        let blob = blob("x");
        arrivals.put(&a, &blob.digest, Arrival::now(blob.clone()));
        tokio::time::advance(Duration::from_secs(9 * 60)).await;
        let source = arrivals.take_source(&a, &blob.digest).unwrap();
        arrivals.put(&b, &blob.digest, source);
        assert_eq!(arrivals.get(&b, &blob.digest).unwrap().content, blob);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(arrivals.get(&a, &blob.digest).is_none());
        assert!(arrivals.get(&b, &blob.digest).is_none());
        arrivals.put(&a, &blob.digest, Arrival::now(blob.clone()));
        arrivals.forget(&a, &blob.digest);
        assert!(arrivals.get(&a, &blob.digest).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_for_a_request_is_told_once_and_soon() {
        let (arrivals, name, blob) = (Arrivals::default(), RepositoryName::parse("a").unwrap(), blob("x"));
        arrivals.put_source(&name, &blob.digest, &blob);
        assert!(arrivals.get(&name, &blob.digest).is_none(), "it did not arrive here");
        assert!(arrivals.take_source(&name, &blob.digest).is_some());
        assert!(arrivals.take_source(&name, &blob.digest).is_none());
        arrivals.put_source(&name, &blob.digest, &blob);
        let followed = Followed::default();
        followed.put(&blob.digest);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(arrivals.take_source(&name, &blob.digest).is_none());
        assert!(!followed.take(&blob.digest));
        followed.put(&blob.digest);
        assert!(!followed.take(&Algorithm::Sha256.digest(b"other")));
        assert!(followed.take(&blob.digest));
        assert!(!followed.take(&blob.digest));
    }

    #[test]
    fn manifests_take_no_more_than_their_bytes() {
        let cache = ManifestCache::new(1 << 20);
        let payload = Bytes::from(vec![0; 10_000]);
        for n in 0..1000_u32 {
            cache.put(&Algorithm::Sha256.digest(&n.to_le_bytes()), &payload);
        }
        let bytes = cache.0.as_ref().unwrap().weight();
        assert!((1 << 18..=1 << 20).contains(&bytes), "{bytes}");
        let last = Algorithm::Sha256.digest(b"last");
        cache.put(&last, &payload);
        assert_eq!(cache.get(&last).unwrap(), payload);
        cache.forget(&last);
        assert_eq!(cache.get(&last), None);
        let none = ManifestCache::new(0);
        none.put(&last, &payload);
        assert_eq!(none.get(&last), None);
    }
}
