//! Keys in a directory: made, shared, replaced, and gone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

const DAY: u64 = 86_400;

fn settings(directory: Option<&Path>) -> KeySettings {
    KeySettings {
        algorithm: SigningAlgorithm::Es256,
        directory: directory.map(Path::to_owned),
        rotation: Duration::from_secs(30 * DAY),
        access: Duration::from_secs(360),
        refresh: Duration::from_secs(30 * DAY),
    }
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn signer(keys: &Keys, held: &Held, now: u64) -> String {
    held.signing.current(now, keys.store.rotation, keys.store.own()).unwrap().id.clone()
}

#[test]
fn keys_are_for_nobody_else_to_read() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("not/there/yet");
    Keys::open(&settings(Some(&directory))).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let files = files(&directory);
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        assert_eq!(mode(&directory.join(&file)), 0o600, "{file}");
    }
}

#[test]
fn keys_are_rotated_and_old_ones_verify_until_their_last_token_has_expired() {
    for directory in [None, Some(tempfile::tempdir().unwrap())] {
        let keys = Keys::open(&settings(directory.as_ref().map(tempfile::TempDir::path))).unwrap();
        let start = keys.held().signing.iter().next_back().unwrap().created;
        let at = |held: &Held, now: u64| keys.store.tended(held, now, Broken::Refused).unwrap();
        let first = signer(&keys, &keys.held(), start);
        let held = at(&keys.held(), start + 30 * DAY - 1);
        assert_eq!(held.signing.iter().count(), 1);
        // The next is made, published, and used ten minutes later.
        let now = start + 30 * DAY;
        let held = at(&held, now);
        let second = held.signing.iter().next_back().unwrap().id.clone();
        assert_ne!(first, second);
        assert_eq!(held.jwks()["keys"].as_array().unwrap().len(), 2);
        assert_eq!(signer(&keys, &held, now + 599), first);
        assert_eq!(signer(&keys, &held, now + 600), second);
        // The last token of the first holds for five minutes, and a minute for clocks; an hour more is slack.
        let held = at(&held, now + 600 + 360);
        assert!(held.signing(&first).is_some());
        let held = at(&held, now + 600 + 360 + 3601);
        assert!(held.signing(&first).is_none());
        assert_eq!(held.jwks()["keys"].as_array().unwrap().len(), 1);
        // Refresh tokens hold longer, and so do their keys.
        assert_eq!(held.refresh.iter().count(), 2);
        let held = at(&held, now + 600 + 30 * DAY + 3601);
        assert_eq!(held.refresh.iter().count(), 2, "the first is gone, the third is there");
        if let Some(directory) = &directory {
            let expected = held.signing.iter().count() + held.refresh.iter().count();
            assert_eq!(files(directory.path()).len(), expected);
        }
    }
}

/// What a process does with the directory if it can only read it, as a Secret of Kubernetes.
fn read_only(directory: &Path) -> Store {
    let mut keys = Directory::open(directory).unwrap();
    keys.read_only = true;
    Store {
        directory: Some(Arc::new(keys)),
        algorithm: SigningAlgorithm::Es256,
        rotation: Rotation::new(Duration::from_secs(30 * DAY)),
        access: 360,
        refresh: 30 * DAY,
    }
}

#[test]
fn a_directory_that_can_only_be_read_is_kept_by_somebody_else() {
    let directory = tempfile::tempdir().unwrap();
    let store = read_only(directory.path());
    let error = store.tended(&Held::default(), now(), Broken::Refused).unwrap_err().to_string();
    assert!(error.contains("there is no file signing-….pem in it, and none can be made"), "{error}");
    let keys = Keys::open(&settings(Some(directory.path()))).unwrap();
    let first = signer(&keys, &keys.held(), now());
    let start = files(directory.path());
    // What is due is somebody else's to make, and until then the last key goes on.
    let later = now() + 90 * DAY;
    let held = store.tended(&Held::default(), later, Broken::Refused).unwrap();
    assert_eq!((files(directory.path()), signer(&keys, &held, later)), (start.clone(), first.clone()));
    // They made them: published, used, and the old one is not believed any more, though it is still there.
    keys.store.tended(&held, later, Broken::Refused).unwrap();
    let after = files(directory.path());
    assert_eq!(after.len(), start.len() + 2);
    let held = store.tended(&held, later, Broken::Refused).unwrap();
    assert_eq!(signer(&keys, &held, later), first);
    assert_ne!(signer(&keys, &held, later + 600), first);
    let held = store.tended(&held, later + 600 + 360 + 3601, Broken::Refused).unwrap();
    assert!(held.signing(&first).is_none());
    assert_eq!(files(directory.path()), after);
}

