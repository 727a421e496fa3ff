//! Listing directories, a page at a time.

use std::collections::BinaryHeap;
use std::fs;
use std::io;
use std::path::Path;

use registry_core::{Entry, ListMode, ListPage, ListRequest};

/// A page of what is in `dir`; a directory that is not there is empty.
pub(super) fn list(dir: &Path, request: &ListRequest) -> io::Result<ListPage> {
    if request.limit == 0 {
        return Ok(ListPage::default());
    }
    let mut entries = Vec::new();
    match request.mode {
        ListMode::Children => {
            entries = children(dir, request.after.as_deref(), request.limit + 1)?;
        }
        ListMode::Recursive => {
            let after: Vec<&str> = request.after.iter().flat_map(|after| after.split('/')).collect();
            files(dir, "", &after, request.limit + 1, &mut entries)?;
        }
    }
    let more = entries.len() > request.limit;
    entries.truncate(request.limit);
    Ok(ListPage { entries, more })
}

/// The `limit` first children after `after`, in byte order. The directory is read whole, as directories
/// have to be, but only `limit` names are kept.
fn children(dir: &Path, after: Option<&str>, limit: usize) -> io::Result<Vec<Entry>> {
    let found = match fs::read_dir(dir) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
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
        let is_dir = if kind.is_symlink() { entry.path().is_dir() } else { kind.is_dir() };
        if !is_dir && is_temporary(&name) {
            continue;
        }
        kept.push((name, is_dir));
        if kept.len() > limit {
            kept.pop();
        }
    }
    Ok(kept.into_sorted_vec().into_iter().map(|(name, is_dir)| Entry { name, is_dir }).collect())
}

/// Collects up to `limit` files below `dir`, in the order of path components, after the file whose
/// components are `after`.
fn files(dir: &Path, prefix: &str, after: &[&str], limit: usize, entries: &mut Vec<Entry>) -> io::Result<()> {
    for child in children(dir, None, usize::MAX)? {
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
