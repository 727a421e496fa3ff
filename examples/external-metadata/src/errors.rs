//! Need: own error codes, unwrapped.
//!
//! A code is a constant. An error that carries it goes through every layer of the registry as it is, and
//! reaches the client with the code's status; nothing has to be registered.

use http::StatusCode;
use registry::core::{Error, ErrorCode};

use crate::api::ApiError;

/// A layer is larger than its stream allows. Clients know the code `DENIED` and show its message.
pub const QUOTA: ErrorCode =
    ErrorCode::custom("DENIED", StatusCode::FORBIDDEN, "the layer is larger than the quota allows");

/// The stream may not be changed for now.
pub const FROZEN: ErrorCode =
    ErrorCode::custom("STREAM_FROZEN", StatusCode::CONFLICT, "the stream may not be changed for now");

/// What a client is told of a refusal of the API. Callers deal with those first that mean something
/// where they are: that something is not there, or there already.
pub(crate) fn refused(error: ApiError) -> Error {
    match error {
        ApiError::Forbidden(reason) => Error::Denied { reason: reason.into() },
        ApiError::Frozen => Error::coded(FROZEN),
        ApiError::Unavailable => {
            let code = ErrorCode::UNAVAILABLE;
            Error::coded_with(code, code.message(), None, Some(error.into()))
        }
        ApiError::NotFound | ApiError::Conflict => Error::internal("asking the metadata API", error),
    }
}
