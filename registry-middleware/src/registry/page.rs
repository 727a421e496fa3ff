//! Pages of what remains of a list.

use std::cmp::Ordering;

use registry_core::{Namespace, Page, PageRequest, RepositoryName, RequestContext, Result};

/// Where few names remain, more are read at a time than were asked for.
const READ_AT_LEAST: usize = 100;

/// The most that is read at a time. What has been read and does not remain is not kept.
const READ_AT_MOST: usize = 2000;

/// A page of the names that `shows` leaves: reads pages of `inner` until it is full and it is known whether more
/// follows. With `among`, names that are neither one of those nor below one are not read.
pub(super) async fn remaining(
    inner: &dyn Namespace,
    cx: &RequestContext,
    page: &PageRequest,
    shows: impl Fn(&RepositoryName) -> bool + Send,
    among: Option<Vec<RepositoryName>>,
) -> Result<Page<RepositoryName>> {
    if page.limit == 0 {
        return Ok(Page::default());
    }
    let tops = among.map(tops);
    let wanted = page.limit.saturating_add(1);
    let mut shown = Vec::new();
    let mut next = PageRequest { limit: wanted.max(READ_AT_LEAST), after: page.after.clone() };
    loop {
        if let Some(tops) = &tops {
            match enter(tops, next.after.as_deref()) {
                Enter::Here => {}
                Enter::At(after) => next.after = Some(after),
                Enter::Nowhere => return Ok(Page::cut(shown, page.limit)),
            }
        }
        let read = inner.repositories(cx, &next).await?;
        let last = read.items.last().map(|name| name.as_str().to_owned());
        shown.extend(read.items.into_iter().filter(|name| shows(name)));
        if shown.len() >= wanted || !read.more || last.is_none() {
            return Ok(Page::cut(shown, page.limit));
        }
        next.after = last;
        next.limit = next.limit.max((next.limit * 2).min(READ_AT_MOST));
    }
}

/// Names in the order of lists, without those below another.
fn tops(mut names: Vec<RepositoryName>) -> Vec<RepositoryName> {
    names.sort_by(|one, other| order(one.as_str(), other.as_str()));
    names.dedup_by(|name, before| is_at_or_below(name.as_str(), before.as_str()));
    names
}

/// By components, as lists are.
fn order(one: &str, other: &str) -> Ordering {
    one.split('/').cmp(other.split('/'))
}

fn is_at_or_below(name: &str, top: &str) -> bool {
    name.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where a list goes on.
#[derive(Debug, PartialEq, Eq)]
enum Enter {
    /// Where it is.
    Here,
    /// After this, which is no name, so that the top behind it is read as well.
    At(String),
    /// There is no more.
    Nowhere,
}

fn enter(tops: &[RepositoryName], after: Option<&str>) -> Enter {
    let Some(after) = after else {
        return tops.first().map_or(Enter::Nowhere, |top| Enter::At(just_before(top)));
    };
    let ahead = |top: &&RepositoryName| {
        is_at_or_below(after, top.as_str()) || order(after, top.as_str()) == Ordering::Less
    };
    match tops.iter().find(ahead) {
        None => Enter::Nowhere,
        Some(top) if is_at_or_below(after, top.as_str()) => Enter::Here,
        Some(top) => Enter::At(just_before(top)),
    }
}

/// Text between a name and all names before it. No component ends in `.`, and none has `\x7f`, which sorts after
/// everything that they have.
fn just_before(name: &RepositoryName) -> String {
    let mut text = name.as_str().to_owned();
    let last = text.pop().unwrap_or('0');
    // `/` would be the character before `0`.
    text.push(if last == '0' { '.' } else { char::from(last as u8 - 1) });
    text.push('\u{7f}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::name;

    #[test]
    fn what_is_just_before_a_name_is_after_all_names_before() {
        for (text, before) in [
            ("0", "0"),
            ("a", "9/z/z"),
            ("a", "9"),
            ("team/app", "team"),
            ("team/app", "team/apo9"),
            ("team/app", "team/apo-z/z"),
            ("team/a0", "team/a"),
            ("team/a0", "team/a.z"),
            ("team/a0", "team/a-z"),
            ("a", "a"),
        ] {
            let edge = just_before(&name(text));
            assert_eq!(order(&edge, text), Ordering::Less, "{edge:?} {text}");
            if before != text {
                assert_eq!(order(before, &edge), Ordering::Less, "{before} {edge:?}");
            }
        }
    }

    #[test]
    fn a_list_goes_on_where_something_can_be() {
        let tops = tops(["b", "a-b", "a/b", "a", "c/d/e", "c/d"].map(name).to_vec());
        assert_eq!(tops.iter().map(RepositoryName::as_str).collect::<Vec<_>>(), ["a", "a-b", "b", "c/d"]);
        let at = |text: &str| Enter::At(just_before(&name(text)));
        for (after, expected) in [
            (None, at("a")),
            (Some("a"), Enter::Here),
            (Some("a/z"), Enter::Here),
            (Some("a-a"), at("a-b")),
            (Some("a-b/z"), Enter::Here),
            (Some("a-c"), at("b")),
            (Some("bb"), at("c/d")),
            (Some("c"), at("c/d")),
            (Some("c/d/e/f"), Enter::Here),
            (Some("c/e"), Enter::Nowhere),
            (Some("Z"), at("a")),
        ] {
            assert_eq!(enter(&tops, after), expected, "{after:?}");
        }
        assert_eq!(enter(&[], None), Enter::Nowhere);
    }
}
