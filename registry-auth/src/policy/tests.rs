//! What a policy decides.

use std::net::IpAddr;

use proptest::prelude::*;
use registry_core::access::{Access, Action, Resource};
use registry_core::{Principal, RepositoryName};
use serde_json::{Value, json};

use super::*;

mod controller;
mod scale;
mod table;

fn rules(value: Value) -> PolicyRules {
    PolicyRules::from_value(value).unwrap()
}

fn mistake(value: Value) -> String {
    PolicyRules::from_value(value).unwrap_err().to_string()
}

fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

fn access(verb: &str, resource: &str) -> Access {
    let action = match verb {
        "list" => Action::List,
        "pull" => Action::Pull,
        "push" => Action::Push,
        "delete" => Action::Delete,
        "*" => Action::All,
        other => Action::Custom(other.to_owned()),
    };
    let resource = match resource {
        "catalog" => Resource::Catalog,
        "blobs" => Resource::AnyBlob,
        other => match other.split_once(':') {
            Some((kind, name)) => Resource::Custom { kind: kind.to_owned(), name: name.to_owned() },
            None => Resource::Repository(name(other)),
        },
    };
    Access { resource, action }
}

#[test]
fn each_mistake_is_told_with_its_place() {
    let rule = |rule: Value| json!({ "rules": [{ "allow": ["pull"], "repositories": ["a"], "who": ["anyone"] }, rule] });
    for (policy, expected) in [
        (rule(json!({})), "rules[1]: allows and denies nothing"),
        (
            rule(json!({ "allow": ["read"], "repositories": ["a"], "who": ["anyone"] })),
            "rules[1].allow[0]: \"read\" is no action",
        ),
        (
            rule(json!({ "deny": ["pull", "Push"], "repositories": ["a"], "who": ["anyone"] })),
            "rules[1].deny[1]: ",
        ),
        (
            rule(json!({ "allow": ["pull"], "deny": ["push"], "repositories": ["a"], "who": ["anyone"] })),
            "rules[1].deny: a rule either",
        ),
        (
            rule(json!({ "allow": ["pull"], "who": ["anyone"] })),
            "rules[1].repositories: says no repositories",
        ),
        (
            rule(json!({ "allow": ["pull"], "repositories": ["Team/**"], "who": ["anyone"] })),
            "rules[1].repositories[0]: no repository can match",
        ),
        (
            rule(json!({ "allow": ["pull"], "repositories": ["x-{user}"], "who": ["anyone"] })),
            "rules[1].repositories[0]: ",
        ),
        (rule(json!({ "allow": ["pull"], "repositories": ["a"] })), "rules[1].who: says nobody"),
        (
            rule(json!({ "allow": ["pull"], "repositories": ["a"], "who": ["alice"] })),
            "rules[1].who[0]: \"alice\" describes nobody",
        ),
        (
            rule(json!({ "allow": ["pull"], "repositories": ["a"], "who": ["anyone", ["user:a", "b"]] })),
            "rules[1].who[1][1]: ",
        ),
        (
            rule(json!({ "allow": ["pull"], "repositories": ["a"], "who": [[]] })),
            "rules[1].who[0]: a list in the list",
        ),
        (
            rule(
                json!({ "allow": ["pull"], "repositories": ["a"], "who": ["anyone"], "from": ["10.0.0.0/33"] }),
            ),
            "rules[1].from[0]: ",
        ),
        (
            rule(
                json!({ "allow": ["pull"], "repositories": ["a"], "who": ["anyone"], "from": ["::ffff:10.0.0.1"] }),
            ),
            "rules[1].from[0]: ",
        ),
        (
            rule(json!({ "name": "rule 1", "allow": ["pull"], "repositories": ["a"], "who": ["anyone"] })),
            "rules[1].name: rule 1 is called",
        ),
        (rule(json!({ "alow": ["pull"] })), "alow"),
        (json!({ "private": ["A"] }), "private[0]: "),
        (json!({ "private": ["users/{user}"] }), "private[0]: "),
        (json!({ "groups": { "devs": ["alice", "b*"] } }), "groups.devs[1]: "),
        (json!({ "rule": [] }), "rule"),
    ] {
        let told = mistake(policy);
        assert!(told.starts_with(expected) || told.contains("unknown field"), "{told}\n{expected}");
    }
}

