//! A socket of either kind that gives up on clients that stop reading, and closes so that they can read the
//! last answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep};
use tracing::debug;

use super::traffic::Traffic;

/// How long a closed connection is read on, so that what still comes does not reset it: a reset would throw
/// away the last answer before the client has read it. At most this long in all, and with no longer pause.
const LINGER: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(2));

/// An accepted socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The stream of a connection.
#[derive(Debug)]
pub(super) struct Stream {
    socket: Socket,
    traffic: Arc<Traffic>,
    /// Was read to see what it is, and has to be read again.
    ahead: Bytes,
    /// Ours, where the system does not watch over writes.
    write_timeout: Option<Timer>,
    closing: Closing,
}

#[derive(Debug)]
enum Closing {
    Open,
    /// Our side is closed; looking whether there is anything to wait for.
    Closed,
    Lingering {
        until: Instant,
        quiet: Timer,
    },
}

/// A time that begins when it is first waited for.
#[derive(Debug)]
pub(super) struct Timer {
    time: Duration,
    running: bool,
    /// Made when it is first needed, which for most requests is never.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    pub(super) fn new(time: Duration) -> Self {
        Self { time, running: false, sleep: None }
    }

    /// Ready when the time has passed since the first call after the last [`stop`](Self::stop).
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.time)));
        if !self.running {
            self.running = true;
            sleep.as_mut().reset(Instant::now() + self.time);
        }
        sleep.as_mut().poll(cx)
    }

    pub(super) fn stop(&mut self) {
        self.running = false;
    }
}

impl Stream {
    pub(super) fn new(socket: Socket, write_timeout: Duration, traffic: Arc<Traffic>) -> Self {
        let write_timeout =
            if socket.watch_writes(write_timeout) { None } else { Some(Timer::new(write_timeout)) };
        Self { socket, traffic, ahead: Bytes::new(), write_timeout, closing: Closing::Open }
    }

    /// Waits for `len` bytes, or fewer if the client sends no more or `enough` says so, and leaves them to be
    /// read again.
    pub(super) async fn look(&mut self, len: usize, enough: impl Fn(&[u8]) -> bool) -> io::Result<Bytes> {
        let mut bytes = BytesMut::from(std::mem::take(&mut self.ahead));
        while bytes.len() < len && !enough(&bytes) {
            let room = len - bytes.len();
            if self.socket.read_buf(&mut (&mut bytes).limit(room)).await? == 0 {
                break;
            }
            self.traffic.arrived();
        }
        self.ahead = bytes.freeze();
        Ok(self.ahead.clone())
    }

    /// Forgets the first `len` bytes of what was looked at.
    pub(super) fn skip(&mut self, len: usize) {
        self.ahead.advance(len);
    }

    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(bytes)) => self.traffic.sent(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.traffic.blocked(),
        }
        let Some(timer) = &mut self.write_timeout else { return result };
        if result.is_ready() {
            timer.stop();
            return result;
        }
        ready!(timer.poll(cx));
        debug!("a client takes no more of an answer");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads and forgets until the client closes its side too, or has had its time.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scrap = [0; 8192];
        loop {
            let mut buf = ReadBuf::new(&mut scrap);
            let read = Pin::new(&mut self.socket).poll_read(cx, &mut buf);
            let some = match read {
                Poll::Ready(Ok(())) if buf.filled().is_empty() => return Poll::Ready(()),
                Poll::Ready(Ok(())) => true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => false,
            };
            match &mut self.closing {
                Closing::Lingering { until, .. } if Instant::now() >= *until => return Poll::Ready(()),
                Closing::Lingering { quiet, .. } if some => quiet.stop(),
                Closing::Lingering { quiet, .. } => return quiet.poll(cx),
                Closing::Open | Closing::Closed if some || self.traffic.unread() => {
                    let until = Instant::now() + LINGER.0;
                    self.closing = Closing::Lingering { until, quiet: Timer::new(LINGER.1) };
                }
                Closing::Open | Closing::Closed => return Poll::Ready(()),
            }
        }
    }
}

impl Socket {
    /// Has the system end the connection when the other side takes nothing for so long. The system sees
    /// every byte that is taken; we would see only that there is room in the send buffer, which a slow
    /// reader may leave full for minutes. False where the system cannot.
    fn watch_writes(&self, time: Duration) -> bool {
        #[cfg(target_os = "linux")]
        if let Self::Tcp(stream) = self {
            let milliseconds = u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1);
            return rustix::net::sockopt::set_tcp_user_timeout(stream, milliseconds).is_ok();
        }
        let _ = time;
        false
    }
}

impl AsyncRead for Stream {
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
        let before = buf.filled().len();
        let result = Pin::new(&mut self.socket).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.traffic.arrived();
        }
        result
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.written(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Closing::Open = self.closing {
            ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
            self.closing = Closing::Closed;
        }
        self.poll_linger(cx).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

/// Calls the same method on whichever socket it is.
macro_rules! either {
    ($self:ident, $method:ident($($argument:expr),*)) => {
        match $self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Self::Unix(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }
}
