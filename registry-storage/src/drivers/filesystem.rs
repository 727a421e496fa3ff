//! A driver over a directory of a local file system.
//!
//! Every file below the directory is at the path it has in the store, so the directory can be handed to
//! Distribution's driver of the same name and back.
//!
//! # What survives a power cut
//!
//! A file is written beside its place (`<name>.<uuid>.tmp`), synced, and renamed; then the directory is
//! synced, and so is every directory that had to be made on the way, up to one that is known to be
//! durable ([`durable`]). Syncs of one stage run side by side: a whole [`Batch`] waits for the disk
//! twice, once for the content of all files and once for all directories, and once more for each later
//! stage that replaces or deletes something.
//!
//! # Threads
//!
//! Calls run on threads of the driver ([`threads`]), at most `maxthreads` of them at once; except that what the
//! kernel has in memory is read where the caller is ([`at_hand`]), and what syncs nothing is usually
//! written there ([`in_place`]).

mod at_hand;
mod batch;
mod durable;
mod in_place;
mod list;
mod listings;
mod read;
mod threads;
mod write;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use registry_core::{
    Batch, ByteRange, Content, FileWriter, ListPage, ListRequest, Metadata, RedirectHint, Shape,
    StorageDriver, StorageError, StoragePath, WriteMode,
};
use tokio::sync::{Semaphore, oneshot};

use durable::DurableDirs;
use in_place::InPlace;
use listings::Listings;
use read::Wait;
use threads::Threads;

const NAME: &str = "filesystem";

/// Keeps files below a directory.
#[derive(Debug, Clone)]
pub struct FilesystemDriver {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    threads: Arc<Semaphore>,
    durable: DurableDirs,
    in_place: InPlace,
    listings: Listings,
    disk: Arc<Threads>,
}

impl FilesystemDriver {
    /// How many calls run at once unless said otherwise.
    pub const DEFAULT_MAX_THREADS: usize = 100;
    /// The least `maxthreads`; lower values are raised to it.
    pub const MIN_MAX_THREADS: usize = 25;
    /// The most `maxthreads`: calls that sync side by side need threads beyond these.
    const MOST_THREADS: usize = 256;

    /// A driver over `root`, which is made when the first file is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { shared: Arc::new(Shared::new(root.into(), Self::DEFAULT_MAX_THREADS)) }
    }

    /// Sets how many calls run at once, between 25 and 256.
    #[must_use]
    pub fn with_max_threads(self, threads: usize) -> Self {
        let threads = threads.clamp(Self::MIN_MAX_THREADS, Self::MOST_THREADS);
        Self { shared: Arc::new(Shared::new(self.shared.root.clone(), threads)) }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.shared.root
    }
}

impl Shared {
    fn new(root: PathBuf, threads: usize) -> Self {
        let durable = DurableDirs::new(root.clone());
        let threads = Arc::new(Semaphore::new(threads));
        Self {
            root,
            threads,
            durable,
            in_place: InPlace::new(),
            disk: Arc::default(),
            listings: Listings::default(),
        }
    }

    fn locate(&self, path: &StoragePath) -> PathBuf {
        if path.relative().is_empty() { self.root.clone() } else { self.root.join(path.relative()) }
    }

    /// Reads what is at hand here and now, and anything else on a blocking thread.
    async fn read<T, F>(
        self: &Arc<Self>,
        operation: &'static str,
        path: &StoragePath,
        read: F,
    ) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Fn(&Path, Wait) -> Result<Option<T>, Failure> + Send + 'static,
    {
        match read(&self.locate(path), Wait::Never) {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => {}
            Err(failure) => return Err(failure.into_storage_error(operation, path)),
        }
        self.blocking(operation, path, move |_, location| {
            let would_wait = || io::Error::other("a read that may wait did not");
            Ok(read(&location, Wait::Allowed)?.ok_or_else(would_wait)?)
        })
        .await
    }

