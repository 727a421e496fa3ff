//! A cluster API and an upstream registry in memory, with a log of what they were asked.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use registry::core::{
    Algorithm, ByteStream, Digest, Manifest, MediaType, RepositoryName, Result as CoreResult, Tag,
};

use crate::api::{ApiError, Image, MetadataApi, Stream, TagEvent, User, Verb};
use crate::upstream::Upstream;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cluster API in memory.
#[derive(Debug, Default)]
pub struct FakeCluster {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    users: BTreeMap<String, User>,
    streams: BTreeMap<RepositoryName, (Stream, BTreeMap<Digest, Image>)>,
    writes: Vec<String>,
}

impl FakeCluster {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Adds somebody who has a token.
    pub fn add_user(&self, token: &str, name: &str, admin: bool) {
        self.state().users.insert(token.to_owned(), User { name: name.to_owned(), admin });
    }

    /// Makes a stream, or changes what there is of it.
    pub fn configure(&self, stream: &RepositoryName, change: impl FnOnce(&mut Stream)) {
        change(&mut self.state().streams.entry(stream.clone()).or_default().0);
    }

    /// Puts an image into a stream behind the registry's back, as an import would.
    pub fn import(&self, stream: &RepositoryName, image: Image) {
        let digest = image.manifest.digest().clone();
        self.state().streams.entry(stream.clone()).or_default().1.insert(digest, image);
    }

    /// A stream as it is now.
    pub fn stream(&self, stream: &RepositoryName) -> Option<Stream> {
        self.state().streams.get(stream).map(|(stream, _)| stream.clone())
    }

    /// The writes so far: who, what, where.
    pub fn writes(&self) -> Vec<String> {
        self.state().writes.clone()
    }
}

fn components(name: &str) -> Vec<&str> {
    name.split('/').collect()
}

impl State {
    fn may(&self, user: &User, name: &RepositoryName) -> bool {
        let members = self.streams.get(name).and_then(|(stream, _)| stream.members.as_ref());
        user.admin || members.is_none_or(|members| members.contains(&user.name))
    }

    fn read(
        &self,
        user: &User,
        name: &RepositoryName,
    ) -> Result<&(Stream, BTreeMap<Digest, Image>), ApiError> {
        if !self.may(user, name) {
            return Err(ApiError::Forbidden(format!("{} may not read {name}", user.name)));
        }
        self.streams.get(name).ok_or(ApiError::NotFound)
    }

    fn write(
        &mut self,
        user: &User,
        what: &str,
        name: &RepositoryName,
    ) -> Result<&mut (Stream, BTreeMap<Digest, Image>), ApiError> {
        if !self.may(user, name) {
            return Err(ApiError::Forbidden(format!("{} may not change {name}", user.name)));
        }
        if self.streams.get(name).is_some_and(|(stream, _)| stream.frozen) {
            return Err(ApiError::Frozen);
        }
        self.writes.push(format!("{} {what} {name}", user.name));
        Ok(self.streams.entry(name.clone()).or_default())
    }
}

#[async_trait]
impl MetadataApi for FakeCluster {
    async fn review_token(&self, token: &str) -> Result<Option<User>, ApiError> {
        Ok(self.state().users.get(token).cloned())
    }

    async fn review_access(&self, user: &User, _: Verb, stream: &RepositoryName) -> Result<bool, ApiError> {
        Ok(self.state().may(user, stream))
    }

