//! The storage driver: a tree of files on a disk, in memory or in a bucket.
//!
//! A driver knows nothing of registries. It promises five things that everything above builds on:
//!
//! 1. A file appears whole or not at all ([`Batch`]), except one that a [`FileWriter`] has open.
//! 2. What [`apply`](StorageDriver::apply), [`FileWriter::close`] and [`FileWriter::commit`] report as
//!    done survives a power cut, unless a step was marked relaxed.
//! 3. Steps after a [`Batch::then`] are never seen, and after a power cut never there, without those
//!    before, as far as they replace or delete something.
//! 4. One writer at a time: the second to open a file for writing gets [`StorageError::Busy`].
//! 5. Every step may be repeated: a caller that lost an answer asks again. A repeated create says that
//!    the file exists, and a repeated rename that its source is gone.
//!
//! `registry_conformance::driver_tests!` checks all of it; a driver's test file is a constructor and
//! that one line.

mod batch;
mod content;
mod ext;
mod path;

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Uri};

use crate::error::StorageError;
use crate::range::ByteRange;

pub use batch::{Batch, Change, Durability, PutMode, Step};
pub use content::{Content, ContentBody, FileSlice};
pub use ext::StorageDriverExt;
pub use path::StoragePath;

/// A store of files under absolute paths. Directories exist as long as something is below them; a
/// driver may keep empty ones.
///
/// The trait is for implementors and has no defaults, so that a wrapper that forgets a method does not
/// compile. Conveniences for callers are in [`StorageDriverExt`].
///
/// # Errors
/// Every method may fail with [`StorageError::Unavailable`] or [`StorageError::Backend`]; the others
/// are named at each method.
///
/// # Cancellation
/// Dropping the future of a reading method has no effect. Dropping that of a writing method leaves any
/// part of it done, as a crash would.
#[async_trait]
pub trait StorageDriver: fmt::Debug + Send + Sync + 'static {
    /// The name used in configuration, errors and metrics.
    fn name(&self) -> &'static str;

    /// How files are kept, for callers that can choose between ways to the same end. Always the same for
    /// one driver.
    fn shape(&self) -> Shape;

    /// The whole of a small file.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is no file (a directory is not one),
    /// [`StorageError::TooLarge`] if it has more than `limit` bytes.
    async fn get(&self, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError>;

    /// A file or part of it, opened: a failure after this comes through the body. Meant to cost one
    /// round trip, with the length of the whole file in the answer.
    ///
    /// # Errors
    /// [`StorageError::NotFound`]; [`StorageError::InvalidRange`] if no byte of the file is in `range`.
    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError>;

    /// What is at a path.
    ///
    /// # Errors
    /// [`StorageError::NotFound`]. The root always exists.
    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError>;

    /// Part of what is in a directory. A directory that does not exist is empty.
    ///
    /// Memory and answer are bounded by `request.limit`.
    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError>;

    /// Does every step of a batch, in an order and with a durability that [`Batch`] describes.
    ///
    /// # Errors
    /// The first failure. Steps before it may have taken effect; the whole batch may be repeated.
    /// [`StorageError::AlreadyExists`] for [`PutMode::Create`], [`StorageError::NotFound`] for a rename
    /// without a source, [`StorageError::Full`], [`StorageError::ReadOnly`].
    async fn apply(&self, batch: Batch) -> Result<(), StorageError>;

    /// Opens a file to be written piece by piece, alone.
    ///
    /// # Errors
    /// [`StorageError::Busy`] while another writer has the file open, in this process or, where the
    /// store can tell, in another. [`StorageError::NotFound`] for [`WriteMode::Append`] without a file.
    /// [`StorageError::Unsupported`] for [`WriteMode::Continue`] with a ticket that is not of this driver.
    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError>;

    /// A URL from which a client can fetch the file itself, or `None` if the bytes have to come from us.
    async fn redirect_url(
        &self,
        path: &StoragePath,
        hint: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError>;

    /// Gives up what writers began before `before` and never ended, and that no path leads to: uploads in
    /// parts that a bucket keeps, and charges for, until somebody ends them. Returns how many there were;
    /// with `dry_run` they stay.
    ///
    /// What a path leads to is not touched, nor a file that is open for writing in this process.
    async fn sweep(&self, before: SystemTime, dry_run: bool) -> Result<u64, StorageError>;

    /// The name under which the bucket has the file at a path: without a leading `/`, with everything that
    /// the driver puts before paths. For URLs that someone else makes of objects, a content delivery network
    /// for one. `None` if files are not kept under names of their own that the outside could ask for.
    ///
    /// Says nothing of whether the file is there, and asks nobody.
    fn object_key(&self, path: &StoragePath) -> Option<String>;
}

/// A file that is being written by the one who holds this.
///
/// Dropping it is a crash: some of what was written since the last [`close`](Self::close) may be gone,
/// and the file can be opened again.
#[async_trait]
pub trait FileWriter: fmt::Debug + Send {
    /// The length of the file in bytes, with everything accepted so far.
    fn size(&self) -> u64;

    /// Tells where [`commit`](Self::commit) is going to move the file, before anything is written. Only a
    /// hint: where content appears whole or not at all, it can be written to its place right away. The
    /// batch that is committed has the rename all the same.
    fn destined_for(&mut self, path: &StoragePath);

    /// Appends. May return before the bytes have left memory; what is held back is bounded.
    ///
    /// # Errors
    /// [`StorageError::Full`], [`StorageError::ReadOnly`]. After an error the writer is only good for
    /// [`close`](Self::close), [`cancel`](Self::cancel) or being dropped.
    async fn write(&mut self, data: Bytes) -> Result<(), StorageError>;

    /// Ends writing for now. When it returns, everything written is durable and readable under the path
    /// of the file, and another process can open it with [`WriteMode::Append`]. Returns the length in
    /// bytes.
    ///
    /// In a bucket this makes an object of what there is, which costs a copy when the file is gone on
    /// with: [`detach`](Self::detach) does not.
    async fn close(self: Box<Self>) -> Result<u64, StorageError>;

    /// Like [`close`](Self::close), for a caller who keeps what it is told and comes back with it. What
    /// would be written to the store only to find the file again may go into a ticket instead, and the
    /// file need not be readable yet; the content itself is as durable as after [`close`](Self::close).
    ///
    /// A file that was detached with a ticket can be opened with [`WriteMode::Append`] as well, at
    /// greater cost.
    async fn detach(self: Box<Self>) -> Result<Detached, StorageError>;

    /// Ends writing for good: makes the content durable and then applies `then`, which usually moves
    /// the file to where it belongs. Returns the length in bytes.
    ///
    /// One call rather than two, so that a driver can wait for the disk once for both.
    ///
    /// # Errors
    /// Those of [`StorageDriver::apply`]. The file is still there unless `then` got as far as moving
    /// it, and the batch can be repeated with [`StorageDriver::apply`].
    async fn commit(self: Box<Self>, then: Batch) -> Result<u64, StorageError>;

    /// Gives up and removes the file.
    async fn cancel(self: Box<Self>) -> Result<(), StorageError>;
}

/// How a file is opened for writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteMode {
    /// From nothing; what was there is gone.
    Truncate,
    /// After the last byte of an existing file.
    Append,
    /// Where the writer was that gave out this ticket. It is taken at its word: whoever passes one on has
    /// seen to it that nobody has changed it.
    Continue(Bytes),
}

