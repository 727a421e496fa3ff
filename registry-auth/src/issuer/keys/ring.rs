//! Keys that follow one another.

use std::sync::Arc;
use std::time::Duration;

/// How keys follow one another, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rotation {
    /// How long a key is used before the next takes over.
    pub(super) every: u64,
    /// How long a key is published before it is used, so that whoever has fetched the keys, and every replica, knows
    /// it by then.
    pub(super) lead: u64,
}

impl Rotation {
    /// Ten minutes: twice as long as published keys may be cached.
    const LEAD: u64 = 600;

    pub(super) fn new(every: Duration) -> Self {
        let every = every.as_secs().max(1);
        Self { every, lead: Self::LEAD.min(every / 4) }
    }
}

/// How far the clocks of replicas may be apart for nothing to be lost, in seconds.
const SLACK: u64 = 3600;

/// A key, with when it was made, in seconds since 1970.
#[derive(Debug)]
pub(super) struct Aged<K> {
    pub(super) created: u64,
    pub(super) id: String,
    pub(super) key: Arc<K>,
}

impl<K> Clone for Aged<K> {
    fn clone(&self) -> Self {
        Self { created: self.created, id: self.id.clone(), key: Arc::clone(&self.key) }
    }
}

/// Keys of one kind, the oldest first. Replicas that hold the same keys use the same one.
///
/// Of signing keys those of the own algorithm count, `own`: a replica with another one goes its own way.
#[derive(Debug)]
pub(super) struct Ring<K>(Vec<Aged<K>>);

