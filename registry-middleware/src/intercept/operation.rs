//! Everything that can be intercepted, by name.

use std::fmt;

macro_rules! operations {
    ($($(#[$doc:meta])* $operation:ident = $name:literal, $writes:literal;)+) => {
        /// What a call does: one for every method that does work, at each of the three hooks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $($(#[$doc])* $operation,)+
        }

        impl Operation {
            /// Every operation, in the order of the hooks from the store outwards.
            pub const ALL: &[Self] = &[$(Self::$operation),+];

            /// The name for logs and metrics: what it is done to, a dot, and what is done.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$operation => $name,)+
                }
            }

            /// Whether it can change something.
            pub const fn writes(self) -> bool {
                match self {
                    $(Self::$operation => $writes,)+
                }
            }
        }
    };
}

operations! {
    /// [`StorageDriver::get`](registry_core::StorageDriver::get).
    DriverGet = "driver.get", false;
    /// [`StorageDriver::reader`](registry_core::StorageDriver::reader); lasts as long as its body.
    DriverReader = "driver.reader", false;
    /// [`StorageDriver::stat`](registry_core::StorageDriver::stat).
    DriverStat = "driver.stat", false;
    /// [`StorageDriver::list`](registry_core::StorageDriver::list).
    DriverList = "driver.list", false;
    /// [`StorageDriver::apply`](registry_core::StorageDriver::apply).
    DriverApply = "driver.apply", true;
    /// [`StorageDriver::writer`](registry_core::StorageDriver::writer); lasts as long as its writer.
    DriverWriter = "driver.writer", true;
    /// [`StorageDriver::redirect_url`](registry_core::StorageDriver::redirect_url).
    DriverRedirectUrl = "driver.redirect_url", false;
    /// [`FileWriter::write`](registry_core::FileWriter::write).
    FileWrite = "file.write", true;
    /// [`FileWriter::close`](registry_core::FileWriter::close).
    FileClose = "file.close", true;
    /// [`FileWriter::commit`](registry_core::FileWriter::commit).
    FileCommit = "file.commit", true;
    /// [`FileWriter::cancel`](registry_core::FileWriter::cancel).
    FileCancel = "file.cancel", true;

    /// [`Namespace::repository`](registry_core::Namespace::repository).
    Repository = "namespace.repository", false;
    /// [`Namespace::repositories`](registry_core::Namespace::repositories).
    Repositories = "namespace.repositories", false;
    /// [`RepositoryRemover::remove`](registry_core::RepositoryRemover::remove).
    RemoveRepository = "namespace.remove", true;
    /// [`GlobalBlobs::stat`](registry_core::GlobalBlobs::stat).
    GlobalStat = "global.stat", false;
    /// [`GlobalBlobs::get`](registry_core::GlobalBlobs::get); lasts as long as its body.
    GlobalGet = "global.get", false;
    /// [`GlobalBlobs::list`](registry_core::GlobalBlobs::list).
    GlobalList = "global.list", false;
    /// [`GlobalBlobs::delete`](registry_core::GlobalBlobs::delete).
    GlobalDelete = "global.delete", true;

    /// [`BlobStore::stat`](registry_core::BlobStore::stat).
    BlobStat = "blob.stat", false;
    /// [`BlobStore::get`](registry_core::BlobStore::get); lasts as long as its body.
    BlobGet = "blob.get", false;
    /// [`BlobStore::delete`](registry_core::BlobStore::delete).
    BlobDelete = "blob.delete", true;
    /// [`BlobStore::start`](registry_core::BlobStore::start), a mount included; lasts as long as its
    /// writer.
    UploadStart = "upload.start", true;
    /// [`BlobStore::resume`](registry_core::BlobStore::resume); lasts as long as its writer.
    UploadResume = "upload.resume", true;
    /// [`BlobStore::status`](registry_core::BlobStore::status).
    UploadStatus = "upload.status", false;
    /// [`BlobWriter::write`](registry_core::BlobWriter::write).
    UploadWrite = "upload.write", true;
    /// [`BlobWriter::close`](registry_core::BlobWriter::close).
    UploadClose = "upload.close", true;
    /// [`BlobWriter::commit`](registry_core::BlobWriter::commit).
    UploadCommit = "upload.commit", true;
    /// [`BlobWriter::cancel`](registry_core::BlobWriter::cancel).
    UploadCancel = "upload.cancel", true;
    /// [`ManifestStore::stat`](registry_core::ManifestStore::stat).
    ManifestStat = "manifest.stat", false;
    /// [`ManifestStore::get`](registry_core::ManifestStore::get).
    ManifestGet = "manifest.get", false;
    /// [`ManifestStore::put`](registry_core::ManifestStore::put).
    ManifestPut = "manifest.put", true;
    /// [`ManifestStore::delete`](registry_core::ManifestStore::delete).
    ManifestDelete = "manifest.delete", true;
    /// [`ManifestStore::list`](registry_core::ManifestStore::list).
    ManifestList = "manifest.list", false;
    /// [`ManifestStore::referrers`](registry_core::ManifestStore::referrers).
    ManifestReferrers = "manifest.referrers", false;
    /// [`TagStore::get`](registry_core::TagStore::get).
    TagGet = "tag.get", false;
    /// [`TagStore::set`](registry_core::TagStore::set).
    TagSet = "tag.set", true;
    /// [`TagStore::delete`](registry_core::TagStore::delete).
    TagDelete = "tag.delete", true;
    /// [`TagStore::list`](registry_core::TagStore::list).
    TagList = "tag.list", false;
    /// [`TagStore::lookup`](registry_core::TagStore::lookup).
    TagLookup = "tag.lookup", false;
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_distinct() {
        let names: BTreeSet<&str> = Operation::ALL.iter().map(|operation| operation.as_str()).collect();
        assert_eq!(names.len(), Operation::ALL.len());
    }
}
