//! The parts of an upload: how large they are, and which ones there are.

use registry_core::{Algorithm, Digester};
use serde::{Deserialize, Serialize};

use super::super::store::{Limits, Part};

/// The largest file that any service takes.
pub(crate) const LARGEST_FILE: u64 = 5 << 40;

/// The largest part that any service takes.
const LARGEST_PART: u64 = 5 << 30;

/// Up to which share of the parts, in percent, they are how many times as large as the first. Most of what is
/// pushed is small, and its parts are what memory is used for; a hundred gibibytes need parts of four times
/// the size; what is beyond that pays for it.
const GROWTH: [(u64, u64); 5] = [(20, 1), (40, 2), (65, 4), (75, 16), (80, 64)];

/// How large the next part should be, after `count` parts of `bytes` bytes.
pub(crate) fn part_size(limits: &Limits, count: u32, bytes: u64) -> u64 {
    let (count, most) = (u64::from(count), u64::from(limits.max_parts));
    let first = limits.part.max(limits.min_part);
    let planned = GROWTH.iter().find(|(share, _)| count < most * share / 100).map(|(_, times)| first * times);
    // The last parts share what is left evenly.
    let left = most.saturating_sub(count).max(1);
    let size = planned.unwrap_or_else(|| LARGEST_FILE.saturating_sub(bytes).div_ceil(left).max(first));
    size.min(LARGEST_PART)
}

/// How large a part has to be at least to be sent early, because there is no room for more. Late parts cannot
/// be spared.
pub(crate) fn early_size(limits: &Limits, count: u32, bytes: u64) -> u64 {
    let planned = part_size(limits, count, bytes);
    if u64::from(count) < u64::from(limits.max_parts) * 65 / 100 {
        (planned / 2).max(limits.min_part)
    } else {
        planned
    }
}

/// The parts of an upload, in order from the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The first ones, where they are too many to be named.
    first: Option<Chain>,
    /// Those after.
    named: Vec<Part>,
}

/// The first parts of an upload, which the service can list. Whether it lists the right ones is told by a
/// digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Chain {
    #[serde(rename = "c")]
    count: u32,
    #[serde(rename = "n")]
    bytes: u64,
    #[serde(rename = "h")]
    digest: String,
}

impl Chain {
    fn and(self, part: &Part) -> Self {
        let mut digester = Digester::new(Algorithm::Sha256);
        digester.update(format!("{}\n{}:{}:{}", self.digest, part.number, part.size, part.tag).as_bytes());
        Self {
            count: self.count + 1,
            bytes: self.bytes + part.size,
            digest: digester.finish().encoded().to_owned(),
        }
    }

    fn of(parts: &[Part]) -> Self {
        let none = Self { count: 0, bytes: 0, digest: String::new() };
        parts.iter().fold(none, Self::and)
    }
}

/// Parts as they are written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    first: Option<Chain>,
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    named: Vec<(u64, String)>,
}

impl Parts {
    /// The parts as a service lists them. `None` if they are not the first ones of an upload.
    pub(crate) fn listed(parts: Vec<Part>) -> Option<Self> {
        let in_order = parts.iter().zip(1..).all(|(part, number)| part.number == number);
        in_order.then_some(Self { first: None, named: parts })
    }

    pub(crate) fn count(&self) -> u32 {
        let named = u32::try_from(self.named.len()).unwrap_or(u32::MAX);
        self.first.as_ref().map_or(0, |first| first.count).saturating_add(named)
    }

    pub(crate) fn bytes(&self) -> u64 {
        let named: u64 = self.named.iter().map(|part| part.size).sum();
        self.first.as_ref().map_or(0, |first| first.bytes) + named
    }

    pub(crate) fn last(&self) -> Option<&Part> {
        self.named.last()
    }

    pub(crate) fn push(&mut self, part: Part) {
        self.named.push(part);
    }

    /// Every part, if each is named.
    pub(crate) fn all(&self) -> Option<&[Part]> {
        self.first.is_none().then_some(&self.named)
    }

