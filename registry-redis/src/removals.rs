//! What was removed lately by this process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use registry_core::{CacheScope, Digest, RepositoryName};
use tokio::time::Instant;

use crate::command::LIFETIME;

/// How many removals are known at most. The oldest go first.
const LIMIT: usize = 65_536;

/// An entry that is to be nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Removal {
    pub(crate) repository: Option<RepositoryName>,
    pub(crate) digest: Digest,
}

impl Removal {
    pub(crate) fn new(scope: CacheScope<'_>, digest: &Digest) -> Self {
        let repository = match scope {
            CacheScope::Content => None,
            CacheScope::Repository(name) => Some(name.clone()),
        };
        Self { repository, digest: digest.clone() }
    }

    pub(crate) fn scope(&self) -> CacheScope<'_> {
        self.repository.as_ref().map_or(CacheScope::Content, CacheScope::Repository)
    }
}

/// The removals of the time in which an entry from before one could still be alive.
///
/// Redis may not have heard of them: it could not be reached, or a replica without them has become master.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    when: HashMap<Removal, Instant>,
    order: VecDeque<(Instant, Removal)>,
}

impl Removals {
    pub(crate) fn add(&self, removal: &Removal) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.when.insert(removal.clone(), now);
        state.order.push_back((now, removal.clone()));
        while state.order.len() > LIMIT {
            state.pop();
        }
    }

    pub(crate) fn contains(&self, removal: &Removal) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.expire();
        state.when.contains_key(removal)
    }

    pub(crate) fn all(&self) -> Vec<Removal> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.expire();
        state.when.keys().cloned().collect()
    }
}

impl State {
    fn expire(&mut self) {
        while self.order.front().is_some_and(|(when, _)| when.elapsed() >= LIFETIME) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((when, removal)) = self.order.pop_front()
            // It may have been removed again since.
            && self.when.get(&removal) == Some(&when)
        {
            self.when.remove(&removal);
        }
    }
}

#[cfg(test)]
mod tests {
    use registry_core::Algorithm;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_removal_is_known_for_the_life_of_an_entry() {
        let removals = Removals::default();
        let removal = Removal::new(CacheScope::Content, &Algorithm::Sha256.digest(b"x"));
        removals.add(&removal);
        advance(LIFETIME / 2).await;
        removals.add(&removal);
        advance(LIFETIME / 2).await;
        assert!(removals.contains(&removal), "removed again meanwhile");
        assert_eq!(removals.all(), std::slice::from_ref(&removal));
        advance(LIFETIME / 2).await;
        assert!(!removals.contains(&removal));
    }

    #[tokio::test]
    async fn memory_for_removals_is_bounded() {
        let removals = Removals::default();
        for n in 0..70_000_u32 {
            removals.add(&Removal::new(CacheScope::Content, &Algorithm::Sha256.digest(&n.to_le_bytes())));
        }
        assert_eq!(removals.all().len(), LIMIT);
    }
}
