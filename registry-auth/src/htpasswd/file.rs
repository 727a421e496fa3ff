//! The file: reading it, and making one.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::hash::{self, Hash, LEAST_COST, Unusable};

/// More users than anybody keeps in a file: some hundred thousand.
const MAX_BYTES: u64 = 16 << 20;

/// Whom a new file has in it, as in Distribution.
const FIRST_USER: &str = "docker";

/// Why a file of users cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HtpasswdError {
    /// It is not there, or not for us to read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than any file of users.
    #[error("{} is larger than {MAX_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A line is neither an entry nor a comment.
    #[error("{}:{line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It was missing and could not be made.
    #[error("cannot create {}: {source}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system has no random numbers for us.
    #[error("no random numbers: {0}")]
    Random(io::Error),
}

/// A user that [`provision`] has made.
#[derive(Clone)]
#[non_exhaustive]
pub struct NewUser {
    /// The name.
    pub name: String,
    /// The password, which is kept nowhere else.
    pub password: String,
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The users of a file.
#[derive(Debug, Default)]
pub(crate) struct Users {
    hashes: HashMap<String, Arc<Hash>>,
    /// Lines with users who cannot log in, and why.
    pub(super) unusable: Vec<(usize, Unusable)>,
    /// Of all hashes.
    pub(super) greatest_cost: u32,
}

impl Users {
    /// Reads a file. Waits for the disk.
    pub(super) fn read(path: &Path) -> Result<Self, HtpasswdError> {
        let failed = |source| HtpasswdError::Read { path: path.to_owned(), source };
        let mut text = Vec::new();
        File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text)).map_err(failed)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(HtpasswdError::TooLarge { path: path.to_owned() });
        }
        Self::parse(&text).map_err(|(line, reason)| HtpasswdError::Line {
            path: path.to_owned(),
            line,
            reason,
        })
    }

    /// Blanks around lines, empty lines and those that begin with `#` mean nothing. The others are `name:hash`, and
    /// of two with the same name the later counts.
    pub(super) fn parse(text: &[u8]) -> Result<Self, (usize, &'static str)> {
        let mut users = Self { greatest_cost: LEAST_COST, ..Self::default() };
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let number = index + 1;
            if line.trim_ascii_start().starts_with(b"#") {
                continue;
            }
            let Ok(line) = std::str::from_utf8(line) else {
                users.unusable.push((number, Unusable::Utf8));
                continue;
            };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, hash) = line.split_once(':').ok_or((number, "not an entry like name:hash"))?;
            let hash = if name.is_empty() { Err(Unusable::NoName) } else { Hash::parse(hash) };
            match hash {
                Ok(hash) => {
                    users.greatest_cost = users.greatest_cost.max(hash.cost());
                    users.hashes.insert(name.to_owned(), Arc::new(hash));
                }
                Err(why) => {
                    users.hashes.remove(name);
                    users.unusable.push((number, why));
                }
            }
        }
        Ok(users)
    }

    /// What to hold a password of `name` against.
    pub(super) fn get(&self, name: &str) -> Option<&Arc<Hash>> {
        self.hashes.get(name)
    }

    /// Adds a user who is not in the file.
    #[cfg(feature = "issuer")]
    pub(crate) fn add(&mut self, name: &str, hash: &str) -> Result<(), Unusable> {
        let hash = Hash::parse(hash)?;
        self.greatest_cost = self.greatest_cost.max(hash.cost());
        self.hashes.insert(name.to_owned(), Arc::new(hash));
        Ok(())
    }

    /// What changes when the password of a user does, and says nothing about it; `None` if there is no such user.
    #[cfg(feature = "issuer")]
    pub(crate) fn fingerprint(&self, name: &str) -> Option<[u8; 32]> {
        use sha2::{Digest, Sha256};
        self.hashes.get(name).map(|hash| Sha256::digest(hash.as_bytes()).into())
    }

    /// How many can log in.
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// What differs from `before`, for the log.
    pub(super) fn changes_since(&self, before: &Self) -> String {
        let new = self.hashes.keys().filter(|name| !before.hashes.contains_key(*name)).count();
        let gone = before.hashes.keys().filter(|name| !self.hashes.contains_key(*name)).count();
        let changed = self
            .hashes
            .iter()
            .filter(|(name, hash)| before.hashes.get(*name).is_some_and(|was| was != *hash))
            .count();
        format!("{} users: {new} new, {gone} gone, {changed} with another password", self.len())
    }
}