    async fn list_streams(
        &self,
        user: &User,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RepositoryName>, ApiError> {
        let state = self.state();
        let mut names: Vec<RepositoryName> = state
            .streams
            .keys()
            .filter(|name| state.may(user, name))
            .filter(|name| after.is_none_or(|after| name.components().gt(components(after))))
            .cloned()
            .collect();
        names.sort_by(|a, b| a.components().cmp(b.components()));
        names.truncate(limit);
        Ok(names)
    }

    async fn get_stream(&self, user: &User, stream: &RepositoryName) -> Result<Stream, ApiError> {
        Ok(self.state().read(user, stream)?.0.clone())
    }

    async fn list_images(&self, user: &User, stream: &RepositoryName) -> Result<Vec<Image>, ApiError> {
        Ok(self.state().read(user, stream)?.1.values().cloned().collect())
    }

    async fn get_image(
        &self,
        user: &User,
        stream: &RepositoryName,
        digest: &Digest,
    ) -> Result<Image, ApiError> {
        self.state().read(user, stream)?.1.get(digest).cloned().ok_or(ApiError::NotFound)
    }

    async fn put_image(
        &self,
        user: &User,
        stream: &RepositoryName,
        image: Image,
        tags: &[Tag],
    ) -> Result<(), ApiError> {
        let mut state = self.state();
        let (stream, images) = state.write(user, "put_image", stream)?;
        let digest = image.manifest.digest().clone();
        images.insert(digest.clone(), image);
        for tag in tags {
            let event = TagEvent { image: digest.clone(), by: user.name.clone() };
            stream.tags.entry(tag.clone()).or_default().push(event);
        }
        Ok(())
    }

    async fn delete_image(
        &self,
        user: &User,
        stream: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), ApiError> {
        let mut state = self.state();
        let (stream, images) = state.write(user, "delete_image", stream)?;
        images.remove(digest).ok_or(ApiError::NotFound)?;
        stream.tags.retain(|_, events| events.last().is_none_or(|event| event.image != *digest));
        Ok(())
    }

    async fn set_tag(
        &self,
        user: &User,
        stream: &RepositoryName,
        tag: &Tag,
        image: &Digest,
        new: bool,
    ) -> Result<(), ApiError> {
        let mut state = self.state();
        let (stream, images) = state.write(user, "set_tag", stream)?;
        if !images.contains_key(image) {
            return Err(ApiError::NotFound);
        }
        let events = stream.tags.entry(tag.clone()).or_default();
        if new && !events.is_empty() {
            return Err(ApiError::Conflict);
        }
        events.push(TagEvent { image: image.clone(), by: user.name.clone() });
        Ok(())
    }

    async fn delete_tag(&self, user: &User, stream: &RepositoryName, tag: &Tag) -> Result<(), ApiError> {
        let mut state = self.state();
        state.write(user, "delete_tag", stream)?.0.tags.remove(tag).map(drop).ok_or(ApiError::NotFound)
    }
}

/// A registry elsewhere, in memory.
#[derive(Debug, Default)]
pub struct FakeUpstream {
    content: Mutex<BTreeMap<(String, Digest), (MediaType, Bytes)>>,
    fetched: Mutex<Vec<Digest>>,
}

impl FakeUpstream {
    /// Puts a manifest there.
    pub fn add_manifest(&self, repository: &str, manifest: &Manifest) {
        let key = (repository.to_owned(), manifest.digest().clone());
        lock(&self.content).insert(key, (manifest.media_type().clone(), manifest.payload().clone()));
    }

    /// Puts a blob there.
    pub fn add_blob(&self, repository: &str, content: impl Into<Bytes>) -> Digest {
        let content = content.into();
        let digest = Algorithm::Sha256.digest(&content);
        self.add_under(repository, &digest, content);
        digest
    }

    /// Puts content there under a digest that need not be its own.
    pub fn add_under(&self, repository: &str, digest: &Digest, content: impl Into<Bytes>) {
        let key = (repository.to_owned(), digest.clone());
        lock(&self.content).insert(key, (MediaType::octet_stream(), content.into()));
    }

    /// How often content was fetched.
    pub fn fetches(&self, digest: &Digest) -> usize {
        lock(&self.fetched).iter().filter(|fetched| *fetched == digest).count()
    }

    fn find(&self, repository: &str, digest: &Digest) -> Option<(MediaType, Bytes)> {
        lock(&self.content).get(&(repository.to_owned(), digest.clone())).cloned()
    }

    fn fetch(&self, repository: &str, digest: &Digest) -> Option<(MediaType, Bytes)> {
        lock(&self.fetched).push(digest.clone());
        self.find(repository, digest)
    }
}

#[async_trait]
impl Upstream for FakeUpstream {
    async fn manifest(&self, repository: &str, digest: &Digest) -> CoreResult<Option<(MediaType, Bytes)>> {
        Ok(self.fetch(repository, digest))
    }

    async fn size(&self, repository: &str, digest: &Digest) -> CoreResult<Option<u64>> {
        Ok(self.find(repository, digest).map(|(_, content)| content.len() as u64))
    }

    async fn blob(&self, repository: &str, digest: &Digest) -> CoreResult<Option<(u64, ByteStream)>> {
        let Some((_, content)) = self.fetch(repository, digest) else { return Ok(None) };
        let pieces: Vec<_> = content.chunks(1024).map(|piece| Ok(content.slice_ref(piece))).collect();
        Ok(Some((content.len() as u64, stream::iter(pieces).boxed())))
    }
}
