//! What passwords have turned out to be, without keeping any.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use quick_cache::sync::Cache;
use sha2::Sha256;
use tokio::time::Instant;

use super::hash::Hash;

/// Stands for a user, a password and the hash in the file: their HMAC-SHA256 under a key of this process. A new hash
/// in the file makes other fingerprints, so that nothing has to be forgotten then.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 32]);

/// How long an outcome is remembered without being asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) right: Duration,
    pub(super) wrong: Duration,
}

/// The outcomes of verifications, for a while.
pub(super) struct Memory {
    key: Hmac<Sha256>,
    times: Times,
    /// Apart, so that a flood of wrong passwords drives no right one out.
    right: Cache<Fingerprint, Instant>,
    wrong: Cache<Fingerprint, Instant>,
}

impl Memory {
    /// An empty memory for so many right and as many wrong passwords; `secret` is random.
    pub(super) fn new(secret: &[u8; 64], times: Times, entries: usize) -> Self {
        let key = <Hmac<Sha256> as KeyInit>::new(&(*secret).into());
        Self { key, times, right: Cache::new(entries), wrong: Cache::new(entries) }
    }

    /// `hash` is that of the user, if there is such a user.
    pub(super) fn fingerprint(&self, user: &str, password: &str, hash: Option<&Hash>) -> Fingerprint {
        let mut mac = self.key.clone();
        for part in [user, password] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac.update(hash.map_or(&[], Hash::as_bytes));
        Fingerprint(mac.finalize().into_bytes().into())
    }

    /// What is remembered.
    pub(super) fn recall(&self, fingerprint: &Fingerprint) -> Option<bool> {
        if let Some(since) = self.right.get(fingerprint) {
            let age = since.elapsed();
            if age < self.times.right {
                // Whoever goes on using it does not have to wait in between. Not noted each time: that is a write.
                if age > self.times.right / 2 {
                    self.right.insert(*fingerprint, Instant::now());
                }
                return Some(true);
            }
            self.right.remove(fingerprint);
        }
        let since = self.wrong.get(fingerprint)?;
        if since.elapsed() < self.times.wrong {
            return Some(false);
        }
        self.wrong.remove(fingerprint);
        None
    }

    pub(super) fn remember(&self, fingerprint: Fingerprint, right: bool) {
        let outcomes = if right { &self.right } else { &self.wrong };
        outcomes.insert(fingerprint, Instant::now());
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("times", &self.times).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const TIMES: Times = Times { right: Duration::from_secs(600), wrong: Duration::from_secs(60) };

    fn hash(salt: u8) -> Hash {
        Hash::parse(&bcrypt::hash_with_salt("x", 4, [salt; 16]).unwrap().to_string()).unwrap()
    }

    #[test]
    fn fingerprints_differ_in_each_part_and_each_process() {
        let memory = Memory::new(&[1; 64], TIMES, 8);
        let (one, other) = (hash(1), hash(2));
        let first = memory.fingerprint("ab", "c", Some(&one));
        assert!(first == memory.fingerprint("ab", "c", Some(&one)));
        assert!(first != memory.fingerprint("a", "bc", Some(&one)));
        assert!(first != memory.fingerprint("ab", "c", Some(&other)));
        assert!(first != memory.fingerprint("ab", "c", None));
        assert!(first != Memory::new(&[2; 64], TIMES, 8).fingerprint("ab", "c", Some(&one)));
    }

    #[tokio::test(start_paused = true)]
    async fn outcomes_are_remembered_for_their_time() {
        let memory = Memory::new(&[1; 64], TIMES, 8);
        let (right, wrong) = (memory.fingerprint("a", "b", None), memory.fingerprint("a", "c", None));
        assert_eq!(memory.recall(&right), None);
        memory.remember(right, true);
        memory.remember(wrong, false);
        advance(Duration::from_secs(59)).await;
        assert_eq!((memory.recall(&right), memory.recall(&wrong)), (Some(true), Some(false)));
        advance(Duration::from_secs(1)).await;
        assert_eq!((memory.recall(&right), memory.recall(&wrong)), (Some(true), None));
        advance(Duration::from_secs(540)).await;
        assert_eq!(memory.recall(&right), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_used_stays() {
        let memory = Memory::new(&[1; 64], TIMES, 8);
        let right = memory.fingerprint("a", "b", None);
        memory.remember(right, true);
        for _ in 0..20 {
            advance(Duration::from_secs(299)).await;
            assert_eq!(memory.recall(&right), Some(true));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_passwords_drive_no_right_one_out() {
        let memory = Memory::new(&[1; 64], TIMES, 8);
        let right = memory.fingerprint("a", "b", None);
        memory.remember(right, true);
        for guess in 0..10_000 {
            memory.remember(memory.fingerprint("a", &guess.to_string(), None), false);
        }
        assert_eq!(memory.recall(&right), Some(true));
        assert!(memory.wrong.len() <= 16);
    }
}