/// Makes a file with one user and a password that nobody can guess, unless there is a file. For its owner alone (mode
/// 0600; missing directories above it 0700). Waits for the disk.
///
/// # Errors
/// [`HtpasswdError::Create`], [`HtpasswdError::Random`]
pub fn provision(path: &Path) -> Result<Option<NewUser>, HtpasswdError> {
    let failed = |source| HtpasswdError::Create { path: path.to_owned(), source };
    if std::fs::exists(path).map_err(failed)? {
        return Ok(None);
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| HtpasswdError::Random(io::Error::other(error)))?;
    let password = URL_SAFE_NO_PAD.encode(random);
    let hash = hash::make(&password).map_err(|error| HtpasswdError::Random(io::Error::other(error)))?;
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    }
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        // Another process was faster; its file is as good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let written = file.write_all(format!("{FIRST_USER}:{hash}").as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half an entry would stop the next start; if it cannot be removed, that start says so.
        let _ = std::fs::remove_file(path);
        return Err(failed(error));
    }
    Ok(Some(NewUser { name: FIRST_USER.to_owned(), password }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const A: &str = "$2y$04$TnrKPT5AYmKuw9xzSdYFPOzCUVRRrZ0v0VDymfDz58rT4kf2ePE4S";
    const B: &str = "$2a$05$000000000000000000000ubSngHD27S3pdRtf6RiplYswEm.Zt.gW";

    fn names(text: &str) -> Vec<String> {
        let users = Users::parse(text.as_bytes()).unwrap();
        let mut names: Vec<String> = users.hashes.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn entries_are_read() {
        assert_eq!(names(""), [""; 0]);
        assert_eq!(names("\n # a comment\n#b:c\n\t\r\n"), [""; 0]);
        // Go, and so Distribution, takes these for blanks too.
        assert_eq!(names("\u{b}# a comment\n\u{a0}#b\n\u{2003}\n"), [""; 0]);
        assert_eq!(names(&format!("a:{A}")), ["a"]);
        assert_eq!(names(&format!("  a:{A}\r\n\r\n b c:{B} \n")), ["a", "b c"]);
        assert_eq!(Users::parse(format!("a:{A}\nb:{B}").as_bytes()).unwrap().greatest_cost, 5);
    }

    #[test]
    fn of_two_entries_with_a_name_the_later_counts() {
        let users = Users::parse(format!("a:{A}\na:{B}").as_bytes()).unwrap();
        assert_eq!((users.len(), users.get("a").unwrap().cost()), (1, 5));
        // Also if nobody can log in with it: whoever wrote it meant to replace the other.
        let users = Users::parse(format!("a:{A}\na:!").as_bytes()).unwrap();
        assert!(users.get("a").is_none());
    }

    #[test]
    fn users_without_bcrypt_stay_out_and_leave_the_others_in() {
        let mut text = format!("a:{A}\nb:$apr1$x$y\nc: {B}\nd:\n:{A}\n").into_bytes();
        text.extend_from_slice(b"# caf\xe9\ncaf\xe9:x\n");
        let users = Users::parse(&text).unwrap();
        assert_eq!(users.len(), 1);
        let expected = [
            (2, Unusable::NotBcrypt),
            (3, Unusable::NotBcrypt),
            (4, Unusable::NotBcrypt),
            (5, Unusable::NoName),
            (7, Unusable::Utf8),
        ];
        assert_eq!(users.unusable, expected);
    }

    #[test]
    fn broken_files_name_the_line() {
        for (text, line) in
            [(b"a".to_vec(), 1), (format!("a:{A}\n\nb").into_bytes(), 3), (b"\xff:x\n\nb".to_vec(), 3)]
        {
            assert_eq!(Users::parse(&text).unwrap_err().0, line, "{}", String::from_utf8_lossy(&text));
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        let error = Users::read(&file).unwrap_err().to_string();
        assert!(error.contains("cannot read") && error.contains("No such file"), "{error}");
        std::fs::write(&file, "secret").unwrap();
        let error = Users::read(&file).unwrap_err().to_string();
        assert!(error.ends_with("/f:1: not an entry like name:hash"), "{error}");
        std::fs::write(&file, vec![b'\n'; MAX_BYTES as usize + 1]).unwrap();
        assert!(matches!(Users::read(&file), Err(HtpasswdError::TooLarge { .. })));
    }

    #[test]
    fn what_changes_is_counted() {
        let of = |text: &str| Users::parse(text.as_bytes()).unwrap();
        let (before, after) =
            (of(&format!("a:{A}\nb:{A}\nc:{A}")), of(&format!("a:{A}\nb:{B}\nd:{A}\ne:{A}")));
        assert_eq!(after.changes_since(&before), "4 users: 2 new, 1 gone, 1 with another password");
    }

    #[test]
    fn a_missing_file_is_made_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a/b/htpasswd");
        let user = provision(&file).unwrap().unwrap();
        assert_eq!((user.name.as_str(), user.password.len()), ("docker", 43));
        assert!(!format!("{user:?}").contains(&user.password));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&file), mode(&directory.path().join("a/b")), mode(&directory.path().join("a"))),
            (0o600, 0o700, 0o700)
        );
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("docker:$2a$10$") && !text.ends_with('\n'), "{text}");
        assert!(Users::read(&file).unwrap().get("docker").unwrap().verify(&user.password, 0));
        // And never touched again.
        assert!(provision(&file).unwrap().is_none());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }

    #[test]
    fn a_file_that_cannot_be_made_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("f"), "").unwrap();
        let error = provision(&directory.path().join("f/htpasswd")).unwrap_err().to_string();
        assert!(error.starts_with("cannot create "), "{error}");
    }
}
