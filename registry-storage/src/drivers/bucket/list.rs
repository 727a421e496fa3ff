//! Listings, in the order of names.
//!
//! A bucket lists keys in byte order, with directories as keys that end in `/`; that is not the order of
//! their names: `a-b` comes before `a/`, and `a` before `a-b`. A directory that belongs between the names of
//! a page and comes behind it as a key has a name that the last key of the page begins with, so there are
//! few to be looked for.

use std::collections::BTreeMap;

use registry_core::{Entry, ListMode, ListPage, ListRequest, StorageError, StoragePath};

use super::driver::Shared;
use super::names::Names;
use super::store::{Bucket, BucketError, KeyPage, ListKeys};

/// Part of what is in a directory.
pub(super) async fn list(
    shared: &Shared,
    dir: &StoragePath,
    request: &ListRequest,
) -> Result<ListPage, StorageError> {
    if request.limit == 0 {
        return Ok(ListPage::default());
    }
    let prefix = shared.names.dir(dir);
    let page = match request.mode {
        ListMode::Children => children(shared, &prefix, request).await,
        ListMode::Recursive => recursive(shared, &prefix, request).await,
    };
    page.map_err(shared.failed("list", dir))
}

async fn page(
    shared: &Shared,
    prefix: &str,
    fold: bool,
    after: Option<&str>,
    wanted: usize,
) -> Result<KeyPage, BucketError> {
    let limit = wanted.clamp(1, shared.bucket.limits().page);
    shared.bucket.list(&ListKeys { prefix, fold, after, limit }).await
}

async fn recursive(shared: &Shared, prefix: &str, request: &ListRequest) -> Result<ListPage, BucketError> {
    let mut after = request.after.as_ref().map(|after| format!("{prefix}{after}"));
    let mut listed = ListPage::default();
    // One more tells whether there are more. Where that would take another request, the bucket's word that
    // there are is enough.
    let wanted = request.limit + usize::from(request.limit < shared.bucket.limits().page);
    loop {
        let left = wanted - listed.entries.len();
        let found = page(shared, prefix, false, after.as_deref(), left).await?;
        after = found.keys.last().map(|last| last.key.clone());
        for found in found.keys {
            let Some(name) = found.key.strip_prefix(prefix) else { continue };
            if is_name(name) {
                listed.entries.push(Entry { name: name.to_owned(), is_dir: false });
            }
        }
        listed.more = found.more;
        if !found.more || listed.entries.len() >= wanted {
            listed.more |= listed.entries.len() > request.limit;
            listed.entries.truncate(request.limit);
            return Ok(listed);
        }
    }
}

/// Whether a file may have this name. Other programs keep marks of directories, which end in `/`.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.ends_with('/') && !Names::is_private(name)
}

async fn children(shared: &Shared, prefix: &str, request: &ListRequest) -> Result<ListPage, BucketError> {
    let after = request.after.as_deref().unwrap_or_default();
    let mut names: BTreeMap<String, bool> = BTreeMap::new();
    let mut from = request.after.as_ref().map(|after| format!("{prefix}{after}"));
    let more = loop {
        // One more tells whether there are more; and a directory may come back that was listed before.
        let left = (request.limit + 1).saturating_sub(names.len()) + usize::from(from.is_some());
        let found = page(shared, prefix, true, from.as_deref(), left).await?;
        for key in &found.keys {
            let Some(rest) = key.key.strip_prefix(prefix) else { continue };
            let (name, is_dir) = match rest.strip_suffix('/') {
                Some(name) => (name, true),
                None => (rest, false),
            };
            if is_name(name) && name > after {
                *names.entry(name.to_owned()).or_default() |= is_dir;
            }
        }
        let Some(last) = found.keys.last() else { break names.len() > request.limit };
        if !found.more {
            break names.len() > request.limit;
        }
        if names.len() > request.limit {
            let last = last.key.strip_prefix(prefix).unwrap_or_default();
            for name in hidden_by(last).filter(|name| *name > after) {
                if !names.get(name).copied().unwrap_or_default()
                    && !page(shared, &format!("{prefix}{name}/"), false, None, 1).await?.keys.is_empty()
                {
                    names.insert(name.to_owned(), true);
                }
            }
            break true;
        }
        from = Some(last.key.clone());
    };
    let entries = names.into_iter().take(request.limit);
    let entries = entries.map(|(name, is_dir)| Entry { name, is_dir }).collect();
    Ok(ListPage { entries, more })
}

/// The directories whose names come before that of this key, and whose keys come after it.
fn hidden_by(key: &str) -> impl Iterator<Item = &str> {
    let name = key.trim_end_matches('/');
    let cuts = name.char_indices().filter(|(_, c)| *c < '/').map(|(at, _)| at);
    cuts.filter(|&at| at > 0).filter_map(|at| name.get(..at))
}

#[cfg(test)]
mod tests {
    //! Which directories a key comes between.

    use super::*;

    #[test]
    fn directories_hide_behind_keys_that_begin_with_their_names() {
        let hidden = |key| hidden_by(key).collect::<Vec<_>>();
        assert_eq!(hidden("v1.0-rc/"), ["v1", "v1.0"]);
        assert_eq!(hidden("-a"), [""; 0]);
        assert_eq!(hidden("v1"), [""; 0]);
    }
}
