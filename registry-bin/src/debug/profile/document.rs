//! A profile under construction.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::proto::{Message, Strings};

/// A function in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) mangled: String,
    pub(super) file: String,
}

/// Functions that are inlined into each other, the innermost first, each with a line.
pub(super) type Frame = Vec<(Function, u64)>;

/// What a number stands for, and its unit.
pub(super) type Kind = (&'static str, &'static str);

/// A place in the code: numbers of functions, with lines.
type Location = Vec<(u64, u64)>;

/// Samples and what they refer to. Numbers of fields are those of `profile.proto`.
#[derive(Debug)]
pub(super) struct Document {
    profile: Message,
    strings: Strings,
    functions: Numbered<Function>,
    locations: Numbered<Location>,
}

/// Values with numbers from one on.
#[derive(Debug)]
struct Numbered<T>(BTreeMap<T, u64>);

impl<T: Ord> Numbered<T> {
    fn number(&mut self, value: T) -> u64 {
        let next = self.0.len() as u64 + 1;
        *self.0.entry(value).or_insert(next)
    }
}

impl Document {
    /// Each sample has one value of each of `kinds`. Readers show the last, unless they are asked for another.
    pub(super) fn new(kinds: &[Kind]) -> Self {
        let mut document = Self {
            profile: Message::default(),
            strings: Strings::default(),
            functions: Numbered(BTreeMap::new()),
            locations: Numbered(BTreeMap::new()),
        };
        for kind in kinds {
            let message = document.kind(*kind);
            document.profile.message(1, &message);
        }
        document
    }

    /// `frames` go outwards.
    pub(super) fn sample(
        &mut self,
        frames: impl IntoIterator<Item = Frame>,
        values: &[i64],
        label: Option<(&str, &str)>,
    ) {
        let mut sample = Message::default();
        for frame in frames {
            let lines = frame.into_iter().map(|(function, line)| (self.functions.number(function), line));
            sample.number(1, self.locations.number(lines.collect()));
        }
        for value in values {
            sample.signed(2, *value);
        }
        if let Some((key, value)) = label {
            let mut label = Message::default();
            label.number(1, self.strings.number(key));
            label.number(2, self.strings.number(value));
            sample.message(3, &label);
        }
        self.profile.message(2, &sample);
    }

    /// The profile of this time, with a sample for each `period`.
    pub(super) fn finish(
        mut self,
        started: SystemTime,
        time: Duration,
        (kind, period): (Kind, i64),
    ) -> Vec<u8> {
        for (lines, id) in &self.locations.0 {
            let mut location = Message::default();
            location.number(1, *id);
            for (function, line) in lines {
                let mut message = Message::default();
                message.number(1, *function);
                message.number(2, *line);
                location.message(4, &message);
            }
            self.profile.message(4, &location);
        }
        for (function, id) in &self.functions.0 {
            let mut message = Message::default();
            message.number(1, *id);
            message.number(2, self.strings.number(&function.name));
            message.number(3, self.strings.number(&function.mangled));
            message.number(4, self.strings.number(&function.file));
            self.profile.message(5, &message);
        }
        let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        self.profile.signed(9, nanoseconds(started.duration_since(UNIX_EPOCH).unwrap_or_default()));
        self.profile.signed(10, nanoseconds(time));
        let kind = self.kind(kind);
        self.profile.message(11, &kind);
        self.profile.signed(12, period);
        self.strings.write(6, &mut self.profile);
        self.profile.into_bytes()
    }

    fn kind(&mut self, (kind, unit): Kind) -> Message {
        let mut message = Message::default();
        message.number(1, self.strings.number(kind));
        message.number(2, self.strings.number(unit));
        message
    }
}
