//! The few commands that are sent, each about one key.

use std::time::Duration;

use registry_core::{CacheScope, Descriptor, Digest};

/// How long an entry may be answered after the store was asked.
pub(crate) const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How long it is known that an entry was removed.
///
/// Longer than [`LIFETIME`] by more than can lie between the moment the store was asked and the moment an
/// entry is written, so that no entry from before a removal is written after the removal is forgotten.
pub(crate) const REMOVED: Duration = Duration::from_secs(20 * 60);

/// The value of a key whose entry was removed.
const TOMBSTONE: &[u8] = b"removed";

/// Written to see whether a node takes writes.
pub(crate) const PROBE_KEY: &str = "registry:v1:probe";

#[derive(Debug, Clone)]
pub(crate) enum Command {
    Get(String),
    Put(String, Vec<u8>),
    Bury(String),
    Delete(String),
    TakeOut(String, String),
}

impl Command {
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Get(key)
            | Self::Put(key, _)
            | Self::Bury(key)
            | Self::Delete(key)
            | Self::TakeOut(key, _) => key,
        }
    }

    pub(crate) fn is_read(&self) -> bool {
        matches!(self, Self::Get(_))
    }

    /// Whether this is for others on the same Redis, not for our own entries.
    pub(crate) fn is_courtesy(&self) -> bool {
        matches!(self, Self::Delete(_) | Self::TakeOut(..))
    }

    /// What goes over the wire; `now` is the time by the clock of the node, in milliseconds. Nothing without
    /// that time, if it is needed.
    pub(crate) fn wire(&self, now: Option<u64>) -> Option<redis::Cmd> {
        Some(match self {
            Self::Get(key) => arguments("GET", &[key.as_bytes()]),
            Self::Put(key, value) => {
                // NX: neither a removal nor an older entry, which ends earlier, is written over.
                let mut wire = arguments("SET", &[key.as_bytes(), value, b"NX"]);
                // By the node's clock, so that a command that is delayed on its way, by whatever and however
                // long, does not prolong the life of what it says.
                wire.arg("PXAT").arg(now?.saturating_add(millis(LIFETIME)));
                wire
            }
            Self::Bury(key) => {
                let mut wire = arguments("SET", &[key.as_bytes(), TOMBSTONE, b"PX"]);
                wire.arg(millis(REMOVED));
                wire
            }
            Self::Delete(key) => arguments("DEL", &[key.as_bytes()]),
            Self::TakeOut(key, member) => arguments("SREM", &[key.as_bytes(), member.as_bytes()]),
        })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn arguments(name: &str, arguments: &[&[u8]]) -> redis::Cmd {
    let mut command = redis::cmd(name);
    for argument in arguments {
        command.arg(*argument);
    }
    command
}

/// The key of an entry.
pub(crate) fn key(scope: CacheScope<'_>, digest: &Digest) -> String {
    match scope {
        CacheScope::Content => format!("registry:v1:content:{digest}"),
        CacheScope::Repository(name) => format!("registry:v1:repository:{name}:{digest}"),
    }
}

/// What makes instances of Distribution on the same Redis ask the store again about `digest`.
pub(crate) fn remind_distribution(scope: CacheScope<'_>, digest: &Digest) -> Vec<Command> {
    let mut commands = vec![Command::Delete(format!("blobs::{digest}"))];
    if let CacheScope::Repository(name) = scope {
        commands.push(Command::TakeOut(format!("repository::{name}::blobs"), digest.to_string()));
        commands.push(Command::Delete(format!("repository::{name}::blobs::{digest}")));
    }
    commands
}

/// The value of an entry.
pub(crate) fn encode(descriptor: &Descriptor) -> Option<Vec<u8>> {
    serde_json::to_vec(descriptor).ok()
}

/// What an answer to GET says: an entry, or none.
///
/// A value that is neither ours nor whole is no entry.
pub(crate) fn decode(scope: CacheScope<'_>, digest: &Digest, value: &redis::Value) -> Option<Descriptor> {
    let redis::Value::BulkString(bytes) = value else { return None };
    let descriptor: Descriptor = serde_json::from_slice(bytes).ok()?;
    // A layer may show content in a repository under another digest; content has its own.
    (scope != CacheScope::Content || descriptor.digest == *digest).then_some(descriptor)
}

#[cfg(test)]
mod tests {
    use registry_core::{Algorithm, RepositoryName};

    use super::*;

    #[test]
    fn what_is_not_an_entry_of_that_content_is_none() {
        let digest = Algorithm::Sha256.digest(b"x");
        let entry = Descriptor::blob(digest.clone(), 7);
        let value = |bytes: &[u8]| redis::Value::BulkString(bytes.to_vec());
        let content = |value| decode(CacheScope::Content, &digest, &value);
        let bytes = encode(&entry).unwrap();
        assert_eq!(content(value(&bytes)), Some(entry));
        assert_eq!(content(value(TOMBSTONE)), None);
        assert_eq!(content(value(&bytes[..bytes.len() - 1])), None);
        assert_eq!(content(redis::Value::Nil), None);
        let other = encode(&Descriptor::blob(Algorithm::Sha256.digest(b"y"), 7)).unwrap();
        assert_eq!(content(value(&other)), None);
        let name = RepositoryName::parse("a/b").unwrap();
        assert!(decode(CacheScope::Repository(&name), &digest, &value(&other)).is_some());
    }

    #[test]
    fn keys_of_ours_are_none_of_distributions() {
        let digest = Algorithm::Sha256.digest(b"x");
        let name = RepositoryName::parse("a/b").unwrap();
        let ours = [key(CacheScope::Content, &digest), key(CacheScope::Repository(&name), &digest)];
        assert_ne!(ours[0], ours[1]);
        assert!(ours.iter().all(|key| key.starts_with("registry:v1:")));
        let theirs: Vec<String> = remind_distribution(CacheScope::Repository(&name), &digest)
            .iter()
            .map(|command| command.key().to_owned())
            .collect();
        assert_eq!(
            theirs,
            [
                format!("blobs::{digest}"),
                "repository::a/b::blobs".to_owned(),
                format!("repository::a/b::blobs::{digest}"),
            ]
        );
    }

    #[test]
    fn a_removal_is_known_for_longer_than_an_entry_lives() {
        assert!(REMOVED >= LIFETIME + Duration::from_secs(10 * 60));
    }
}
