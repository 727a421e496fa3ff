//! Blob Batch, as far as it deletes.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/blob-batch>

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use s3s::Body;

use super::super::BUCKET;
use super::super::log::decode;
use super::super::server::Error;
use super::Refused;
use super::blobs::Blobs;

/// The most requests in a batch.
const MOST: usize = 256;
const BOUNDARY: &str = "batchresponse_emulator";

pub(super) async fn answer(
    blobs: &Blobs,
    headers: &HeaderMap,
    body: Body,
) -> Result<Result<Response<Body>, Refused>, Error> {
    let text = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let Some((_, boundary)) = kind.split_once("boundary=") else {
        return Ok(Err(Refused(StatusCode::BAD_REQUEST, "InvalidHeaderValue")));
    };
    let boundary = format!("--{}", boundary.trim_matches('"'));
    let requests: Vec<&str> = text.split(&boundary).filter(|part| part.contains("HTTP/1.1")).collect();
    if requests.is_empty() || requests.len() > MOST {
        return Ok(Err(Refused(StatusCode::BAD_REQUEST, "InvalidInput")));
    }
    let mut answers = String::new();
    for request in requests {
        let line = |start: &str| request.lines().find_map(|line| line.strip_prefix(start));
        let id = line("Content-ID: ").or_else(|| line("content-id: ")).unwrap_or("0");
        let target = line("DELETE ").and_then(|rest| rest.split(' ').next());
        let key = target.and_then(|target| target.split_once(&format!("/{BUCKET}/")));
        let status = match key.map(|(_, key)| blobs.delete(&decode(key))) {
            Some(Ok(_)) => StatusCode::ACCEPTED,
            Some(Err(refused)) => refused.0,
            None => StatusCode::BAD_REQUEST,
        };
        answers += &format!(
            "--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: {id}\r\n\r\n\
             HTTP/1.1 {} {}\r\nx-ms-version: 2023-11-03\r\n\r\n\r\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or("")
        );
    }
    answers += &format!("--{BOUNDARY}--\r\n");
    let mut answer = Response::new(Body::from(answers));
    *answer.status_mut() = StatusCode::ACCEPTED;
    let kind = HeaderValue::try_from(format!("multipart/mixed; boundary={BOUNDARY}"))?;
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(Ok(answer))
}
