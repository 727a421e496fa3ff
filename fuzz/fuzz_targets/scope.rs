//! Scopes that clients ask tokens for: what is read out of them is what the grammar says, and is written as it is
//! read.
//!
//! The input is values of the parameter `scope`, one a line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::auth::issuer::scope::{MAX_RESOURCES, Scope};
use registry_fuzz::grammar::is_name;

const ACTIONS: [&str; 4] = ["pull", "push", "delete", "*"];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let values: Vec<&str> = text.split('\n').collect();
    for one in values.iter().flat_map(|value| value.split(' ')) {
        let read = Scope::parse(one);
        assert_eq!(read.is_some(), asks_for_something(one), "{one:?}: {read:?}");
        if let Some(scope) = read {
            let written = scope.to_string();
            assert_eq!(Scope::parse(&written).as_ref(), Some(&scope), "{one:?} is written {written:?}");
            assert_eq!(scope.accesses().count(), scope.actions.len());
        }
    }
    let Ok(scopes) = Scope::parse_all(values.iter().copied()) else {
        assert!(text.split(['\n', ' ']).count() > MAX_RESOURCES, "{text:?}");
        return;
    };
    assert!(scopes.len() <= MAX_RESOURCES);
    for (at, scope) in scopes.iter().enumerate() {
        let mut others = scopes[at + 1..].iter();
        let same = others.any(|other| (&other.resource, &other.class) == (&scope.resource, &scope.class));
        assert!(!same, "{scope} is there twice");
        let mut actions = scope.actions.iter().enumerate();
        assert!(
            actions.all(|(at, action)| !scope.actions[..at].contains(action)),
            "{scope} has an action twice"
        );
    }
    // Once read, they are read the same.
    let written: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    assert_eq!(Scope::parse_all([written.join(" ").as_str()]).as_ref(), Ok(&scopes));
});

/// "Docker Registry Token Scope and Access", for what this registry has, read a second time: from the end.
fn asks_for_something(text: &str) -> bool {
    let Some((resource, actions)) = text.rsplit_once(':') else { return false };
    if !actions.split(',').any(|action| ACTIONS.contains(&action)) {
        return false;
    }
    if matches!(resource, "registry:catalog" | "registry:blobs") {
        return true;
    }
    let Some(rest) = resource.strip_prefix("repository") else { return false };
    let name = match rest.strip_prefix('(') {
        None => rest.strip_prefix(':'),
        Some(rest) => rest.split_once("):").and_then(|(class, name)| {
            let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            (!class.is_empty() && class.bytes().all(word)).then_some(name)
        }),
    };
    name.is_some_and(is_name)
}
