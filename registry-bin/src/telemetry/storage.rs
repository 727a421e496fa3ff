//! Spans around calls of the storage driver, with the names and attributes that Distribution gives them.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};
use registry::core::{
    Batch, BuildError, ByteRange, Change, Content, Detached, FileWriter, ListPage, ListRequest, Metadata,
    RedirectHint, Shape, StorageDriver, StorageError, StorageMiddleware, StoragePath, WriteMode,
};

/// Puts spans around a driver.
#[derive(Debug)]
pub(super) struct Tracing {
    tracer: Arc<SdkTracer>,
}

impl Tracing {
    pub(super) fn new(tracer: SdkTracer) -> Self {
        Self { tracer: Arc::new(tracer) }
    }
}

#[async_trait]
impl StorageMiddleware for Tracing {
    async fn wrap(&self, inner: Arc<dyn StorageDriver>) -> Result<Arc<dyn StorageDriver>, BuildError> {
        Ok(Arc::new(Driver { tracer: Arc::clone(&self.tracer), inner }))
    }
}

macro_rules! attribute {
    ($name:literal) => {
        concat!("io.cncf.distribution.storage.", $name)
    };
}

#[derive(Debug)]
struct Driver {
    tracer: Arc<SdkTracer>,
    inner: Arc<dyn StorageDriver>,
}

/// Begins a span below the current one. Where there is none, as in a health check, nobody wants one.
fn begin(tracer: &SdkTracer, name: &'static str, driver: &'static str, path: &StoragePath) -> Option<Span> {
    let parent = Context::current();
    if !parent.has_active_span() {
        return None;
    }
    let attributes = vec![
        KeyValue::new(attribute!("driver.name"), driver),
        KeyValue::new(attribute!("path"), path.as_str().to_owned()),
    ];
    let span = SpanBuilder::from_name(name).with_kind(SpanKind::Internal).with_attributes(attributes);
    Some(tracer.build_with_context(span, &parent))
}

fn end<T>(span: Option<Span>, result: Result<T, StorageError>) -> Result<T, StorageError> {
    if let Some(mut span) = span {
        if let Err(error) = &result
            && !error.is_not_found()
        {
            span.set_status(Status::error(error.to_string()));
        }
        span.end();
    }
    result
}

fn set(span: &mut Option<Span>, name: &'static str, value: impl Into<opentelemetry::Value>) {
    if let Some(span) = span {
        span.set_attribute(KeyValue::new(name, value));
    }
}

impl Driver {
    fn begin(&self, name: &'static str, path: &StoragePath) -> Option<Span> {
        begin(&self.tracer, name, self.inner.name(), path)
    }

    /// A batch is called what its weightiest change is called in Distribution.
    fn begin_batch(&self, batch: &Batch) -> Option<Span> {
        let steps = || batch.stages().iter().flatten().map(|step| &step.change);
        let moved = steps().find(|change| matches!(change, Change::Rename { .. }));
        let put = || steps().find(|change| matches!(change, Change::Put { .. }));
        match moved.or_else(put).or_else(|| steps().next())? {
            Change::Put { path, content, .. } => {
                let mut span = self.begin("PutContent", path);
                set(&mut span, attribute!("content.length"), length(content.len()));
                span
            }
            Change::Rename { from, to } => {
                let mut span = self.begin("Move", from);
                set(&mut span, attribute!("source.path"), from.as_str().to_owned());
                set(&mut span, attribute!("dest.path"), to.as_str().to_owned());
                span
            }
            Change::Delete { path } | Change::Remove { path } => self.begin("Delete", path),
        }
    }
}

fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[async_trait]
impl StorageDriver for Driver {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn shape(&self) -> Shape {
        self.inner.shape()
    }

    async fn get(&self, path: &StoragePath, limit: u64) -> Result<Bytes, StorageError> {
        let span = self.begin("GetContent", path);
        end(span, self.inner.get(path, limit).await)
    }

    async fn reader(&self, path: &StoragePath, range: Option<ByteRange>) -> Result<Content, StorageError> {
        let mut span = self.begin("Reader", path);
        let result = self.inner.reader(path, range).await;
        if let Ok(content) = &result {
            set(&mut span, attribute!("offset"), i64::try_from(content.range.start).unwrap_or(i64::MAX));
        }
        end(span, result)
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata, StorageError> {
        let span = self.begin("Stat", path);
        end(span, self.inner.stat(path).await)
    }

    async fn list(&self, dir: &StoragePath, request: &ListRequest) -> Result<ListPage, StorageError> {
        let span = self.begin("List", dir);
        end(span, self.inner.list(dir, request).await)
    }

    async fn apply(&self, batch: Batch) -> Result<(), StorageError> {
        let span = self.begin_batch(&batch);
        end(span, self.inner.apply(batch).await)
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>, StorageError> {
        let mut span = self.begin("Writer", path);
        set(&mut span, attribute!("append"), mode != WriteMode::Truncate);
        let inner = end(span, self.inner.writer(path, mode).await)?;
        let tracer = Arc::clone(&self.tracer);
        Ok(Box::new(Writer { tracer, inner, driver: self.inner.name(), path: path.clone() }))
    }

    async fn redirect_url(
        &self,
        path: &StoragePath,
        hint: &RedirectHint,
    ) -> Result<Option<Uri>, StorageError> {
        let span = self.begin("RedirectURL", path);
        end(span, self.inner.redirect_url(path, hint).await)
    }

    async fn sweep(&self, before: SystemTime, dry_run: bool) -> Result<u64, StorageError> {
        self.inner.sweep(before, dry_run).await
    }

    fn object_key(&self, path: &StoragePath) -> Option<String> {
        self.inner.object_key(path)
    }
}

/// Pieces that are written have no spans: there are many, and most only fill a buffer. What makes them last has.
#[derive(Debug)]
struct Writer {
    tracer: Arc<SdkTracer>,
    inner: Box<dyn FileWriter>,
    driver: &'static str,
    path: StoragePath,
}

impl Writer {
    fn begin(&self, name: &'static str) -> Option<Span> {
        let mut span = begin(&self.tracer, name, self.driver, &self.path);
        set(&mut span, attribute!("content.length"), i64::try_from(self.inner.size()).unwrap_or(i64::MAX));
        span
    }
}

#[async_trait]
impl FileWriter for Writer {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn destined_for(&mut self, path: &StoragePath) {
        self.inner.destined_for(path);
    }

    async fn write(&mut self, data: Bytes) -> Result<(), StorageError> {
        self.inner.write(data).await
    }

    async fn close(self: Box<Self>) -> Result<u64, StorageError> {
        let span = self.begin("Close");
        end(span, self.inner.close().await)
    }

    async fn detach(self: Box<Self>) -> Result<Detached, StorageError> {
        let span = self.begin("Close");
        end(span, self.inner.detach().await)
    }

    async fn commit(self: Box<Self>, then: Batch) -> Result<u64, StorageError> {
        let span = self.begin("Commit");
        end(span, self.inner.commit(then).await)
    }

    async fn cancel(self: Box<Self>) -> Result<(), StorageError> {
        let span = self.begin("Cancel");
        end(span, self.inner.cancel().await)
    }
}
