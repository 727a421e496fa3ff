//! Paths in a store.

use std::sync::Arc;

use crate::text::{InvalidText, TextKind, text_type};

/// An absolute path in a store: `/`, or `(/[A-Za-z0-9._-]+)+` without a `.` or `..` segment.
///
/// These are the paths that Distribution's drivers accept, so that either can read what the other
/// wrote; and none can leave the root of a driver.
///
/// ```
/// use registry_core::StoragePath;
/// let root = StoragePath::root();
/// assert_eq!(root.join("docker/registry/v2").unwrap().as_str(), "/docker/registry/v2");
/// for refused in ["", "a", "/a/", "/a//b", "/a/../b", "/.", "/a b", "/a\0"] {
///     assert!(StoragePath::parse(refused).is_err(), "{refused:?}");
/// }
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoragePath(Arc<str>);

impl StoragePath {
    fn check(text: &str) -> Result<(), InvalidText> {
        let fail = |reason| Err(InvalidText::new(TextKind::StoragePath, text, reason));
        if text == "/" {
            return Ok(());
        }
        let Some(rest) = text.strip_prefix('/') else {
            return fail("it begins with '/'");
        };
        for segment in rest.split('/') {
            match segment {
                "" => return fail("a segment is empty"),
                "." | ".." => return fail("'.' and '..' are no segments"),
                _ => {}
            }
            if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
                return fail("only letters, digits, '.', '_' and '-' may appear in a segment");
            }
        }
        Ok(())
    }

    /// The root of the store.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// The path of `relative`, one or more segments joined by `/`, below this one.
    ///
    /// # Errors
    /// [`InvalidText`] if a segment is not one.
    pub fn join(&self, relative: &str) -> Result<Self, InvalidText> {
        Self::try_from([self.0.trim_end_matches('/'), "/", relative].concat())
    }

    /// The directory that this is in; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        match self.0.rsplit_once('/')? {
            ("", "") => None,
            ("", _) => Some(Self::root()),
            (parent, _) => Some(Self(parent.into())),
        }
    }

    /// The last segment; empty for the root.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// The path without its leading `/`; empty for the root. For joining to a driver's own root.
    pub fn relative(&self) -> &str {
        &self.0[1..]
    }

    /// Whether this is `dir` or below it. `/ab` is not below `/a`.
    pub fn is_within(&self, dir: &Self) -> bool {
        let dir = dir.0.trim_end_matches('/');
        self.0.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

text_type!(StoragePath);

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> StoragePath {
        StoragePath::parse(text).unwrap()
    }

    #[test]
    fn parents_end_at_the_root() {
        assert_eq!(path("/a/b").parent(), Some(path("/a")));
        assert_eq!(path("/a").parent(), Some(StoragePath::root()));
        assert_eq!(StoragePath::root().parent(), None);
        assert_eq!(path("/a/b").file_name(), "b");
        assert_eq!(StoragePath::root().file_name(), "");
    }

    #[test]
    fn a_directory_does_not_contain_what_only_shares_its_prefix() {
        assert!(path("/a/b").is_within(&path("/a")));
        assert!(path("/a").is_within(&path("/a")));
        assert!(!path("/ab").is_within(&path("/a")));
        assert!(path("/ab").is_within(&StoragePath::root()));
    }
}