    /// Runs `work`, which syncs nothing and so seldom waits, here and now if it may, or else as
    /// [`blocking`](Self::blocking) does.
    async fn brief<T, F>(
        self: &Arc<Self>,
        operation: &'static str,
        path: &StoragePath,
        work: F,
    ) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&Self, PathBuf) -> Result<T, Failure> + Send + 'static,
    {
        let location = self.locate(path);
        let shared = Arc::clone(self);
        match self.in_place.run(move || work(&shared, location)) {
            Ok(result) => result.map_err(|failure| failure.into_storage_error(operation, path)),
            Err(work) => self.blocking(operation, path, move |_, _| work()).await,
        }
    }

    /// Runs `work` on a blocking thread, counted against `maxthreads`. It runs to its end even if the
    /// caller goes away.
    async fn blocking<T, F>(
        self: &Arc<Self>,
        operation: &'static str,
        path: &StoragePath,
        work: F,
    ) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&Self, PathBuf) -> Result<T, Failure> + Send + 'static,
    {
        let permit = Arc::clone(&self.threads).acquire_owned().await;
        let shared = Arc::clone(self);
        let location = self.locate(path);
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            let result = work(&shared, location);
            drop(permit);
            // If nobody waits any more, nobody needs to know.
            let _ = answer.send(result);
        });
        let failed = |source| StorageError::Backend { driver: NAME, operation, source };
        self.disk.run(job).map_err(|(_, error)| failed(error.into()))?;
        match answered.await {
            Ok(result) => result.map_err(|failure| failure.into_storage_error(operation, path)),
            Err(error) => Err(failed(error.into())),
        }
    }
}

/// What a blocking call may fail with: an error of the file system, or one that is complete already.
#[derive(Debug)]
enum Failure {
    Io(io::Error),
    Storage(StorageError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl Failure {
    fn into_storage_error(self, operation: &'static str, path: &StoragePath) -> StorageError {
        match self {
            Self::Storage(error) => error,
            Self::Io(error) => io_error(operation, path, error),
        }
    }
}

fn io_error(operation: &'static str, path: &StoragePath, error: io::Error) -> StorageError {
    use io::ErrorKind as Kind;
    let driver = NAME;
    match error.kind() {
        Kind::NotFound | Kind::NotADirectory => StorageError::NotFound { driver, path: path.clone() },
        Kind::AlreadyExists => StorageError::AlreadyExists { driver, path: path.clone() },
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
            StorageError::Full { driver, operation, source: error.into() }
        }
        Kind::ReadOnlyFilesystem => StorageError::ReadOnly { driver, operation, source: error.into() },
        _ => StorageError::Backend { driver, operation, source: error.into() },
    }
}

#[async_trait]
impl StorageDriver for FilesystemDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shape(&self) -> Shape {
        Shape::Tree
    }

    async fn get(&self, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError> {
        let wanted = path.clone();
        let read = move |file: &Path, wait| read::whole(file, &wanted, limit, wait);
        self.shared.read("get", path, read).await
    }

    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError> {
        let wanted = path.clone();
        let open = move |file: &Path, wait| read::open(file, &wanted, range, wait);
        self.shared.read("open", path, open).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        match self.shared.read("stat", path, read::stat).await {
            Err(error) if error.is_not_found() && path.relative().is_empty() => {
                Ok(Metadata { size: 0, modified: std::time::UNIX_EPOCH, is_dir: true })
            }
            result => result,
        }
    }

    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError> {
        if let Some(page) = list::known(&self.shared.listings, &self.shared.locate(dir), request) {
            return Ok(page);
        }
        let request = request.clone();
        self.shared
            .blocking("list", dir, move |shared, dir| Ok(list::list(&shared.listings, &dir, &request)?))
            .await
    }

    async fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        let root = StoragePath::root();
        let brief = batch::is_brief(&batch);
        let apply = move |shared: &Shared, _| batch::apply(shared, batch, None);
        if brief {
            self.shared.brief("write", &root, apply).await
        } else {
            self.shared.blocking("write", &root, apply).await
        }
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError> {
        let wanted = path.clone();
        let (file, size) =
            self.shared.brief("open", path, move |_, location| write::open(&location, &wanted, mode)).await?;
        Ok(Box::new(write::Writer::new(Arc::clone(&self.shared), path.clone(), file, size)))
    }

    async fn redirect_url(&self, _: &StoragePath, _: &RedirectHint) -> Result<Option<Uri>, StorageError> {
        Ok(None)
    }

    async fn sweep(&self, _: SystemTime, _: bool) -> Result<u64, StorageError> {
        Ok(0)
    }

    fn object_key(&self, _: &StoragePath) -> Option<String> {
        None
    }
}
