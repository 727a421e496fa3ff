//! Stores that fail: a wrapper that breaks one call of a driver, and what has to hold afterwards.
//!
//! [`FaultyDriver`] counts the calls that reach a driver and lets the nth fail in the way of a
//! [`Fault`]. Each piece written and each step of a batch is a call of its own, so a batch is also cut
//! in the middle. [`push_survives`] and [`delete_survives`] break every call of an operation in turn.

mod driver;
mod operations;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use registry_core::StorageError;

pub use driver::FaultyDriver;
pub use operations::{delete_survives, push_survives, push_survives_every_fault};

/// Expands to a module with one test per operation and kind of fault.
///
/// `make` is an expression with a future of `(Arc<dyn StorageDriver>, guard)`, as for
/// [`driver_tests!`](crate::driver_tests). `over` is a closure from an `Arc<dyn StorageDriver>` to a
/// future of an `Arc<dyn Namespace>` over it. It is called several times for one store: what it makes
/// are the processes that share it.
///
/// ```ignore
/// registry_conformance::fault_tests!(
///     faults_over_memory,
///     async { (Arc::new(MemoryDriver::new()) as Arc<dyn StorageDriver>, ()) },
///     |driver| async { Arc::new(StorageNamespace::builder(driver).build()) as Arc<dyn Namespace> }
/// );
/// ```
#[macro_export]
macro_rules! fault_tests {
    ($(#[$attribute:meta])* $name:ident, $make:expr, $over:expr) => {
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports, reason = "what `make` and `over` name may be here")]
            use super::*;
            $crate::__fault_tests! {
                $make, $over,
                a_push_survives_an_error: push_survives Backend,
                a_push_survives_a_full_store: push_survives Full,
                a_push_survives_a_read_only_store: push_survives ReadOnly,
                a_push_survives_an_unavailable_store: push_survives Unavailable,
                a_push_survives_a_lost_answer: push_survives LostAnswer,
                a_push_survives_a_client_that_gives_up: push_survives Stall,
                a_delete_survives_an_error: delete_survives Backend,
                a_delete_survives_a_lost_answer: delete_survives LostAnswer,
                a_delete_survives_a_client_that_gives_up: delete_survives Stall,
            }
        }
    };
}

/// The tests of [`fault_tests!`](crate::fault_tests), one by one.
#[doc(hidden)]
#[macro_export]
macro_rules! __fault_tests {
    ($make:expr, $over:expr,) => {};
    ($make:expr, $over:expr, $test:ident: $operation:ident $fault:ident, $($more:tt)*) => {
        #[test]
        fn $test() {
            $crate::run($crate::faults::$operation($crate::faults::Fault::$fault, || $make, $over));
        }
        $crate::__fault_tests! { $make, $over, $($more)* }
    };
}

/// The way in which a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done, and the answer is [`StorageError::Backend`].
    Backend,
    /// Nothing is done, and the answer is [`StorageError::Full`].
    Full,
    /// Nothing is done, and the answer is [`StorageError::ReadOnly`].
    ReadOnly,
    /// Nothing is done, and the answer is [`StorageError::Unavailable`].
    Unavailable,
    /// Everything is done, but the answer is [`StorageError::Unavailable`].
    LostAnswer,
    /// Nothing is done, and there is no answer before [`Faults::disarm`]; then
    /// [`StorageError::Unavailable`].
    Stall,
    /// The call waits for [`Faults::disarm`] and is done then: what others do meanwhile comes before it.
    Pause,
}

