//! Requests that no honest client sends. The registry stays up and says what is wrong.

use http::Method;
use registry_core::MediaType;

use super::client::Client;
use super::content::{absent, push_image};

/// Names that break the grammar, or try to leave the store.
pub async fn hostile_names_are_refused(client: Client) {
    let long = "a".repeat(256);
    let deep = ["a"; 200].join("/");
    for name in [
        "Upper",
        "a..b",
        "a___b",
        "-a",
        "a-",
        "_a",
        "a.",
        ".",
        "..",
        "a/../b",
        "../a",
        "a/./b",
        "%2e%2e",
        "a/%2e%2e/b",
        "a%2F..%2Fb",
        "..%2f..%2fetc",
        "a%00",
        "%00",
        "a%ff",
        "%c0%ae%c0%ae",
        "a//b",
        "a%2F%2Fb",
        "/a",
        "%2Fa",
        "a%5Cb",
        "a%0Ab",
        "a%0D%0AX:%20y",
        "a%20b",
        "a:b",
        "localhost:5000/a",
        "a@b",
        "a+b",
        "a*",
        "%252e%252e",
        "é",
        "%C3%A9",
        "_manifests",
        "a/_layers",
        &long,
        &deep,
    ] {
        let digest = absent();
        for (method, uri) in [
            (Method::GET, format!("/v2/{name}/tags/list")),
            (Method::GET, format!("/v2/{name}/manifests/x")),
            (Method::PUT, format!("/v2/{name}/manifests/x")),
            (Method::DELETE, format!("/v2/{name}/manifests/x")),
            (Method::GET, format!("/v2/{name}/blobs/{digest}")),
            (Method::DELETE, format!("/v2/{name}/blobs/{digest}")),
            (Method::POST, format!("/v2/{name}/blobs/uploads/")),
            (Method::PATCH, format!("/v2/{name}/blobs/uploads/0d1f")),
            (Method::GET, format!("/v2/{name}/referrers/{digest}")),
        ] {
            let ask = client.request(method, &uri).header("content-type", MediaType::OCI_IMAGE).body("{}");
            if let Some(reply) = ask.try_send().await {
                reply.fails(400, "NAME_INVALID");
            }
        }
    }
    let reply = client.get("/v2/_catalog").await.expect(200);
    assert_eq!(reply.body, "{\"repositories\":[]}\n");
}

/// The words of the API may be parts of a name, and the longest name is as good as any.
pub async fn odd_names_are_as_good_as_others(client: Client) {
    let long = format!("{}/{}", "a".repeat(127), "b".repeat(127));
    for name in [
        "tags/list",
        "a/manifests/b",
        "blobs/uploads",
        "v2",
        "a/blobs/uploads",
        "referrers",
        "a__b",
        "a---b",
        "0",
        "a.b_c-d",
        "tags",
        "manifests/manifests",
        &long,
    ] {
        let bytes = push_image(&client, name, "latest", "odd").await;
        let reply = client.get(format!("/v2/{name}/manifests/latest")).await.expect(200);
        assert_eq!(reply.body, bytes);
        client.get(format!("/v2/{name}/tags/list")).await.expect(200);
        client.get(format!("/v2/{}/tags/list", name.replace('/', "%2F"))).await.expect(200);
    }
}

/// References that try to leave their directory.
pub async fn hostile_references_are_refused(client: Client) {
    push_image(&client, "hst", "x", "hostile").await;
    for reference in
        ["..", "%2e%2e", "..%2F..", "x%2F..", "%00", "x%00", "%ff", "sha256:..", "sha256:%2e%2e", "_%2F_"]
    {
        for uri in [
            format!("/v2/hst/manifests/{reference}"),
            format!("/v2/hst/blobs/{reference}"),
            format!("/v2/hst/referrers/{reference}"),
            format!("/v2/hst/blobs/uploads/{reference}"),
        ] {
            for method in [Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::DELETE] {
                let reply = client.request(method, &uri).header("content-type", "a/b").body("{}").await;
                assert!(reply.status.is_client_error(), "{}", reply.summary());
            }
        }
    }
}

