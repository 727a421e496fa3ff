//! Before and after: is there a registry, what it has to hold, and the removal of all that.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::timeout;

use super::client::{Client, RequestError};
use super::drive::{Limit, drive};
use super::fixture::{Fixture, Thing, VICTIMS};
use super::operation::{Operation, Worker, image_tag};
use super::payload::{Blob, Payload};
use super::progress::Progress;
use super::target::Target;
use super::workload::Need;
use super::{BenchError, Options};
use crate::listener::Stops;

/// What a registry may take for its first answer.
const PROBE: Duration = Duration::from_secs(10);

/// Connections for what is not measured.
const CLIENTS: usize = 16;

/// What preparing one thing may take.
const SET_UP: Duration = Duration::from_secs(30 * 60);

/// What removing everything may take.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// Finds out whether `target` is a registry that answers without credentials.
pub(super) async fn probe(target: &Target) -> Result<(), BenchError> {
    let unusable = |reason: String| BenchError::Unusable { url: target.to_string(), reason };
    let uri = target.uri("/v2/").map_err(|error| unusable(error.to_string()))?;
    let mut client = Client::new(target);
    let answer = match timeout(PROBE, client.ask(&Method::GET, &uri, None, Payload::default())).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error @ RequestError::Http { .. })) => {
            return Err(unusable(format!("does not speak HTTP/1.1 ({error})")));
        }
        Ok(Err(error)) => return Err(unusable(error.to_string())),
        Err(_) => return Err(unusable(format!("no answer within {} s", PROBE.as_secs()))),
    };
    match answer.status {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED => Err(unusable(
            "asks for credentials, which bench does not send; measure with access control off".to_owned(),
        )),
        status => {
            Err(unusable(format!("is no registry: GET {uri} was answered {status}{}", answer.detail())))
        }
    }
}

/// Pushes what `need` stands for.
pub(super) async fn prepare(
    need: Need,
    fixture: &Arc<Fixture>,
    options: &Options,
    stops: &Stops,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    let what = match need {
        Need::Images => "small images",
        Need::LargeBlob => "a large blob",
        Need::Tags => "a repository with many tags",
        Need::Victims => "manifests to delete",
    };
    let failed = |reason: String| BenchError::SetUp { what, reason };
    progress.phase(&format!("preparing {what}"));
    let mut worker = Worker::new(fixture, &Operation::PutTag).map_err(|error| failed(error.to_string()))?;
    let single = async {
        match need {
            Need::Images => images(&mut worker, fixture).await,
            Need::LargeBlob => push(&mut worker, fixture, false, &fixture.large_blob).await,
            Need::Tags => shared_content(&mut worker, fixture).await,
            Need::Victims => Ok(()),
        }
    };
    match timeout(SET_UP, single).await {
        Ok(result) => result.map_err(|error| failed(error.to_string()))?,
        Err(_) => return Err(failed(format!("not done after {} minutes", SET_UP.as_secs() / 60))),
    }
    let (operation, count) = match need {
        Need::Tags => (Operation::PutTag, options.tags),
        Need::Victims => (Operation::PutVictim, VICTIMS),
        Need::Images | Need::LargeBlob => return Ok(()),
    };
    let limit = Limit { time: SET_UP, count, tolerant: false, stops: 1 };
    let tally = drive(fixture, operation, CLIENTS, limit, stops, |done| {
        progress.update(&format!("preparing {what}: {done} of {count}"));
    })
    .await;
    match tally.first_error {
        Some(reason) => Err(failed(reason)),
        // A stop is not a failure; whoever measures next finds out about it.
        None if tally.latencies.count() == count || *stops.borrow() > 0 => Ok(()),
        None => Err(failed(format!("{} of {count} were done in time", tally.latencies.count()))),
    }
}

async fn images(worker: &mut Worker, fixture: &Fixture) -> Result<(), RequestError> {
    push(worker, fixture, false, &fixture.config).await?;
    for (number, image) in fixture.images.iter().enumerate() {
        push(worker, fixture, false, &image.layer).await?;
        let uri = fixture.reads.manifest(image_tag(number))?;
        worker.put_manifest(uri, image.manifest.clone().into()).await?;
        fixture.remember(Thing { tags: false, manifest: true, digest: image.digest });
    }
    Ok(())
}

/// What the manifests in the repository with many tags refer to, and the manifests themselves in the list.
async fn shared_content(worker: &mut Worker, fixture: &Fixture) -> Result<(), RequestError> {
    push(worker, fixture, true, &fixture.config).await?;
    push(worker, fixture, true, &fixture.images[0].layer).await?;
    fixture.remember(Thing { tags: true, manifest: true, digest: fixture.images[0].digest });
    Ok(())
}

async fn push(worker: &mut Worker, fixture: &Fixture, tags: bool, blob: &Blob) -> Result<(), RequestError> {
    worker.push(if tags { &fixture.tags } else { &fixture.reads }, blob).await?;
    fixture.remember(Thing { tags, manifest: false, digest: blob.digest });
    Ok(())
}

/// Deletes what was pushed, as far as the registry lets it and time allows, and says what is left.
pub(super) async fn clean(fixture: &Arc<Fixture>, stops: &Stops, progress: &mut Progress) -> String {
    let (things, forgotten) = fixture.take_created();
    let (names, all) = (format!("{0} and {0}/tags", fixture.reads.name), things.len() as u64);
    if all == 0 {
        return "nothing was pushed".to_owned();
    }
    progress.phase("removing what was pushed");
    let stops_before = *stops.borrow();
    let limit = Limit { time: CLEAN_UP, count: all, tolerant: false, stops: stops_before.max(1) + 1 };
    let removal = Operation::Remove(things.into());
    let tick = |done| progress.update(&format!("removing what was pushed: {done} of {all}"));
    let tally = drive(fixture, removal, CLIENTS, limit, stops, tick).await;
    let left = all + forgotten - tally.latencies.count();
    match (left, tally.first_error) {
        (0, _) => {
            format!("{names} were emptied; the registry may keep their content until it collects garbage")
        }
        (left, Some(error)) => format!("{left} manifests and blobs are left in {names}: {error}"),
        (left, None) => {
            format!(
                "{left} manifests and blobs are left in {names}: no time to remove more than {}",
                all + forgotten - left
            )
        }
    }
}
