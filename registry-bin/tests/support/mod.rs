//! The program under test: started, asked, ended.

#![allow(dead_code, reason = "each file of tests uses a part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Where a server of the tests listens: a port that is free.
pub(crate) const ANY_PORT: &str = "http: {addr: '127.0.0.1:0'}";

pub(crate) fn registry(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command.current_dir(directory).env_clear();
    command
}

/// Exit code, standard output and standard error of a command.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = registry(directory).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A directory with this text as `c.yml`.
pub(crate) fn directory_with(config: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("c.yml"), config).unwrap();
    directory
}

/// A running server; killed if a test fails before it has ended by itself.
pub(crate) struct Server {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    pub(crate) lines: Vec<String>,
}

impl Server {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log, lines: Vec::new() }
    }

    /// Serves `c.yml` of the directory; gives the address, too.
    pub(crate) fn serve(directory: &Path) -> (Self, String) {
        let mut command = registry(directory);
        command.args(["serve", "c.yml"]);
        let mut server = Self::start(command);
        let address = server.address();
        (server, address)
    }

    /// Reads the log up to the line that names the address.
    pub(crate) fn address(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "ended early: {:#?}", self.lines);
            self.lines.push(line.clone());
            if let Some((_, rest)) = line.split_once("listening on ") {
                return rest.trim_end().split('"').next().unwrap().to_owned();
            }
        }
    }

    /// Reads the log until there is a line with this text.
    pub(crate) fn says(&mut self, text: &str) {
        loop {
            let mut line = String::new();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "ended early: {:#?}", self.lines);
            self.lines.push(line);
            if self.lines.last().is_some_and(|line| line.contains(text)) {
                return;
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Exit code, standard output, and standard error as far as it has not been read.
    pub(crate) fn finish(mut self) -> (i32, String, String) {
        let mut errors = String::new();
        self.log.read_to_string(&mut errors).unwrap();
        let mut output = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        (self.child.wait().unwrap().code().unwrap(), output, errors)
    }

    /// Ends it as an operator does; gives standard output and all of standard error.
    pub(crate) fn stop(self) -> (String, String) {
        self.signal("TERM");
        let before = self.lines.concat();
        let (code, output, errors) = self.finish();
        assert_eq!(code, 0, "{errors}");
        (output, before + &errors)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// One request on a connection of its own. Each of `headers` is a line.
pub(crate) fn ask(address: &str, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    ask_on(stream, method, path, headers, body)
}

pub(crate) fn ask_on(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &str,
) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: registry.test:5000\r\nconnection: close\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    let length = body.len();
    write!(stream, "{head}content-length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

pub(crate) fn get(address: &str, path: &str) -> Answer {
    ask(address, "GET", path, &[], "")
}
