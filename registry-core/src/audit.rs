//! What was done by whom, for a log that is kept.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use http::{Method, StatusCode};

use crate::context::Principal;
use crate::name::{Reference, RepositoryName, Tag};

/// Hears of every request that the API answers, refused ones too.
pub trait AuditSink: fmt::Debug + Send + Sync + 'static {
    /// Takes one record. It is called where requests are served, so it waits for nothing that can take long, and
    /// a failure of its own is its own affair: the request has happened.
    fn record(&self, record: &AuditRecord<'_>);
}

/// One request and what became of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AuditRecord<'a> {
    /// When the answer was known, or the client gone.
    pub time: SystemTime,
    /// Identifies the request in the other logs and in events.
    pub request_id: &'a str,
    /// What was asked for.
    pub operation: AuditOperation,
    /// The method of the request: `HEAD` looks where `GET` takes.
    pub method: Option<&'a Method>,
    /// By whom, as far as an access controller recognized somebody.
    pub principal: Option<&'a Principal>,
    /// Whether the request brought an `Authorization`, whatever was in it.
    pub credentials: bool,
    /// The address of the client, as far as it can be trusted.
    pub client_addr: Option<IpAddr>,
    /// The other end of the connection.
    pub peer: Option<SocketAddr>,
    /// The address that `X-Forwarded-For` or `X-Real-Ip` has; whoever sends the request writes what it likes.
    pub claimed_addr: Option<IpAddr>,
    /// What the client says it is.
    pub user_agent: Option<&'a str>,
    /// Of which repository.
    pub repository: Option<&'a RepositoryName>,
    /// Tag or digest of a manifest, as the request has it.
    pub reference: Option<&'a Reference>,
    /// More tags that a push sets.
    pub tags: &'a [Tag],
    /// The digest that the request or the answer names.
    pub digest: Option<&'a str>,
    /// The session of an upload.
    pub upload: Option<&'a str>,
    /// The repository that a blob was to be mounted from.
    pub mount_from: Option<&'a RepositoryName>,
    /// The scopes that a token was asked for, or has: those of `token.issue`.
    pub scope: Option<&'a str>,
    /// The status of the answer; `None` if the client was gone before there was one, so that it may have
    /// happened or not.
    pub status: Option<StatusCode>,
    /// Whether the request was turned away because of who sent it. The first request of a client, without
    /// credentials to learn what is wanted of it, is turned away like that too.
    pub refused: bool,
    /// The error code of the answer, such as `DENIED`.
    pub error: Option<&'a str>,
    /// Why it was refused or failed, for people: more than the client is told.
    pub reason: Option<&'a str>,
}

impl<'a> AuditRecord<'a> {
    /// A record of now about which nothing is known but this.
    pub fn new(request_id: &'a str, operation: AuditOperation) -> Self {
        Self {
            time: SystemTime::now(),
            request_id,
            operation,
            method: None,
            principal: None,
            credentials: false,
            client_addr: None,
            peer: None,
            claimed_addr: None,
            user_agent: None,
            repository: None,
            reference: None,
            tags: &[],
            digest: None,
            upload: None,
            mount_from: None,
            scope: None,
            status: None,
            refused: false,
            error: None,
            reason: None,
        }
    }
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditOperation {
    /// `GET /v2/`.
    ApiCheck,
    /// The list of repositories.
    CatalogList,
    /// The list of the tags of a repository.
    TagList,
    /// A manifest or its headers.
    ManifestPull,
    /// Storing a manifest, with its tags.
    ManifestPush,
    /// Deleting a manifest.
    ManifestDelete,
    /// Deleting a tag.
    TagDelete,
    /// The list of the referrers of a manifest.
    ReferrerList,
    /// A blob or its headers.
    BlobPull,
    /// Storing a blob: the request that ends its upload.
    BlobPush,
    /// Deleting a blob from a repository.
    BlobDelete,
    /// Mounting a blob of another repository. With status 202 an upload began instead.
    BlobMount,
    /// Beginning an upload.
    UploadStart,
    /// How far an upload has come.
    UploadStatus,
    /// A chunk of an upload.
    UploadWrite,
    /// Giving an upload up.
    UploadCancel,
    /// Asking a token issuer for a token.
    TokenIssue,
}

impl AuditOperation {
    /// The word for it: a thing, a dot, and what is done to it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiCheck => "api.check",
            Self::CatalogList => "catalog.list",
            Self::TagList => "tag.list",
            Self::ManifestPull => "manifest.pull",
            Self::ManifestPush => "manifest.push",
            Self::ManifestDelete => "manifest.delete",
            Self::TagDelete => "tag.delete",
            Self::ReferrerList => "referrer.list",
            Self::BlobPull => "blob.pull",
            Self::BlobPush => "blob.push",
            Self::BlobDelete => "blob.delete",
            Self::BlobMount => "blob.mount",
            Self::UploadStart => "upload.start",
            Self::UploadStatus => "upload.status",
            Self::UploadWrite => "upload.write",
            Self::UploadCancel => "upload.cancel",
            Self::TokenIssue => "token.issue",
        }
    }

    /// Whether it changes nothing and hands out no right.
    pub fn is_read(self) -> bool {
        match self {
            Self::ApiCheck
            | Self::CatalogList
            | Self::TagList
            | Self::ManifestPull
            | Self::ReferrerList
            | Self::BlobPull
            | Self::UploadStatus => true,
            Self::ManifestPush
            | Self::ManifestDelete
            | Self::TagDelete
            | Self::BlobPush
            | Self::BlobDelete
            | Self::BlobMount
            | Self::UploadStart
            | Self::UploadWrite
            | Self::UploadCancel
            | Self::TokenIssue => false,
        }
    }
}

impl fmt::Display for AuditOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
