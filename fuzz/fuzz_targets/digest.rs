//! Digests as text, and their computation in pieces and from saved states.
//!
//! The input is a text, a line of `%%`, a saved state, another such line, and content.

#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::core::{Algorithm, Digest, Digester, Reference, Tag};
use registry_fuzz::{grammar, parts};
use sha2::{Digest as _, Sha256, Sha512};

fuzz_target!(|data: &[u8]| {
    let mut parts = parts(data).into_iter();
    let mut part = || parts.next().unwrap_or_default();
    if let Ok(text) = std::str::from_utf8(part()) {
        as_text(text);
    }
    let (saved, content) = (part(), part());
    for algorithm in Algorithm::ALL {
        computed(algorithm, content);
        restored(algorithm, saved, content);
    }
});

fn as_text(text: &str) {
    let parsed = Digest::parse(text);
    assert_eq!(parsed.is_ok(), grammar::is_digest(text), "{text:?}: {parsed:?}");
    let Ok(digest) = parsed else { return };
    assert_eq!(digest.to_string(), text);
    assert_eq!(format!("{}:{}", digest.algorithm_name(), digest.encoded()), text);
    assert_eq!(Reference::parse(text), Ok(Reference::Digest(digest.clone())));
    assert!(Tag::parse(text).is_err(), "{text:?} is a digest and a tag");
    let json = serde_json::to_string(&digest).expect("JSON");
    assert_eq!(serde_json::from_str::<Digest>(&json).ok().as_ref(), Some(&digest));
    // Clients push under this tag, so it has to be one.
    assert!(Tag::parse(&digest.referrers_tag()).is_ok(), "{text:?}: {}", digest.referrers_tag());
    if let Some(algorithm) = digest.algorithm() {
        assert_eq!(digest.encoded().len(), algorithm.hex_len());
        assert!(Digester::for_digest(&digest).is_ok_and(|digester| digester.algorithm() == algorithm));
    } else {
        assert!(Digester::for_digest(&digest).is_err());
    }
}

/// Content has one digest, however it comes in pieces and wherever the state was saved on the way.
fn computed(algorithm: Algorithm, content: &[u8]) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let expected = match algorithm {
        Algorithm::Sha256 => hex(&Sha256::digest(content)),
        Algorithm::Sha512 => hex(&Sha512::digest(content)),
    };
    let digest = algorithm.digest(content);
    assert_eq!(digest.as_str(), format!("{algorithm}:{expected}"));
    assert_eq!(Digest::parse(digest.as_str()).as_ref(), Ok(&digest));
    let size = 1 + content.first().map_or(0, |byte| usize::from(*byte));
    let mut digester = Digester::new(algorithm);
    for piece in content.chunks(size) {
        digester.update(piece);
        let saved = digester.save();
        digester = Digester::restore(algorithm, &saved).expect("our own state");
        assert_eq!(digester.save(), saved);
    }
    assert_eq!(digester.bytes_hashed(), content.len() as u64);
    assert_eq!(digester.finish(), digest);
}

/// A state from a store is anybody's. One that is taken can be gone on with, and says how far it is.
fn restored(algorithm: Algorithm, saved: &[u8], content: &[u8]) {
    let Some(mut digester) = Digester::restore(algorithm, saved) else { return };
    assert_eq!(digester.algorithm(), algorithm);
    let before = digester.bytes_hashed();
    let again = Digester::restore(algorithm, &digester.save()).expect("a state that was taken");
    assert_eq!((again.bytes_hashed(), again.save()), (before, digester.save()));
    digester.update(content);
    assert_eq!(digester.bytes_hashed() - before, content.len() as u64);
    assert_eq!(digester.finish().algorithm(), Some(algorithm));
}
