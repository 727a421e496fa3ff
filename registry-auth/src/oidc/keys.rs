//! The keys of a provider, as far as they are known.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use registry_core::BoxError;
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::fetch::Fetch;
use crate::jose::{JwkSet, VerifyingKey};

/// How old keys may become before the provider is asked whether it still has them.
const OLD: Duration = Duration::from_secs(60 * 60);

/// How often is asked while nothing is known.
const RETRY: Duration = Duration::from_secs(5);

/// The keys of a provider. Fetched when they are first needed, again when a token names one that is not known, and
/// every hour. If the provider cannot be asked, those that are known stay.
#[derive(Clone)]
pub(super) struct Keys(Arc<Shared>);

struct Shared {
    fetch: Fetch,
    /// How often is asked at most.
    refresh: Duration,
    known: RwLock<Option<Arc<Known>>>,
    /// When was asked last. Held while somebody asks: the others wait, and then look again.
    asked: Mutex<Option<Instant>>,
}

struct Known {
    keys: HashMap<String, VerifyingKey>,
    since: Instant,
}

impl Keys {
    /// Keys from there. Those in a file are read now.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn new(fetch: Fetch, refresh: Duration) -> Result<Self, String> {
        let known = fetch.keys_now()?.map(|set| Arc::new(Known::new(set)));
        Ok(Self(Arc::new(Shared { fetch, refresh, known: RwLock::new(known), asked: Mutex::default() })))
    }

    /// The key of this id; the only one if there is no id. `None` if the provider has none such.
    ///
    /// # Errors
    /// Nothing is known of the provider, and it cannot be asked.
    pub(super) async fn find(&self, id: Option<&str>) -> Result<Option<VerifyingKey>, BoxError> {
        let known = self.0.known();
        if let Some(known) = &known
            && known.since.elapsed() < OLD
            && let Some(key) = known.key(id)
        {
            return Ok(Some(key));
        }
        let shared = Arc::clone(&self.0);
        let before = known.map(|known| known.since);
        // In a task of its own: a client that goes away must not keep the others from the answer.
        tokio::spawn(async move { shared.ask(before).await }).await??;
        let known = self.0.known().ok_or("they could not be fetched a moment ago")?;
        Ok(known.key(id))
    }
}

impl Shared {
    /// Asks the provider, unless somebody has since what was known, or lately.
    async fn ask(&self, before: Option<Instant>) -> Result<(), BoxError> {
        let mut asked = self.asked.lock().await;
        let known = self.known();
        let newer = known.as_ref().is_some_and(|known| before.is_none_or(|before| known.since > before));
        let pause = if known.is_some() { self.refresh } else { RETRY.min(self.refresh) };
        if newer || asked.is_some_and(|asked| asked.elapsed() < pause) {
            return Ok(());
        }
        *asked = Some(Instant::now());
        match self.fetch.keys().await {
            Ok(set) => {
                info!("fetched {} keys of an identity provider", set.keys.len());
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(Known::new(set)));
                Ok(())
            }
            Err(error) if known.is_some() => {
                warn!(%error, "keys of an identity provider are not refreshed");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn known(&self) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Known {
    fn new(set: JwkSet) -> Self {
        Self { keys: set.keys.into_iter().collect(), since: Instant::now() }
    }

    fn key(&self, id: Option<&str>) -> Option<VerifyingKey> {
        match id {
            Some(id) => self.keys.get(id).cloned(),
            None if self.keys.len() == 1 => self.keys.values().next().cloned(),
            None => None,
        }
    }
}