#[test]
fn no_rules_allow_nothing() {
    let nobody = rules(json!({})).caller(None, None);
    let somebody = rules(json!({})).caller(Some(&Principal::new("root")), None);
    for caller in [nobody, somebody] {
        for verb in ["list", "pull", "push", "delete", "*", "x"] {
            assert!(!caller.decide(&access(verb, "a")).allowed, "{verb}");
        }
        assert!(!caller.decide(&access("*", "catalog")).allowed);
        assert!(!caller.decide(&access("pull", "blobs")).allowed);
        assert!(!caller.visible().unwrap().shows(&name("a")));
    }
}

/// Rules out of a few words that overlap a lot.
fn any_rule(denies: impl Strategy<Value = bool>) -> impl Strategy<Value = RuleDocument> {
    let some = |words: &'static [&'static str]| proptest::sample::subsequence(words, 1..=2);
    (
        denies,
        some(&["pull", "push", "delete", "list", "admin", "all"]),
        some(&["**", "a/**", "a/b", "*/b", "users/{user}/**", "{claim.team}/**", "{group}/*"]),
        some(&["anyone", "anonymous", "authenticated", "user:x", "user:y*", "group:g", "claim:team=a"]),
        proptest::sample::subsequence(vec!["10.0.0.0/8", "::1"], 0..=2),
    )
        .prop_map(|(denies, verbs, on, to, at)| {
            let rule = if denies { RuleDocument::deny(verbs) } else { RuleDocument::allow(verbs) };
            rule.on(on).to(to).at(at)
        })
}

fn any_caller() -> impl Strategy<Value = (Option<Principal>, Option<IpAddr>)> {
    let principal = (
        proptest::sample::select(vec!["x", "y1", "z"]),
        proptest::sample::subsequence(vec!["g", "h", "a"], 0..=2),
        proptest::option::of(proptest::sample::select(vec![json!("a"), json!(["users", "a/b"]), json!("*")])),
    )
        .prop_map(|(name, groups, team)| {
            Principal::new(name)
                .with_groups(groups.into_iter().map(str::to_owned))
                .with_claims(team.map(|team| ("team".to_owned(), team)))
        });
    let addresses = ["10.1.2.3", "11.0.0.1", "::1"].map(|text| text.parse().unwrap());
    (proptest::option::of(principal), proptest::option::of(proptest::sample::select(addresses.to_vec())))
}

fn any_access() -> impl Strategy<Value = Access> {
    let names = ["a", "a/b", "a/b/c", "users/x/i", "users/y1/i", "b", "g/z", "catalog", "blobs", "custom:x"];
    let verbs = ["list", "pull", "push", "delete", "*", "custom"];
    (proptest::sample::select(verbs.to_vec()), proptest::sample::select(names.to_vec()))
        .prop_map(|(verb, name)| access(verb, name))
}

