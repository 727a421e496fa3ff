//! Names of objects: where a path is in the bucket, and what lies beside it while it is being written.
//!
//! ```text
//! <root>/<path>                                 a file, as Distribution has it
//! <root>/<path>~u<lineage>                      a file that is being written in parts, before it is moved
//! <root>/<path>~t<offset>.<lineage>.<since>     bytes that are too few for a part, and where they belong
//! <root>/<path>~s<sequence>                     what else is needed to go on, where nothing else says it
//! ```
//!
//! No path has a `~`, so none of these is ever taken for a file. Names that are not the file's own are
//! new each time they are written: two processes that believe to have the same file open cannot put their
//! bytes into each other's. If both go on from the same place, the name that they choose for the first
//! bytes is the same, and whoever is second learns it, where objects can be written on condition that there
//! is none.

use registry_core::StoragePath;

/// Begins what is not part of a path.
const PRIVATE: char = '~';

/// Where everything is.
#[derive(Debug, Clone)]
pub(super) struct Names {
    root: String,
}

/// Something beside a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Beside {
    /// An upload in parts, or what has become of it.
    Upload {
        /// Which of the file's beginnings it belongs to.
        lineage: u64,
    },
    /// Bytes that are too few for a part.
    Tail {
        /// Where in the file they belong.
        offset: u64,
        /// Which of the file's beginnings they belong to.
        lineage: u64,
        /// How long the file was when its writer opened it, or a number that makes the name new.
        since: u64,
    },
    /// What else is needed to go on.
    State {
        /// Which one of them; the highest counts.
        sequence: u64,
    },
}

impl Beside {
    fn suffix(&self) -> String {
        match self {
            Self::Upload { lineage } => format!("u{lineage:016x}"),
            Self::Tail { offset, lineage, since } => format!("t{offset:x}.{lineage:016x}.{since:x}"),
            Self::State { sequence } => format!("s{sequence:08x}"),
        }
    }

    fn parse(suffix: &str) -> Option<Self> {
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let (kind, rest) = suffix.split_at_checked(1)?;
        match kind {
            "u" => Some(Self::Upload { lineage: number(rest)? }),
            "t" => {
                let mut numbers = rest.split('.').map(number);
                let (offset, lineage, since) = (numbers.next()??, numbers.next()??, numbers.next()??);
                Some(Self::Tail { offset, lineage, since })
            }
            "s" => Some(Self::State { sequence: number(rest)? }),
            _ => None,
        }
    }
}

impl Names {
    /// Everything below a root, which may be empty.
    pub(super) fn new(root: &str) -> Self {
        let root = root.trim_matches('/');
        Self { root: if root.is_empty() { String::new() } else { format!("{root}/") } }
    }

    /// What all keys begin with.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The key of a file.
    pub(super) fn file(&self, path: &StoragePath) -> String {
        format!("{}{}", self.root, path.relative())
    }

    /// What the keys of everything in a directory begin with.
    pub(super) fn dir(&self, path: &StoragePath) -> String {
        if path.relative().is_empty() { self.root.clone() } else { format!("{}/", self.file(path)) }
    }

    /// What the keys of everything beside a file begin with.
    pub(super) fn beside_all(key: &str) -> String {
        format!("{key}{PRIVATE}")
    }

    /// The key of something beside a file.
    pub(super) fn beside(key: &str, what: &Beside) -> String {
        format!("{key}{PRIVATE}{}", what.suffix())
    }

    /// The inverse of [`beside`](Self::beside).
    pub(super) fn parse_beside(key: &str, found: &str) -> Option<Beside> {
        Beside::parse(found.strip_prefix(key)?.strip_prefix(PRIVATE)?)
    }

    /// Whether a key, or the end of one, is that of something beside a file.
    pub(super) fn is_private(key: &str) -> bool {
        key.contains(PRIVATE)
    }
}

#[cfg(test)]
mod tests {
    //! Keys as Distribution has them, and what lies beside.

    use super::*;

    #[test]
    fn keys_are_those_of_distribution() {
        let path = StoragePath::parse("/docker/registry/v2").unwrap();
        for (root, expected) in [
            ("", "docker/registry/v2"),
            ("/", "docker/registry/v2"),
            ("a", "a/docker/registry/v2"),
            ("/a/b/", "a/b/docker/registry/v2"),
        ] {
            let keys = Names::new(root);
            assert_eq!(keys.file(&path), expected);
            assert_eq!(keys.dir(&path), format!("{expected}/"));
            assert_eq!(keys.dir(&StoragePath::root()), keys.root());
        }
    }

    #[test]
    fn what_is_beside_a_file_is_found_again_and_is_no_file() {
        for what in [
            Beside::Upload { lineage: 7 },
            Beside::Tail { offset: 5 << 30, lineage: u64::MAX, since: 1 },
            Beside::State { sequence: 300 },
        ] {
            let key = Names::beside("a/b", &what);
            assert!(Names::is_private(&key) && StoragePath::parse(&format!("/{key}")).is_err());
            assert_eq!(Names::parse_beside("a/b", &key), Some(what));
            assert_eq!(Names::parse_beside("a", &key), None);
        }
        for other in ["a/b~", "a/b~x1", "a/b~u", "a/b~t1.2", "a/b~é", "a/b"] {
            assert_eq!(Names::parse_beside("a/b", other), None, "{other}");
        }
    }
}
