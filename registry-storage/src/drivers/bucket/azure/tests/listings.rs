//! Listings of services that begin anywhere, and of those that do not.

use std::collections::BTreeMap;

use super::super::super::played::{Asked, Played, Said, said, with_headers};
use super::*;

const KEYS: [&str; 7] = ["p/a", "p/b", "p/c", "p/d", "p/e", "p/f", "p/g"];

/// What a service does about `startFrom`.
#[derive(Clone, Copy, PartialEq)]
enum Start {
    Begins,
    Ignores,
    Refuses,
}

/// Lists [`KEYS`], two at most. Its markers are the numbers of the next keys.
fn service(start: Start) -> Played {
    Played::new(move |asked| answer(asked, start))
}

fn answer(asked: &Asked, start: Start) -> Said {
    let query: BTreeMap<_, _> =
        asked.uri().query().unwrap().split('&').filter_map(|p| p.split_once('=')).collect();
    let from = query.get("startFrom").map(|from| from.replace("%2F", "/"));
    if from.is_some() {
        assert_eq!(asked.headers()["x-ms-version"], "2026-02-06");
    }
    let first = match (query.get("marker"), from) {
        (Some(marker), _) => marker.parse().unwrap(),
        (None, Some(_)) if start == Start::Refuses => {
            return with_headers(400, &[("x-ms-error-code", "InvalidHeaderValue")], "");
        }
        (None, Some(from)) if start == Start::Begins => {
            KEYS.iter().position(|key| **key >= *from).unwrap_or(KEYS.len())
        }
        _ => 0,
    };
    let last = (first + 2).min(KEYS.len());
    let blob = |key: &&str| {
        format!("<Blob><Name>{key}</Name><Properties><Content-Length>1</Content-Length></Properties></Blob>")
    };
    let blobs: String = KEYS[first..last].iter().map(blob).collect();
    let next = if last < KEYS.len() { last.to_string() } else { String::new() };
    said(
        200,
        format!(
            "<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
        ),
    )
}

fn api(played: &Played) -> Api {
    Api { http: played.client(), service: "http://service/account".to_owned(), container: "c".to_owned() }
}

async fn list(listings: &Listings, api: &Api, after: Option<&str>) -> (Vec<String>, bool) {
    let request = ListKeys { prefix: "p/", fold: false, after, limit: 2 };
    let page = listings.list(api, &request).await.unwrap();
    (page.keys.into_iter().map(|key| key.key).collect(), page.more)
}

#[tokio::test]
async fn a_listing_begins_after_any_key() {
    for (start, first, second) in [(Start::Begins, 1, 1), (Start::Ignores, 3, 3), (Start::Refuses, 4, 3)] {
        let played = service(start);
        let (listings, api) = (Listings::default(), api(&played));
        // The key itself is not wanted.
        assert_eq!(list(&listings, &api, Some("p/d")).await.0[0], "p/e");
        assert_eq!(played.asked().len(), first);
        assert_eq!(list(&listings, &api, Some("p/dd")).await.0[0], "p/e");
        let asked = played.asked();
        assert_eq!(asked.len(), second);
        // It is not asked for again in vain.
        let starts = asked.iter().filter(|one| one.uri().query().unwrap().contains("startFrom")).count();
        assert_eq!(starts, usize::from(start == Start::Begins));
        assert_eq!(list(&listings, &api, Some("p/g")).await, (vec![], false));
    }
}

#[tokio::test]
async fn page_after_page_goes_on_where_it_was() {
    for start in [Start::Begins, Start::Ignores, Start::Refuses] {
        let played = service(start);
        let (listings, api) = (Listings::default(), api(&played));
        let mut all: Vec<String> = Vec::new();
        loop {
            let after = all.last().cloned();
            let (keys, more) = list(&listings, &api, after.as_deref()).await;
            all.extend(keys);
            if !more {
                break;
            }
        }
        assert_eq!(all, KEYS);
        assert_eq!(played.asked().len(), 4, "a page for each");
    }
}
