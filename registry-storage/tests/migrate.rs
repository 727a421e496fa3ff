//! Copies of a store: whole, cut off at every call, while the source is written to, and after it was.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod migration;

use std::time::{Duration, SystemTime};

use migration::{Pair, Place, contents, image, pairs, sound, tree};
use registry_conformance::content::Content;
use registry_conformance::faults::{Call, Fault};
use registry_core::{Algorithm, Batch, MediaType, StorageDriverExt, StoragePath};
use registry_storage::{MigrationKind, MigrationStage};

#[tokio::test]
async fn everything_is_copied_between_any_two_stores_and_then_nothing_more() {
    for pair in pairs() {
        pair.fill().await;
        let report = pair.migrate().run().await;
        assert!(report.is_complete(), "{pair:?}: {report:#?}");
        assert_eq!(report.unknown, 0, "{report:#?}");
        assert_eq!(pair.target().await, pair.wanted().await, "{pair:?}");
        let first = report.total();
        assert!(first.copied > 40 && first.present == 0 && first.extra == 0, "{report:#?}");
        assert_eq!(report.of(MigrationKind::Blob).bytes, report.transferred);

        let before = pair.to.faults.calls();
        let report = pair.migrate().run().await;
        assert!(report.is_complete(), "{pair:?}: {report:#?}");
        assert_eq!((report.total().copied, report.total().bytes), (0, 0), "{pair:?}: {report:#?}");
        assert_eq!(report.total().present, first.copied, "{pair:?}");
        assert_eq!(report.transferred, 0, "no content is read");
        assert!(pair.to.faults.calls() > before);
        sound(&pair, "twice").await;
    }
}

#[tokio::test]
async fn what_was_copied_is_served() {
    for pair in pairs() {
        pair.fill().await;
        pair.migrate().run().await;
        pair.to.serves("library/app", &image("new"), "latest").await;
        pair.to.serves("library/app", &image("old"), "v1").await;
        pair.to.serves("a/b/c", &image("other"), "latest").await;
    }
}

