//! Listing directories, a page at a time.

use std::collections::BinaryHeap;
use std::fs;
use std::io;
use std::path::Path;

use registry_core::{Entry, ListMode, ListPage, ListRequest};

use super::listings::Listings;

/// The most bytes that the directory itself may have for all of its names to be in memory at once:
/// some hundred thousand names.
const LARGEST_KEPT: u64 = 8 << 20;

/// A page of what is in `dir`, if that is known without reading it.
pub(super) fn known(listings: &Listings, dir: &Path, request: &ListRequest) -> Option<ListPage> {
    let one_more = request.limit.checked_add(1)?;
    let children = matches!(request.mode, ListMode::Children);
    let listing = children.then(|| listings.get(dir)).flatten()?;
    Some(cut(listing.page(request.after.as_deref(), one_more), request.limit))
}

/// A page of what is in `dir`; a directory that is not there is empty.
pub(super) fn list(listings: &Listings, dir: &Path, request: &ListRequest) -> io::Result<ListPage> {
    if request.limit == 0 {
        return Ok(ListPage::default());
    }
    let one_more = request.limit.saturating_add(1);
    let mut entries = Vec::new();
    match request.mode {
        ListMode::Children => entries = page(listings, dir, request.after.as_deref(), one_more)?,
        ListMode::Recursive => {
            let after: Vec<&str> = request.after.iter().flat_map(|after| after.split('/')).collect();
            files(dir, "", &after, one_more, &mut entries)?;
        }
    }
    Ok(cut(entries, request.limit))
}

fn cut(mut entries: Vec<Entry>, limit: usize) -> ListPage {
    let more = entries.len() > limit;
    entries.truncate(limit);
    ListPage { entries, more }
}

/// The `limit` first children after `after`, in byte order. The directory is read whole, as directories
/// have to be; of one that is too large or too busy to be kept, only `limit` names are in memory at a time.
fn page(listings: &Listings, dir: &Path, after: Option<&str>, limit: usize) -> io::Result<Vec<Entry>> {
    let before = match fs::metadata(dir) {
        Ok(before) => before,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    if before.len() > LARGEST_KEPT || !Listings::at_rest(&before) {
        return Ok(children(dir, after, limit)?.entries);
    }
    let mut found = children(dir, None, usize::MAX)?;
    if !found.links {
        listings.keep(dir, &before, &found.entries);
    }
    let start = after.map_or(0, |after| found.entries.partition_point(|entry| entry.name.as_str() <= after));
    found.entries.drain(..start);
    found.entries.truncate(limit);
    Ok(found.entries)
}

/// What was found in a directory.
struct Children {
    entries: Vec<Entry>,
    /// Whether a symbolic link is among them: what that is can change without the directory.
    links: bool,
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The `limit` first children after `after`, in byte order.
fn children(dir: &Path, after: Option<&str>, limit: usize) -> io::Result<Children> {
    let mut links = false;
    let found = match fs::read_dir(dir) {
        Ok(found) => found,
        Err(error) if is_absent(&error) => return Ok(Children { entries: Vec::new(), links }),
        Err(error) => return Err(error),
    };
    // The greatest name is on top and makes room for a smaller one.
    let mut kept: BinaryHeap<(String, bool)> = BinaryHeap::new();
    for entry in found {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if after.is_some_and(|after| name.as_str() <= after)
            || (kept.len() == limit && kept.peek().is_some_and(|(greatest, _)| name > *greatest))
        {
            continue;
        }
        let kind = entry.file_type()?;
        links |= kind.is_symlink();
        let is_dir = if kind.is_symlink() { entry.path().is_dir() } else { kind.is_dir() };
        if !is_dir && is_temporary(&name) {
            continue;
        }
        kept.push((name, is_dir));
        if kept.len() > limit {
            kept.pop();
        }
    }
    let sorted = kept.into_sorted_vec().into_iter();
    Ok(Children { entries: sorted.map(|(name, is_dir)| Entry { name, is_dir }).collect(), links })
}

/// Collects up to `limit` files below `dir`, in the order of path components, after the file whose
/// components are `after`.
fn files(dir: &Path, prefix: &str, after: &[&str], limit: usize, entries: &mut Vec<Entry>) -> io::Result<()> {
    for child in children(dir, None, usize::MAX)?.entries {
        let rest = match after.split_first() {
            Some((first, _)) if child.name.as_str() < *first => continue,
            Some((first, rest)) if child.name == *first => {
                if rest.is_empty() {
                    continue;
                }
                rest
            }
            _ => &[],
        };
        let name = if prefix.is_empty() { child.name.clone() } else { format!("{prefix}/{}", child.name) };
        if child.is_dir {
            files(&dir.join(&child.name), &name, rest, limit, entries)?;
        } else {
            entries.push(Entry { name, is_dir: false });
        }
        if entries.len() >= limit {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether a name is that of a file that is being written, or was when its writer died:
/// `<name>.<uuid>.tmp`.
fn is_temporary(name: &str) -> bool {
    name.strip_suffix(".tmp")
        .and_then(|name| name.rsplit_once('.'))
        .is_some_and(|(_, id)| id.len() == 36 && uuid::Uuid::try_parse(id).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_temporary_files_are_passed_over() {
        assert!(is_temporary("link.0191b6a0-0000-7000-8000-000000000000.tmp"));
        assert!(!is_temporary("link.tmp"));
        assert!(!is_temporary("v1.tmp"));
        assert!(!is_temporary("link"));
    }
}
