//! The body of a response, and why that of a request may fail.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use registry_core::{BlobBody, BoxError, ByteStream, FileSlice};

/// The body of a response: nothing, bytes, a stream of known length, or part of an open file.
///
/// A listener that can send a file without copying asks for it with [`Body::file`]; for any other the
/// file is read as it is sent.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Bytes(Bytes),
    File(FileSlice),
    Stream {
        stream: ByteStream,
        left: u64,
    },
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A stream that yields exactly `len` bytes.
    pub fn stream(stream: ByteStream, len: u64) -> Self {
        Self(Kind::Stream { stream, left: len })
    }

    /// The bytes of a blob, of which there are `len`. A redirect has none.
    pub fn blob(body: BlobBody, len: u64) -> Self {
        match body {
            BlobBody::Bytes(bytes) => bytes.into(),
            BlobBody::File(slice) => Self(Kind::File(slice)),
            BlobBody::Stream(stream) => Self::stream(stream, len),
            BlobBody::Redirect(_) => Self::empty(),
        }
    }

    /// How many bytes are left.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Kind::Empty => 0,
            Kind::Bytes(bytes) => bytes.len() as u64,
            Kind::File(slice) => slice.range().end - slice.range().start,
            Kind::Stream { left, .. } => *left,
        }
    }

    /// Whether no bytes are left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part of an open file that this body is, unless reading has begun.
    pub fn file(&self) -> Option<&FileSlice> {
        match &self.0 {
            Kind::File(slice) => Some(slice),
            Kind::Empty | Kind::Bytes(_) | Kind::Stream { .. } => None,
        }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self(Kind::Bytes(bytes.into()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Kind::File(_) = self.0 {
            let len = self.len();
            if let Kind::File(slice) = std::mem::take(&mut self.0)
                && let Ok(stream) = BlobBody::File(slice).into_stream()
            {
                self.0 = Kind::Stream { stream, left: len };
            }
        }
        let frame = match &mut self.0 {
            Kind::Empty | Kind::File(_) => None,
            Kind::Bytes(bytes) if bytes.is_empty() => None,
            Kind::Bytes(bytes) => Some(Ok(Frame::data(std::mem::take(bytes)))),
            Kind::Stream { stream, left } => match ready!(stream.as_mut().poll_next(cx)) {
                Some(Ok(bytes)) => match left.checked_sub(bytes.len() as u64) {
                    Some(rest) => {
                        *left = rest;
                        Some(Ok(Frame::data(bytes)))
                    }
                    None => Some(Err("content is longer than announced".into())),
                },
                Some(Err(error)) => {
                    tracing::error!(error = crate::error::chain(&error), "a response broke off");
                    Some(Err(error.into()))
                }
                None if *left > 0 => {
                    tracing::error!(missing = *left, "a response broke off: content ended early");
                    Some(Err("content is shorter than announced".into()))
                }
                None => None,
            },
        };
        if !matches!(frame, Some(Ok(_))) {
            self.0 = Kind::Empty;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}

/// Whether the body of a request failed because the client sent no more, rather than because its connection is
/// gone: the server says so by [`io::ErrorKind::TimedOut`] among the causes.
pub(crate) fn timed_out(error: &BoxError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error.as_ref());
    while let Some(error) = cause {
        cause = match error.downcast_ref::<io::Error>() {
            Some(error) if error.kind() == io::ErrorKind::TimedOut => return true,
            // What it was made of, which its `source` passes over.
            Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    false
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("len", &self.len()).field("file", &self.file()).finish()
    }
}
