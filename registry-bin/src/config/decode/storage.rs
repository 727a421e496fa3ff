//! Decodes `storage`.

mod bucket;
mod redirect;

use std::path::PathBuf;
use std::time::Duration;

use registry_redis::RedisOptions;

use crate::config::model::{DescriptorCache, Driver, Storage, UploadPurging};
use crate::config::node::{Entry, Origin};
use crate::config::problem::Problems;
use crate::config::reader::Reader;
use crate::config::schema::{StorageKey, storage_key};

const DEFAULT_ROOT: &str = "/var/lib/registry";
const DEFAULT_THREADS: i64 = 100;
const LEAST_THREADS: i64 = 25;
const DEFAULT_CACHE: i64 = 10_000;
const DEFAULT_MANIFESTS: u64 = 16 << 20;
const HOUR: Duration = Duration::from_secs(60 * 60);
const DEFAULT_PURGE_AGE: Duration = HOUR.saturating_mul(7 * 24);
const DEFAULT_PURGE_INTERVAL: Duration = HOUR.saturating_mul(24);
/// What is less was most likely written without its unit.
const LEAST_PURGING: Duration = Duration::from_secs(1);

pub(super) fn storage(root: &Reader<'_>, problems: &Problems) -> Option<Storage> {
    let reader = root.section("storage");
    let driver = driver(&reader, problems);
    let replicas = replicas(&reader, driver.as_ref());
    if replicas > 1 && root.section("http").filled("secret").is_none() {
        let text = "must be set, to the same text for all of storage.replicas: they go on with the uploads of each other";
        root.section("http").missing("secret", text);
    }
    let storage = Storage {
        driver: Driver::InMemory,
        delete_enabled: reader.section("delete").flag("enabled").unwrap_or(false),
        redirects: redirect::redirects(&reader.section("redirect")),
        descriptor_cache: cache(&reader.section("cache"), super::redis::redis(&root.section("redis")), root),
        manifest_cache: manifests(&reader.section("cache"), driver.as_ref()),
        read_only: reader.section("maintenance").section("readonly").flag("enabled").unwrap_or(false),
        upload_purging: purging(&reader.section("maintenance").section("uploadpurging")),
        tag_concurrency: concurrency(&reader.section("tag")),
        replicas,
    };
    Some(Storage { driver: driver?, ..storage })
}

fn driver(reader: &Reader<'_>, problems: &Problems) -> Option<Driver> {
    let entries: Vec<&Entry> = reader.map().into_iter().flat_map(|map| &map.entries).collect();
    let of = |kind| entries.iter().copied().filter(move |entry| storage_key(&entry.key) == kind);
    let drivers: Vec<&Entry> = of(StorageKey::Driver).collect();
    match drivers.as_slice() {
        [] => {
            no_driver(of(StorageKey::Unknown).next(), problems);
            None
        }
        [one] => match one.key.as_str() {
            "filesystem" => filesystem(&reader.section("filesystem")),
            "inmemory" => Some(Driver::InMemory),
            name => bucket::driver(name, reader),
        },
        several => {
            super::several("storage", "must provide exactly one storage type, found", several, problems);
            None
        }
    }
}

/// An unknown key that lenient checking let pass is most likely what was meant as the driver.
fn no_driver(unknown: Option<&Entry>, problems: &Problems) {
    if let Some(entry) = unknown {
        let key = format!("storage.{}", entry.key);
        problems.error(
            &entry.origin,
            &key,
            "unknown storage driver; this version has filesystem, s3, gcs, azure and inmemory",
        );
    } else if !problems.has_error_in("storage") {
        let text = "no storage configuration provided; name a driver, such as filesystem";
        problems.error(&Origin::Document, "storage", text);
    }
}

