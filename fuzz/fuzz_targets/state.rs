//! The state of an upload in its URL: ours is good, and nothing that anybody makes of it is.
//!
//! The first byte of the input says how the state is made, the second which request has it, the third how
//! many bytes the session has; the rest is what it is made of:
//!
//! - `r`: the state itself
//! - `m`: pairs of a place and what is added to the byte there, over a state of ours
//! - `c`: a place where a state of ours is cut, and what follows instead
//! - `s`: JSON, which is signed with the right key; `@N` and `@U` in it stand for name and id
//! - `x`: a state of ours that belongs to another session, to another name, or to an earlier offset

#![no_main]

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{Method, Request};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use registry::core::Algorithm;
use registry::http::HttpOptions;
use registry::storage::MemoryDriver;
use registry_fuzz::wire::{Reply, Wire};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use sha2::Sha256;

const SECRET: &str = "the secret of the target";
const NAME: &str = "a/b";

fuzz_target!(|data: &[u8]| {
    let [how, request, size, rest @ ..] = data else { return };
    let size = u64::from(size % 16);
    let wire =
        Wire::new(Arc::new(MemoryDriver::new()), HttpOptions::default().with_secret(Some(SECRET.to_owned())));
    let session = Session::start(wire.clone(), NAME, size);
    let (state, good) = match how {
        b'm' => {
            let mut state = session.state.clone().into_bytes();
            for pair in rest.chunks_exact(2) {
                let at = usize::from(pair[0]) % state.len();
                state[at] = state[at].wrapping_add(pair[1]);
            }
            compared(&session, state)
        }
        b'c' => {
            let at = rest.first().map_or(0, |byte| usize::from(*byte) % (session.state.len() + 1));
            let mut state = session.state.as_bytes()[..at].to_vec();
            state.extend_from_slice(rest.get(1..).unwrap_or_default());
            compared(&session, state)
        }
        b's' => {
            let json = String::from_utf8_lossy(rest).replace("@N", NAME).replace("@U", &session.id);
            (sign(json.as_bytes()).into_bytes(), Some(session.is_described_by(&json, *request)))
        }
        b'x' => {
            let state = session.foreign(rest);
            // Giving a session up needs no state of the moment.
            let own = state == session.earlier && is_cancel(*request);
            (state.into_bytes(), Some(own))
        }
        _ => (rest.to_vec(), Some(false)),
    };
    let reply = session.ask(*request, &state);
    let accepted = reply.status.is_success();
    if let Some(good) = good {
        assert_eq!(accepted, good, "{reply:?} to {:?}", String::from_utf8_lossy(&state));
    }
    if !accepted {
        let code = (reply.status.as_u16(), reply.code());
        let known = [(404, "BLOB_UPLOAD_INVALID"), (416, "RANGE_INVALID")];
        assert!(known.iter().any(|(status, id)| code == (*status, (*id).to_owned())), "{reply:?}");
        assert!(*how == b's' || *how == b'x' || code.0 == 404, "an offset of somebody else's: {reply:?}");
        session.goes_on();
    }
});

/// A session with some bytes in it, and its state.
struct Session {
    wire: Wire,
    id: String,
    name: &'static str,
    size: u64,
    state: String,
    /// The state before there were any bytes.
    earlier: String,
}

impl Session {
    fn start(wire: Wire, name: &'static str, size: u64) -> Self {
        let send = |method: Method, url: &str, body: Vec<u8>| {
            wire.send(
                Request::builder()
                    .method(method)
                    .uri(url)
                    .body(Full::<Bytes>::from(body))
                    .expect("a request"),
            )
        };
        let reply = send(Method::POST, &format!("/v2/{name}/blobs/uploads/"), Vec::new());
        let id = reply.header("docker-upload-uuid").to_owned();
        let earlier = state(&reply);
        let reply = send(Method::PATCH, reply.header("location"), content(size));
        assert_eq!(reply.status, 202);
        let session = Self { id, name, size, state: state(&reply), earlier, wire };
        session.holds(&session.state, size);
        session
    }

    /// A state of ours has the right signature and says where the session is.
    fn holds(&self, state: &str, size: u64) {
        let token = URL_SAFE.decode(state).expect("base64");
        let json = &token[32..];
        assert_eq!(sign(json), state);
        let said: Value = serde_json::from_slice(json).expect("JSON");
        assert_eq!(said["Name"], self.name);
        assert_eq!(said["UUID"], self.id.as_str());
        assert_eq!(said["Offset"], size);
    }

