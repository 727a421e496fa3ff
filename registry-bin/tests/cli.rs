//! The program as an operator meets it: exit codes, what goes where, one whole life.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as the tests do")]

mod support;

use support::{Server, directory_with, get, registry, run};

#[test]
fn help_and_version_succeed_and_nonsense_exits_with_two() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| run(directory.path(), arguments);
    // Scripts take the last word, as they do with Distribution.
    for flag in ["--version", "-v", "-V"] {
        let (code, output, errors) = run(&[flag]);
        assert_eq!((code, errors.as_str()), (0, ""));
        let words: Vec<&str> = output.trim_end().split(' ').collect();
        assert!(words[0].ends_with("registry"), "{output}");
        assert_eq!(words[1..], ["registry-bin", env!("CARGO_PKG_VERSION")]);
    }
    let (code, output, _) = run(&["help"]);
    assert!(code == 0 && output.contains("serve") && output.contains("config"), "{output}");
    for (arguments, expected) in [
        (&["purge"][..], "registry: unrecognized subcommand 'purge' (see registry help)\n"),
        (&["serve", "--fast"], "registry: unexpected argument '--fast' found (see registry help)\n"),
        (
            &["config", "check"],
            "registry: the following required arguments were not provided: <FILE> (see registry help)\n",
        ),
    ] {
        let (code, output, errors) = run(arguments);
        assert_eq!((code, output.as_str()), (2, ""), "{arguments:?}");
        assert!(errors.starts_with(expected.trim_end_matches(" (see registry help)\n")), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
    let (code, _, errors) = run(&[]);
    assert!(code == 2 && errors.contains("Usage"), "{errors}");
}

#[test]
fn config_check_reports_every_problem_or_ok() {
    let directory = directory_with("version: 0.1\nstorage: inmemory\nloglevel: debug\n");
    let (code, output, errors) = run(directory.path(), &["config", "check", "c.yml"]);
    assert_eq!((code, output.as_str()), (1, ""), "what is only a warning for serve");
    assert_eq!(errors, "registry: c.yml:3:1: loglevel: deprecated; write log.level instead\n");
    let (code, output, errors) = run(directory.path(), &["config", "check", "c.yml", "--lenient-config"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert_eq!(output, "warning: c.yml:3:1: loglevel: deprecated; write log.level instead\nc.yml: ok\n");

    let directory = directory_with("version: 0.2\nstorage: inmemory\nhtpp: {}\n");
    let (code, output, errors) = run(directory.path(), &["config", "check", "c.yml"]);
    assert_eq!((code, output.as_str()), (1, ""));
    assert_eq!(
        errors,
        "registry: c.yml:1:10: version: unsupported version: \"0.2\"; write 0.1\n\
         registry: c.yml:3:1: htpp: unknown key; did you mean http?\n"
    );
    let directory = directory_with("version: 0.1\nstorage: inmemory\nhtpp: {}\n");
    let (code, output, _) = run(directory.path(), &["config", "check", "c.yml", "--lenient-config"]);
    assert!(code == 0 && output.ends_with("c.yml: ok\n"), "{output}");
}

#[test]
fn files_that_cannot_be_read_are_one_line() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("binary.yml"), b"version: 0.1\nstorage: \xff\n").unwrap();
    for (file, expected) in [
        ("absent.yml", "registry: absent.yml: cannot read the configuration: No such file or directory"),
        (".", "registry: .: cannot read the configuration: Is a directory"),
        ("binary.yml", "registry: binary.yml: cannot read the configuration: line 2 is not UTF-8 text"),
    ] {
        for arguments in [&["serve", file][..], &["config", "check", file]] {
            let (code, output, errors) = run(directory.path(), arguments);
            assert_eq!((code, output.as_str(), errors.lines().count()), (1, "", 1), "{errors}");
            assert!(errors.starts_with(expected), "{errors}");
        }
    }
}

#[test]
fn a_failed_start_is_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let directory =
        directory_with(&format!("version: 0.1\nstorage: inmemory\nhttp: {{addr: '{address}'}}\n"));
    let (code, output, errors) = run(directory.path(), &["serve", "c.yml"]);
    assert_eq!((code, output.as_str()), (1, ""));
    let last = errors.lines().last().unwrap();
    assert_eq!(last, format!("registry: cannot listen on {address}: another process is using it"));
}

