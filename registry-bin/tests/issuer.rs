//! `auth.issuer` through the program as a whole: each of its keys, and what does not start.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use support::{ANY_PORT, Answer, Server, ask, directory_with, get, run};

/// Of `password`, made by `crypt` of libxcrypt.
const HASH: &str = "$2y$04$TnrKPT5AYmKuw9xzSdYFPOzCUVRRrZ0v0VDymfDz58rT4kf2ePE4S";

/// A directory with this configuration, an htpasswd file that has alice, and a file of users that has bob.
fn directory(options: &str, more: &str) -> tempfile::TempDir {
    let address = if more.contains("http:") { "" } else { ANY_PORT };
    let auth = format!("auth: {{issuer: {{{options}}}}}");
    let directory = directory_with(&format!("version: 0.1\nstorage: inmemory\n{auth}\n{more}\n{address}\n"));
    std::fs::write(directory.path().join("htpasswd"), format!("alice:{HASH}\n")).unwrap();
    write_users(directory.path(), &format!("- {{name: bob, password: '{HASH}', groups: [dev]}}"));
    directory
}

fn write_users(directory: &Path, users: &str) {
    std::fs::write(directory.join("users.yml"), format!("users:\n{users}\n")).unwrap();
}

const USERS: &str = "users: {htpasswd: ./htpasswd, file: ./users.yml}";

fn login(address: &str, path: &str, user: &str) -> Answer {
    let credentials = STANDARD.encode(format!("{user}:password"));
    ask(address, "GET", path, &[&format!("authorization: Basic {credentials}")], "")
}

fn body(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("{name} in {body}")).to_owned()
}

/// Header or claims of a token.
fn part(token: &str, at: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap()
}

fn tags(address: &str, token: &str) -> u16 {
    ask(address, "GET", "/v2/a/tags/list", &[&format!("authorization: Bearer {token}")], "").status
}

fn challenge(address: &str) -> String {
    let answer = get(address, "/v2/");
    assert_eq!(answer.status, 401);
    answer.header("www-authenticate").unwrap().to_owned()
}

#[test]
fn users_of_both_files_log_in_and_their_tokens_are_taken() {
    let directory = directory(USERS, "");
    let (server, address) = Server::serve(directory.path());
    assert_eq!(
        challenge(&address),
        "Bearer realm=\"http://registry.test:5000/auth/token\",service=\"registry\""
    );
    for user in ["alice", "bob"] {
        let answer = login(&address, "/auth/token?service=registry&scope=repository:a:pull", user);
        assert_eq!(tags(&address, &text(&body(&answer), "token")), 404, "there is no such repository");
    }
    assert_eq!(login(&address, "/auth/token", "carol").status, 401);
    assert_eq!(tags(&address, "made.up.token"), 401);
    let (_, log) = server.stop();
    assert!(log.contains("auth.issuer.keys: is missing, so keys are kept in memory"), "{log}");
    assert!(!log.contains("$2y$04"), "{log}");
}

#[test]
fn tokens_say_what_the_keys_of_the_issuer_say() {
    let options = "service: s, issuer: i, path: /t, algorithm: EdDSA, expiration: 2m, refreshexpiration: 1h";
    let directory = directory(&format!("{options}, {USERS}"), "");
    let (server, address) = Server::serve(directory.path());
    assert_eq!(challenge(&address), "Bearer realm=\"http://registry.test:5000/t\",service=\"s\"");
    assert_ne!(login(&address, "/auth/token", "alice").status, 200);
    let answer = body(&login(&address, "/t?service=s", "alice"));
    let token = text(&answer, "token");
    let (header, claims) = (part(&token, 0), part(&token, 1));
    assert_eq!(
        (&header["alg"], &claims["iss"], &claims["aud"], &claims["sub"]),
        (&"EdDSA".into(), &"i".into(), &"s".into(), &"alice".into())
    );
    assert_eq!(answer["expires_in"], 120);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 120);
    let keys = body(&get(&address, "/t/jwks"));
    assert_eq!((&keys["keys"][0]["kid"], &keys["keys"][0]["alg"]), (&header["kid"], &"EdDSA".into()));
    server.stop();
}

#[test]
fn the_realm_is_the_one_that_is_configured_or_at_the_host_that_is() {
    for (options, more, expected) in [
        ("realm: 'https://tokens.test/x'", "", "https://tokens.test/x"),
        ("path: /t", "http: {addr: '127.0.0.1:0', host: 'https://r.test/'}", "https://r.test/t"),
    ] {
        let directory = directory(&format!("{options}, {USERS}"), more);
        let (server, address) = Server::serve(directory.path());
        assert_eq!(challenge(&address), format!("Bearer realm=\"{expected}\",service=\"registry\""));
        server.stop();
    }
}

