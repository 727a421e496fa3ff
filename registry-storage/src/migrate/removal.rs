//! Removing from the destination what the source has no longer.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, future};
use registry_core::{Batch, StoragePath};

use super::engine::{Engine, Trouble};
use super::merge::{self, At};
use super::repositories::Found;
use super::tally::MigrationKind;
use crate::layout::{self, RepositoryFile};

/// The parts of a repository in the order in which they go: nothing goes before what leads to it.
const PARTS: [&str; 4] = [layout::TAGS, layout::REFERRERS, layout::REVISIONS, layout::LAYERS];

impl Engine {
    /// Removes what is only at the destination: tags first, content last. Does nothing if anything could not be
    /// read or copied, for then nobody knows what the source has.
    pub(super) async fn removal(self: &Arc<Self>) {
        if self.counters.has_ended() {
            return;
        }
        if self.counters.report().failed > 0 {
            self.counters.end("nothing was removed, because not everything could be copied".to_owned());
            return;
        }
        self.walk()
            .for_each_concurrent(self.jobs, |found| async {
                match found {
                    Ok(found) => {
                        if let Err(trouble) = self.remove_from(&found).await {
                            self.failed(found.dir.as_str().to_owned(), trouble);
                        }
                    }
                    Err(broken) => self.failed(layout::repositories().as_str().to_owned(), broken.into()),
                }
            })
            .await;
        if self.counters.report().failed > 0 || self.counters.has_ended() {
            return;
        }
        if let Err(trouble) = self.remove_content().await {
            self.failed(layout::blobs().as_str().to_owned(), trouble);
        }
    }

    async fn remove_from(&self, found: &Found) -> Result<(), Trouble> {
        for part in PARTS {
            let top = part.split('/').next().unwrap_or_default();
            let at = found.part(top);
            let Ok(dir) = found.dir.join(part) else { continue };
            if !at.destination {
                continue;
            }
            let mut files = Box::pin(merge::files(&self.source, &self.destination, &dir, at));
            let mut last: Option<StoragePath> = None;
            while let Some((name, at)) = files.try_next().await? {
                if at.source || self.counters.has_ended() {
                    continue;
                }
                let name = format!("{part}/{name}");
                let (Some(file), Ok(path)) = (RepositoryFile::parse(&name), found.dir.join(&name)) else {
                    continue;
                };
                let kind = match part {
                    layout::TAGS => MigrationKind::Tag,
                    layout::REFERRERS => MigrationKind::Referrer,
                    layout::LAYERS => MigrationKind::Layer,
                    _ => MigrationKind::Manifest,
                };
                if last.as_ref().is_some_and(|last| path.is_within(last)) {
                    continue;
                }
                // It may have come back since, with what leads to it.
                let _permit = self.permits.acquire().await;
                if self.source.has(&path).await? {
                    continue;
                }
                let batch = match file.directory(&found.dir) {
                    Some(dir) => {
                        last = Some(dir.clone());
                        // A tag is gone before what is known of it.
                        Batch::new().remove(path).then().delete(dir)
                    }
                    None => Batch::new().remove(path),
                };
                self.change(batch).await?;
                self.counters.count(kind, |tally| tally.removed += 1);
            }
        }
        if !found.at.source && !self.source.has(&found.dir).await? {
            let parts = [layout::MANIFESTS, layout::REFERRERS, layout::LAYERS, layout::UPLOADS];
            let parts = parts.into_iter().filter(|part| found.part(part).destination);
            let batch = parts.filter_map(|part| found.dir.join(part).ok());
            self.change(batch.fold(Batch::new(), |batch, dir| batch.delete(dir).then())).await?;
        }
        Ok(())
    }

    async fn remove_content(&self) -> Result<(), Trouble> {
        let dir = layout::blobs();
        merge::files(&self.source, &self.destination, &dir, At::BOTH)
            .take_while(|_| future::ready(!self.counters.has_ended()))
            .map_err(Trouble::from)
            .try_for_each_concurrent(self.jobs, |(name, at)| async move {
                let digest = layout::parse_blob_data(&name).filter(|_| !at.source);
                let Some((data, dir)) =
                    digest.and_then(|digest| Some((layout::blob_data(&digest)?, layout::blob_dir(&digest)?)))
                else {
                    return Ok(());
                };
                if !self.source.has(&data).await? {
                    self.change(Batch::new().delete(dir)).await?;
                    self.counters.count(MigrationKind::Blob, |tally| tally.removed += 1);
                }
                Ok(())
            })
            .await
    }
}
