//! Holds passwords against hashes, within bounds.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::{self, available_parallelism};
use std::time::Duration;

use tokio::sync::oneshot;

use super::file::Users;
use super::flights::Flights;
use super::hash::{self, Hash};
use super::memory::{Memory, Times};
use super::queue::{Asker, Busy, Queue};

/// What verifying may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How many verifications run at the same time.
    pub(super) at_once: usize,
    /// How many wait.
    pub(super) places: usize,
    /// How long each of them waits.
    pub(super) patience: Duration,
    pub(super) times: Times,
    /// How many right passwords are remembered, and how many wrong ones.
    pub(super) entries: usize,
}

impl Limits {
    /// Half of the machine is left to those who are known already.
    pub(super) fn of_this_machine() -> Self {
        Self {
            at_once: available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1)),
            places: 1024,
            patience: Duration::from_secs(10),
            times: Times { right: Duration::from_secs(600), wrong: Duration::from_secs(60) },
            entries: 16 * 1024,
        }
    }
}

/// Verifies passwords, and remembers for a while what they turned out to be.
#[derive(Debug)]
pub(crate) struct Verifier {
    memory: Arc<Memory>,
    flights: Flights,
    pub(super) queue: Arc<Queue>,
}

impl Verifier {
    /// A verifier that remembers nothing yet.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn new(limits: Limits) -> io::Result<Self> {
        let mut secret = [0; 64];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        Ok(Self {
            memory: Arc::new(Memory::new(&secret, limits.times, limits.entries)),
            flights: Flights::default(),
            queue: Queue::new(limits.at_once, limits.places, limits.patience),
        })
    }

    /// A verifier that leaves half of this machine to others.
    ///
    /// # Errors
    /// The system has no random numbers.
    #[cfg(feature = "issuer")]
    pub(crate) fn of_this_machine() -> io::Result<Self> {
        Self::new(Limits::of_this_machine())
    }

    /// Whether there is such a user and the password is theirs.
    ///
    /// # Errors
    /// [`Busy`]: it was not verified.
    pub(crate) async fn verify(
        &self,
        users: &Users,
        user: &str,
        password: &str,
        from: Option<IpAddr>,
    ) -> Result<bool, Busy> {
        let hash = users.get(user);
        let fingerprint = self.memory.fingerprint(user, password, hash.map(AsRef::as_ref));
        let right = match self.memory.recall(&fingerprint) {
            Some(right) => right,
            None => {
                let verified = async {
                    let permit = self.queue.enter(Asker::from(from)).await?;
                    let (hash, greatest) = (hash.cloned(), users.greatest_cost);
                    let (memory, password) = (Arc::clone(&self.memory), password.to_owned());
                    let outcome = after_everything_else(move || {
                        let right = check(hash.as_deref(), &password, greatest);
                        // Here and not below: the client may have gone away meanwhile and come again.
                        memory.remember(fingerprint, right);
                        drop(permit);
                        right
                    });
                    outcome.await.map_err(|_| Busy)
                };
                self.flights.join(fingerprint, verified).await?
            }
        };
        // A user without a hash has no right password, whatever is remembered.
        Ok(right && hash.is_some())
    }
}

/// Does `work` on a thread of its own, before which the threads that serve requests go: on a machine with few cores
/// every other request would wait for the end of a slice otherwise. Nothing comes if there can be no thread.
fn after_everything_else<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> oneshot::Receiver<T> {
    /// Less than a tenth of what others get while there is not enough for all.
    const NICE: i32 = 10;
    let (done, outcome) = oneshot::channel();
    let run = move || {
        if cfg!(target_os = "linux") {
            // Of this thread alone, elsewhere of the process. Where it is forbidden the work is like any other.
            let _ = rustix::process::nice(NICE);
        }
        // The client may have gone away.
        let _ = done.send(work());
    };
    if let Err(error) = thread::Builder::new().name("password".to_owned()).spawn(run) {
        tracing::error!(error = &error as &dyn std::error::Error, "no thread to verify a password on");
    }
    outcome
}

/// Takes as long for a user who does not exist as for any other whose password is wrong.
fn check(hash: Option<&Hash>, password: &str, greatest: u32) -> bool {
    match hash {
        Some(hash) => hash.verify(password, greatest),
        None => {
            hash::burn(password, greatest);
            false
        }
    }
}