    /// Whether JSON with our signature describes this session. Four fields, of which the time says nothing.
    fn is_described_by(&self, json: &str, request: u8) -> bool {
        let right = |name: &Value, id: &Value, offset: &Value, started: &Value| {
            let now = if is_cancel(request) { offset.is_u64() } else { *offset == self.size };
            *name == self.name && *id == self.id.as_str() && now && started.is_string()
        };
        if let Ok(Fields(said)) = serde_json::from_str(json) {
            // A field that is repeated is refused, like one that is missing.
            let field = |name| {
                let mut values = said.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
                values.next().filter(|_| values.next().is_none()).unwrap_or(&Value::Null)
            };
            return right(field("Name"), field("UUID"), field("Offset"), field("StartedAt"));
        }
        // The values alone are read too. It needs our signature, and says the same.
        match serde_json::from_str::<Vec<Value>>(json).as_deref() {
            Ok([name, id, offset, started]) => right(name, id, offset, started),
            _ => false,
        }
    }

    /// A state that we signed, for something else.
    fn foreign(&self, rest: &[u8]) -> String {
        match rest.first().map_or(0, |byte| byte % 3) {
            0 => Self::start(self.wire.clone(), NAME, self.size).state,
            1 => Self::start(self.wire.clone(), "a/c", self.size).state,
            // Where there are no bytes, the earlier state is the same one.
            _ if self.size == 0 => sign(b"{}"),
            _ => self.earlier.clone(),
        }
    }

    /// A request that only the right state makes: a chunk, the end, or giving up.
    fn ask(&self, request: u8, state: &[u8]) -> Reply {
        let state: String = state.iter().map(|byte| format!("%{byte:02X}")).collect();
        let url = format!("/v2/{}/blobs/uploads/{}?_state={state}", self.name, self.id);
        let (method, url) = match request % 3 {
            0 => (Method::PATCH, url),
            1 => (Method::PUT, format!("{url}&digest={}", Algorithm::Sha256.digest(&content(self.size)))),
            _ => (Method::DELETE, url),
        };
        self.wire.send(
            Request::builder().method(method).uri(url).body(Full::<Bytes>::default()).expect("a request"),
        )
    }

    /// What was refused has changed nothing, and our own state is as good as before.
    fn goes_on(&self) {
        let url = format!("/v2/{}/blobs/uploads/{}", self.name, self.id);
        let reply = self.wire.send(Request::get(url).body(Full::<Bytes>::default()).expect("a request"));
        assert_eq!(reply.status, 204);
        assert_eq!(reply.header("range"), format!("0-{}", self.size.saturating_sub(1)));
        self.holds(&state(&reply), self.size);
        let reply = self.ask(0, self.state.as_bytes());
        assert_eq!(reply.status, 202, "{reply:?}");
        self.holds(&state(&reply), self.size);
        assert_eq!(self.ask(1, self.state.as_bytes()).status, 201);
    }
}

/// The fields of a JSON object as they are written, repeated ones too.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

fn is_cancel(request: u8) -> bool {
    !matches!(request % 3, 0 | 1)
}

/// A state that was changed is refused, unless it is the same again; padding alone may come off.
fn compared(session: &Session, state: Vec<u8>) -> (Vec<u8>, Option<bool>) {
    let same = state == session.state.as_bytes();
    let padding = session.state.trim_end_matches('=');
    let only_padding =
        state.strip_prefix(padding.as_bytes()).is_some_and(|rest| rest.iter().all(|b| *b == b'='));
    let good = if only_padding && !same { None } else { Some(same) };
    (state, good)
}

fn content(size: u64) -> Vec<u8> {
    vec![b'.'; size as usize]
}

fn sign(json: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length");
    mac.update(json);
    let mut token = mac.finalize().into_bytes().to_vec();
    token.extend_from_slice(json);
    URL_SAFE.encode(token)
}

/// The state in `Location`.
fn state(reply: &Reply) -> String {
    let (_, state) = reply.header("location").split_once("_state=").expect("Location has a state");
    state.replace("%3D", "=")
}
