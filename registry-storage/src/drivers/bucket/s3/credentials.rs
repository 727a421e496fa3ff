//! Who we are, and for how long.

mod outside;
mod profile;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use registry_core::BoxError;
use tokio::sync::Mutex;

pub(super) use outside::Outside;

use crate::drivers::bucket::http::describe;
use crate::drivers::bucket::options::{S3Credentials, Secret};

/// Credentials are replaced so long before they expire.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// Reads a variable of the environment.
pub(super) type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A key, its secret, and when they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) access_key: String,
    pub(super) secret_key: Secret,
    pub(super) session_token: Option<Secret>,
    pub(super) expires: Option<SystemTime>,
}

#[cfg(test)]
impl Credentials {
    /// Those of the examples that Amazon published.
    pub(super) fn example() -> Self {
        Self {
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            session_token: None,
            expires: None,
        }
    }
}

impl From<&S3Credentials> for Credentials {
    fn from(given: &S3Credentials) -> Self {
        Self {
            access_key: given.access_key.clone(),
            secret_key: given.secret_key.clone(),
            session_token: given.session_token.clone(),
            expires: None,
        }
    }
}

/// Where credentials come from.
#[async_trait]
pub(super) trait Source: fmt::Debug + Send + Sync + 'static {
    /// New ones.
    async fn fetch(&self) -> Result<Credentials, BoxError>;
}

/// Credentials that are replaced in time.
#[derive(Debug)]
pub(super) struct Keyring {
    source: Option<Box<dyn Source>>,
    /// With a number that changes when they do.
    held: Mutex<Option<(u64, Arc<Credentials>)>>,
}

impl Keyring {
    /// Credentials that do not change.
    pub(super) fn fixed(credentials: Credentials) -> Self {
        Self { source: None, held: Mutex::new(Some((0, Arc::new(credentials)))) }
    }

    /// Credentials that are fetched.
    pub(super) fn fetched(source: impl Source) -> Self {
        Self { source: Some(Box::new(source)), held: Mutex::new(None) }
    }

    /// The credentials now, and their number. Fetches them when there are none or when they are about to
    /// expire; those who ask meanwhile wait.
    pub(super) async fn get(&self) -> Result<(u64, Arc<Credentials>), BoxError> {
        let mut held = self.held.lock().await;
        let now = SystemTime::now();
        let ends_after = |current: &Credentials, left: Duration| {
            current.expires.is_none_or(|expires| now + left < expires)
        };
        if let Some((number, current)) = &*held
            && ends_after(current, AHEAD)
        {
            return Ok((*number, Arc::clone(current)));
        }
        let Some(source) = &self.source else { return Err("there are no credentials".into()) };
        match source.fetch().await {
            Ok(new) => {
                let number = held.as_ref().map_or(0, |(number, _)| number + 1);
                let new = Arc::new(new);
                *held = Some((number, Arc::clone(&new)));
                Ok((number, new))
            }
            Err(error) => match &*held {
                // The next request tries again; these will do until then.
                Some((number, current)) if ends_after(current, Duration::ZERO) => {
                    let error = describe(&*error);
                    tracing::warn!(error, "credentials of the bucket could not be renewed ahead of time");
                    Ok((*number, Arc::clone(current)))
                }
                _ => Err(error),
            },
        }
    }

    /// The service no longer takes the credentials with this number. Whether there can be others.
    pub(super) async fn refused(&self, number: u64) -> bool {
        if self.source.is_none() {
            return false;
        }
        let mut held = self.held.lock().await;
        // Others may have noticed before.
        if let Some((current, credentials)) = &mut *held
            && *current == number
        {
            let past = Credentials { expires: Some(SystemTime::UNIX_EPOCH), ..(**credentials).clone() };
            *credentials = Arc::new(past);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    //! When credentials are fetched.

    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Debug)]
    struct Counting {
        fetched: Arc<AtomicU64>,
        good_for: Option<Duration>,
        fails_from: u64,
    }

    #[async_trait]
    impl Source for Counting {
        async fn fetch(&self) -> Result<Credentials, BoxError> {
            let number = self.fetched.fetch_add(1, Ordering::Relaxed);
            if number >= self.fails_from {
                return Err("no answer".into());
            }
            Ok(Credentials {
                access_key: number.to_string(),
                secret_key: Secret::new("s"),
                session_token: None,
                expires: self.good_for.map(|time| SystemTime::now() + time),
            })
        }
    }

    fn keyring(good_for: Option<Duration>, fails_from: u64) -> (Keyring, Arc<AtomicU64>) {
        let fetched = Arc::new(AtomicU64::new(0));
        (Keyring::fetched(Counting { fetched: Arc::clone(&fetched), good_for, fails_from }), fetched)
    }

    #[tokio::test]
    async fn credentials_are_fetched_once_and_again_before_they_expire() {
        for (good_for, fetches) in [(None, 1), (Some(AHEAD * 2), 1), (Some(AHEAD / 2), 3)] {
            let (keyring, fetched) = keyring(good_for, u64::MAX);
            for _ in 0..3 {
                keyring.get().await.unwrap();
            }
            assert_eq!(fetched.load(Ordering::Relaxed), fetches, "{good_for:?}");
        }
    }

    #[tokio::test]
    async fn credentials_that_are_still_good_do_when_there_are_no_new_ones() {
        let (keyring, _) = keyring(Some(AHEAD / 2), 1);
        keyring.get().await.unwrap();
        assert_eq!(keyring.get().await.unwrap().1.access_key, "0");
        keyring.refused(0).await;
        assert!(keyring.get().await.is_err());
    }

    #[tokio::test]
    async fn many_who_were_refused_fetch_once() {
        let (keyring, fetched) = keyring(None, u64::MAX);
        let (number, _) = keyring.get().await.unwrap();
        for _ in 0..5 {
            assert!(keyring.refused(number).await);
            assert_eq!(keyring.get().await.unwrap().1.access_key, "1");
        }
        assert_eq!(fetched.load(Ordering::Relaxed), 2);
        let fixed = Keyring::fixed(keyring.get().await.unwrap().1.as_ref().clone());
        assert!(!fixed.refused(0).await);
        assert!(fixed.get().await.is_ok());
    }
}
