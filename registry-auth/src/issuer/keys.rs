//! The keys of an issuer: those that sign access tokens and those that seal refresh tokens.
//!
//! A key is used for [`Rotation::every`], after another has taken over it still verifies until its last token has
//! expired, and then it is removed. Nothing runs in the background: whoever needs a key looks now and then what is
//! due.
//!
//! Kept in a directory, keys outlive the process, and replicas that share the directory verify each other's tokens:
//! each reads it again every half minute and when it sees a key id that it does not know. A key whose file is removed
//! is not believed any more within that time, and emptying the directory ends all tokens. A directory that can only be
//! read is somebody else's to keep: its keys follow one another in the same way, but none is made or removed there.

mod directory;
mod ring;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};

use self::directory::{Directory, Kind, Name};
use self::ring::{Aged, Ring, Rotation};
use super::seal::SealingKey;
use crate::jose::{SigningAlgorithm, SigningError, SigningKey, VerifyingKey};

/// How often the directory is read.
const LOOK: Duration = Duration::from_secs(30);

/// How often it is read at most because of key ids that are not known, which anybody can make up.
const LOOK_FOR: Duration = Duration::from_millis(200);

/// How long a request waits for a directory that hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the keys are to be.
#[derive(Debug, Clone)]
pub(super) struct KeySettings {
    pub(super) algorithm: SigningAlgorithm,
    pub(super) directory: Option<PathBuf>,
    pub(super) rotation: Duration,
    /// How long an access token is taken at most.
    pub(super) access: Duration,
    /// How long a refresh token is taken at most.
    pub(super) refresh: Duration,
}

/// The keys.
#[derive(Debug)]
pub(super) struct Keys {
    held: RwLock<Arc<Held>>,
    store: Store,
    opened: Instant,
    /// When what is due was looked for last, in milliseconds since `opened`.
    looked_at: AtomicU64,
    looked: Mutex<()>,
}

/// What is needed to look for what is due.
#[derive(Debug, Clone)]
struct Store {
    directory: Option<Arc<Directory>>,
    algorithm: SigningAlgorithm,
    rotation: Rotation,
    access: u64,
    refresh: u64,
}