/// What the documentation says, read rule by rule, without anything that finds rules faster.
fn plainly(rules: &[RuleDocument], caller: &(Option<Principal>, Option<IpAddr>), access: &Access) -> bool {
    let alone = |rule: &RuleDocument| {
        PolicyRules::new(&PolicyDocument::new([rule.clone()])).unwrap().caller(caller.0.as_ref(), caller.1)
    };
    let denied = rules.iter().filter(|rule| !rule.deny.is_empty()).any(|rule| {
        // What it denies is what it is the reason for.
        alone(rule).decide(access).rule.is_some()
    });
    let needed: Vec<Access> = match (&access.resource, &access.action) {
        (Resource::Repository(_), Action::All) => ["list", "pull", "push", "delete"]
            .map(|verb| Access {
                resource: access.resource.clone(),
                action: super::tests::access(verb, "a").action,
            })
            .to_vec(),
        _ => vec![access.clone()],
    };
    let allowing: Vec<Caller> = rules.iter().filter(|rule| !rule.allow.is_empty()).map(alone).collect();
    let allowed = needed.iter().all(|access| allowing.iter().any(|rule| rule.decide(access).allowed));
    allowed && !denied
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn rules_that_only_deny_never_grant(
        rules in proptest::collection::vec(any_rule(Just(true)), 0..6),
        caller in any_caller(),
        access in any_access(),
    ) {
        let policy = PolicyRules::new(&PolicyDocument::new(rules)).unwrap();
        let caller = policy.caller(caller.0.as_ref(), caller.1);
        prop_assert!(!caller.decide(&access).allowed);
        prop_assert!(caller.visible().is_some_and(|seen| !seen.shows(&name("a"))));
    }

    #[test]
    fn one_more_that_denies_never_widens(
        rules in proptest::collection::vec(any_rule(any::<bool>()), 0..6),
        deny in any_rule(Just(true)),
        caller in any_caller(),
        access in any_access(),
    ) {
        let narrow = PolicyRules::new(&PolicyDocument::new(rules.iter().cloned().chain([deny]))).unwrap();
        let wide = PolicyRules::new(&PolicyDocument::new(rules)).unwrap();
        let [narrow, wide] = [narrow, wide].map(|policy| policy.caller(caller.0.as_ref(), caller.1));
        prop_assert!(wide.decide(&access).allowed || !narrow.decide(&access).allowed);
        for repository in ["a", "a/b", "users/x/i"] {
            let shows = |caller: &Caller| caller.visible().is_none_or(|seen| seen.shows(&name(repository)));
            prop_assert!(shows(&wide) || !shows(&narrow));
        }
    }

    #[test]
    fn one_more_that_allows_never_narrows(
        rules in proptest::collection::vec(any_rule(any::<bool>()), 0..6),
        allow in any_rule(Just(false)),
        caller in any_caller(),
        access in any_access(),
    ) {
        let wide = PolicyRules::new(&PolicyDocument::new(rules.iter().cloned().chain([allow]))).unwrap();
        let narrow = PolicyRules::new(&PolicyDocument::new(rules)).unwrap();
        let [narrow, wide] = [narrow, wide].map(|policy| policy.caller(caller.0.as_ref(), caller.1));
        prop_assert!(wide.decide(&access).allowed || !narrow.decide(&access).allowed);
    }

    #[test]
    fn finding_rules_fast_decides_as_reading_them_one_by_one(
        rules in proptest::collection::vec(any_rule(any::<bool>()), 0..8),
        caller in any_caller(),
        access in any_access(),
    ) {
        let policy = PolicyRules::new(&PolicyDocument::new(rules.clone())).unwrap();
        let decided = policy.caller(caller.0.as_ref(), caller.1).decide(&access);
        prop_assert_eq!(decided.allowed, plainly(&rules, &caller, &access), "{}", decided);
    }

    #[test]
    fn the_order_of_rules_decides_nothing(
        rules in proptest::collection::vec(any_rule(any::<bool>()), 0..8),
        caller in any_caller(),
        access in any_access(),
    ) {
        let there = PolicyRules::new(&PolicyDocument::new(rules.clone())).unwrap();
        let back = PolicyRules::new(&PolicyDocument::new(rules.into_iter().rev())).unwrap();
        let [there, back] = [there, back].map(|policy| policy.caller(caller.0.as_ref(), caller.1).decide(&access).allowed);
        prop_assert_eq!(there, back);
    }

    #[test]
    fn what_a_list_shows_lies_where_it_says(
        rules in proptest::collection::vec(any_rule(any::<bool>()), 0..6),
        caller in any_caller(),
        repository in proptest::sample::select(vec!["a", "a/b", "a/b/c", "users/x/i", "b", "g/z", "z/b"]),
    ) {
        let policy = PolicyRules::new(&PolicyDocument::new(rules)).unwrap();
        let seen = policy.caller(caller.0.as_ref(), caller.1).visible();
        let among = seen.as_ref().and_then(|seen| seen.among());
        if let (Some(seen), Some(among)) = (seen, among)
            && seen.shows(&name(repository))
        {
            let below = |top: &RepositoryName| repository == top.as_str() || repository.starts_with(&format!("{top}/"));
            prop_assert!(among.iter().any(below), "{among:?}");
        }
    }
}
