//! When a connection is not worth waiting for.
//!
//! With HTTP/1.1 hyper bounds how long the head of a request takes, and the stream how long an answer is not
//! taken. With HTTP/2 neither says much: a client may answer pings for ever without asking for anything, and may
//! read the socket without taking anything of an answer. So the requests and answers themselves are watched.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::config::Limits;
use crate::listener::traffic::Traffic;
use crate::listener::transport::Protocol;

/// How often is looked, as far as the times that are looked for allow.
const LOOK: Duration = Duration::from_secs(5);

/// What a client that has begun to send a request gets for the rest of its head when the process stops.
pub(super) const LAST_HEAD: Duration = Duration::from_secs(1);

/// What goes out between two looks without being part of an answer: pings, their answers, windows.
const CHATTER: u64 = 512;

/// What to do with a connection.
pub(super) enum Verdict {
    /// Take no more requests.
    Finish,
    /// Close it, and say why.
    Drop(&'static str),
}

pub(super) struct Judge {
    traffic: Arc<Traffic>,
    protocol: Protocol,
    limits: Limits,
    /// `None` if there is nothing to look for.
    looks: Option<Interval>,
    last: (u64, u64),
    /// Since when nothing has moved.
    still: Instant,
    finishing: bool,
    draining: bool,
}

impl Judge {
    pub(super) fn new(traffic: &Arc<Traffic>, limits: &Limits, protocol: Protocol) -> Self {
        let looks = (protocol == Protocol::Http2).then(|| looks(limits.header.min(limits.write)));
        Self {
            traffic: Arc::clone(traffic),
            protocol,
            limits: *limits,
            looks,
            last: (0, 0),
            still: Instant::now(),
            finishing: false,
            draining: false,
        }
    }

    /// The connection was told to finish because the process stops.
    pub(super) fn drain(&mut self) {
        (self.draining, self.finishing) = (true, true);
        self.still = Instant::now();
        if self.protocol == Protocol::Http1 {
            self.looks = Some(looks(LAST_HEAD));
        }
    }

    /// Waits until there is something to do. Dropped and called again, it goes on.
    pub(super) async fn verdict(&mut self) -> Verdict {
        loop {
            match &mut self.looks {
                Some(looks) => looks.tick().await,
                None => std::future::pending().await,
            };
            if let Some(verdict) = self.look() {
                return verdict;
            }
        }
    }

    fn look(&mut self) -> Option<Verdict> {
        let now = (self.traffic.pieces_so_far(), self.traffic.sent_so_far());
        let chatter = if self.protocol == Protocol::Http2 { CHATTER } else { 0 };
        if now.0 != self.last.0 || now.1 - self.last.1 > chatter {
            self.still = Instant::now();
        }
        self.last = now;
        let (still, idle) = (self.still.elapsed(), self.traffic.is_idle());
        match self.protocol {
            Protocol::Http1 => (self.draining && idle && !self.traffic.is_blocked() && still >= LAST_HEAD)
                .then_some(Verdict::Drop("the process stops, and no request came")),
            Protocol::Http2 if self.finishing && idle => {
                (still >= self.limits.write).then_some(Verdict::Drop("it was to finish and does not"))
            }
            Protocol::Http2 if idle && still >= self.limits.header => {
                self.finishing = true;
                self.still = Instant::now();
                Some(Verdict::Finish)
            }
            Protocol::Http2 => (!idle && self.traffic.is_waiting() && still >= self.limits.write)
                .then_some(Verdict::Drop("a client takes no more of an answer")),
        }
    }
}

fn looks(time: Duration) -> Interval {
    let mut looks = interval((time / 4).clamp(Duration::from_millis(1), LOOK));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}