/// The keys of one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    signing: Ring<SigningKey>,
    refresh: Ring<SealingKey>,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysError {
    #[error("{}: {source}", path.display())]
    Directory { path: PathBuf, source: std::io::Error },
    #[error("{}: {why}; remove the file, and tokens that it signed end", path.display())]
    File { path: PathBuf, why: String },
    #[error(
        "{}: there is no file {kind}-….pem in it, and none can be made, since it can only be read; docs/auth.md says how",
        path.display()
    )]
    Missing { path: PathBuf, kind: &'static str },
    #[error("no key can be made: {0}")]
    Make(#[from] SigningError),
}

impl Keys {
    /// The keys of the directory, or new ones. Waits for the disk.
    pub(super) fn open(settings: &KeySettings) -> Result<Self, KeysError> {
        let open = |path: &PathBuf| {
            let failed = |source| KeysError::Directory { path: path.clone(), source };
            let directory = Directory::open(path).map_err(failed)?;
            directory.tidy().map_err(failed)?;
            Ok::<_, KeysError>(Arc::new(directory))
        };
        let store = Store {
            directory: settings.directory.as_ref().map(open).transpose()?,
            algorithm: settings.algorithm,
            rotation: Rotation::new(settings.rotation),
            access: settings.access.as_secs(),
            refresh: settings.refresh.as_secs(),
        };
        let held = store.tended(&Held::default(), now(), Broken::Refused)?;
        Ok(Self {
            held: RwLock::new(Arc::new(held)),
            store,
            opened: Instant::now(),
            looked_at: AtomicU64::new(0),
            looked: Mutex::new(()),
        })
    }

    /// The keys as they are.
    pub(super) fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The keys to issue with, after looking what is due if that was a while ago.
    pub(super) async fn fresh(&self) -> Arc<Held> {
        if self.is_time(LOOK) {
            let looked = self.looked.lock().await;
            self.look(LOOK, looked).await;
        }
        self.held()
    }

    /// The keys to verify with: as [`fresh`](Self::fresh), but does not wait for somebody else who looks.
    pub(super) async fn glanced(&self) -> Arc<Held> {
        if self.is_time(LOOK)
            && let Ok(looked) = self.looked.try_lock()
        {
            self.look(LOOK, looked).await;
        }
        self.held()
    }

    /// The keys, after looking for those that others have made.
    pub(super) async fn looked_for(&self) -> Arc<Held> {
        if self.store.directory.is_some() && self.is_time(LOOK_FOR) {
            let looked = self.looked.lock().await;
            self.look(LOOK_FOR, looked).await;
        }
        self.held()
    }

    /// Whether nobody has looked what is due for so long.
    fn is_time(&self, after: Duration) -> bool {
        let looked = Duration::from_millis(self.looked_at.load(Ordering::Acquire));
        self.opened.elapsed().saturating_sub(looked) >= after
    }

    /// Looks what is due, unless somebody did while this one waited. What fails is logged, and changes nothing.
    async fn look(&self, after: Duration, _one_at_a_time: MutexGuard<'_, ()>) {
        if !self.is_time(after) {
            return;
        }
        let now_ms = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (store, held) = (self.store.clone(), self.held());
        let tend = move || store.tended(&held, now(), Broken::PassedOver);
        match timeout(PATIENCE, spawn_blocking(tend)).await {
            Ok(Ok(Ok(held))) if !held.is_same(&self.held()) => self.replace(held),
            Ok(Ok(Ok(_))) => {}
            Ok(Ok(Err(error))) => warn!("keys of the token issuer: {error}; those read before stay in force"),
            Ok(Err(error)) => warn!("keys of the token issuer: {error}"),
            Err(_) => warn!("keys of the token issuer: the directory does not answer"),
        }
        self.looked_at.store(now_ms, Ordering::Release);
    }

    fn replace(&self, held: Held) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(held);
    }

    /// The key that signs.
    pub(super) fn signing<'h>(&self, held: &'h Held) -> Option<&'h SigningKey> {
        held.signing.current(now(), self.store.rotation, self.store.own()).map(|aged| aged.key.as_ref())
    }

    /// The key that seals.
    pub(super) fn sealing<'h>(&self, held: &'h Held) -> Option<&'h SealingKey> {
        held.refresh.current(now(), self.store.rotation, any).map(|aged| aged.key.as_ref())
    }
}

impl Held {
    /// Whether these are the same keys.
    fn is_same(&self, other: &Self) -> bool {
        self.signing.ids().eq(other.signing.ids()) && self.refresh.ids().eq(other.refresh.ids())
    }

    /// The key that signed under this id.
    pub(super) fn signing(&self, id: &str) -> Option<&SigningKey> {
        self.signing.find(id).map(|aged| aged.key.as_ref())
    }

    /// The key that sealed under this id.
    pub(super) fn sealing(&self, id: &str) -> Option<&SealingKey> {
        self.refresh.find(id).map(|aged| aged.key.as_ref())
    }

    /// The public keys with their ids.
    pub(super) fn public(&self) -> impl Iterator<Item = (String, VerifyingKey)> {
        self.signing.iter().map(|aged| (aged.id.clone(), aged.key.public().clone()))
    }

    /// The public keys as a JWK set (RFC 7517, section 5).
    pub(super) fn jwks(&self) -> Value {
        let keys: Vec<_> = self.signing.iter().map(|aged| aged.key.public_jwk()).collect();
        json!({ "keys": keys })
    }
}

/// What is done about a file that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// At the start, when somebody looks.
    Refused,
    PassedOver,
}

