//! The program as an operator meets it: exit codes, what goes where, one whole life.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as the tests do")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

fn registry(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command.current_dir(directory).env_clear();
    command
}

fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = registry(directory).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn directory_with(config: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("c.yml"), config).unwrap();
    directory
}

#[test]
fn help_and_version_succeed_and_nonsense_exits_with_two() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| run(directory.path(), arguments);
    let (code, output, errors) = run(&["--version"]);
    assert_eq!(
        (code, output.as_str(), errors.as_str()),
        (0, concat!("registry ", env!("CARGO_PKG_VERSION"), "\n"), "")
    );
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

/// A running server; killed if a test fails before it has ended by itself.
struct Server {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    lines: Vec<String>,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log, lines: Vec::new() }
    }

    /// Reads the log up to the line that names the address.
    fn address(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "ended early: {:#?}", self.lines);
            self.lines.push(line.clone());
            if let Some((_, rest)) = line.split_once("listening on ") {
                return rest.trim_end().trim_end_matches('"').to_owned();
            }
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn finish(mut self) -> (i32, String, String) {
        let mut errors = String::new();
        self.log.read_to_string(&mut errors).unwrap();
        let mut output = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        (self.child.wait().unwrap().code().unwrap(), output, errors)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn without_a_file_it_says_what_it_serves_and_ends_cleanly_on_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = registry(directory.path());
    command.arg("serve").env("REGISTRY_HTTP_ADDR", "127.0.0.1:0");
    let mut server = Server::start(command);
    let address = server.address();
    assert!(get(&address, "/v2/").starts_with("HTTP/1.1 200 OK\r\n"));
    let store = directory.path().canonicalize().unwrap().join("registry-data");
    for expected in [
        "built-in configuration",
        &format!("files in {}\"", store.display()),
        "address: 127.0.0.1:0\"",
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
    let address = address.split('"').next().unwrap();
    get(address, "/v2/");
    assert!(
        server.lines[0].starts_with("{\"level\":\"info\",\"msg\":\"storage: memory"),
        "{:?}",
        server.lines
    );
    server.signal("INT");
    let (code, output, errors) = server.finish();
    assert_eq!((code, output.as_str()), (0, ""), "{errors}");
}