impl<K> Clone for Ring<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> Default for Ring<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K> Ring<K> {
    pub(super) fn add(&mut self, key: Aged<K>) {
        self.0.push(key);
        self.0.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Aged<K>> {
        self.0.iter()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = (u64, &str)> {
        self.0.iter().map(|key| (key.created, key.id.as_str()))
    }

    pub(super) fn find(&self, id: &str) -> Option<&Aged<K>> {
        self.0.iter().find(|key| key.id == id)
    }

    /// The key to use: the newest own one that has been published for long enough, or else the newest of any
    /// algorithm that has. Where there is none the oldest, which every replica that has any key has.
    pub(super) fn current(&self, now: u64, rotation: Rotation, own: impl Fn(&K) -> bool) -> Option<&Aged<K>> {
        let published = |key: &&Aged<K>| key.created.saturating_add(rotation.lead) <= now;
        let newest = || self.iter().rev().find(published);
        let own = self.iter().rev().filter(published).find(|key| own(&key.key));
        own.or_else(newest).or_else(|| self.0.first())
    }

    /// The newest own key. One from the future, which a replica with a wrong clock has made, does not count: it would
    /// be the newest until then.
    fn newest(&self, now: u64, own: impl Fn(&K) -> bool) -> Option<&Aged<K>> {
        self.iter().rev().find(|key| own(&key.key) && key.created <= now.saturating_add(SLACK))
    }

    /// Whether the next key is to be made, which is `lead` before it takes over.
    pub(super) fn is_due(&self, now: u64, rotation: Rotation, own: impl Fn(&K) -> bool) -> bool {
        let takes_over = |newest: &Aged<K>| newest.created.saturating_add(rotation.every);
        self.newest(now, own).is_none_or(|newest| takes_over(newest) <= now)
    }

    /// When the next key is made, so that it is the newest: now, or right after the newest.
    pub(super) fn next(&self, now: u64, own: impl Fn(&K) -> bool) -> u64 {
        self.newest(now, own).map_or(now, |newest| now.max(newest.created.saturating_add(1)))
    }

    /// Takes out the keys whose last token has expired: own ones that another took over from so long ago, and others
    /// that another must have taken over from by then. A clock that is an hour off loses nothing, and the newest key
    /// stays.
    pub(super) fn take_expired(
        &mut self,
        now: u64,
        rotation: Rotation,
        lifetime: u64,
        own: impl Fn(&K) -> bool,
    ) -> Vec<Aged<K>> {
        let after = rotation.lead.saturating_add(lifetime).saturating_add(SLACK);
        let Some(newest) = self.0.pop() else { return Vec::new() };
        let mut kept = vec![newest];
        let mut expired = Vec::new();
        while let Some(key) = self.0.pop() {
            let next = if own(&key.key) {
                kept.iter().rev().chain(&expired).find(|next| own(&next.key)).map(|next| next.created)
            } else {
                Some(key.created.saturating_add(rotation.every))
            };
            let over = next.is_some_and(|next| next.saturating_add(after) < now);
            if over { expired.push(key) } else { kept.push(key) }
        }
        kept.reverse();
        self.0 = kept;
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn any<K>(_: &K) -> bool {
        true
    }

    fn ring(created: &[u64]) -> Ring<()> {
        let mut ring = Ring::default();
        for at in created {
            ring.add(Aged { created: *at, id: format!("k{at}"), key: Arc::new(()) });
        }
        ring
    }

    fn current(ring: &Ring<()>, now: u64) -> u64 {
        ring.current(now, Rotation::new(Duration::from_secs(30 * DAY)), any).unwrap().created
    }

    #[test]
    fn a_key_is_used_once_it_has_been_published_for_a_while() {
        assert_eq!(current(&ring(&[1000]), 1000), 1000, "the only one, at once");
        let two = ring(&[1000, 5000]);
        assert_eq!(current(&two, 5599), 1000);
        assert_eq!(current(&two, 5600), 5000);
        assert_eq!(current(&two, 10), 1000, "a clock that was set back");
    }

    #[test]
    fn replicas_that_made_a_key_at_the_same_time_use_the_same() {
        let key = |id: &str| Aged { created: 7, id: id.to_owned(), key: Arc::new(()) };
        for order in [["a", "b"], ["b", "a"]] {
            let mut ring = Ring::default();
            order.iter().for_each(|id| ring.add(key(id)));
            let rotation = Rotation::new(Duration::from_secs(DAY));
            assert_eq!(ring.current(7, rotation, any).unwrap().id, "a");
            assert_eq!(ring.current(700, rotation, any).unwrap().id, "b");
        }
    }

    #[test]
    fn the_next_key_is_made_when_the_last_has_served_its_time() {
        let rotation = Rotation::new(Duration::from_secs(DAY));
        assert!(ring(&[]).is_due(0, rotation, any));
        assert!(!ring(&[1000]).is_due(1000 + DAY - 1, rotation, any));
        assert!(ring(&[1000]).is_due(1000 + DAY, rotation, any));
        assert!(!ring(&[1000, 1000 + DAY]).is_due(1000 + DAY, rotation, any));
        assert_eq!(
            (ring(&[1000]).next(1000, any), ring(&[1000]).next(2000, any), ring(&[]).next(7, any)),
            (1001, 2000, 7)
        );
        // A replica whose clock is wrong ends no rotation.
        let future = ring(&[1000, 100 * DAY]);
        assert!(future.is_due(1000 + DAY, rotation, any));
        assert_eq!((future.next(5000, any), future.newest(5000, any).unwrap().created), (5000, 1000));
    }

    #[test]
    fn a_key_goes_when_its_last_token_has_expired_and_not_before() {
        let rotation = Rotation::new(Duration::from_secs(DAY));
        let last_token = 1000 + DAY + 600 + 300;
        let left = |now: u64| {
            let mut ring = ring(&[1000, 1000 + DAY]);
            let expired = ring.take_expired(now, rotation, 300, any).len();
            (expired, ring.iter().count())
        };
        assert_eq!(left(last_token), (0, 2));
        assert_eq!(left(last_token + 3600), (0, 2));
        assert_eq!(left(last_token + 3601), (1, 1));
        assert_eq!(left(u64::MAX), (1, 1), "the last one stays");
    }

    #[test]
    fn short_rotations_publish_ahead_in_proportion() {
        assert_eq!(Rotation::new(Duration::from_secs(40)), Rotation { every: 40, lead: 10 });
        assert_eq!(Rotation::new(Duration::from_secs(30 * DAY)).lead, 600);
    }

    #[test]
    fn keys_of_another_algorithm_are_used_until_an_own_one_is_published_and_then_go() {
        let rotation = Rotation::new(Duration::from_secs(DAY));
        let own = |own: &bool| *own;
        let mut ring = Ring::default();
        for (created, own) in [(1000, false), (5000, true), (6000, false)] {
            ring.add(Aged { created, id: format!("k{created}"), key: Arc::new(own) });
        }
        let current = |now: u64| ring.current(now, rotation, own).unwrap().created;
        assert_eq!([current(1000), current(5000), current(5600), current(6600)], [1000, 1000, 5000, 5000]);
        assert!(!ring.is_due(7000, rotation, own) && ring.is_due(5000 + DAY, rotation, own));
        // Nobody knows whether its owner still uses it, until it would have made another.
        let last_use = 1000 + DAY + 600 + 300 + 3600;
        assert_eq!(ring.clone().take_expired(last_use, rotation, 300, own).len(), 0);
        let expired = ring.take_expired(last_use + 1, rotation, 300, own);
        assert_eq!(expired.iter().map(|key| key.created).collect::<Vec<_>>(), [1000]);
    }
}
