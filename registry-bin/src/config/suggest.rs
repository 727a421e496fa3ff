//! The nearest known key, for messages about unknown ones.

use super::schema::{self, Key, Kind, Status};

/// Dotted key that was probably meant by `name` inside the section `path`.
///
/// A neighbour that is spelled almost alike wins; next comes the same word at another level, such as
/// `http.prefix` for a `prefix` at the top.
pub(crate) fn nearest(path: &[&str], name: &str) -> Option<String> {
    let mut best: Option<(Rank, Vec<&'static str>)> = None;
    each_key(schema::ROOT, &mut Vec::new(), true, &mut |candidate, supported| {
        let Some((last, section)) = candidate.split_last() else { return };
        let neighbour = section == path;
        let mut distance = distance(name, last);
        if neighbour && abbreviates(name, last) {
            // More of a word is likelier to be meant than less of it.
            distance = distance.min(if last.len() > name.len() { 1 } else { 2 });
        }
        let allowed = match (neighbour, name.chars().count()) {
            (true, 0..=3) => 1,
            (true, 4..=7) => 2,
            (true, _) => 3,
            (false, 0..=5) => 0,
            (false, _) => 1,
        };
        if distance > allowed {
            return;
        }
        // `path` in some other section is no help: it is a word for anything.
        let shared = path.iter().zip(section).take_while(|(a, b)| a == b).count();
        if !neighbour && shared == 0 && name.len() < 6 && !path.is_empty() {
            return;
        }
        let rank = Rank {
            cost: if neighbour { distance } else { 2 * distance + 1 },
            elsewhere: !neighbour,
            unsupported: !supported,
            unshared: usize::MAX - shared,
            depth: section.len(),
        };
        if best.as_ref().is_none_or(|(known, _)| rank < *known) {
            best = Some((rank, candidate.to_vec()));
        }
    });
    best.map(|(_, path)| path.join("."))
}

/// True when one is the other with its end cut off: `rootdir`, `address`.
fn abbreviates(name: &str, known: &str) -> bool {
    name.len().min(known.len()) >= 4 && (known.starts_with(name) || name.starts_with(known))
}

/// Smaller is better, compared field by field.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    cost: usize,
    elsewhere: bool,
    unsupported: bool,
    unshared: usize,
    depth: usize,
}

fn each_key(
    keys: &'static [Key],
    path: &mut Vec<&'static str>,
    supported: bool,
    visit: &mut impl FnMut(&[&'static str], bool),
) {
    for key in keys {
        if matches!(key.kind, Kind::Inline) || matches!(key.status, Status::Obsolete(_) | Status::Gone(_)) {
            continue;
        }
        path.push(key.name);
        let supported = supported && !matches!(key.status, Status::Unsupported(_));
        visit(path, supported);
        let below = if let Kind::List(item) = key.kind { *item } else { key.kind };
        if let Kind::Section(keys) | Kind::Drivers(keys) = below {
            each_key(keys, path, supported, visit);
        }
        path.pop();
    }
}

/// Edit distance without regard to case; two swapped neighbours count once.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    if a.len().abs_diff(b.len()) > 3 {
        return usize::MAX / 4; // far beyond every limit, not worth the table
    }
    let mut older = vec![0; b.len() + 1];
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut current = vec![i + 1; b.len() + 1];
        for j in 0..b.len() {
            let change = previous[j] + usize::from(a[i] != b[j]);
            let mut least = change.min(previous[j + 1] + 1).min(current[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(older[j - 1] + 1);
            }
            current[j + 1] = least;
        }
        older = std::mem::replace(&mut previous, current);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, value) in [
            ("auth", "auth", 0),
            ("Auth", "auth", 0),
            ("auht", "auth", 1),
            ("", "abc", 3),
            ("level", "levle", 1),
        ] {
            assert_eq!(distance(a, b), value, "{a} {b}");
        }
        assert!(distance("a", "abcdefgh") > 100);
    }

    #[test]
    fn the_nearest_key_is_a_neighbour_or_the_same_word_elsewhere() {
        for (path, name, expected) in [
            (&[][..], "htpp", Some("http")),
            (&[], "prefix", Some("http.prefix")),
            (&[], "level", Some("log.level")),
            (&["http"], "adr", Some("http.addr")),
            (&["http"], "address", Some("http.addr")),
            (&["storage"], "rootdirectory", Some("storage.filesystem.rootdirectory")),
            (&["storage", "filesystem"], "rootdir", Some("storage.filesystem.rootdirectory")),
            (&["storage", "filesystem"], "rootdirecotry", Some("storage.filesystem.rootdirectory")),
            (&["storage", "filesystem"], "delete", Some("storage.delete")),
            (&[], "maxentries", Some("catalog.maxentries")),
            (&["log"], "accesslogs", Some("log.accesslog")),
            (&[], "remoteurl", Some("proxy.remoteurl")),
            (&["health", "file"], "path", None),
            (&["health", "file"], "fiel", Some("health.file.file")),
            (&[], "zzzzzzzz", None),
        ] {
            assert_eq!(nearest(path, name).as_deref(), expected, "{path:?} {name}");
        }
    }
}
