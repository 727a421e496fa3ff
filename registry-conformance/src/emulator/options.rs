//! What an emulated store can do and where its limits are: those of Amazon S3 unless a test lowers them.

use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// What an emulated store can do.
#[derive(Debug, Clone)]
pub struct Options {
    pub(super) list_uploads: bool,
    pub(super) part_copy: bool,
    pub(super) ignores_conditions: bool,
    pub(super) pending_copies: u32,
    pub(super) clock_ahead: Duration,
    pub(super) min_part: u64,
    pub(super) max_copy: u64,
    pub(super) max_put: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            list_uploads: true,
            part_copy: true,
            ignores_conditions: false,
            pending_copies: 0,
            clock_ahead: Duration::ZERO,
            min_part: 5 * MIB,
            max_copy: 5 * 1024 * MIB,
            max_put: 5 * 1024 * MIB,
        }
    }
}

impl Options {
    /// All of S3, with its limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers 501 to ListMultipartUploads, as several stores that are S3-compatible do.
    #[must_use]
    pub fn without_list_uploads(self) -> Self {
        Self { list_uploads: false, ..self }
    }

    /// Answers 501 to UploadPartCopy.
    #[must_use]
    pub fn without_part_copy(self) -> Self {
        Self { part_copy: false, ..self }
    }

    /// Writes even if `If-None-Match` or `If-Match` says not to, as older stores do without a word.
    #[must_use]
    pub fn without_conditions(self) -> Self {
        Self { ignores_conditions: true, ..self }
    }

    /// Says of a copy that it is pending, so many times that somebody looks at it. Azure alone says it.
    #[must_use]
    pub fn with_pending_copies(self, looks: u32) -> Self {
        Self { pending_copies: looks, ..self }
    }

    /// Has a clock that is ahead of ours by so much, and refuses what was signed at another time. S3 alone does.
    #[must_use]
    pub fn with_clock_ahead(self, by: Duration) -> Self {
        Self { clock_ahead: by, ..self }
    }

    /// The smallest part but the last, in bytes, in place of 5 MiB.
    #[must_use]
    pub fn with_min_part(self, bytes: u64) -> Self {
        Self { min_part: bytes, ..self }
    }

    /// The largest object that CopyObject, and the largest range that UploadPartCopy takes, in bytes, in place of
    /// 5 GiB.
    #[must_use]
    pub fn with_max_copy(self, bytes: u64) -> Self {
        Self { max_copy: bytes, ..self }
    }

    /// The largest body of one request, in bytes, in place of 5 GiB.
    #[must_use]
    pub fn with_max_put(self, bytes: u64) -> Self {
        Self { max_put: bytes, ..self }
    }
}
