//! Profiles of this process, written as `profile.proto`, the form of `pprof`.

// Its first sample may interrupt anything but the allocator of the system, which it can tell; and jemalloc it cannot.
#[cfg(all(feature = "profiling", not(feature = "heap-profile")))]
pub(super) mod cpu;
mod document;
#[cfg(feature = "heap-profile")]
pub(super) mod heap;
mod proto;

#[derive(Debug, thiserror::Error)]
pub(super) enum ProfileError {
    #[cfg(not(feature = "heap-profile"))]
    #[error("another profile is being recorded")]
    Busy,
    #[error("cannot record a profile: {0}")]
    Failed(String),
}

/// Away from the threads that serve.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ProfileError> + Send + 'static,
) -> Result<T, ProfileError> {
    tokio::task::spawn_blocking(work).await.map_err(|defect| ProfileError::Failed(defect.to_string()))?
}
