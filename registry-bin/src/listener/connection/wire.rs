//! The stream below HTTP/1.1, which can be waited for without anything of HTTP above it.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::listener::traffic::Traffic;
use crate::listener::transport::Io;

/// What is read at once while a request is waited for: most heads fit.
const FIRST: usize = 8 << 10;

/// A connection whose first bytes may have been read already. It tells the [`Traffic`] what HTTP does with it.
#[derive(Debug)]
pub(super) struct Wire {
    io: Io,
    ahead: Bytes,
    traffic: Arc<Traffic>,
}

impl Wire {
    pub(super) fn new(io: Io, traffic: Arc<Traffic>) -> Self {
        Self { io, ahead: Bytes::new(), traffic }
    }

    /// Has these bytes, which were the last to be read, read again.
    pub(super) fn again(&mut self, bytes: &[u8]) {
        // A copy, because they lie in a buffer of hyper's that is much larger.
        self.ahead = [bytes, &self.ahead].concat().into();
    }

    /// Waits until there is something to read; `false` if nothing comes any more. Between two requests no buffer is
    /// held.
    pub(super) async fn readable(&mut self) -> io::Result<bool> {
        poll_fn(|cx| {
            if !self.ahead.is_empty() {
                return Poll::Ready(Ok(true));
            }
            let mut room = [const { MaybeUninit::uninit() }; FIRST];
            let mut room = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut room))?;
            self.ahead = Bytes::copy_from_slice(room.filled());
            Poll::Ready(Ok(!self.ahead.is_empty()))
        })
        .await
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let len = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(len));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    /// Hyper comes here only when it holds nothing back itself.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.traffic.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.traffic.closing();
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