/// xorshift64*: the same requests every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.roll(items.len())]
    }

    /// Replaces, removes, doubles or adds a few bytes.
    fn mangle(&mut self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..self.roll(4) {
            let at = self.roll(bytes.len() + 1);
            match self.roll(4) {
                0 if at < bytes.len() => bytes[at] = b' ' + self.roll(95) as u8,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => drop(bytes.splice(at..at, self.pick(PIECES).bytes())),
                _ => bytes.truncate(at.max(4)),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

const PIECES: &[&str] = &[
    "/",
    "//",
    "..",
    "%2e",
    "%2F",
    "%00",
    "%ff",
    "%",
    "?",
    "&",
    "=",
    "_",
    ":",
    "sha256:",
    "blobs",
    "uploads",
    "tags",
    "list",
    "manifests",
    "referrers",
    "_catalog",
    "_state",
    "n=",
    "last=",
    "mount=",
    "from=",
    "digest=",
    "tag=",
    "-1",
    "99999999999999999999",
    "A",
    "é",
    ";",
    "+",
    "\\",
    "*",
    "~",
];

const METHODS: &[&str] =
    &["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "X"];

const HEADERS: &[(&str, &[&str])] = &[
    (
        "range",
        &[
            "bytes=0-1",
            "bytes=-1",
            "bytes=5-1",
            "bytes=0-0,1-1",
            "bytes=,",
            "x",
            "bytes=18446744073709551615-",
        ],
    ),
    ("if-match", &["*", "\"", "W/", ",,,", "\"x\""]),
    ("if-none-match", &["*", "\"", "W/\"", ",", "\"sha256:x\""]),
    ("if-range", &["*", "\"x\"", "W/\"x\""]),
    ("content-range", &["0-1", "1-0", "0-18446744073709551615", "bytes 0-1/2", "-", "", "x"]),
    ("content-length", &["0", "-1", "5", "x", "99999999999999999999"]),
    ("content-type", &[MediaType::OCI_IMAGE, MediaType::OCI_INDEX, "a/b", "", ";", "x"]),
    ("accept", &["*/*", ",", ""]),
    ("authorization", &["Basic", "Bearer x", "Basic Og==", "é"]),
    ("forwarded", &["for=x;host=\"", "host=a b", ",", "proto=x;proto=y"]),
    ("x-forwarded-host", &["a b", "", ",", "x@y"]),
];

const BODIES: &[&str] = &[
    "",
    "x",
    "{}",
    "{\"schemaVersion\":2}",
    "{\"schemaVersion\":2,\"subject\":{\"digest\":\"x\"}}",
    "[",
    "null",
];

/// A few thousand requests of broken parts: none of them makes the server fail, and every error is an
/// envelope. The client checks both.
pub async fn no_request_makes_the_server_fail(client: Client) {
    push_image(&client, "hst", "x", "fuzz").await;
    let mut dice = Dice(0x2026_1121);
    let mut sent = 0;
    let mut seen = std::collections::BTreeMap::new();
    for round in 0..4000 {
        let upload = if round % 8 == 0 { super::content::begin(&client, "hst").await } else { String::new() };
        let digest = absent();
        let kind = if upload.is_empty() { dice.roll(9) } else { 9 };
        let uri = match kind {
            0 => "/v2/".to_owned(),
            1 => "/v2/_catalog?n=1&last=a".to_owned(),
            2 => "/v2/hst/tags/list?n=1&last=a".to_owned(),
            3 => "/v2/hst/manifests/x".to_owned(),
            4 => format!("/v2/hst/manifests/{digest}?tag=a"),
            5 => format!("/v2/hst/blobs/{digest}"),
            6 => format!("/v2/hst/blobs/uploads/?mount={digest}&from=hst"),
            7 => format!("/v2/hst/blobs/uploads/?digest={digest}"),
            8 => format!("/v2/hst/referrers/{digest}?artifactType=a%2Fb&n=1"),
            _ => format!("{upload}&digest={digest}"),
        };
        let method = Method::from_bytes(dice.pick(METHODS).as_bytes()).expect("a method");
        let mut ask = client.request(method, dice.mangle(&uri));
        for _ in 0..dice.roll(4) {
            let (name, values) = HEADERS[dice.roll(HEADERS.len())];
            ask = ask.header(name, dice.pick(values));
        }
        let ask = ask.streamed(dice.pick(BODIES));
        if let Some(reply) = ask.try_send().await {
            sent += 1;
            *seen.entry(reply.status.as_u16()).or_insert(0) += 1;
        }
    }
    assert!(sent > 1000, "most of them are URLs: {sent}");
    assert!(seen.len() >= 6, "they lead to many answers: {seen:?}");
    // And everything is as it was.
    client.get("/v2/").await.expect(200);
}
