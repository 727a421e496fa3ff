//! The keys of `log` that show on the outputs of the program.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::Value;
use support::{ANY_PORT, Server, ask, directory_with, get};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Both outputs of a server with `log`, after some requests.
fn outputs(log: &str, requests: impl FnOnce(&str)) -> (String, String) {
    let directory = directory_with(&format!("version: 0.1\nstorage: inmemory\n{ANY_PORT}\n{log}\n"));
    let (server, address) = Server::serve(directory.path());
    requests(&address);
    server.stop()
}

fn json_lines(log: &str, requests: impl FnOnce(&str)) -> Vec<Value> {
    let (_, errors) = outputs(log, requests);
    errors.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

fn completed(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["msg"].as_str().unwrap().starts_with("response completed")).collect()
}

#[test]
fn the_level_decides_what_is_written() {
    // Nothing is written below the level, so the line that names the address is not there to be waited for.
    let levels = |log: &str| {
        let directory = directory_with(&format!("version: 0.1\nstorage: inmemory\n{ANY_PORT}\n{log}\n"));
        let mut command = support::registry(directory.path());
        command.args(["serve", "c.yml"]);
        let server = Server::start(command);
        std::thread::sleep(std::time::Duration::from_millis(700));
        server.signal("TERM");
        let (_, _, errors) = server.finish();
        let word = |line: &str| line.split("level=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        let mut words: Vec<String> = errors.lines().map(word).collect();
        words.sort();
        words.dedup();
        words
    };
    assert!(levels("log: {level: error}").is_empty());
    assert_eq!(levels("log: {level: info}"), ["info"]);
    assert_eq!(levels("loglevel: warn"), ["warning"]);
    assert!(levels("loglevel: error").is_empty());
    assert!(levels("loglevel: error\nlog: {level: info}").contains(&"info".to_owned()));
}

#[test]
fn the_formatter_decides_the_shape_of_lines() {
    let (_, text) = outputs("log: {formatter: text}", |_| {});
    assert!(
        text.lines().all(|line| line.starts_with("time=\"20") && line.contains(" level=info msg=")),
        "{text}"
    );
    let lines = json_lines("log: {formatter: json}", |_| {});
    assert!(lines.iter().all(|line| line["level"] == "info" && line["time"].is_string()), "{lines:#?}");
    let lines = json_lines("log: {formatter: logstash, reportcaller: true}", |_| {});
    for line in &lines {
        assert_eq!(
            (&line["@version"], &line["@timestamp"], &line["message"]),
            (&"1".into(), &line["time"], &line["msg"])
        );
        assert!(line["function"].is_string() && line["func"].is_null(), "{line}");
    }
}

#[test]
fn configured_fields_are_on_every_line() {
    let lines = json_lines("log: {formatter: json, fields: {service: reg, rack: 7}}", |address| {
        get(address, "/v2/");
    });
    assert!(lines.len() > 4);
    for line in &lines {
        assert_eq!((&line["service"], &line["rack"]), (&"reg".into(), &7.into()), "{line}");
        assert_eq!(line["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(line["instance.id"], lines[0]["instance.id"]);
    }
}

#[test]
fn the_caller_is_on_lines_that_ask_for_it() {
    let asked = json_lines("log: {formatter: json, reportcaller: true}", |_| {});
    assert!(
        asked.iter().all(|line| line["func"].is_string() && line["file"].as_str().unwrap().contains(".rs:"))
    );
    let unasked = json_lines("log: {formatter: json}", |_| {});
    assert!(unasked.iter().all(|line| line["func"].is_null() && line["file"].is_null()));
}

#[test]
fn the_access_log_can_be_off() {
    let request =
        |address: &str| _ = ask(address, "GET", "/v2/a%20b/?x=1", &["user-agent: me", "referer: x"], "");
    let (on, _) = outputs("", request);
    let (start, rest) = on.split_once(" - - [").unwrap();
    let (_, rest) = rest.split_once("] ").unwrap();
    assert_eq!(start, "127.0.0.1");
    assert!(
        rest.starts_with("\"GET /v2/a%20b/?x=1 HTTP/1.1\" 404 ") && rest.ends_with(" \"x\" \"me\"\n"),
        "{on}"
    );
    let (off, log) = outputs("log: {accesslog: {disabled: true}}", request);
    assert_eq!(off, "");
    assert!(log.contains("response completed"), "the log itself goes on");
}

#[test]
fn each_request_has_one_line_with_what_it_was_about() {
    let lines = json_lines("log: {formatter: json}", |address| {
        let begun = ask(
            address,
            "POST",
            "/v2/a/b/blobs/uploads/",
            &["x-request-id: mine-1", "content-type: text/x"],
            "",
        );
        assert_eq!((begun.status, begun.header("x-request-id")), (202, Some("mine-1")));
        let location = begun.header("location").unwrap().split_once("/v2/").unwrap().1.to_owned();
        let end = format!("/v2/{location}&digest={DIGEST}");
        assert_eq!(ask(address, "PUT", &end, &["x-request-id: no good"], "").status, 201);
        get(address, "/v2/a/b/manifests/latest");
    });
    let lines = completed(&lines);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    let [post, put, missing] = [lines[0], lines[1], lines[2]];
    for (key, value) in [
        ("http.request.id", "mine-1"),
        ("http.request.method", "POST"),
        ("http.request.host", "registry.test:5000"),
        ("http.request.uri", "/v2/a/b/blobs/uploads/"),
        ("http.request.contenttype", "text/x"),
        ("vars.name", "a/b"),
        ("msg", "response completed"),
        ("level", "info"),
    ] {
        assert_eq!(post[key], value, "{key}: {post}");
    }
    assert!(post["http.request.remoteaddr"].as_str().unwrap().starts_with("127.0.0.1:"), "{post}");
    assert!(post["http.response.duration"].as_str().unwrap().ends_with('s'), "{post}");
    assert_eq!((&post["http.response.status"], &post["http.response.written"]), (&202.into(), &0.into()));
    assert_eq!((&put["vars.digest"], put["vars.uuid"].is_string()), (&DIGEST.into(), true), "{put}");
    assert_ne!(put["http.request.id"], "no good");
    let uri = put["http.request.uri"].as_str().unwrap();
    assert!(uri.contains("?_state=-&digest=sha256:"), "{uri}");
    for (key, value) in [
        ("msg", "response completed with error"),
        ("level", "info"),
        ("vars.reference", "latest"),
        ("err.code", "name unknown"),
        ("http.response.contenttype", "application/json"),
    ] {
        assert!(
            missing[key] == value || (key == "err.code" && missing[key] == "manifest unknown"),
            "{key}: {missing}"
        );
    }
}

#[test]
fn probes_and_expected_answers_are_no_errors() {
    let lines = json_lines("log: {formatter: json}", |address| {
        assert_eq!(get(address, "/").status, 200);
        assert_eq!(ask(address, "HEAD", &format!("/v2/a/blobs/{DIGEST}"), &[], "").status, 404);
        assert_eq!(ask(address, "HEAD", "/v2/a/manifests/latest", &[], "").status, 404);
    });
    assert!(lines.iter().all(|line| line["level"] == "info"), "{lines:#?}");
    let lines = completed(&lines);
    assert_eq!(lines.len(), 2, "the probe is for debugging: {lines:#?}");
    for line in lines {
        assert_eq!(
            (&line["msg"], &line["http.response.status"]),
            (&"response completed".into(), &404.into())
        );
        assert!(line["err.code"].is_null(), "{line}");
    }
}

#[test]
fn failures_of_ours_are_errors_with_all_their_fields_at_any_level() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let text = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n{ANY_PORT}\nlog: {{formatter: json}}\n",
        store.display()
    );
    std::fs::write(directory.path().join("c.yml"), text).unwrap();
    let (server, address) = Server::serve(directory.path());
    // A file where a directory has to be.
    let repositories = store.join("docker/registry/v2/repositories");
    std::fs::create_dir_all(repositories.parent().unwrap()).unwrap();
    let _ = std::fs::remove_dir_all(&repositories);
    std::fs::write(&repositories, "").unwrap();
    let answer = ask(&address, "POST", "/v2/a/blobs/uploads/", &[], "");
    assert!(answer.status >= 500, "{answer:?}");
    let (_, errors) = server.stop();
    let lines: Vec<Value> = errors.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed: Vec<&Value> = lines.iter().filter(|line| line["level"] == "error").collect();
    assert_eq!(failed.len(), 1, "the end, with the cause: {failed:#?}");
    assert_eq!(failed[0]["msg"], "response completed with error");
    assert_eq!((&failed[0]["vars.name"], &failed[0]["http.response.status"]), (&"a".into(), &500.into()));
    assert!(failed[0]["http.request.id"].is_string());
    let cause = failed[0]["err.detail"].as_str().unwrap();
    assert!(cause.contains("path not found: /docker/"), "{cause}");
    assert!(!answer.body.contains("docker"), "a client is not told: {}", answer.body);
}