#[tokio::test]
async fn a_run_that_is_cut_off_anywhere_leaves_a_valid_store_and_the_next_completes_it() {
    let make: [fn() -> Pair; 4] = [
        || Pair::new(Place::memory(), Place::memory()),
        || Pair::new(Place::flat(), Place::filesystem()),
        || Pair::new(Place::filesystem(), Place::flat()),
        || Pair::new(Place::flat(), Place::flat()),
    ];
    for make in make {
        for end in ["source", "destination"] {
            for nth in 0.. {
                let pair = make();
                pair.fill_little().await;
                let faults = if end == "source" { &pair.from.faults } else { &pair.to.faults };
                faults.arm(Fault::Stall, nth, |_| true);
                let finished = pair.run_or_stall(faults).await;
                let call = faults.disarm();
                let after = format!("{pair:?}: cut off at call {nth} of the {end} ({call:?})");
                sound(&pair, &after).await;
                let report = pair.migrate().run().await;
                assert!(report.is_complete(), "{after}: {report:#?}");
                assert_eq!(pair.target().await, pair.wanted().await, "{after}");
                sound(&pair, &after).await;
                if call.is_none() {
                    assert!(finished && nth > 20, "{after}");
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_call_that_fails_costs_no_more_than_what_it_was_for() {
    for fault in [Fault::Backend, Fault::Unavailable, Fault::LostAnswer] {
        for end in ["source", "destination"] {
            for nth in 0.. {
                let pair = Pair::new(Place::memory(), Place::flat());
                pair.fill_little().await;
                let faults = if end == "source" { &pair.from.faults } else { &pair.to.faults };
                faults.arm(fault, nth, |_| true);
                let report = pair.migrate().run().await;
                let call = faults.disarm();
                let after = format!("{fault:?} at call {nth} of the {end} ({call:?}): {report:#?}");
                sound(&pair, &after).await;
                if fault == Fault::Backend {
                    let shown = report.failed > 0 || report.ended.is_some() || call.is_none();
                    // What earlier runs left could not be removed, or the list of scanned manifests not be read.
                    assert!(shown || call == Some(Call::Step) || call == Some(Call::Get), "{after}");
                    let report = pair.migrate().run().await;
                    assert!(report.is_complete(), "after {after}: {report:#?}");
                } else {
                    assert!(report.is_complete(), "{after}");
                    let repeated = report.retries > 0 || call.is_none() || call == Some(Call::Step);
                    // An answer that nothing is there is not lost.
                    assert!(repeated || fault == Fault::LostAnswer, "{after}");
                }
                assert_eq!(pair.target().await, pair.wanted().await, "{after}");
                if call.is_none() {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn the_source_may_be_pushed_to_at_any_moment() {
    for tag in ["latest", "aaa"] {
        for nth in 0.. {
            let pair = Pair::new(Place::memory(), Place::memory());
            pair.fill_little().await;
            let struck = pair
                .meanwhile(nth, async || {
                    pair.from.push("library/app", &image("meanwhile").tag(tag, "index")).await;
                })
                .await;
            let after = format!("pushed at call {nth}");
            sound(&pair, &after).await;
            let report = pair.migrate().run().await;
            assert!(report.is_complete(), "{after}: {report:#?}");
            assert_eq!(pair.target().await, pair.wanted().await, "{after}");
            if !struck {
                break;
            }
        }
    }
}

#[tokio::test]
async fn the_source_may_lose_things_at_any_moment() {
    for nth in 0.. {
        let pair = Pair::new(Place::memory(), Place::flat());
        pair.fill_little().await;
        let gone = image("little");
        let struck = pair
            .meanwhile(nth, async || {
                let repository = pair.from.repository("library/app").await;
                repository.manifests().delete(gone.digest("index")).await.unwrap();
            })
            .await;
        let after = format!("deleted at call {nth}");
        sound(&pair, &after).await;
        let report = pair.migrate().delete(true).run().await;
        assert!(report.is_complete(), "{after}: {report:#?}");
        assert_eq!(pair.target().await, pair.wanted().await, "{after}");
        sound(&pair, &after).await;
        if !struck {
            break;
        }
    }
}

#[tokio::test]
async fn what_changed_since_is_caught_up_with_and_what_is_gone_stays_unless_it_is_to_be_removed() {
    for pair in pairs() {
        pair.fill().await;
        pair.migrate().run().await;
        let old = image("old");
        let repository = pair.from.repository("library/app").await;
        // A tag moves back, one is new, one goes, a manifest goes with its tags, and a repository.
        pair.from.push("library/app", &image("old").tag("latest", "index").tag("v3", "index")).await;
        repository.tags().delete(&registry_core::Tag::parse("v2").unwrap()).await.unwrap();
        pair.from.repository("a/b/c").await.manifests().delete(image("other").digest("index")).await.unwrap();
        let path = StoragePath::parse("/docker/registry/v2/repositories/gone").unwrap();
        pair.from.inner.delete(&path).await.unwrap();

        let report = pair.migrate().run().await;
        assert!(report.is_complete(), "{report:#?}");
        let tags = report.of(MigrationKind::Tag);
        assert_eq!((report.of(MigrationKind::Blob).copied, tags.removed), (0, 0), "{report:#?}");
        assert!(tags.copied >= 2 && tags.extra >= 3, "{report:#?}");
        assert!(report.of(MigrationKind::Manifest).extra >= 1, "{report:#?}");
        pair.to.serves("library/app", &old, "latest").await;
        let target = pair.target().await;
        let missing = pair.wanted().await.into_keys().find(|file| !target.contains_key(file));
        assert_eq!(missing, None, "{pair:?}");
        sound(&pair, "caught up").await;

        let dry = pair.migrate().delete(true).dry_run(true).run().await;
        assert_eq!(pair.target().await, target, "a dry run changes nothing");
        let report = pair.migrate().delete(true).run().await;
        assert!(report.is_complete(), "{report:#?}");
        assert_eq!(pair.target().await, pair.wanted().await, "{pair:?}");
        assert_eq!(report.of(MigrationKind::Tag).removed, 3, "{pair:?}: {:?}", report.tallies);
        assert_eq!(dry.total().removed, report.total().removed);
        sound(&pair, "removed").await;
    }
}

#[tokio::test]
async fn removal_is_cut_off_anywhere_and_tags_go_first() {
    for nth in 0.. {
        let pair = Pair::new(Place::memory(), Place::memory());
        pair.fill_little().await;
        pair.migrate().run().await;
        let repository = pair.from.repository("library/app").await;
        repository.manifests().delete(image("little").digest("index")).await.unwrap();
        repository.manifests().delete(image("little").digest("image")).await.unwrap();
        let blob = image("little").digest("layer").clone();
        repository.blobs().delete(&blob).await.unwrap();
        pair.from.lose_content(&blob).await;
        pair.to.faults.arm(Fault::Stall, nth, Call::writes);
        let migration = pair.migrate().delete(true);
        pair.or_stall(&pair.to.faults, migration.run()).await;
        let call = pair.to.faults.disarm();
        sound(&pair, &format!("removal cut off at call {nth}")).await;
        assert!(pair.migrate().delete(true).run().await.is_complete());
        assert_eq!(pair.target().await, pair.wanted().await, "removal cut off at call {nth}");
        if call.is_none() {
            assert!(nth > 3);
            break;
        }
    }
}

#[tokio::test]
async fn damaged_content_stays_behind_with_what_leads_to_it() {
    for pair in pairs() {
        pair.fill().await;
        let (old, new) = (image("old"), image("new"));
        // A small one, a large one, a manifest with a tag, and a blob that a collector took.
        pair.from.overwrite(new.digest("layer"), "other bytes").await;
        pair.from.overwrite(new.digest("large"), vec![7; 50_000]).await;
        pair.from.overwrite(old.digest("index"), "{}").await;
        pair.from.lose_content(old.digest("layer")).await;
        for run in 0..2 {
            let report = pair.migrate().delete(true).run().await;
            assert!(!report.is_complete());
            assert_eq!(report.failed, 3, "{run}: {report:#?}");
            assert_eq!(
                report.ended.as_deref(),
                Some("nothing was removed, because not everything could be copied")
            );
            for digest in [new.digest("layer"), new.digest("large"), old.digest("index")] {
                let named = |hex: &str| report.failures.iter().find(|note| note.path.contains(hex));
                let note = named(digest.encoded()).unwrap();
                assert!(note.reason.contains("do not match the digest"), "{note:?}");
                assert!(!pair.to.has_content(digest).await);
            }
            assert_eq!(report.of(MigrationKind::Layer).left_out, 6, "in two repositories: {report:#?}");
            assert_eq!(report.of(MigrationKind::Manifest).left_out, 2, "{report:#?}");
            sound(&pair, "damaged").await;
            assert!(!contents(&pair.target().await).contains("_migrate"), "nothing is left on the way");
        }
        // The damaged layer is pushed again to the destination, as a client would.
        pair.to.push("library/app", &new).await;
        pair.to.serves("library/app", &new, "latest").await;
    }
}

#[tokio::test]
async fn content_at_the_destination_is_compared_by_length_or_by_its_bytes() {
    for pair in pairs() {
        pair.fill().await;
        pair.migrate().run().await;
        let (layer, large) = (image("new").digest("layer").clone(), image("new").digest("large").clone());
        pair.to.overwrite(&large, vec![7; 60_000]).await;
        pair.to.overwrite(&layer, "short").await;
        let report = pair.migrate().run().await;
        let disks = pair.from.is_tree() && pair.to.is_tree();
        assert_eq!(report.replaced, if disks { 1 } else { 0 }, "the large one has its length: {report:#?}");
        let report = pair.migrate().verify(true).run().await;
        assert!(report.is_complete(), "{report:#?}");
        assert_eq!(report.replaced, if disks { 1 } else { 2 });
        assert_eq!(
            report.verified + report.replaced,
            report.of(MigrationKind::Blob).present + report.replaced
        );
        assert_eq!(pair.target().await, pair.wanted().await);
    }
}

#[tokio::test]
async fn what_is_none_of_the_layout_is_named_and_stays() {
    let pair = Pair::new(Place::filesystem(), Place::filesystem());
    pair.fill().await;
    let strange = [
        "blobs/sha256/ab/note.txt",
        "blobs/sha256/ab/abcd/data",
        "blobs/md5/ab/ab12/data",
        "repositories/README",
        "repositories/library/app/_trash/x",
        "repositories/library/app/_layers/x",
        "repositories/library/app/_manifests/x/y",
        "repositories/library/app/_manifests/tags/latest/note",
    ];
    for name in strange {
        pair.from.put(name, "?").await;
    }
    let report = pair.migrate().run().await;
    assert!(report.is_complete(), "it is no failure: {report:#?}");
    assert_eq!(
        (report.unknown, report.unknown_files.len()),
        (strange.len() as u64, strange.len()),
        "{report:#?}"
    );
    for (name, note) in
        [("blobs/md5/ab/ab12/data", "content"), ("repositories/library/app/_trash", "nothing")]
    {
        let path = format!("/docker/registry/v2/{name}");
        let found = report.unknown_files.iter().find(|file| file.path == path).unwrap();
        assert!(found.reason.contains(note), "{found:?}");
    }
    assert_eq!(report.uploads, 1);
    let target = pair.target().await;
    assert!(strange.iter().all(|name| !target.contains_key(*name)));
    assert!(!contents(&target).contains("_uploads"));
}

#[tokio::test]
async fn repositories_that_no_client_can_name_and_signatures_are_copied() {
    let pair = Pair::new(Place::memory(), Place::flat());
    pair.fill_little().await;
    let digest = image("little").digest("layer").clone();
    let hex = digest.encoded();
    pair.from.put(&format!("repositories/FOO.com/bar/_layers/sha256/{hex}/link"), digest.as_str()).await;
    let signature = format!("_manifests/revisions/sha256/{hex}/signatures/sha256/{hex}/link");
    pair.from.put(&format!("repositories/FOO.com/bar/{signature}"), digest.as_str()).await;
    assert!(pair.migrate().run().await.is_complete());
    let target = pair.target().await;
    assert!(target.contains_key(&format!("repositories/FOO.com/bar/{signature}")));
    assert_eq!(target, pair.wanted().await);
}

#[tokio::test]
async fn torn_links_and_tags_that_point_at_nothing_stay_behind() {
    for pair in pairs() {
        pair.fill().await;
        let root = "repositories/library/app";
        let absent = Algorithm::Sha256.digest(b"absent");
        let hex = absent.encoded();
        pair.from.put(&format!("{root}/_layers/sha256/{hex}/link"), "").await;
        pair.from.put(&format!("{root}/_manifests/revisions/sha256/{hex}/link"), "sha256:12").await;
        pair.from.put(&format!("{root}/_manifests/tags/torn/current/link"), "").await;
        pair.from.put(&format!("{root}/_manifests/tags/lost/current/link"), absent.as_str()).await;
        pair.from.put(&format!("{root}/_manifests/tags/lost/index/sha256/{hex}/link"), absent.as_str()).await;
        let report = pair.migrate().run().await;
        assert!(report.is_complete(), "{report:#?}");
        assert_eq!(report.of(MigrationKind::Layer).left_out, 1, "{report:#?}");
        assert_eq!(report.of(MigrationKind::Manifest).left_out, 1, "{report:#?}");
        assert_eq!(report.of(MigrationKind::Tag).left_out, 3, "{report:#?}");
        let target = contents(&pair.target().await);
        assert!(!target.contains(hex) && !target.contains("/lost/") && !target.contains("/torn/"));
        sound(&pair, "torn").await;
    }
}

/// What says that every tag of a manifest is noted has to be younger than the manifest's link. Distribution
/// writes the link anew and notes nothing.
#[tokio::test]
async fn notes_of_tags_are_copied_only_while_they_count() {
    let pair = Pair::new(Place::filesystem(), Place::filesystem());
    pair.fill_little().await;
    let little = image("little");
    let digest = little.digest("index");
    let revision = format!("repositories/library/app/_manifests/revisions/sha256/{}", digest.encoded());
    assert!(pair.migrate().run().await.is_complete());
    let noted =
        |target: &migration::Tree| target.keys().any(|file| file.starts_with(&format!("{revision}/tags")));
    assert!(noted(&pair.target().await));
    // Ours sets another tag: both notes are there.
    pair.from.push("library/app", &image("little").tag("v9", "index")).await;
    assert!(pair.migrate().run().await.is_complete());
    assert_eq!(pair.target().await, pair.wanted().await);
    assert_eq!(pair.to.tags_of("library/app", digest).await, ["latest", "v9"]);

    // Distribution pushes the manifest under a third.
    let link = pair.from.file(&format!("{revision}/link"));
    std::fs::File::open(link).unwrap().set_modified(SystemTime::now() + Duration::from_secs(5)).unwrap();
    for part in ["current".to_owned(), format!("index/sha256/{}", digest.encoded())] {
        let name = format!("repositories/library/app/_manifests/tags/theirs/{part}/link");
        pair.from.put(&name, digest.as_str()).await;
    }
    assert!(pair.migrate().run().await.is_complete());
    assert!(!noted(&pair.target().await), "it would say that all tags are noted");
    assert_eq!(pair.to.tags_of("library/app", digest).await, ["latest", "theirs", "v9"]);
    pair.to.repository("library/app").await.manifests().delete(digest).await.unwrap();
    assert!(pair.to.tags_of("library/app", digest).await.is_empty());
    let tags = pair.target().await;
    assert!(!contents(&tags).contains("tags/theirs/current"), "no tag is left that points at nothing");
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_counts_what_a_run_would() {
    for pair in pairs() {
        pair.fill().await;
        let dry = pair.migrate().dry_run(true).run().await;
        assert!(dry.is_complete() && pair.target().await.is_empty(), "{dry:#?}");
        let report = pair.migrate().run().await;
        assert_eq!(dry.total().copied, report.total().copied, "{dry:#?} {report:#?}");
        assert_eq!(dry.total().bytes, report.total().bytes);
        assert_eq!(dry.transferred, 0);
    }
}

#[tokio::test]
async fn a_destination_that_is_full_and_a_source_that_is_none_end_the_run() {
    let pair = Pair::new(Place::memory(), Place::memory());
    let report = pair.migrate().run().await;
    assert_eq!(report.ended.as_deref(), Some("source: there is no /docker/registry/v2"));
    pair.fill_little().await;
    pair.to.faults.arm(Fault::Full, 2, |call| call == Call::Step);
    let report = pair.migrate().run().await;
    let ended = report.ended.as_deref().unwrap();
    assert!(ended.starts_with("destination: inmemory: no space left"), "{ended}");
    assert!(!report.is_complete() && report.stage != MigrationStage::Done);
    assert!(pair.migrate().run().await.is_complete(), "there is room again");
}

#[tokio::test]
async fn progress_can_be_seen() {
    let pair = Pair::new(Place::memory(), Place::memory());
    pair.fill_little().await;
    let migration = pair.migrate();
    let progress = migration.progress();
    assert_eq!(progress.report().stage, MigrationStage::Waiting);
    pair.to.faults.arm(Fault::Stall, 2, |call| call == Call::Step);
    pair.or_stall(&pair.to.faults, migration.run()).await;
    let report = progress.report();
    assert_eq!(report.stage, MigrationStage::Content);
    assert!(report.transferred > 0 && report.share > 0.0 && report.share <= 1.0, "{report:#?}");
    pair.to.faults.disarm();
}

/// What one of ours put beside a manifest whose bytes do not say its type.
#[tokio::test]
async fn types_of_manifests_go_along() {
    for pair in pairs() {
        let odd = migration::untyped();
        pair.from.push("odd", &odd).await;
        assert!(pair.migrate().run().await.is_complete());
        let manifest = pair.to.repository("odd").await.manifests().get(odd.digest("odd")).await.unwrap();
        assert_eq!(manifest.media_type(), &MediaType::parse("application/vnd.example.odd+json").unwrap());

        // The same bytes as something else: the type of the last push counts.
        let other = Content::new().raw("odd", "application/vnd.example.even+json", r#"{"schemaVersion":2}"#);
        pair.from.push("odd", &other).await;
        assert!(pair.migrate().run().await.is_complete());
        assert_eq!(pair.target().await, pair.wanted().await);
    }
}

#[tokio::test]
async fn leavings_of_runs_that_were_cut_off_are_removed() {
    let pair = Pair::new(Place::filesystem(), Place::filesystem());
    pair.fill_little().await;
    let path = StoragePath::parse("/docker/registry/_migrate/sha256-ab").unwrap();
    pair.to.inner.apply(Batch::new().put(path.clone(), "half")).await.unwrap();
    assert!(pair.migrate().run().await.is_complete());
    assert!(!pair.to.inner.exists(&path).await.unwrap());
    assert_eq!(
        tree(pair.to.inner.as_ref(), "/docker").await.keys().filter(|name| !name.contains("/v2/")).count(),
        0
    );
}
