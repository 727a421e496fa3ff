//! The table of codes: what is on the wire, with which status and message.

use http::StatusCode;

/// A code of the error envelope together with its status, so that the two can never disagree.
///
/// The constants are the codes of the distribution specification ("Error Codes") with the statuses of
/// its endpoint table, or Distribution's where the specification leaves the status open. The set is
/// open: a middleware defines a code of its own as a `const` with [`ErrorCode::custom`] and returns it
/// in [`Error::coded`](crate::Error::coded).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode {
    id: &'static str,
    status: StatusCode,
    message: &'static str,
}

impl ErrorCode {
    /// code-1.
    pub const BLOB_UNKNOWN: Self =
        Self::custom("BLOB_UNKNOWN", StatusCode::NOT_FOUND, "blob unknown to registry");
    /// code-2. 404 as in Distribution: the session cannot be continued with this request.
    pub const BLOB_UPLOAD_INVALID: Self =
        Self::custom("BLOB_UPLOAD_INVALID", StatusCode::NOT_FOUND, "blob upload invalid");
    /// code-2 with 409: somebody else is writing to the session right now.
    pub const BLOB_UPLOAD_BUSY: Self = Self::custom(
        "BLOB_UPLOAD_INVALID",
        StatusCode::CONFLICT,
        "blob upload is being written by another request",
    );
    /// code-2 with 408: the client stopped sending. What came is kept.
    pub const BLOB_UPLOAD_TIMEOUT: Self =
        Self::custom("BLOB_UPLOAD_INVALID", StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time");
    /// code-3.
    pub const BLOB_UPLOAD_UNKNOWN: Self =
        Self::custom("BLOB_UPLOAD_UNKNOWN", StatusCode::NOT_FOUND, "blob upload unknown to registry");
    /// code-4.
    pub const DIGEST_INVALID: Self = Self::custom(
        "DIGEST_INVALID",
        StatusCode::BAD_REQUEST,
        "provided digest did not match uploaded content",
    );
    /// code-5.
    pub const MANIFEST_BLOB_UNKNOWN: Self =
        Self::custom("MANIFEST_BLOB_UNKNOWN", StatusCode::BAD_REQUEST, "blob unknown to registry");
    /// code-6.
    pub const MANIFEST_INVALID: Self =
        Self::custom("MANIFEST_INVALID", StatusCode::BAD_REQUEST, "manifest invalid");
    /// code-6 with 413, which end-7 asks for when a manifest is too large (Distribution: 400).
    pub const MANIFEST_TOO_LARGE: Self =
        Self::custom("MANIFEST_INVALID", StatusCode::PAYLOAD_TOO_LARGE, "manifest too large");
    /// code-6 with 408: the client stopped sending.
    pub const MANIFEST_TIMEOUT: Self =
        Self::custom("MANIFEST_INVALID", StatusCode::REQUEST_TIMEOUT, "the manifest did not arrive in time");
    /// code-7.
    pub const MANIFEST_UNKNOWN: Self =
        Self::custom("MANIFEST_UNKNOWN", StatusCode::NOT_FOUND, "manifest unknown");
    /// code-8.
    pub const NAME_INVALID: Self =
        Self::custom("NAME_INVALID", StatusCode::BAD_REQUEST, "invalid repository name");
    /// code-9.
    pub const NAME_UNKNOWN: Self =
        Self::custom("NAME_UNKNOWN", StatusCode::NOT_FOUND, "repository name not known to registry");
    /// code-10.
    pub const SIZE_INVALID: Self =
        Self::custom("SIZE_INVALID", StatusCode::BAD_REQUEST, "provided length did not match content length");
    /// code-11.
    pub const UNAUTHORIZED: Self =
        Self::custom("UNAUTHORIZED", StatusCode::UNAUTHORIZED, "authentication required");
    /// code-12.
    pub const DENIED: Self =
        Self::custom("DENIED", StatusCode::FORBIDDEN, "requested access to the resource is denied");
    /// code-12 with 409: the tag exists and may not be moved.
    pub const TAG_EXISTS: Self =
        Self::custom("DENIED", StatusCode::CONFLICT, "tag exists and may not be moved");
    /// code-13. 405 as in Distribution; the specification allows 400 or 405 for deletes.
    pub const UNSUPPORTED: Self =
        Self::custom("UNSUPPORTED", StatusCode::METHOD_NOT_ALLOWED, "The operation is unsupported.");
    /// code-14.
    pub const TOOMANYREQUESTS: Self =
        Self::custom("TOOMANYREQUESTS", StatusCode::TOO_MANY_REQUESTS, "too many requests");

    /// Outside the specification, Distribution's: a tag breaks its grammar.
    pub const TAG_INVALID: Self =
        Self::custom("TAG_INVALID", StatusCode::BAD_REQUEST, "manifest tag did not match URI");
    /// Outside the specification, Distribution's: a range that does not fit (end-5, end-6: 416).
    pub const RANGE_INVALID: Self =
        Self::custom("RANGE_INVALID", StatusCode::RANGE_NOT_SATISFIABLE, "invalid content range");
    /// Outside the specification, Distribution's: `n` of a listing.
    pub const PAGINATION_NUMBER_INVALID: Self = Self::custom(
        "PAGINATION_NUMBER_INVALID",
        StatusCode::BAD_REQUEST,
        "invalid number of results requested",
    );
    /// Outside the specification, Distribution's: try again later.
    pub const UNAVAILABLE: Self =
        Self::custom("UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE, "service unavailable");
    /// Outside the specification: the store is full.
    pub const STORAGE_FULL: Self =
        Self::custom("UNAVAILABLE", StatusCode::INSUFFICIENT_STORAGE, "no space left in the store");
    /// Outside the specification, Distribution's: a failure that says nothing to a client.
    pub const UNKNOWN: Self = Self::custom("UNKNOWN", StatusCode::INTERNAL_SERVER_ERROR, "unknown error");
    /// Outside the specification: no endpoint has this path.
    pub const PATH_UNKNOWN: Self = Self::custom("UNSUPPORTED", StatusCode::NOT_FOUND, "no such endpoint");

    /// A code of the caller's own. `id` consists of upper-case letters and underscores
    /// (distribution specification, "Error Codes").
    pub const fn custom(id: &'static str, status: StatusCode, message: &'static str) -> Self {
        Self { id, status, message }
    }

    /// The code on the wire.
    pub const fn id(self) -> &'static str {
        self.id
    }

    /// The status of a response with this code.
    pub const fn status(self) -> StatusCode {
        self.status
    }

    /// The fixed message of this code.
    pub const fn message(self) -> &'static str {
        self.message
    }
}