impl Fault {
    /// Every kind of failure.
    pub const ALL: [Self; 6] =
        [Self::Backend, Self::Full, Self::ReadOnly, Self::Unavailable, Self::LostAnswer, Self::Stall];
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// [`StorageDriver::get`](registry_core::StorageDriver::get).
    Get,
    /// [`StorageDriver::reader`](registry_core::StorageDriver::reader).
    Reader,
    /// [`StorageDriver::stat`](registry_core::StorageDriver::stat).
    Stat,
    /// [`StorageDriver::list`](registry_core::StorageDriver::list).
    List,
    /// [`StorageDriver::redirect_url`](registry_core::StorageDriver::redirect_url).
    RedirectUrl,
    /// One step of a batch, given to `apply` or to `commit`.
    Step,
    /// [`StorageDriver::writer`](registry_core::StorageDriver::writer).
    Writer,
    /// [`FileWriter::write`](registry_core::FileWriter::write).
    Write,
    /// [`FileWriter::close`](registry_core::FileWriter::close).
    Close,
    /// [`FileWriter::commit`](registry_core::FileWriter::commit), before its batch.
    Commit,
    /// [`FileWriter::cancel`](registry_core::FileWriter::cancel).
    Cancel,
}

impl Call {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Reader => "reader",
            Self::Stat => "stat",
            Self::List => "list",
            Self::RedirectUrl => "redirect_url",
            Self::Step => "step",
            Self::Writer => "writer",
            Self::Write => "write",
            Self::Close => "close",
            Self::Commit => "commit",
            Self::Cancel => "cancel",
        }
    }

    /// Whether the call changes the store.
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::Reader | Self::Stat | Self::List | Self::RedirectUrl)
    }
}

/// The switch of a [`FaultyDriver`]. Clones are the same switch.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    calls: usize,
    armed: Option<Armed>,
    struck: Option<Call>,
    /// Ends the stalled calls when it is dropped.
    stalled: Vec<oneshot::Sender<()>>,
    /// Those who want to hear of a stall.
    waiting: Vec<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    left: usize,
    matching: fn(Call) -> bool,
}

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one call fail: of those to come that match, the one with this number, counted from zero.
    pub fn arm(&self, fault: Fault, nth: usize, matching: fn(Call) -> bool) {
        let mut state = self.state();
        state.armed = Some(Armed { fault, left: nth, matching });
        state.struck = None;
    }

    /// From now on nothing fails. Says which call did, if one did since [`arm`](Self::arm).
    pub fn disarm(&self) -> Option<Call> {
        let mut state = self.state();
        state.armed = None;
        state.stalled.clear();
        state.struck.take()
    }

    /// How many calls there were in all.
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    /// Waits until a call stalls, for ever if none does.
    pub async fn stalled(&self) {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.state();
            if !state.stalled.is_empty() {
                return;
            }
            state.waiting.push(sender);
        }
        if receiver.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Counts a call, and says whether it is to fail.
    fn strike(&self, call: Call) -> Option<Fault> {
        let mut state = self.state();
        state.calls += 1;
        let armed = state.armed.as_mut().filter(|armed| (armed.matching)(call))?;
        if armed.left > 0 {
            armed.left -= 1;
            return None;
        }
        let fault = armed.fault;
        state.armed = None;
        state.struck = Some(call);
        Some(fault)
    }

    /// The answer of a call that fails.
    async fn answer(&self, fault: Fault, driver: &'static str, call: Call) -> StorageError {
        let (operation, source) = (call.as_str(), "a fault of the test".into());
        match fault {
            Fault::Backend => StorageError::Backend { driver, operation, source },
            Fault::Full => StorageError::Full { driver, operation, source },
            Fault::ReadOnly => StorageError::ReadOnly { driver, operation, source },
            Fault::Unavailable | Fault::LostAnswer => StorageError::Unavailable { driver, source },
            Fault::Stall | Fault::Pause => {
                self.released().await;
                StorageError::Unavailable { driver, source }
            }
        }
    }

    /// Waits for [`disarm`](Self::disarm).
    async fn released(&self) {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.state();
            state.stalled.push(sender);
            for waiting in state.waiting.drain(..) {
                let _ = waiting.send(());
            }
        }
        // The sender is dropped, never used.
        let _ = receiver.await;
    }
}