#[test]
fn without_a_file_it_says_what_it_serves_and_ends_cleanly_on_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = registry(directory.path());
    command.arg("serve").env("REGISTRY_HTTP_ADDR", "127.0.0.1:0");
    let mut server = Server::start(command);
    let address = server.address();
    assert_eq!(get(&address, "/v2/").status, 200);
    let store = directory.path().canonicalize().unwrap().join("registry-data");
    for expected in [
        "built-in configuration",
        &format!("files in {}\"", store.display()),
        "address: 127.0.0.1:0",
        "deletes are on\"",
        "no authentication",
    ] {
        assert!(server.lines.iter().any(|line| line.contains(expected)), "{expected}: {:#?}", server.lines);
    }
    server.signal("TERM");
    let (code, output, errors) = server.finish();
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains("\"GET /v2/ HTTP/1.1\" 200 "), "{output}");
    assert!(errors.contains("stopping server gracefully"), "{errors}");
}

#[test]
fn the_environment_names_the_file_and_the_access_log_can_be_off() {
    let text = "version: 0.1\nstorage: inmemory\nlog: {formatter: json, accesslog: {disabled: true}}\nhttp: {addr: '127.0.0.1:0'}\n";
    let directory = directory_with(text);
    let mut command = registry(directory.path());
    command.arg("serve").env("REGISTRY_CONFIGURATION_PATH", "c.yml");
    let mut server = Server::start(command);
    let address = server.address();
    get(&address, "/v2/");
    assert!(server.lines[0].contains(",\"level\":\"info\",\"msg\":\"storage: memory"), "{:?}", server.lines);
    server.signal("INT");
    let (code, output, errors) = server.finish();
    assert_eq!((code, output.as_str()), (0, ""), "{errors}");
}

#[test]
fn the_configuration_in_force_is_shown_and_described() {
    let directory = directory_with("version: 0.1\nstorage: inmemory\nhttp: {secret: hunter2}\n");
    let mut command = registry(directory.path());
    command.args(["config", "show", "--format", "json"]).env("REGISTRY_CONFIGURATION_PATH", "c.yml");
    let output = command.env("REGISTRY_HTTP_ADDR", ":5001").output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["http.addr"], serde_json::json!({"value": ":5001", "source": "REGISTRY_HTTP_ADDR"}));
    assert_eq!(json["http.secret"], serde_json::json!({"value": "********", "source": "c.yml:3:16"}));
    let (code, output, _) = run(directory.path(), &["config", "show", "c.yml"]);
    assert!(code == 0 && output.contains("  addr: \":5000\"  # default\n"), "{output}");
    let (code, output, _) = run(directory.path(), &["config", "schema"]);
    let schema: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &schema["required"][0]), (0, &"version".into()));
    std::fs::write(directory.path().join("bad.yml"), "version: 0.1\nhtpp: {}\n").unwrap();
    let (code, output, errors) = run(directory.path(), &["config", "show", "bad.yml"]);
    assert_eq!((code, output.as_str(), errors.lines().count()), (1, "", 2), "{errors}");
}

#[test]
fn completions_and_the_manual_name_every_command() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let (code, output, errors) = run(directory.path(), &["completions", shell]);
        assert_eq!((code, errors.as_str()), (0, ""));
        for word in ["serve", "bench", "config", "completions", "lenient-config", "schema"] {
            assert!(output.contains(word), "{shell}: {word}");
        }
    }
    let (code, output, _) = run(directory.path(), &["man"]);
    assert!(code == 0 && output.contains(".TH registry 1"), "{output}");
    for part in ["REGISTRY SERVE", "REGISTRY CONFIG SHOW", "lenient\\-config", "REGISTRY BENCH"] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert!(!output.contains("(1)"), "there is no other page to refer to: {output}");
}
