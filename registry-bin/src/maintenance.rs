//! What the server does by itself while it serves.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use registry::core::StorageDriver;
use registry::storage::UploadPurge;
use tracing::{error, info};

use crate::config::model::UploadPurging;

/// The longest that the first run waits.
const FIRST: Duration = Duration::from_secs(60 * 60);

/// Removes unfinished uploads now and then, for as long as the process runs
/// (`storage.maintenance.uploadpurging`).
///
/// The first run comes after a random time of up to an hour, so that replicas that were started together
/// do not all walk the store at once.
pub(crate) async fn purge_uploads(driver: Arc<dyn StorageDriver>, purging: UploadPurging) {
    let UploadPurging { age, interval, dry_run } = purging;
    let purge = UploadPurge::new(driver, age).dry_run(dry_run);
    let mut wait = random_part(interval.min(FIRST));
    info!(
        "unfinished uploads are removed after {age:?}, first in {} s, then every {interval:?}",
        wait.as_secs()
    );
    loop {
        tokio::time::sleep(wait).await;
        wait = interval;
        match purge.run().await {
            Ok(report) => info!(
                seen = report.seen,
                removed = report.removed,
                bytes = report.bytes,
                failed = report.failed,
                swept = report.swept,
                dry_run,
                "looked for unfinished uploads"
            ),
            Err(error) => error!(%error, "cannot look for unfinished uploads; trying again in {interval:?}"),
        }
    }
}

/// A random part of a time; each process has another.
fn random_part(time: Duration) -> Duration {
    let random = RandomState::new().hash_one(std::process::id()) as u32;
    time.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_run_comes_within_the_time_and_not_always_at_once() {
        let times: Vec<Duration> = (0..100).map(|_| random_part(FIRST)).collect();
        assert!(times.iter().all(|time| *time <= FIRST));
        assert!(times.iter().any(|time| *time != times[0]));
    }
}