#[test]
fn another_algorithm_takes_over_while_the_old_key_still_verifies() {
    let directory = tempfile::tempdir().unwrap();
    let before = Keys::open(&settings(Some(directory.path()))).unwrap().held();
    let other = KeySettings { algorithm: SigningAlgorithm::EdDsa, ..settings(Some(directory.path())) };
    let keys = Keys::open(&other).unwrap();
    let held = keys.held();
    let old = before.signing.iter().next_back().unwrap().id.clone();
    assert!(held.signing(&old).is_some());
    let later = now() + 601;
    let new = held.signing(&signer(&keys, &held, later)).unwrap();
    assert_eq!(new.algorithm(), SigningAlgorithm::EdDsa);
    let again = keys.store.tended(&held, later, Broken::Refused).unwrap();
    assert_eq!(again.signing.iter().count(), 2, "no third");
}

#[test]
fn replicas_with_different_algorithms_make_one_key_each() {
    let directory = tempfile::tempdir().unwrap();
    let open = |algorithm: SigningAlgorithm| {
        Keys::open(&KeySettings { algorithm, ..settings(Some(directory.path())) }).unwrap()
    };
    let (one, other) = (open(SigningAlgorithm::Es256), open(SigningAlgorithm::EdDsa));
    for later in [0, 60, 700, 3600] {
        for keys in [&one, &other] {
            let held = keys.store.tended(&keys.held(), now() + later, Broken::Refused).unwrap();
            assert_eq!(held.signing.iter().count(), 2, "after {later} s");
        }
    }
}

#[test]
fn a_process_that_dies_while_it_writes_a_key_leaves_nothing_that_is_taken_for_one() {
    let directory = tempfile::tempdir().unwrap();
    let first = Keys::open(&settings(Some(directory.path()))).unwrap().held();
    let name = files(directory.path()).remove(1);
    let text = fs::read(directory.path().join(&name)).unwrap();
    for (age, left) in [(10, true), (7200, false)] {
        for length in [0, text.len() / 2, text.len()] {
            let unfinished = directory.path().join(format!(".new-{name}"));
            fs::write(&unfinished, &text[..length]).unwrap();
            let written = SystemTime::now() - Duration::from_secs(age);
            fs::File::options().write(true).open(&unfinished).unwrap().set_modified(written).unwrap();
            let again = Keys::open(&settings(Some(directory.path()))).unwrap().held();
            assert!(first.is_same(&again));
            assert_eq!(unfinished.exists(), left, "{age} s old");
        }
    }
}

#[test]
fn a_broken_key_stops_the_start_and_not_a_process_that_runs() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys::open(&settings(Some(directory.path()))).unwrap();
    for text in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        for kind in ["signing", "refresh"] {
            let broken = directory.path().join(format!("{kind}-1000-abc.pem"));
            fs::write(&broken, text).unwrap();
            let error = Keys::open(&settings(Some(directory.path()))).unwrap_err().to_string();
            assert!(
                error.contains(&format!("{kind}-1000-abc.pem")) && error.contains("remove the file"),
                "{error}"
            );
            let held = keys.store.tended(&keys.held(), now(), Broken::PassedOver).unwrap();
            assert!(held.is_same(&keys.held()));
            fs::remove_file(&broken).unwrap();
        }
    }
    // A key under the name of another would be published under an id that is not its own.
    let name = files(directory.path()).remove(1);
    fs::copy(directory.path().join(&name), directory.path().join("signing-1000-abc.pem")).unwrap();
    assert!(Keys::open(&settings(Some(directory.path()))).is_err());
}

#[test]
fn other_files_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["README", "signing-x-y.pem", "signing.pem", "other-1-a.pem", "signing-1-a.pem.bak"] {
        fs::write(directory.path().join(name), "x").unwrap();
    }
    Keys::open(&settings(Some(directory.path()))).unwrap();
    assert_eq!(files(directory.path()).len(), 7);
}

#[test]
fn removing_all_files_ends_all_tokens() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Keys::open(&settings(Some(directory.path()))).unwrap();
    let before = keys.held();
    for name in files(directory.path()) {
        fs::remove_file(directory.path().join(name)).unwrap();
    }
    let held = keys.store.tended(&before, now(), Broken::PassedOver).unwrap();
    let old = before.signing.iter().next_back().unwrap().id.clone();
    assert!(held.signing(&old).is_none() && held.signing.iter().next_back().is_some());
}

#[test]
fn a_directory_that_cannot_be_used_has_a_reason() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = Keys::open(&settings(Some(&path))).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}