    /// Every part, with the first ones out of `listed`. `None` if they are others than they were.
    pub(crate) fn all_of(&self, mut listed: Vec<Part>) -> Option<Vec<Part>> {
        let count = self.first.as_ref().map_or(0, |first| first.count);
        listed.retain(|part| part.number <= count);
        if let Some(first) = &self.first
            && Chain::of(&listed) != *first
        {
            return None;
        }
        listed.extend(self.named.iter().cloned());
        Some(listed)
    }

    /// Which parts these are, in few words.
    pub(crate) fn digest(&self) -> String {
        let first = self.first.clone().unwrap_or_else(|| Chain::of(&[]));
        self.named.iter().fold(first, Chain::and).digest
    }

    pub(crate) fn write(&self) -> Written {
        let named = self.named.iter().map(|part| (part.size, part.tag.clone())).collect();
        Written { first: self.first.clone(), named }
    }

    /// The same in a bounded number of bytes, for a service that can list parts.
    pub(crate) fn write_short(&self) -> Written {
        let first = self.first.clone().unwrap_or_else(|| Chain::of(&[]));
        Written { first: Some(self.named.iter().fold(first, Chain::and)), named: Vec::new() }
    }

    pub(crate) fn read(written: Written) -> Self {
        let before = written.first.as_ref().map_or(0, |first| first.count);
        let named = written.named.into_iter().zip(before + 1..);
        let named = named.map(|((size, tag), number)| Part { number, size, tag }).collect();
        Self { first: written.first, named }
    }
}

#[cfg(test)]
mod tests {
    //! Sizes of parts, and parts that are written down.

    use super::*;

    fn limits(part: u64) -> Limits {
        Limits {
            min_part: 5 << 20,
            max_parts: 10_000,
            part,
            page: 1000,
            lists_uploads: true,
            starts_anywhere: true,
            creates: true,
        }
    }

    #[test]
    fn any_file_fits_into_the_parts_and_none_is_too_small_or_too_large() {
        for part in [5 << 20, 8 << 20, 64 << 20, 5 << 30] {
            let limits = limits(part);
            let mut bytes = 0;
            for count in 0..limits.max_parts {
                let size = part_size(&limits, count, bytes);
                assert!((limits.min_part..=LARGEST_PART).contains(&size), "part {count} has {size} bytes");
                bytes += size;
            }
            assert!(bytes >= LARGEST_FILE, "parts from {part} hold {bytes} bytes");
        }
    }

    #[test]
    fn a_hundred_gibibytes_fit_into_parts_of_32_mebibytes() {
        let limits = limits(8 << 20);
        let (mut count, mut bytes) = (0, 0);
        while bytes < 100 << 30 {
            let size = part_size(&limits, count, bytes);
            assert!(size <= 32 << 20, "part {count} has {size} bytes");
            (count, bytes) = (count + 1, bytes + size);
        }
        let early: u64 = (0..6500).map(|count| early_size(&limits, count, 0)).sum();
        assert!(early > 50 << 30, "and half of it if every part is sent early");
    }

    #[test]
    fn parts_are_written_down_whole_or_short() {
        let part = |number: u32| Part { number, size: u64::from(number), tag: format!("\"{number}\"") };
        let mut parts = Parts::default();
        (1..=100).for_each(|number| parts.push(part(number)));
        let whole = Parts::read(parts.write());
        assert_eq!(whole, parts);
        let mut short = Parts::read(parts.write_short());
        assert_eq!((short.count(), short.bytes(), short.digest()), (100, 5050, parts.digest()));
        short.push(part(101));
        let short = Parts::read(short.write());
        assert_eq!((short.count(), short.all()), (101, None));
        let mut listed: Vec<Part> = (1..=102).map(part).collect();
        let all = short.all_of(listed.clone()).unwrap();
        assert_eq!(all, listed[..101]);
        listed[7].tag = "another".to_owned();
        assert_eq!(short.all_of(listed), None, "a part was replaced");
    }
}
