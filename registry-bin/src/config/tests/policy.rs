//! `auth.policy`, `auth.audit` and `policy`.

use std::path::PathBuf;

use registry::auth::policy::{PolicyDocument, Private, RuleDocument, WhoDocument};

use super::*;
use crate::config::model::{Audit, Policy};
use crate::config::policy;

fn document(text: &str) -> PolicyDocument {
    match clean(&format!("{BASE}{text}"), &[]).auth.policy {
        Some(Policy::Inline(document)) => document,
        other => panic!("{text}: {other:?}"),
    }
}

const RULES: &str = r#"
private: ["secret/**"]
groups:
  devs: [alice, 007, on]
rules:
  - name: pull
    allow: [pull]
    repositories: ["public/**"]
    who: [anyone]
  - deny: [push, delete]
    repositories: [team/kept]
    who: ["user:alice", ["method:oidc", "claim:ref=main"]]
    from: [10.0.0.0/8]
"#;

#[test]
fn a_policy_is_read() {
    let indented = RULES.replace('\n', "\n    ");
    let expected = PolicyDocument::new([
        RuleDocument::allow(["pull"]).on(["public/**"]).to(["anyone"]).named("pull"),
        RuleDocument::deny(["push", "delete"])
            .on(["team/kept"])
            .to([WhoDocument::from("user:alice"), WhoDocument::from(["method:oidc", "claim:ref=main"])])
            .at(["10.0.0.0/8"]),
    ])
    // Names of users are text, whatever they look like.
    .with_group("devs", ["alice", "007", "on"])
    .with_private(Private::Some(vec!["secret/**".to_owned()]));
    assert_eq!(document(&format!("auth:\n  policy:{indented}")), expected);
    assert_eq!(document("auth: {policy: {private: true, rules: []}}").private, Private::All(true));

    let of_file = |text: &str, environment: &[(&str, &str)]| clean(text, environment).auth.policy;
    let file = Some(Policy::File(PathBuf::from("/p.yml")));
    assert_eq!(of_file(&format!("{BASE}auth: {{policy: {{file: /p.yml}}}}\n"), &[]), file);
    assert_eq!(of_file(BASE, &[("REGISTRY_AUTH_POLICY_FILE", "/p.yml")]), file);
    assert_eq!(of_file(BASE, &[]), None);
}

#[test]
fn mistakes_in_a_policy_are_told_at_their_places() {
    let rule = "repositories: [a], who: [anyone]";
    for (text, expected) in [
        ("auth: {policy: }", "3:8: auth.policy.rules: are missing, so nobody could do anything"),
        ("auth: {policy: {}}", "3:8: auth.policy.rules: are missing"),
        ("auth: {policy: {file: /p, rules: []}}", "3:34: auth.policy.rules: the rules are either here or in"),
        ("auth: {policy: {file: /p, private: true}}", "3:36: auth.policy.private: the rules are either"),
        (
            "auth: {policy: {private: sometimes, rules: []}}",
            "3:26: auth.policy.private: expected true, false or",
        ),
        (
            "auth: {policy: {private: [A], rules: []}}",
            "3:27: auth.policy.private[0]: no repository can match",
        ),
        (
            &format!("auth: {{policy: {{rules: [{{alow: [pull], {rule}}}]}}}}"),
            "3:26: auth.policy.rules[0].alow: unknown key; did you mean auth.policy.rules.allow?",
        ),
        (
            &format!("auth: {{policy: {{rules: [{{allow: [pull, fly], {rule}}}]}}}}"),
            "3:40: auth.policy.rules[0].allow[1]: \"fly\" is no action",
        ),
        (
            "auth: {policy: {rules: [{allow: [pull], repositories: [a]}]}}",
            "3:25: auth.policy.rules[0].who: says nobody",
        ),
        (
            "auth: {policy: {rules: [{allow: [pull], repositories: [a], who: [[anyone, bob]]}]}}",
            "3:66: auth.policy.rules[0].who[0]: \"bob\" describes nobody",
        ),
        (
            "auth: {policy: {rules: [{allow: [pull], repositories: [a], who: [{user: bob}]}]}}",
            "3:66: auth.policy.rules[0].who[0]: expected text such as",
        ),
        (
            "auth: {policy: {groups: {devs: ['*']}, rules: []}}",
            "3:33: auth.policy.groups.devs[0]: \"*\" is not the name of a user",
        ),
        (
            "auth: {policy: {rules: {}}}",
            "3:24: auth.policy.rules: expected a list of sections, found a section",
        ),
        ("auth: {audit: }", "3:8: auth.audit.path: is missing; write the file"),
        (
            "auth: {audit: {path: /a, read: true}}",
            "3:26: auth.audit.read: unknown key; did you mean auth.audit.reads?",
        ),
        (
            "policy: {repository: {classes: [image, chart]}}",
            "3:40: policy.repository.classes[1]: no manifest has the class \"chart\"",
        ),
    ] {
        let told = errors(&format!("{BASE}{text}\n"), &[]);
        let expected = format!("c.yml:{expected}");
        assert!(told.iter().any(|line| line.starts_with(&expected)), "{text}: {told:#?}");
    }
}

#[test]
fn every_rule_that_is_wrong_is_told() {
    let text = "auth:\n  policy:\n    rules:\n    - {allow: [x], repositories: [a], who: [anyone]}\n    - {allow: [pull], repositories: [A], who: [anyone]}\n";
    let told = errors(&format!("{BASE}{text}"), &[]);
    assert_eq!(told.len(), 2, "{told:#?}");
}

#[test]
fn a_file_of_rules_is_read_as_the_section_is() {
    assert_eq!(policy(RULES, "p.yml").unwrap().len(), 2);
    for (text, expected) in [
        (
            "rules:\n- alow: [pull]\n",
            "p.yml:2:3: auth.policy.rules[0].alow: unknown key; did you mean auth.policy.rules.allow?",
        ),
        (
            "rules:\n- {allow: [pull], repositories: [a], who: [x]}\n",
            "p.yml:2:44: auth.policy.rules[0].who[0]: ",
        ),
        ("file: /other\n", "p.yml:1:1: auth.policy.file: unknown key"),
        ("[]", "p.yml:1:1: auth.policy: expected rules and the like, found a list"),
        ("", "p.yml:1:1: auth.policy: expected rules"),
        ("rules: [", "p.yml:"),
    ] {
        let told = policy(text, "p.yml").unwrap_err();
        assert!(told.iter().any(|line| line.starts_with(expected)), "{text}: {told:#?}");
    }
}

#[test]
fn the_audit_log_is_read() {
    let audit = |text: &str| clean(&format!("{BASE}{text}\n"), &[]).auth.audit;
    let log = |path: Option<&str>, reads| Some(Audit { path: path.map(PathBuf::from), reads });
    assert_eq!(audit("auth: {audit: {path: /var/log/audit}}"), log(Some("/var/log/audit"), true));
    assert_eq!(audit("auth: {audit: {path: '-', reads: false}}"), log(None, false));
    assert_eq!(audit("auth: none"), None);
}

#[test]
fn classes_are_read() {
    let classes = |text: &str| clean(&format!("{BASE}{text}\n"), &[]).classes;
    assert_eq!(classes("policy: {repository: {classes: [plugin, image]}}"), ["plugin", "image"]);
    assert_eq!(classes("policy: {repository: {classes: []}}"), [""; 0]);
    assert_eq!(classes("policy:"), [""; 0]);
}