impl Store {
    /// The keys that are in force at `now`: those of the directory, or those held where there is none, with what is
    /// due made, and what has expired removed.
    fn tended(&self, held: &Held, now: u64, broken: Broken) -> Result<Held, KeysError> {
        let mut held = match &self.directory {
            Some(directory) => self.read(directory, broken)?,
            None => held.clone(),
        };
        let own = self.own();
        let mut made = false;
        let makes = self.directory.as_ref().is_none_or(|directory| !directory.read_only);
        if held.signing.is_due(now, self.rotation, own) && (makes || held.signing.iter().next().is_none()) {
            let key = SigningKey::generate(self.algorithm)?;
            let (created, id, text) = (held.signing.next(now, own), key.id().to_owned(), key.to_pem()?);
            held.signing.add(self.keep(Kind::Signing, created, id, key, text.as_bytes())?);
            made = true;
        }
        if held.refresh.is_due(now, self.rotation, any) && (makes || held.refresh.iter().next().is_none()) {
            let key = SealingKey::generate()?;
            let (created, id, text) = (held.refresh.next(now, any), key.id().to_owned(), key.to_pem());
            held.refresh.add(self.keep(Kind::Refresh, created, id, key, text.as_bytes())?);
            made = true;
        }
        if let Some(directory) = self.directory.as_ref().filter(|_| made) {
            // Another replica may have found the same to be due.
            held = self.read(directory, broken)?;
        }
        for old in held.signing.take_expired(now, self.rotation, self.access, own) {
            self.remove(Kind::Signing, old);
        }
        for old in held.refresh.take_expired(now, self.rotation, self.refresh, any) {
            self.remove(Kind::Refresh, old);
        }
        Ok(held)
    }

    fn read(&self, directory: &Directory, broken: Broken) -> Result<Held, KeysError> {
        let failed = |source| KeysError::Directory { path: directory.path().to_owned(), source };
        let mut held = Held::default();
        for (name, text) in directory.read().map_err(failed)? {
            match self.parse(&mut held, &name, &text) {
                Ok(()) => {}
                Err(why) => {
                    let error = KeysError::File { path: directory.path().join(name.to_string()), why };
                    if broken == Broken::Refused {
                        return Err(error);
                    }
                    warn!("a key of the token issuer is passed over: {error}");
                }
            }
        }
        Ok(held)
    }

    fn parse(&self, held: &mut Held, name: &Name, text: &[u8]) -> Result<(), String> {
        let (created, id) = (name.created, name.id.clone());
        match name.kind {
            Kind::Signing => {
                let key = SigningKey::from_pem(text).map_err(|error| error.to_string())?;
                if key.id() != name.id {
                    return Err(format!("has the key {}", key.id()));
                }
                // An RSA key does not say for which of its algorithms it is.
                let key = match key.algorithm() {
                    SigningAlgorithm::Rs256 if is_rsa(self.algorithm) => key.with_algorithm(self.algorithm),
                    _ => Ok(key),
                };
                let key = Arc::new(key.map_err(|error| error.to_string())?);
                held.signing.add(Aged { created, id, key });
            }
            Kind::Refresh => {
                let key = SealingKey::from_pem(text)?;
                if key.id() != name.id {
                    return Err(format!("has the key {}", key.id()));
                }
                held.refresh.add(Aged { created, id, key: Arc::new(key) });
            }
        }
        Ok(())
    }

    fn keep<K>(
        &self,
        kind: Kind,
        created: u64,
        id: String,
        key: K,
        text: &[u8],
    ) -> Result<Aged<K>, KeysError> {
        let name = Name { kind, created, id };
        if let Some(directory) = &self.directory {
            if directory.read_only {
                return Err(KeysError::Missing { path: directory.path().to_owned(), kind: kind.as_str() });
            }
            let failed = |source| KeysError::Directory { path: directory.path().to_owned(), source };
            directory.write(&name, text).map_err(failed)?;
            info!("the token issuer has made a key: {}", directory.path().join(name.to_string()).display());
        }
        Ok(Aged { created, id: name.id, key: Arc::new(key) })
    }

    fn remove<K>(&self, kind: Kind, old: Aged<K>) {
        let Some(directory) = self.directory.as_ref().filter(|directory| !directory.read_only) else {
            return;
        };
        let name = Name { kind, created: old.created, id: old.id };
        match directory.remove(&name) {
            Ok(()) => info!("the token issuer has removed a key, all of whose tokens have expired: {name}"),
            // It is not believed any more all the same.
            Err(error) => warn!("the token issuer cannot remove the key {name}: {error}"),
        }
    }

    /// Which keys are of our algorithm.
    fn own(&self) -> impl Fn(&SigningKey) -> bool + Copy {
        let algorithm = self.algorithm;
        move |key| key.algorithm() == algorithm
    }
}

/// All keys are of the one algorithm that there is.
fn any<K>(_: &K) -> bool {
    true
}

fn is_rsa(algorithm: SigningAlgorithm) -> bool {
    use SigningAlgorithm::{Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512)
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