fn filesystem(reader: &Reader<'_>) -> Option<Driver> {
    let root = reader.text("rootdirectory").unwrap_or_else(|| DEFAULT_ROOT.to_owned());
    let threads = reader.number("maxthreads", true).unwrap_or(DEFAULT_THREADS).max(LEAST_THREADS);
    if root.is_empty() {
        reader.fail("rootdirectory", "is empty; name a directory or leave the key out");
        return None;
    }
    Some(Driver::Filesystem {
        root: PathBuf::from(root),
        max_threads: usize::try_from(threads).unwrap_or(usize::MAX),
    })
}

fn cache(reader: &Reader<'_>, redis: Option<RedisOptions>, root: &Reader<'_>) -> Option<DescriptorCache> {
    let size = reader.number("blobdescriptorsize", true).unwrap_or(DEFAULT_CACHE);
    let key = if reader.node("blobdescriptor").is_some() { "blobdescriptor" } else { "layerinfo" };
    match reader.text(key).as_deref() {
        Some("inmemory") => {
            let entries = usize::try_from(size).ok().filter(|entries| *entries > 0);
            unused(root, redis.as_ref());
            Some(DescriptorCache::InMemory { entries })
        }
        Some("redis") => {
            if reader.node("blobdescriptorsize").is_some() {
                reader.warn("blobdescriptorsize", "has no effect: Redis has bounds of its own (maxmemory)");
            }
            if redis.is_none() {
                reader.fail(key, "redis: no Redis is configured; name it in redis.addrs");
            }
            redis.map(|options| DescriptorCache::Redis(Box::new(options)))
        }
        Some(other) => {
            reader
                .warn(key, format!("unknown cache type {other:?}, caching disabled; use inmemory or redis"));
            None
        }
        None => {
            unused(root, redis.as_ref());
            None
        }
    }
}

/// How many bytes of manifests are kept.
fn manifests(reader: &Reader<'_>, driver: Option<&Driver>) -> u64 {
    let bytes = reader.size("manifestsize").unwrap_or(DEFAULT_MANIFESTS);
    let tree = matches!(driver, Some(Driver::Filesystem { .. } | Driver::InMemory));
    // Nothing is asked for by what a missing key means, which `config show` writes out, nor by 0.
    if tree && bytes != DEFAULT_MANIFESTS && bytes != 0 {
        let text = "has no effect: manifests are kept for buckets only, files are read where they are";
        reader.warn("manifestsize", text);
    }
    bytes
}

fn unused(root: &Reader<'_>, redis: Option<&RedisOptions>) {
    if redis.is_some() {
        root.warn("redis", "nothing uses it; set storage.cache.blobdescriptor to redis, or remove it");
    }
}

fn purging(reader: &Reader<'_>) -> Option<UploadPurging> {
    let time = |key, default| match reader.duration(key) {
        Some(nanoseconds) => {
            let time = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
            if time < LEAST_PURGING {
                reader.fail(key, "has to be a time of at least 1s, such as 168h");
            }
            time
        }
        None => default,
    };
    let purging = UploadPurging {
        age: time("age", DEFAULT_PURGE_AGE),
        interval: time("interval", DEFAULT_PURGE_INTERVAL),
        dry_run: reader.flag("dryrun").unwrap_or(false),
    };
    reader.flag("enabled").unwrap_or(true).then_some(purging)
}

/// How many processes share the store.
fn replicas(reader: &Reader<'_>, driver: Option<&Driver>) -> usize {
    let replicas = reader.number("replicas", true).unwrap_or(1);
    if replicas < 1 {
        reader.fail("replicas", "has to be a number of at least 1");
    } else if replicas > 1 && driver == Some(&Driver::InMemory) {
        reader.fail("replicas", format!("{replicas} replicas have no memory in common; use another driver"));
    }
    usize::try_from(replicas).unwrap_or(1)
}

fn concurrency(reader: &Reader<'_>) -> Option<usize> {
    let limit = reader.number("concurrencylimit", false).unwrap_or(0);
    if limit < 0 {
        reader.fail("concurrencylimit", "the tag lookup concurrency limit has to be a non-negative integer");
    }
    usize::try_from(limit).ok().filter(|limit| *limit > 0)
}
