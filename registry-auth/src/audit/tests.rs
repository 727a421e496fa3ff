//! What lines of the audit log say, and which there are.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use http::{Method, StatusCode};
use registry_core::{AuditOperation, Principal, Reference, RepositoryName, Tag};
use serde_json::{Value, json};

use super::*;

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn pull(id: &str) -> AuditRecord<'_> {
    AuditRecord::new(id, AuditOperation::ManifestPull)
}

#[test]
fn a_line_says_who_did_what_from_where() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let log = AuditLog::open(&path).unwrap();
    let principal = Principal::new("al\"ice\n").with_method("htpasswd").with_groups(["devs".to_owned()]);
    let (repository, from) =
        (RepositoryName::parse("team/app").unwrap(), RepositoryName::parse("other").unwrap());
    let (reference, tags) = (Reference::parse("v1").unwrap(), [Tag::parse("latest").unwrap()]);
    let agent = "é".repeat(1000);
    let mut record = AuditRecord::new("7", AuditOperation::ManifestPush);
    record.time = UNIX_EPOCH + Duration::from_micros(1_000_001);
    record.method = Some(&Method::PUT);
    record.principal = Some(&principal);
    record.client_addr = Some(IpAddr::from([10, 0, 0, 1]));
    record.peer = Some(([10, 0, 0, 1], 4711).into());
    record.claimed_addr = Some(IpAddr::from([192, 0, 2, 1]));
    record.user_agent = Some(&agent);
    record.repository = Some(&repository);
    record.reference = Some(&reference);
    record.tags = &tags;
    record.digest = Some("sha256:abc");
    record.mount_from = Some(&from);
    record.status = Some(StatusCode::CREATED);
    log.record(&record);
    log.record(&pull("8"));
    let expected = json!({
        "time": "1970-01-01T00:00:01.000001Z", "id": "7", "operation": "manifest.push", "method": "PUT",
        "user": "al\"ice\n", "auth": "htpasswd", "groups": ["devs"],
        "client": "10.0.0.1", "peer": "10.0.0.1:4711", "forwarded": "192.0.2.1", "useragent": "é".repeat(128),
        "repository": "team/app", "reference": "v1", "tags": ["latest"], "digest": "sha256:abc", "from": "other",
        "status": 201,
    });
    let found = lines(&path);
    assert_eq!(found[0], expected);
    assert_eq!(found[1]["status"], Value::Null);
    assert_eq!(found.len(), 2);
    assert_eq!(log.counts(), (2, 0));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}: nobody else may read it, and only we may write");
}

#[test]
fn without_reads_remain_changes_and_refusals_of_somebody() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&seen);
    let log = AuditLog::to(move |line| {
        let line: Value = serde_json::from_slice(line).unwrap();
        into.lock().unwrap().push(line["id"].as_str().unwrap().to_owned());
        Ok(())
    })
    .with_reads(false);
    log.record(&pull("read"));
    let mut refused = pull("first request");
    refused.refused = true;
    log.record(&refused);
    let mut wrong = pull("wrong password");
    (wrong.refused, wrong.credentials) = (true, true);
    log.record(&wrong);
    let somebody = Principal::new("cert");
    let mut denied = pull("denied");
    (denied.refused, denied.principal) = (true, Some(&somebody));
    log.record(&denied);
    for operation in [AuditOperation::BlobPush, AuditOperation::TagDelete, AuditOperation::TokenIssue] {
        log.record(&AuditRecord::new(operation.as_str(), operation));
    }
    let expected = ["wrong password", "denied", "blob.push", "tag.delete", "token.issue"];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn a_file_that_was_moved_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("audit.log"), dir.path().join("audit.log.1"));
    let log = AuditLog::open(&path).unwrap();
    log.record(&pull("1"));
    std::fs::rename(&path, &moved).unwrap();
    log.reopen().unwrap();
    log.record(&pull("2"));
    assert_eq!((lines(&moved)[0]["id"].as_str(), lines(&path)[0]["id"].as_str()), (Some("1"), Some("2")));

    // Without being told, soon.
    std::fs::rename(&path, &moved).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while !path.exists() {
        assert!(Instant::now() < until, "no new file");
        log.record(&pull("3"));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(lines(&path)[0]["id"], "3");
}

#[test]
fn a_line_that_cannot_be_written_is_counted() {
    let log = AuditLog::open("/dev/full").unwrap();
    log.record(&pull("1"));
    log.record(&pull("2"));
    assert_eq!(log.counts(), (0, 2));
    assert!(AuditLog::open("/nonexistent/audit.log").is_err());
}

#[test]
fn lines_of_many_threads_stay_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    // Two, as of two processes.
    let logs = [AuditLog::open(&path).unwrap(), AuditLog::open(&path).unwrap()];
    std::thread::scope(|scope| {
        for log in &logs {
            for thread in 0..4 {
                scope.spawn(move || {
                    for number in 0..200 {
                        log.record(&pull(&format!("{thread}-{number}")));
                    }
                });
            }
        }
    });
    assert_eq!(lines(&path).len(), 1600);
}

#[test]
fn what_a_record_costs() {
    let dir = tempfile::tempdir().unwrap();
    let log = AuditLog::open(dir.path().join("audit.log")).unwrap();
    let started = Instant::now();
    for _ in 0..2000 {
        log.record(&pull("01a1fd2b-6dfd-7e3f-ac75-bcc5fc1936c1"));
    }
    let each = started.elapsed() / 2000;
    println!("a record takes {each:?}");
    assert!(each < Duration::from_millis(5));
}