/// A file that is not being written for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    /// Its length in bytes.
    pub size: u64,
    /// What [`WriteMode::Continue`] takes, of no more than [`Detached::TICKET_LIMIT`] bytes. Without one
    /// everything is in the store.
    pub ticket: Option<Bytes>,
}

impl Detached {
    /// The most bytes of a ticket, which may travel in a URL.
    pub const TICKET_LIMIT: usize = 1536;

    /// A file of which everything is in the store.
    pub fn stored(size: u64) -> Self {
        Self { size, ticket: None }
    }
}

/// How a driver keeps files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// In directories, as a disk does: listing the children of one is cheap, and so is another call.
    Tree,
    /// Under names in one long row, as a bucket does. There are no directories but those that names
    /// spell. Each call is a round trip that is paid for; steps of one stage are under way together; a
    /// listing with [`ListMode::Recursive`] is in byte order, goes on after any text, and costs a call for
    /// about a thousand names, whatever directories they are in.
    Flat,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The length of a file in bytes; zero for a directory.
    pub size: u64,
    /// When it last changed.
    pub modified: SystemTime,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Which entries of a directory are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// Direct children, or everything below.
    pub mode: ListMode,
    /// Only entries after this one. With [`ListMode::Children`] any text; with [`ListMode::Recursive`]
    /// the name of the last entry of the page before, or any text where the store is
    /// [flat](Shape::Flat).
    pub after: Option<String>,
    /// At most this many entries.
    pub limit: usize,
}

impl ListRequest {
    /// The first `limit` direct children.
    pub fn children(limit: usize) -> Self {
        Self { mode: ListMode::Children, after: None, limit }
    }

    /// The first `limit` files below the directory.
    pub fn recursive(limit: usize) -> Self {
        Self { mode: ListMode::Recursive, after: None, limit }
    }

    /// The same, but only entries after `after`.
    #[must_use]
    pub fn after(mut self, after: Option<String>) -> Self {
        self.after = after;
        self
    }
}

/// How deep a listing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListMode {
    /// Direct children, files and directories, in ascending byte order of their names.
    Children,
    /// Files at any depth, named relative to the directory, in an order of the driver's own that is
    /// the same for every page; byte order where the store is [flat](Shape::Flat).
    Recursive,
}

/// Part of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Whether at least one more entry follows.
    pub more: bool,
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name of a child, or the path of a file relative to the listed directory.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// For whom and for what a redirect URL is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedirectHint {
    /// GET or HEAD.
    pub method: Method,
    /// The address of the client, where it is known.
    pub client: Option<IpAddr>,
    /// How long the URL should stay good.
    pub expires_in: Option<Duration>,
}

impl RedirectHint {
    /// A redirect for a request with this method from this address.
    pub fn new(method: Method, client: Option<IpAddr>) -> Self {
        Self { method, client, expires_in: None }
    }

    /// The URL should stay good this long; otherwise the driver decides.
    #[must_use]
    pub fn with_expires_in(mut self, expires_in: Option<Duration>) -> Self {
        self.expires_in = expires_in;
        self
    }
}
