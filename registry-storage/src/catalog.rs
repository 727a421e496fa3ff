//! The list of repositories.

use registry_core::{
    ListRequest, Page, PageRequest, RepositoryName, Result, Shape, StorageDriver, StorageDriverExt,
    StoragePath,
};

use crate::flat::Names;
use crate::layout;

/// How many children of a directory are read at a time.
const CHILDREN: usize = 256;

/// A directory on the way from the root to where the walk is.
struct Level {
    /// The path components joined by `/`, empty for the root.
    name: String,
    /// The children read and not visited yet, in descending order.
    waiting: Vec<String>,
    /// The last child read; `None` before the first.
    read_up_to: Option<String>,
    /// Whether there are children beyond those.
    more: bool,
}

impl Level {
    fn new(name: String) -> Self {
        Self { name, waiting: Vec::new(), read_up_to: None, more: true }
    }

    /// The next child, looked for among names.
    async fn next_of(&mut self, driver: &dyn StorageDriver, names: &mut Names) -> Result<Option<String>> {
        let level = if self.name.is_empty() { String::new() } else { format!("{}/", self.name) };
        let child = names.child(driver, &level, self.read_up_to.as_deref()).await?;
        self.read_up_to.clone_from(&child);
        Ok(child)
    }

    /// The next child, read from the store if need be.
    async fn next(&mut self, driver: &dyn StorageDriver) -> Result<Option<String>> {
        while self.waiting.is_empty() && self.more {
            let dir = layout::repositories();
            let dir = if self.name.is_empty() { dir } else { dir.join(&self.name)? };
            let request = ListRequest::children(CHILDREN).after(self.read_up_to.take());
            let found = driver.list(&dir, &request).await?;
            self.more = found.more;
            self.read_up_to = found.entries.last().map(|entry| entry.name.clone());
            // The store's own directories begin with `_`, which no component of a name does.
            let children = found.entries.into_iter().filter(|entry| entry.is_dir);
            let children = children.map(|entry| entry.name).filter(|name| !name.starts_with('_'));
            self.waiting = children.collect();
            self.waiting.reverse();
        }
        Ok(self.waiting.pop())
    }

    fn child(&self, component: &str) -> String {
        if self.name.is_empty() { component.to_owned() } else { format!("{}/{component}", self.name) }
    }
}

/// A walk over every directory that could be a repository, in the order of the components of its name.
pub(crate) struct Walk<'a> {
    driver: &'a dyn StorageDriver,
    levels: Vec<Level>,
    /// Where there are no directories, the names that spell them.
    names: Option<Names>,
}

impl<'a> Walk<'a> {
    /// A walk of everything after `after`, which need not exist: at each level it goes on after the
    /// component that leads there.
    pub(crate) fn after(driver: &'a dyn StorageDriver, after: Option<&str>) -> Self {
        let mut levels = vec![Level::new(String::new())];
        for component in after.unwrap_or_default().split('/').filter(|component| !component.is_empty()) {
            let Some(level) = levels.last_mut() else { break };
            let child = level.child(component);
            level.read_up_to = Some(component.to_owned());
            if RepositoryName::parse(&child).is_err() {
                // No repository is called that, so none is below it; the walk goes on beside it.
                break;
            }
            levels.push(Level::new(child));
        }
        let flat = driver.shape() == Shape::Flat;
        let names = flat.then(|| Names::without_underscores(layout::repositories()));
        Self { driver, levels, names }
    }

    /// The next directory that could be a repository.
    pub(crate) async fn next(&mut self) -> Result<Option<RepositoryName>> {
        while let Some(level) = self.levels.last_mut() {
            let component = match &mut self.names {
                Some(names) => level.next_of(self.driver, names).await?,
                None => level.next(self.driver).await?,
            };
            let Some(component) = component else {
                self.levels.pop();
                continue;
            };
            let child = level.child(&component);
            let Ok(name) = RepositoryName::parse(&child) else { continue };
            self.levels.push(Level::new(child));
            return Ok(Some(name));
        }
        Ok(None)
    }

    /// Whether a repository that the walk has come to has anything in one of its directories.
    pub(crate) async fn has(&mut self, name: &RepositoryName, part: &StoragePath) -> Result<bool> {
        match &mut self.names {
            Some(names) => Ok(names.has_dir(self.driver, &format!("{name}/{}", part.file_name())).await?),
            None => Ok(self.driver.exists(part).await?),
        }
    }
}

/// A page of the repositories, in the order of their components: a walk of the tree that begins where
/// the page before ended and stops when the page is full. Where there are no directories, what is in a
/// repository is jumped over, so that a page costs calls for what is on it.
pub(crate) async fn list(driver: &dyn StorageDriver, page: &PageRequest) -> Result<Page<RepositoryName>> {
    let mut names = Vec::new();
    let mut walk = Walk::after(driver, page.after.as_deref());
    while page.limit > 0
        && names.len() <= page.limit
        && let Some(name) = walk.next().await?
    {
        if walk.has(&name, &layout::manifests(&name)).await? {
            names.push(name);
        }
    }
    Ok(Page::cut(names, page.limit))
}
