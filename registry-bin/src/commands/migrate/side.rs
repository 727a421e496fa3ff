//! Which store is meant, and how it is opened.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use registry::core::StorageDriver;
use registry::storage::FilesystemDriver;

use super::Failure;
use crate::assemble;
use crate::commands::source::{Source, environment};
use crate::config::model::Storage;
use crate::config::{self, Driver};

/// In front of the variables of each side.
const PREFIXES: [&str; 2] = ["SRC_", "DST_"];

/// One of the two stores.
#[derive(Debug)]
pub(super) struct Side {
    is_source: bool,
    /// What the command line says.
    name: String,
    storage: Storage,
    warnings: Vec<String>,
}

impl Side {
    /// The store to copy from.
    pub(super) fn source(path: &Path, variables: &[(OsString, OsString)]) -> Result<Self, Failure> {
        let side = Self::read(path, variables, true)?;
        match &side.storage.driver {
            Driver::Filesystem { root, .. } if !root.is_dir() => {
                let why = format!("{}: there is no directory {}", side.name, root.display());
                Err(Failure(vec![why]))
            }
            Driver::Filesystem { .. } | Driver::InMemory | Driver::Bucket(_) => Ok(side),
        }
    }

    /// The store to copy to.
    pub(super) fn destination(path: &Path, variables: &[(OsString, OsString)]) -> Result<Self, Failure> {
        Self::read(path, variables, false)
    }

    fn read(path: &Path, variables: &[(OsString, OsString)], is_source: bool) -> Result<Self, Failure> {
        let name = path.display().to_string();
        if path.is_dir() {
            const FILES: &str = "version: 0.1\nstorage: filesystem\n";
            let (mut storage, _) =
                config::storage(FILES, &name, None).map_err(|rejected| Failure(rejected.errors))?;
            storage.driver = Driver::Filesystem {
                root: path.to_owned(),
                max_threads: FilesystemDriver::DEFAULT_MAX_THREADS,
            };
            return Ok(Self { is_source, name, storage, warnings: Vec::new() });
        }
        if !path.exists() {
            let why = "no such file or directory; name a configuration file or an existing directory";
            return Err(Failure(vec![format!("{name}: {why}")]));
        }
        let source = Source::file(path)?;
        let own = variables.iter().filter_map(|(name, value)| {
            let name = name.to_str()?.strip_prefix(PREFIXES[usize::from(!is_source)])?;
            Some((OsString::from(name), value.clone()))
        });
        let (storage, warnings) = config::storage(&source.text, &source.name, environment(own)?)
            .map_err(|rejected| Failure(rejected.errors))?;
        if storage.driver == Driver::InMemory {
            let why =
                "storage.inmemory: nothing of it is left when a process ends; there is nothing to migrate";
            return Err(Failure(vec![format!("{name}: {why}")]));
        }
        Ok(Self { is_source, name, storage, warnings })
    }

    pub(super) fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        self.warnings.iter().cloned()
    }

    /// Refuses to copy a store into itself.
    pub(super) fn is_other_than(&self, other: &Self) -> Result<(), Failure> {
        let same = match (&self.storage.driver, &other.storage.driver) {
            (Driver::Filesystem { root: one, .. }, Driver::Filesystem { root: two, .. }) => {
                canonical(one) == canonical(two)
            }
            (one, two) => one == two,
        };
        match same {
            true => Err(Failure(vec![format!("{} and {} are the same store", self.name, other.name)])),
            false => Ok(()),
        }
    }

    /// Opens the store. A destination that is written to is made if it is a directory, and tried out if it is a
    /// bucket; nothing is written to a source.
    pub(super) async fn open(&self, dry_run: bool) -> Result<Arc<dyn StorageDriver>, Failure> {
        match &self.storage.driver {
            _ if !self.is_source && !dry_run => Ok(assemble::open(&self.storage).await?),
            Driver::Filesystem { root, max_threads } => {
                Ok(Arc::new(FilesystemDriver::new(root).with_max_threads(*max_threads)))
            }
            driver @ (Driver::InMemory | Driver::Bucket(_)) => Ok(assemble::driver(driver)?),
        }
    }
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A warning for each variable that is meant for `serve` and would reach both sides.
pub(super) fn ignored(variables: &[(OsString, OsString)]) -> impl Iterator<Item = String> + '_ {
    let names = variables.iter().filter_map(|(name, _)| name.to_str());
    names.filter(|name| name.starts_with("REGISTRY_STORAGE")).map(|name| {
        let [source, destination] = PREFIXES;
        format!("{name} is not read here; write {source}{name} or {destination}{name}")
    })
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &str = "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: ROOT\n";

    fn config(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text.replace("ROOT", &dir.display().to_string())).unwrap();
        path
    }

    fn root(side: &Side) -> PathBuf {
        match &side.storage.driver {
            Driver::Filesystem { root, .. } => root.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_driver_of_a_file_counts_and_only_variables_of_its_side() {
        let dir = tempfile::tempdir().unwrap();
        let text =
            "  cache:\n    blobdescriptor: redis\nproxy:\n  remoteurl: https://example.com\nnonsense: {}\n";
        let file = config(dir.path(), "c.yml", &format!("{FILES}{text}"));
        let variable = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let variables = [
            variable("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/both"),
            variable("DST_REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/destination"),
            variable("DST_REGISTRY_HTTP_NONSENSE", "x"),
        ];
        assert_eq!(root(&Side::source(&file, &variables).unwrap()), dir.path());
        assert_eq!(root(&Side::destination(&file, &variables).unwrap()), Path::new("/destination"));
        let warnings: Vec<_> = ignored(&variables).collect();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("DST_REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"), "{warnings:?}");
    }

    #[test]
    fn a_directory_is_a_store_and_what_is_neither_is_refused_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(root(&Side::source(dir.path(), &[]).unwrap()), dir.path());
        let cases = [
            ("absent.yml", None, "no such file or directory; name a configuration file"),
            ("memory.yml", Some("version: 0.1\nstorage: inmemory\n"), "nothing to migrate"),
            ("none.yml", Some("version: 0.1\nhttp: {}\n"), "storage"),
            (
                "typo.yml",
                Some("version: 0.1\nstorage:\n  filesytem: {}\n"),
                "did you mean storage.filesystem",
            ),
            (
                "gone.yml",
                Some("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: ROOT/gone\n"),
                "there is no directory",
            ),
        ];
        for (name, text, expected) in cases {
            let path = text.map_or_else(|| dir.path().join(name), |text| config(dir.path(), name, text));
            let Failure(lines) = Side::source(&path, &[]).unwrap_err();
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(lines[0].contains(name) && lines[0].contains(expected), "{lines:?}");
        }
    }

    #[test]
    fn a_store_is_not_copied_into_itself() {
        let dir = tempfile::tempdir().unwrap();
        let file = config(dir.path(), "c.yml", &FILES.replace("ROOT", "ROOT/."));
        let (one, two) = (Side::source(&file, &[]).unwrap(), Side::destination(dir.path(), &[]).unwrap());
        let Failure(lines) = one.is_other_than(&two).unwrap_err();
        assert!(lines[0].ends_with("are the same store"), "{lines:?}");
        let other = tempfile::tempdir().unwrap();
        assert!(one.is_other_than(&Side::destination(other.path(), &[]).unwrap()).is_ok());
    }
}