#[test]
fn keys_in_a_directory_outlive_the_process_and_are_rotated() {
    let directory = directory(&format!("keys: ./keys, rotation: 1h, {USERS}"), "");
    let (server, address) = Server::serve(directory.path());
    let token = text(&body(&login(&address, "/auth/token?scope=repository:a:pull", "alice")), "token");
    server.stop();
    let (server, address) = Server::serve(directory.path());
    assert_eq!(tags(&address, &token), 404);
    server.stop();
    // As if the process had been away for longer than a key is used.
    let keys = directory.path().join("keys");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    for file in std::fs::read_dir(&keys).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let [kind, _, id] = name.splitn(3, '-').collect::<Vec<_>>().try_into().unwrap();
        std::fs::rename(file.path(), keys.join(format!("{kind}-{}-{id}", now - 3700))).unwrap();
    }
    let (server, address) = Server::serve(directory.path());
    assert_eq!(tags(&address, &token), 404, "the old key still verifies");
    assert_eq!(body(&get(&address, "/auth/token/jwks"))["keys"].as_array().unwrap().len(), 2);
    server.stop();
}

#[test]
fn a_refresh_token_holds_until_its_user_changes() {
    let directory = directory(USERS, "");
    let (server, address) = Server::serve(directory.path());
    let refresh = text(&body(&login(&address, "/auth/token?offline_token=true", "bob")), "refresh_token");
    let form = format!("grant_type=refresh_token&refresh_token={refresh}&scope=repository:a:pull");
    let refreshed =
        || ask(&address, "POST", "/auth/token", &["content-type: application/x-www-form-urlencoded"], &form);
    let answer = body(&refreshed());
    assert_eq!(part(&text(&answer, "token"), 1)["bearer"]["groups"][0], "dev");
    write_users(directory.path(), &format!("- {{name: bob, password: '{HASH}', groups: [ops]}}"));
    let until = |what: &dyn Fn(&Answer) -> bool| {
        let started = Instant::now();
        loop {
            let answer = refreshed();
            if what(&answer) {
                return answer;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{answer:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let ops = |answer: &Answer| part(&text(&body(answer), "token"), 1)["bearer"]["groups"][0] == "ops";
    until(&ops);
    // A broken file changes nothing.
    write_users(directory.path(), "- {name: bob, password: plain}");
    std::thread::sleep(Duration::from_millis(2500));
    assert!(ops(&refreshed()));
    write_users(directory.path(), &format!("- {{name: robert, password: '{HASH}'}}"));
    assert!(until(&|answer| answer.status == 400).body.contains("invalid_grant"));
    let (_, log) = server.stop();
    assert!(log.contains("not a bcrypt hash") && !log.contains("plain"), "{log}");
}

#[test]
fn a_body_that_is_too_large_is_refused_without_reading_all_of_it() {
    let directory = directory(USERS, "");
    let (server, address) = Server::serve(directory.path());
    let kind = "content-type: application/x-www-form-urlencoded";
    assert_eq!(ask(&address, "POST", "/auth/token", &[kind], &"a".repeat(70_000)).status, 413);
    assert_eq!(ask(&address, "POST", "/auth/token", &[kind], &"a".repeat(65_536)).status, 400);
    assert_eq!(ask(&address, "PUT", "/auth/token", &[], "").header("allow"), Some("GET, POST, OPTIONS"));
    server.stop();
}

#[test]
fn users_or_keys_that_cannot_be_used_stop_the_start() {
    for (options, file, text, expected) in [
        ("users: {file: ./u}", "x", "", "auth.issuer.users.file: ./u: No such file"),
        ("users: {file: ./u}", "u", "users: 5", "auth.issuer.users.file: ./u: "),
        ("users: {file: ./u}", "u", "people: []", "auth.issuer.users.file: ./u: "),
        ("users: {file: ./u}", "u", "users: [{name: a, password: secret}]", "user \"a\": not a bcrypt hash"),
        ("users: {file: ./u}", "u", "users: [{name: a, pasword: secret}]", "auth.issuer.users.file: ./u: "),
        ("users: {htpasswd: ./h}", "x", "", "auth.issuer.users.htpasswd: cannot read ./h"),
        ("users: {htpasswd: ./h}", "h", "alice", "auth.issuer.users.htpasswd: ./h:1: "),
        ("users: {htpasswd: ./htpasswd}, keys: ./k", "k", "", "auth.issuer: ./k: "),
    ] {
        let directory = directory(options, "");
        std::fs::write(directory.path().join(file), text).unwrap();
        let (code, _, errors) = run(directory.path(), &["serve", "c.yml"]);
        let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("registry: ")).collect();
        assert_eq!((code, lines.len()), (1, 1), "{options} {text}: {errors}");
        assert!(lines[0].contains(expected), "{options} {text}: {errors}");
        assert!(!errors.contains("secret"), "{errors}");
    }
}
