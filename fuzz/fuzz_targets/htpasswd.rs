//! Files of users, and what clients send to be one of them: nobody gets in who is not in the file with this password.
//!
//! The input is a file, a line of `%%`, and the value of `Authorization`.

#![no_main]

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use registry::auth::{Htpasswd, HtpasswdError, Passwords};
use registry::core::{AccessController, AuthRequest};
use registry_fuzz::parts;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"));
/// In memory, where there is such a place: it is written each time.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let directory = if memory.is_dir() { memory } else { std::env::temp_dir() };
    directory.join(format!("registry-fuzz-htpasswd-{}", std::process::id()))
});

fuzz_target!(|data: &[u8]| {
    let parts = parts(data);
    let (file, header) = (parts[0], parts.get(1).copied().unwrap_or_default());
    std::fs::write(&*FILE, file).expect("a file");
    let opened = Passwords::open(&*FILE);
    let _ = std::fs::remove_file(&*FILE);
    let lines: Vec<&[u8]> = file.split(|byte| *byte == b'\n').collect();
    let first = lines.iter().position(|line| is_broken(line));
    let passwords = match (opened, first) {
        (Ok(passwords), None) => passwords,
        (Err(HtpasswdError::Line { line, .. }), Some(first)) => {
            assert_eq!(line, first + 1);
            return;
        }
        (opened, first) => panic!("{opened:?}, and line {first:?} is broken"),
    };
    // Each step of the cost takes twice the time.
    let dear = |window: &[u8]| {
        let (cost, around) = (&window[1..3], [window[0], window[3]]);
        around == *b"$$" && cost.iter().all(u8::is_ascii_digit) && cost != b"04"
    };
    if file.windows(4).any(dear) {
        return;
    }
    let Ok(value) = HeaderValue::from_bytes(header) else { return };
    let request = Request::get("/v2/").header(AUTHORIZATION, value).body(()).expect("a request");
    let (head, ()) = request.into_parts();
    let controller = Htpasswd::new("realm", Arc::new(passwords));
    let Ok(grant) = RUNTIME.block_on(controller.authorize(&AuthRequest::new(&head, &[], &[]))) else {
        return;
    };
    let principal = grant.principal.expect("whoever gets in has a name");
    let (scheme, encoded) = std::str::from_utf8(header).expect("text").split_once(' ').expect("a scheme");
    assert!(scheme.eq_ignore_ascii_case("basic"), "{scheme:?}");
    let decoded = STANDARD.decode(encoded.trim()).expect("base64");
    let credentials = String::from_utf8(decoded).expect("text");
    let (user, password) = credentials.split_once(':').expect("a colon");
    assert_eq!(principal.name, user);
    let of_user =
        lines.iter().rev().filter_map(|line| std::str::from_utf8(line).ok()?.trim().split_once(':'));
    let hash = of_user.filter(|(name, _)| !name.starts_with('#')).find(|(name, _)| *name == user);
    let (_, hash) = hash.expect("the user is in the file");
    // Further fields mean nothing. Spare bits of a salt, which some generators set, are an error only here.
    let hash = hash.split(':').next().unwrap_or_default();
    assert!(bcrypt::verify(password, hash).unwrap_or(true), "{user:?} {password:?} {hash:?}");
});

/// Whether a line is neither an entry nor a comment. What is no text is passed over.
fn is_broken(line: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(line) else { return false };
    let text = text.trim();
    !text.is_empty() && !text.starts_with('#') && !text.contains(':')
}
