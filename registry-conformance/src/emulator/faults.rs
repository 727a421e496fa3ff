//! What goes wrong, and when: decided by a seed, so that a failure can be had again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::log::Kind;

/// The variable that gives [`FaultPlan::replayed`] its seed.
pub const SEED_VARIABLE: &str = "FAULT_SEED";

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// 503 `SlowDown`, with `Retry-After` in whole seconds if there is a time. Nothing was done.
    SlowDown(Option<Duration>),
    /// 500 `InternalError`. Nothing was done.
    InternalError,
    /// The connection is reset before the request is looked at. Nothing was done.
    ResetBefore,
    /// The connection is reset in place of the answer to what was done.
    ResetAfter,
    /// The connection is reset after so many bytes of the body: that of the request if it has one, and nothing was
    /// done; else that of the answer.
    ResetInBody(u64),
    /// Nothing comes for this time, then everything.
    SlowFirstByte(Duration),
    /// A page of a listing ends after so many entries although more were asked for, and says so.
    ShortListing(usize),
    /// 403 `RequestTimeTooSkewed`, with a time that is ours. Nothing was done. A service that has another time is
    /// [`Options::with_clock_ahead`](super::Options::with_clock_ahead).
    ClockSkew,
    /// 400 `ExpiredToken`. Nothing was done.
    ExpiredToken,
}

#[derive(Debug, Clone)]
enum When {
    Always,
    Nth(u64),
    From(u64),
    Every(u64),
    Chance(f64),
}

/// An effect and the requests that have it: all, or those of some kinds, under some key, at some time.
#[derive(Debug, Clone)]
pub struct Fault {
    effect: Effect,
    kinds: Vec<Kind>,
    key: Option<String>,
    when: When,
    most: u64,
    seen: u64,
    done: u64,
}

impl Fault {
    /// On every request.
    pub fn new(effect: Effect) -> Self {
        Self { effect, kinds: Vec::new(), key: None, when: When::Always, most: u64::MAX, seen: 0, done: 0 }
    }

    /// Only on requests of this kind; said again, of this one too.
    #[must_use]
    pub fn on(mut self, kind: Kind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Only on requests whose key has this in it.
    #[must_use]
    pub fn key(self, part: impl Into<String>) -> Self {
        Self { key: Some(part.into()), ..self }
    }

    /// On the nth of them alone, counted from 1.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        Self { when: When::Nth(n), ..self }
    }

    /// On the nth of them, counted from 1, and all that follow.
    #[must_use]
    pub fn from(self, n: u64) -> Self {
        Self { when: When::From(n), ..self }
    }

    /// On each nth of them.
    #[must_use]
    pub fn every(self, n: u64) -> Self {
        Self { when: When::Every(n), ..self }
    }

    /// On each of them with this probability, from 0 to 1, as the seed of the plan has it.
    #[must_use]
    pub fn chance(self, probability: f64) -> Self {
        Self { when: When::Chance(probability), ..self }
    }

    /// So many times at most.
    #[must_use]
    pub fn times(self, most: u64) -> Self {
        Self { most, ..self }
    }

    fn strikes(&mut self, seed: u64, kind: Kind, key: &str) -> bool {
        let concerned = (self.kinds.is_empty() || self.kinds.contains(&kind))
            && self.key.as_ref().is_none_or(|part| key.contains(part.as_str()));
        if !concerned {
            return false;
        }
        self.seen += 1;
        let strikes = self.done < self.most
            && match self.when {
                When::Always => true,
                When::Nth(n) => self.seen == n,
                When::From(n) => self.seen >= n,
                When::Every(n) => self.seen.is_multiple_of(n),
                When::Chance(probability) => draw(seed, self.seen) < probability,
            };
        self.done += u64::from(strikes);
        strikes
    }
}

/// The faults of a run. The first that strikes decides; what chance decides depends on the seed, on the fault, and
/// on how many requests concerned it before, and on nothing else.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    seed: u64,
    faults: Vec<Fault>,
}

impl FaultPlan {
    /// No fault.
    pub fn none() -> Self {
        Self::default()
    }

    /// No fault yet; chance follows this seed.
    pub fn seeded(seed: u64) -> Self {
        Self { seed, faults: Vec::new() }
    }

    /// The same with the seed in [`SEED_VARIABLE`] if there is one, and otherwise with this one: a run is like the
    /// one before unless somebody asks for other faults.
    ///
    /// # Panics
    /// If what the variable has is no number.
    pub fn replayed(seed: u64) -> Self {
        let given = std::env::var(SEED_VARIABLE).ok();
        let given =
            given.map(|text| text.parse().unwrap_or_else(|_| panic!("{SEED_VARIABLE} is no number: {text}")));
        Self::seeded(given.unwrap_or(seed))
    }

    /// One fault more.
    #[must_use]
    pub fn with(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// What goes wrong with a store every day, and what a client that tries again gets past: one request in twenty
    /// is refused for now, or its connection breaks before, after or in the middle of it, one in a hundred is
    /// answered late, and many listings are shorter than they might be.
    #[must_use]
    pub fn ridden_out(mut self) -> Self {
        for effect in [
            Effect::SlowDown(None),
            Effect::InternalError,
            Effect::ResetBefore,
            Effect::ResetAfter,
            Effect::SlowFirstByte(Duration::from_millis(20)),
        ] {
            self = self.with(Fault::new(effect).chance(0.01));
        }
        let uploads =
            Fault::new(Effect::ResetInBody(100)).on(Kind::Put).on(Kind::UploadPart).on(Kind::Complete);
        let lists =
            Fault::new(Effect::ResetInBody(100)).on(Kind::List).on(Kind::ListParts).on(Kind::ListUploads);
        let reads = Fault::new(Effect::ResetInBody(100)).on(Kind::Get);
        self = self.with(uploads.chance(0.02)).with(lists.chance(0.02)).with(reads.chance(0.05));
        self.with(Fault::new(Effect::ShortListing(2)).on(Kind::List).chance(0.3))
    }

    /// The seed, to be given to [`FaultPlan::seeded`] for the same faults again.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    fn strike(&mut self, kind: Kind, key: &str) -> Option<Effect> {
        // Every fault counts what concerns it, so that none depends on which faults stand before it.
        let mut struck = None;
        for (index, fault) in self.faults.iter_mut().enumerate() {
            let strikes = fault.strikes(mix(self.seed ^ mix(index as u64)), kind, key);
            if strikes && struck.is_none() {
                struck = Some(fault.effect.clone());
            }
        }
        struck
    }
}

/// From 0 to below 1, the same for the same arguments.
fn draw(seed: u64, number: u64) -> f64 {
    (mix(seed.wrapping_add(number)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// The finalizer of SplitMix64.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The plan that is in force, which can be replaced.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<FaultPlan>);

impl Faults {
    pub(super) fn set(&self, plan: FaultPlan) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    pub(super) fn strike(&self, kind: Kind, key: &str) -> Option<Effect> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).strike(kind, key)
    }

    /// How to have the faults again that chance decided, for a test that fails.
    pub(super) fn again(&self) -> Option<String> {
        let plan = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let by_chance = plan.faults.iter().any(|fault| matches!(fault.when, When::Chance(_)));
        by_chance.then(|| format!("the same faults again: {SEED_VARIABLE}={}", plan.seed))
    }
}
