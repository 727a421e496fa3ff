//! Which tags of a flat store ever pointed at a manifest.
//!
//! `tags/<tag>/index/…` has a file for each manifest that a tag was ever pointed at, written before the tag
//! is, by us and by Distribution. So whatever points at a manifest is among those that have its file. A tag
//! without any such file, from hands that know of no index, may point anywhere.

use registry_core::{Digest, ListRequest, RepositoryName, Result, StoragePath, Tag};

use crate::flat::{PAGE, PAST};
use crate::layout;
use crate::namespace::Shared;

/// How many files of one tag are read in turn; of one with more only those that matter are looked for.
const FEW: usize = 200;

/// The tags that may point at a manifest.
#[derive(Debug)]
pub(crate) struct History {
    /// In byte order.
    pub(crate) tags: Vec<Past>,
    /// How many calls it took to find them.
    pub(crate) calls: usize,
}

/// A tag that may point at a manifest.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) tag: Tag,
    /// All files of the tag; `None` if they were too many to look at.
    pub(crate) files: Option<Vec<StoragePath>>,
}

/// The tag whose files are being read.
#[derive(Debug)]
struct Reading {
    text: String,
    files: Vec<String>,
    whole: bool,
    /// Whether it has the file of the manifest.
    listed: bool,
    /// Whether it has that of any.
    any: bool,
}

impl Reading {
    fn of(tag: &str) -> Self {
        Self { text: tag.to_owned(), files: Vec::new(), whole: true, listed: false, any: false }
    }

    fn add(&mut self, name: &str, file: &str, wanted: &str) {
        self.listed |= file == wanted;
        self.any |= file.starts_with("index/");
        if self.files.len() <= FEW {
            self.files.push(name.to_owned());
        } else {
            self.whole = false;
        }
    }

    fn done(self, dir: &StoragePath) -> Option<Past> {
        let tag = Tag::parse(&self.text).ok()?;
        let files = || self.files.iter().map(|file| dir.join(file).ok()).collect();
        (self.listed || !self.any).then(|| Past { tag, files: if self.whole { files() } else { None } })
    }
}

/// The tags of a repository that may point at a manifest.
pub(crate) async fn of(shared: &Shared, name: &RepositoryName, target: &Digest) -> Result<History> {
    let dir = layout::tags(name);
    let mut history = History { tags: Vec::new(), calls: 0 };
    let Some(wanted) = layout::tag_index_file(target) else { return Ok(history) };
    let mut reading: Option<Reading> = None;
    let mut after = None;
    loop {
        let found = shared.driver.list(&dir, &ListRequest::recursive(PAGE).after(after.take())).await?;
        history.calls += 1;
        for entry in &found.entries {
            let Some((tag, file)) = entry.name.split_once('/') else { continue };
            if reading.as_ref().is_none_or(|reading| reading.text != tag) {
                let last = reading.replace(Reading::of(tag));
                history.tags.extend(last.and_then(|reading| reading.done(&dir)));
            }
            if let Some(reading) = &mut reading {
                reading.add(&entry.name, file, &wanted);
            }
        }
        let Some(last) = found.entries.last().filter(|_| found.more) else { break };
        after = Some(last.name.clone());
        if let Some(reading) = reading.as_mut().filter(|reading| reading.files.len() > FEW) {
            // To the one file that matters, unless that is past.
            reading.whole = false;
            let before = format!("{}/{}", reading.text, wanted.trim_end_matches("/link"));
            let past = format!("{}{PAST}", reading.text);
            after = Some(if last.name < before { before } else { past });
        }
    }
    history.tags.extend(reading.and_then(|reading| reading.done(&dir)));
    history.tags.sort_unstable_by(|a, b| a.tag.cmp(&b.tag));
    Ok(history)
}
