//! Users with passwords: of an htpasswd file, and of a list with groups.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use registry_core::{BoxError, Principal};
use serde::Deserialize;

use super::{Credential, Login, UserSource};
use crate::htpasswd::{HtpasswdError, Users, Verifier, read_users};
use crate::jose::base64url;

/// A user of a list, as a file of users has it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticUser {
    /// The name, without a colon.
    pub name: String,
    /// The bcrypt hash of the password, `$2y$…`.
    pub password: String,
    /// The groups that the user is in.
    #[serde(default)]
    pub groups: Vec<String>,
}

impl std::fmt::Debug for StaticUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, groups, .. } = self;
        f.debug_struct("StaticUser").field("name", name).field("groups", groups).finish_non_exhaustive()
    }
}

/// Why users cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsersError {
    /// The htpasswd file.
    #[error(transparent)]
    Htpasswd(#[from] HtpasswdError),
    /// A user of the list.
    #[error("user {name:?}: {why}")]
    User {
        /// The name.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// The system has no random numbers for us.
    #[error("no random numbers: {0}")]
    Random(std::io::Error),
}

/// Users with bcrypt passwords: those of an htpasswd file, which are in no group, and those of a list.
///
/// Verifying is bounded and remembered as for [`Passwords`](crate::Passwords), once for both: whether a user is in the
/// one, in the other or in none takes the same time.
#[derive(Debug)]
pub struct PasswordUsers {
    htpasswd: Option<PathBuf>,
    table: RwLock<Arc<Table>>,
    verifier: Verifier,
}

#[derive(Debug, Default)]
struct Table {
    users: Users,
    /// Those of the list.
    groups: HashMap<String, Vec<String>>,
}

impl PasswordUsers {
    /// The users of this file and of this list. Waits for the disk.
    ///
    /// # Errors
    /// [`UsersError`]: the file cannot be read, or a user of the list could not log in.
    pub fn open(htpasswd: Option<PathBuf>, list: &[StaticUser]) -> Result<Self, UsersError> {
        let verifier = Verifier::of_this_machine().map_err(UsersError::Random)?;
        let users = Self { htpasswd, table: RwLock::default(), verifier };
        users.reload(list)?;
        Ok(users)
    }

    /// The htpasswd file.
    pub fn htpasswd(&self) -> Option<&std::path::Path> {
        self.htpasswd.as_deref()
    }

    /// Reads the file again and takes this list; returns how many users there are. A user who has been removed, or
    /// given another password, can neither log in from then on nor use a refresh token. Waits for the disk.
    ///
    /// # Errors
    /// [`UsersError`]. The users stay as they were then.
    pub fn reload(&self, list: &[StaticUser]) -> Result<usize, UsersError> {
        let table = Table::new(self.htpasswd.as_ref(), list)?;
        let count = table.users.len();
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        Ok(count)
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Table {
    fn new(htpasswd: Option<&PathBuf>, list: &[StaticUser]) -> Result<Self, UsersError> {
        let mut users = htpasswd.map(|path| read_users(path)).transpose()?.unwrap_or_default();
        let mut groups = HashMap::new();
        let mut names = BTreeSet::new();
        for user in list {
            let wrong = |why: &str| UsersError::User { name: user.name.clone(), why: why.to_owned() };
            if user.name.is_empty() || user.name.chars().any(|c| c == ':' || c.is_control()) {
                return Err(wrong(
                    "a name has at least one character, and neither a colon nor a control character",
                ));
            }
            if !names.insert(&user.name) {
                return Err(wrong("is there twice"));
            }
            if users.fingerprint(&user.name).is_some() {
                return Err(wrong("is in the htpasswd file too; remove one of them"));
            }
            users.add(&user.name, &user.password).map_err(|why| wrong(&why.to_string()))?;
            groups.insert(user.name.clone(), user.groups.clone());
        }
        Ok(Self { users, groups })
    }

    fn fingerprint(&self, name: &str) -> Option<String> {
        self.users.fingerprint(name).map(base64url::encode)
    }

    fn principal(&self, name: &str) -> Principal {
        let principal = Principal::new(name);
        match self.groups.get(name) {
            Some(groups) => principal.with_groups(groups.iter().cloned()).with_method("file"),
            None => principal.with_method("htpasswd"),
        }
    }
}

#[async_trait]
impl UserSource for PasswordUsers {
    fn name(&self) -> &str {
        "passwords"
    }

    async fn authenticate(
        &self,
        credential: Credential<'_>,
        from: Option<IpAddr>,
    ) -> Result<Option<Login>, BoxError> {
        let Credential::Password { user, password } = credential else { return Ok(None) };
        // One table for all of it: what is verified and what is remembered of it go together.
        let table = self.table();
        if !self.verifier.verify(&table.users, user, password, from).await? {
            return Ok(None);
        }
        Ok(table.fingerprint(user).map(|fingerprint| Login::new(table.principal(user), fingerprint)))
    }

    async fn resume(&self, login: &Login) -> Result<Option<Principal>, BoxError> {
        let (table, name) = (self.table(), &login.principal.name);
        let same = table.fingerprint(name).is_some_and(|now| now == login.fingerprint);
        Ok(same.then(|| table.principal(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(password: &str) -> String {
        bcrypt::hash_with_salt(password, 4, [7; 16]).unwrap().to_string()
    }

    fn user(name: &str, password: &str, groups: &[&str]) -> StaticUser {
        let groups = groups.iter().map(ToString::to_string).collect();
        StaticUser { name: name.to_owned(), password: hash(password), groups }
    }

    async fn login(users: &PasswordUsers, user: &str, password: &str) -> Option<Login> {
        users.authenticate(Credential::Password { user, password }, None).await.unwrap()
    }

    #[tokio::test]
    async fn users_of_the_file_and_of_the_list_log_in() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("one:{}\n", hash("x"))).unwrap();
        let path = Some(file.path().to_owned());
        let users = PasswordUsers::open(path, &[user("two", "y", &["team"])]).unwrap();
        let one = login(&users, "one", "x").await.unwrap().principal;
        assert_eq!((one.name.as_str(), one.method.as_ref(), one.groups.len()), ("one", "htpasswd", 0));
        let two = login(&users, "two", "y").await.unwrap().principal;
        assert_eq!((two.method.as_ref(), two.groups.as_slice()), ("file", &["team".to_owned()][..]));
        for (name, password) in [("one", "y"), ("two", "x"), ("three", "x"), ("", "")] {
            assert_eq!(login(&users, name, password).await, None, "{name}");
        }
        let token = Credential::IdentityToken("x");
        assert_eq!(users.authenticate(token, None).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_login_goes_on_with_the_groups_of_now_until_the_password_changes() {
        let users = PasswordUsers::open(None, &[user("a", "x", &["one"]), user("b", "x", &[])]).unwrap();
        let (a, b) = (login(&users, "a", "x").await.unwrap(), login(&users, "b", "x").await.unwrap());
        users.reload(&[user("a", "x", &["two"]), user("b", "y", &[])]).unwrap();
        assert_eq!(users.resume(&a).await.unwrap().unwrap().groups, ["two"]);
        assert_eq!(users.resume(&b).await.unwrap(), None, "another password");
        users.reload(&[]).unwrap();
        assert_eq!(users.resume(&a).await.unwrap(), None, "gone");
    }

    #[test]
    fn a_user_who_could_not_log_in_is_a_mistake() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("one:{}\n", hash("x"))).unwrap();
        let plain = StaticUser { password: "secret".to_owned(), ..user("a", "", &[]) };
        for (list, why) in [
            (vec![user("a:b", "x", &[])], "colon"),
            (vec![user("", "x", &[])], "at least one character"),
            (vec![user("a", "x", &[]), user("a", "y", &[])], "twice"),
            (vec![user("one", "x", &[])], "htpasswd file too"),
            (vec![plain], "not a bcrypt hash"),
        ] {
            let users = PasswordUsers::open(Some(file.path().to_owned()), &list);
            let error = users.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(!format!("{:?}", user("a", "x", &[])).contains("$2"));
    }
}
