//! Pages of a listing.

/// Which part of a listing is asked for: up to `limit` items that follow `after`.
///
/// Listings are in ascending byte order of their text, repositories in ascending order of their
/// components (so that `a/b` comes before `a-b`). `after` is exclusive and need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// At most this many items; zero asks for an empty page.
    pub limit: usize,
    /// Only items after this one.
    pub after: Option<String>,
}

impl PageRequest {
    /// The first `limit` items.
    pub fn first(limit: usize) -> Self {
        Self { limit, after: None }
    }

    /// The next `limit` items after `after`.
    pub fn after(limit: usize, after: impl Into<String>) -> Self {
        Self { limit, after: Some(after.into()) }
    }
}

/// Part of a listing, and whether there is more after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, at most as many as were asked for.
    pub items: Vec<T>,
    /// Whether at least one more item follows.
    pub more: bool,
}

impl<T> Page<T> {
    /// A page after which nothing follows.
    pub fn last(items: Vec<T>) -> Self {
        Self { items, more: false }
    }

    /// A page of `limit` items out of a list that was read one item further, if it could be.
    pub fn cut(mut items: Vec<T>, limit: usize) -> Self {
        let more = items.len() > limit && limit > 0;
        items.truncate(limit);
        Self { items, more }
    }

    /// The same page with each item converted.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(convert).collect(), more: self.more }
    }
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), more: false }
    }
}
