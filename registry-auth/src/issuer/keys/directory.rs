//! Keys in the files of a directory that all replicas share.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use tracing::warn;

/// The longest file that is read; an RSA key of 8192 bits has 6.5 KiB.
const MAX_FILE: u64 = 64 << 10;

/// What a file begins with that is not finished.
const UNFINISHED: &str = ".new-";

/// How old an unfinished file is when whoever wrote it is gone for certain.
const ABANDONED: Duration = Duration::from_secs(3600);

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Signs access tokens.
    Signing,
    /// Seals refresh tokens.
    Refresh,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Refresh => "refresh",
        }
    }
}

/// The name of a file: what its key is for, when it was made (seconds since 1970), and which it is. The time is in
/// the name because that of the file changes when a directory is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) kind: Kind,
    pub(super) created: u64,
    pub(super) id: String,
}

impl Name {
    /// The name that a file has; `None` if it is not of ours.
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.strip_suffix(".pem")?.split_once('-')?;
        let kind = [Kind::Signing, Kind::Refresh].into_iter().find(|known| known.as_str() == kind)?;
        let (created, id) = rest.split_once('-')?;
        Some(Self { kind, created: created.parse().ok()?, id: id.to_owned() })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}.pem", self.kind.as_str(), self.created, self.id)
    }
}

/// The directory. Everything in here waits for the disk.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Whether it is on a file system that can only be read, as a Secret of Kubernetes is: then somebody else makes
    /// and removes the keys in it.
    pub(super) read_only: bool,
}

impl Directory {
    /// The directory, made if it is not there, for nobody else to read.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                File::open(parent)?.sync_all()?;
            }
        }
        let read_only = access(path, Access::WRITE_OK) == Err(Errno::ROFS);
        // That everybody may list a Secret tells nobody a key, and nobody can put one there.
        if !read_only {
            warn_if_open(path)?;
        }
        Ok(Self { path: path.to_owned(), read_only })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The keys in the directory with the text of each. Other files are passed over.
    pub(super) fn read(&self) -> io::Result<Vec<(Name, Vec<u8>)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().and_then(Name::parse) else { continue };
            let mut text = Vec::new();
            match File::open(entry.path()) {
                Ok(file) => file.take(MAX_FILE).read_to_end(&mut text)?,
                // Another replica has removed it since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            found.push((name, text));
        }
        Ok(found)
    }

    /// Keeps a key. It is there in full or not at all, and once it is there it outlives a power cut.
    pub(super) fn write(&self, name: &Name, text: &[u8]) -> io::Result<()> {
        let unfinished = self.path.join(format!("{UNFINISHED}{name}"));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let written = file.write_all(text).and_then(|()| file.sync_all());
        let kept = written.and_then(|()| fs::rename(&unfinished, self.path.join(name.to_string())));
        if kept.is_err() {
            // What cannot be removed either is removed when it is abandoned.
            let _ = fs::remove_file(&unfinished);
        }
        kept.and_then(|()| File::open(&self.path)?.sync_all())
    }

    /// Removes a key, if no other replica has.
    pub(super) fn remove(&self, name: &Name) -> io::Result<()> {
        match fs::remove_file(self.path.join(name.to_string())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Says whose key others can read, and removes what was being written when a process died.
    pub(super) fn tidy(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(UNFINISHED) && !self.read_only {
                let written = entry.metadata().and_then(|found| found.modified());
                let age =
                    written.map(|written| SystemTime::now().duration_since(written).unwrap_or_default());
                if age.is_ok_and(|age| age > ABANDONED) {
                    fs::remove_file(entry.path())?;
                }
            } else if Name::parse(&name).is_some() {
                warn_if_open(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// A group may be able to read keys, as for volumes of Kubernetes; everybody may not.
fn warn_if_open(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.mode();
    if mode & 0o007 != 0 {
        let path = path.display();
        warn!(
            "{path}: keys of the token issuer, and every user of this machine may open it; chmod o= {path}"
        );
    }
    Ok(())
}
