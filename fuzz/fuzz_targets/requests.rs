//! Conversations with the service over a store in memory: whatever is asked in whatever order, it never
//! fails, answers errors in their envelope, and hands out nothing under a digest that it does not have.
//!
//! The input is requests, with lines of `%%` between them: a line `<method> <url>`, lines of headers, an
//! empty line, the body. In the first line `@L` stands for the last `Location`, `@N` for the last `Link`,
//! `@D` for the last digest that was answered, `@B` and `@C` for the SHA-256 and SHA-512 of the body. A
//! header line `!cut` makes the body break off.

#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use http::{Method, Request, Uri};
use http_body::Frame;
use http_body_util::{Empty, StreamBody};
use libfuzzer_sys::fuzz_target;
use registry::core::Algorithm;
use registry::http::HttpOptions;
use registry::storage::MemoryDriver;
use registry_fuzz::wire::{Reply, Wire};
use registry_fuzz::{line, parts};

/// More requests find nothing that fewer do not.
const MOST: usize = 24;

fuzz_target!(|data: &[u8]| {
    let options = HttpOptions::default().with_tags_max(3).with_catalog_max_entries(2);
    let mut conversation = Conversation {
        wire: Wire::new(Arc::new(MemoryDriver::new()), options),
        location: String::new(),
        link: String::new(),
        digest: String::new(),
    };
    for request in parts(data).into_iter().take(MOST) {
        conversation.go_on(request);
    }
});

struct Conversation {
    wire: Wire,
    location: String,
    link: String,
    digest: String,
}

impl Conversation {
    fn go_on(&mut self, text: &[u8]) {
        let (first, mut rest) = line(text);
        let mut builder = Request::builder();
        let (mut cut, mut plain) = (false, true);
        loop {
            let (header, after) = line(rest);
            rest = after;
            if header.is_empty() {
                break;
            }
            if header == b"!cut" {
                cut = true;
            } else if let Some(at) = header.iter().position(|byte| *byte == b':') {
                plain = false;
                builder = builder.header(&header[..at], header[at + 1..].trim_ascii());
            }
        }
        let Some((method, url)) = self.first_line(first, rest) else { return };
        let Ok(request) = builder.method(method.clone()).uri(url.clone()).body(body(rest, cut)) else {
            return;
        };
        let reply = self.wire.send(request);
        self.follow(&method, &url, plain, &reply);
        for (header, kept) in [
            ("location", &mut self.location),
            ("link", &mut self.link),
            ("docker-content-digest", &mut self.digest),
        ] {
            if !reply.header(header).is_empty() {
                reply.header(header).clone_into(kept);
            }
        }
    }

    /// Method and URL; a URL that no server would pass on is no request.
    fn first_line(&self, line: &[u8], body: &[u8]) -> Option<(Method, Uri)> {
        let (method, url) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        let link = self.link.trim_start_matches('<').split('>').next().unwrap_or_default();
        let mut url = url.replace("@L", &self.location).replace("@N", link).replace("@D", &self.digest);
        for (mark, algorithm) in [("@B", Algorithm::Sha256), ("@C", Algorithm::Sha512)] {
            if url.contains(mark) {
                url = url.replace(mark, algorithm.digest(body).as_str());
            }
        }
        Some((method.parse().ok()?, url.parse().ok()?))
    }

    fn bare(&self, method: Method, url: &Uri) -> Reply {
        let request = Request::builder().method(method).uri(url.clone()).body(Empty::<Bytes>::new());
        self.wire.send(request.expect("a request"))
    }

    /// What an answer promises is so when the next request comes.
    fn follow(&self, method: &Method, url: &Uri, plain: bool, reply: &Reply) {
        match (method.as_str(), reply.status.as_u16()) {
            ("PUT" | "POST", 201) => {
                let location = reply.header("location").parse().expect("Location is a URL");
                let found = self.bare(Method::GET, &location);
                assert_eq!(found.status, 200, "{method} {url}: {found:?}");
                assert_eq!(found.header("docker-content-digest"), reply.header("docker-content-digest"));
            }
            ("DELETE", 202) => assert_eq!(self.bare(Method::GET, url).status, 404, "{url} was deleted"),
            ("DELETE", 204) => {
                let session = url.path().parse().expect("a path is a URL");
                assert_eq!(self.bare(Method::GET, &session).status, 404, "{url} was cancelled");
            }
            ("GET", status) if plain => {
                let head = self.bare(Method::HEAD, url);
                assert_eq!(head.status, status, "HEAD {url}");
                assert_eq!(head.header("content-length"), reply.header("content-length"), "HEAD {url}");
            }
            _ => {}
        }
    }
}

/// The body in two pieces, and at the end the breaking off.
fn body(
    bytes: &[u8],
    cut: bool,
) -> StreamBody<impl futures::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + use<>> {
    let (a, b) = bytes.split_at(bytes.len() / 2);
    let mut pieces: Vec<_> = [a, b].map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).into();
    if cut {
        pieces.push(Err(std::io::Error::other("broken off")));
    }
    StreamBody::new(stream::iter(pieces))
}
