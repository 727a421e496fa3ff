//! The time of a service whose clock is not ours.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Response, StatusCode, header};
use s3s::Body;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::{Timestamp, TimestampFormat};

use super::refuse;

/// How far the time in a request may be off, as Amazon has it.
const TOLERATED: Duration = Duration::from_secs(15 * 60);

/// What is looked at here `s3s` must not look at: it has our time.
pub(super) fn unchecked() -> Arc<StaticConfigProvider> {
    let mut config = S3Config::default();
    config.presigned_url_max_skew_time_secs = u32::MAX;
    Arc::new(StaticConfigProvider::new(Arc::new(config)))
}

/// The refusal of a request that was signed at another time than it is at a service which is ahead of us by so
/// much.
pub(super) fn refusal(request: &http::Request<Body>, ahead: Duration) -> Option<Response<Body>> {
    let date = request.headers().get("x-amz-date")?.to_str().ok()?;
    let signed = signed_at(date)?;
    let now = SystemTime::now() + ahead;
    let tolerated = Timestamp::from(now - TOLERATED)..=Timestamp::from(now + TOLERATED);
    (!tolerated.contains(&signed)).then(|| refuse(StatusCode::FORBIDDEN, "RequestTimeTooSkewed"))
}

/// Such as `20260102T030405Z`.
fn signed_at(date: &str) -> Option<Timestamp> {
    let (day, time) = date.strip_suffix('Z')?.split_once('T')?;
    let (year, month, date) = (day.get(..4)?, day.get(4..6)?, day.get(6..)?);
    let (hour, minute, second) = (time.get(..2)?, time.get(2..4)?, time.get(4..)?);
    let text = format!("{year}-{month}-{date}T{hour}:{minute}:{second}Z");
    Timestamp::parse(TimestampFormat::DateTime, &text).ok()
}

/// Says in an answer what time it is there.
pub(super) fn date(answer: &mut Response<Body>, ahead: Duration) {
    let mut text = Vec::new();
    let now = Timestamp::from(SystemTime::now() + ahead);
    if now.format(TimestampFormat::HttpDate, &mut text).is_ok()
        && let Ok(value) = HeaderValue::from_bytes(&text)
    {
        answer.headers_mut().insert(header::DATE, value);
    }
}
