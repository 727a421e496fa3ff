//! Decodes `auth.policy`, in the configuration and in a file of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use registry::auth::policy::{
    PolicyDocument, PolicyError, PolicyRules, PolicyStep, Private, RuleDocument, WhoDocument,
};

use crate::config::model::Policy;
use crate::config::node::Node;
use crate::config::reader::Reader;
use crate::config::scalar;

/// The policy. The section is there, whatever it says: one that lost its rules does not mean that there are none.
pub(super) fn policy(reader: &Reader<'_>) -> Option<Policy> {
    let inline = ["private", "groups", "rules"].into_iter().find(|key| reader.node(key).is_some());
    match (reader.filled("file"), inline) {
        (Some(path), None) => Some(Policy::File(PathBuf::from(path))),
        (Some(_), Some(key)) => {
            reader.fail(key, "the rules are either here or in auth.policy.file; remove one of the two");
            None
        }
        (None, _) => {
            if reader.node("rules").is_none() {
                reader.missing(
                    "rules",
                    "are missing, so nobody could do anything; write rules here, or their file in auth.policy.file",
                );
            }
            Some(Policy::Inline(document(reader)))
        }
    }
}

/// The rules, checked.
pub(crate) fn document(reader: &Reader<'_>) -> PolicyDocument {
    let mut document = PolicyDocument::new(reader.sections("rules").iter().map(rule));
    document.private = private(reader);
    let groups = reader.section("groups");
    let names = groups.map().into_iter().flat_map(|map| &map.entries).map(|entry| entry.key.clone());
    document.groups = names.map(|name| (name.clone(), groups.texts(&name))).collect::<BTreeMap<_, _>>();
    for mistake in PolicyRules::mistakes(&document) {
        report(reader, &mistake);
    }
    document
}

fn private(reader: &Reader<'_>) -> Private {
    let Some(node) = reader.node("private") else { return Private::default() };
    if node.as_list().is_some() {
        return Private::Some(reader.texts("private"));
    }
    let flag = node.as_scalar().and_then(|word| scalar::boolean(&word.text).filter(|_| word.plain));
    let flag = flag.unwrap_or_else(|| {
        reader.fail("private", "expected true, false or a list of patterns such as [\"secret/**\"]");
        true
    });
    Private::All(flag)
}

fn rule(reader: &Reader<'_>) -> RuleDocument {
    let mut rule = RuleDocument::allow(reader.texts("allow")).on(reader.texts("repositories"));
    rule.deny = reader.texts("deny");
    rule.name = reader.text("name").unwrap_or_default();
    rule.who = whos(reader);
    rule.at(reader.texts("from"))
}

fn whos(reader: &Reader<'_>) -> Vec<WhoDocument> {
    let text = |node: &Node| node.as_scalar().map(|scalar| scalar.text.clone());
    let entries = reader.node("who").and_then(Node::as_list).unwrap_or_default();
    let entry = |(index, node): (usize, &Node)| {
        let who = match node.as_list() {
            None => text(node).map(WhoDocument::One),
            Some(members) => members.iter().map(text).collect::<Option<_>>().map(WhoDocument::All),
        };
        if who.is_none() {
            let expected =
                "expected text such as user:alice, or a list of such text, all of which has to fit";
            reader.fail_at("who", index, expected);
        }
        // The mistake has been told; this is for nobody.
        who.unwrap_or_else(|| WhoDocument::One("anonymous".to_owned()))
    };
    entries.iter().enumerate().map(entry).collect()
}

/// Tells a mistake at its place.
fn report(reader: &Reader<'_>, mistake: &PolicyError) {
    use PolicyStep::{Index, Key};
    let reason = mistake.reason.as_str();
    match mistake.path.as_slice() {
        [Key(list), Index(index), Key(key), rest @ ..] if list == "rules" => {
            let sections = reader.sections(list);
            let Some(section) = sections.get(*index) else { return reader.fail(list, reason) };
            match rest {
                [Index(index), ..] => section.fail_at(key, *index, reason),
                _ => section.missing(key, reason),
            }
        }
        [Key(section), Key(key), Index(index)] => reader.section(section).fail_at(key, *index, reason),
        [Key(list), Index(index), ..] => reader.fail_at(list, *index, reason),
        [Key(key), ..] => reader.fail(key, reason),
        [Index(_), ..] | [] => reader.missing("rules", reason),
    }
}
