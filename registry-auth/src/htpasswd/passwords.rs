//! Passwords of users, held against a file.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use registry_core::Principal;

use super::file::{HtpasswdError, Users};
use super::hash;
use super::queue::Busy;
use super::verifier::{Limits, Verifier};

/// The users of an htpasswd file and their passwords.
///
/// Verifying a password takes tens of milliseconds of CPU, by design of bcrypt. It happens on threads of its own, which
/// come after all others, and on half of the cores at most; other requests wait up to ten seconds, in turns by client
/// address, and 1,024 of them at most. What a password turned out to be is remembered, right ones for ten minutes after they were
/// last used and wrong ones for a minute, as an HMAC-SHA256 under a key of this process: a client that goes on
/// never waits. Nobody who is unknown is answered faster than one whose password is wrong.
///
/// The file is read by [`open`](Self::open) and [`reload`](Self::reload) and at no other time.
#[derive(Debug)]
pub struct Passwords {
    path: PathBuf,
    users: RwLock<Arc<Users>>,
    verifier: Verifier,
}

impl Passwords {
    /// The users of a file. Waits for the disk.
    ///
    /// Entries without a bcrypt hash are logged and passed over: with those nobody can log in.
    ///
    /// # Errors
    /// [`HtpasswdError`], if the file is missing or broken.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, HtpasswdError> {
        Self::with(path.into(), Limits::of_this_machine())
    }

    fn with(path: PathBuf, limits: Limits) -> Result<Self, HtpasswdError> {
        let users = read(&path)?;
        let verifier = Verifier::new(limits).map_err(HtpasswdError::Random)?;
        Ok(Self { path, users: RwLock::new(Arc::new(users)), verifier })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many users can log in.
    pub fn count(&self) -> usize {
        self.users().len()
    }

    /// Reads the file again; returns what has changed, for the log. Waits for the disk. A user who has been removed, or
    /// given another password, is refused from then on.
    ///
    /// # Errors
    /// The file is missing or broken. The users stay as they were then.
    pub fn reload(&self) -> Result<String, HtpasswdError> {
        let new = Arc::new(read(&self.path)?);
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        let changes = new.changes_since(&users);
        *users = new;
        Ok(changes)
    }

    fn users(&self) -> Arc<Users> {
        Arc::clone(&self.users.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The user, if the password is right; `from` is the address of the client, so that a machine that tries
    /// passwords delays no other.
    ///
    /// # Errors
    /// [`Busy`]: it was not verified, because too many others wait. To be answered with 429 or 503, never with a grant.
    pub async fn verify(
        &self,
        user: &str,
        password: &str,
        from: Option<IpAddr>,
    ) -> Result<Option<Principal>, Busy> {
        let users = self.users();
        let right = self.verifier.verify(&users, user, password, from).await?;
        Ok(right.then(|| Principal::new(user).with_method("htpasswd")))
    }
}

/// The users of a file; says in the log who of them cannot log in. Waits for the disk.
pub(crate) fn read(path: &Path) -> Result<Users, HtpasswdError> {
    let users = Users::read(path)?;
    if !users.unusable.is_empty() {
        let of = |(line, why): &(usize, hash::Unusable)| format!("line {line}: {why}");
        let reasons: Vec<String> = users.unusable.iter().take(3).map(of).collect();
        let count = users.unusable.len();
        tracing::warn!("{}: {count} users cannot log in ({})", path.display(), reasons.join("; "));
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::queue::Asker;
    use super::*;

    fn line(user: &str, password: &str, cost: u32) -> String {
        format!("{user}:{}\n", bcrypt::hash_with_salt(password, cost, [7; 16]).unwrap())
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("htpasswd");
        fs::write(&path, text).unwrap();
        (directory, path)
    }

    async fn name(passwords: &Passwords, user: &str, password: &str) -> Option<String> {
        passwords.verify(user, password, None).await.unwrap().map(|principal| principal.name)
    }

    fn few() -> Limits {
        Limits { at_once: 1, places: 1, ..Limits::of_this_machine() }
    }

    #[tokio::test]
    async fn right_passwords_pass_and_others_do_not() {
        let (_directory, path) = file(&format!("{}{}c:!\n", line("a", "x:y", 4), line("b", "", 5)));
        let passwords = Passwords::open(&path).unwrap();
        assert_eq!(passwords.count(), 2);
        // Twice: verified, and remembered.
        for _ in 0..2 {
            assert_eq!(name(&passwords, "a", "x:y").await.as_deref(), Some("a"));
            assert_eq!(name(&passwords, "b", "").await.as_deref(), Some("b"));
            for (user, password) in [
                ("a", "x"),
                ("a", ""),
                ("A", "x:y"),
                ("a ", "x:y"),
                ("b", "x:y"),
                ("c", "!"),
                ("d", ""),
                ("", ""),
            ] {
                assert_eq!(name(&passwords, user, password).await, None, "{user} {password}");
            }
        }
        let principal = passwords.verify("a", "x:y", None).await.unwrap().unwrap();
        assert_eq!(principal.method, "htpasswd");
    }

    #[tokio::test]
    async fn a_remembered_password_needs_no_turn() {
        let (_directory, path) = file(&line("a", "x", 4));
        let passwords = Passwords::with(path, few()).unwrap();
        assert!(name(&passwords, "a", "x").await.is_some());
        assert!(name(&passwords, "a", "y").await.is_none());
        let _all = passwords.verifier.queue.enter(Asker::Unknown).await.unwrap();
        assert!(name(&passwords, "a", "x").await.is_some());
        assert!(name(&passwords, "a", "y").await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_not_verified_in_time_is_not_granted() {
        let (_directory, path) = file(&line("a", "x", 4));
        let passwords = Passwords::with(path, few()).unwrap();
        let all = passwords.verifier.queue.enter(Asker::Unknown).await.unwrap();
        assert_eq!(passwords.verify("a", "x", None).await, Err(Busy));
        drop(all);
        assert!(name(&passwords, "a", "x").await.is_some());
    }

    #[tokio::test]
    async fn the_file_is_read_again_and_a_broken_one_refused() {
        let (_directory, path) = file(&format!("{}{}", line("a", "x", 4), line("b", "x", 4)));
        let passwords = Passwords::open(&path).unwrap();
        for user in ["a", "b"] {
            assert!(name(&passwords, user, "x").await.is_some());
        }
        assert!(name(&passwords, "c", "x").await.is_none());
        fs::write(&path, format!("{}{}", line("a", "y", 4), line("c", "x", 4))).unwrap();
        assert_eq!(passwords.reload().unwrap(), "2 users: 1 new, 1 gone, 1 with another password");
        let now = || async {
            let mut right = Vec::new();
            for (user, password) in [("a", "x"), ("a", "y"), ("b", "x"), ("c", "x")] {
                right.push(name(&passwords, user, password).await.is_some());
            }
            right
        };
        assert_eq!(now().await, [false, true, false, true]);
        for broken in ["a", "a:x\nb"] {
            fs::write(&path, broken).unwrap();
            let error = passwords.reload().unwrap_err().to_string();
            assert!(error.contains("not an entry"), "{error}");
            assert_eq!(now().await, [false, true, false, true]);
        }
        fs::remove_file(&path).unwrap();
        assert!(passwords.reload().unwrap_err().to_string().contains("No such file"));
        assert_eq!(now().await, [false, true, false, true]);
        // An empty file is a file: it says that nobody may log in.
        fs::write(&path, "").unwrap();
        assert_eq!(passwords.reload().unwrap(), "0 users: 0 new, 2 gone, 0 with another password");
        assert_eq!(now().await, [false; 4]);
    }
}
