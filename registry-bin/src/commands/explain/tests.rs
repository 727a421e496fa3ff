//! What `registry auth explain` answers, and with which exit code.

use clap::Parser;

use super::*;
use crate::config::Strictness;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: ExplainArguments,
}

const CONFIG: &str = r#"
version: 0.1
storage: inmemory
auth:
  silly: {realm: r, service: s}
  policy:
    private: ["secret/**"]
    groups: {devs: [alice]}
    rules:
      - {name: public, allow: [pull], repositories: ["public/**"], who: [anyone]}
      - {allow: [push], repositories: ["team/**"], who: ["group:devs"]}
      - {name: main, allow: [push], repositories: ["{claim.repository}/**"], who: [["method:oidc", "claim:protected=true"]]}
      - {name: office, deny: [push], repositories: ["team/**"], who: [anyone], from: [192.0.2.0/24]}
      - {name: root, allow: [all], repositories: ["**"], who: ["user:root"]}
"#;

fn told(config: &str, line: &str) -> (String, bool) {
    let config = config::load(config, "c.yml", [], Strictness::Strict).unwrap().config;
    let arguments = Line::try_parse_from(["explain"].into_iter().chain(line.split(' '))).unwrap().arguments;
    let report = judge(&config, &arguments, &accesses(&arguments).unwrap()).unwrap();
    (report.text, report.granted)
}

#[test]
fn the_rule_and_the_answer_are_told() {
    for (line, granted, expected) in [
        (
            "anonymous pull public/app",
            true,
            "granted: \"public\" allows pull on public/app\nrule: 1 of 5\nanswer: the request is served\n",
        ),
        (
            "anonymous push public/app",
            false,
            "denied: no rule allows push on public/app\nanswer: 401 UNAUTHORIZED, with the challenge to log in\n",
        ),
        (
            "alice push team/app --from 10.0.0.1",
            true,
            "granted: \"rule 2\" allows push on team/app\nrule: 2 of 5\nanswer: the request is served\n",
        ),
        (
            "alice push team/app --from 192.0.2.9",
            false,
            "denied: \"office\" denies push on team/app\nrule: 4 of 5\nanswer: 403 DENIED\n",
        ),
        ("zoe push team/app --group devs --from 10.0.0.1", true, "granted: \"rule 2\""),
        (
            "alice push team/app",
            false,
            "denied: \"office\" denies push on team/app\nrule: 4 of 5\nanswer: 403 DENIED\nnote: ",
        ),
        ("zoe pull secret/x", false, "denied: no rule allows pull on secret/x\nanswer: 404 NAME_UNKNOWN"),
        ("anonymous pull secret/x", false, "denied: no rule allows pull on secret/x\nanswer: 401"),
        ("user:anonymous pull team/app", false, "denied: no rule allows pull on team/app\nanswer: 403"),
        (
            "job push acme/app/x --method oidc --claim repository=acme/app --claim protected=true",
            true,
            "granted: \"main\"",
        ),
        (
            "job push acme/app/x --method oidc --claim repository=acme/app --claim protected=false",
            false,
            "denied: no",
        ),
        ("zoe list", true, "granted: \"public\" allows list on registry:catalog"),
        ("zoe admin", false, "denied: no rule allows admin on registry:admin"),
        ("root admin", true, "granted: \"root\""),
        ("root delete any/where", true, "granted: \"root\""),
    ] {
        let (text, allowed) = told(CONFIG, line);
        assert!(text.starts_with(expected), "{line}: {text}");
        assert_eq!(allowed, granted, "{line}");
    }
}

#[test]
fn with_an_issuer_tokens_lack_what_is_denied() {
    let config =
        CONFIG.replace("silly: {realm: r, service: s}", "issuer: {users: {htpasswd: /users}, keys: /keys}");
    let (text, granted) = told(&config, "zoe pull secret/x");
    assert!(text.contains("answer: 401 UNAUTHORIZED, since no token is issued for it\n"), "{text}");
    assert!(!granted);
}

#[test]
fn without_a_policy_there_is_no_rule() {
    let (text, granted) = told("version: 0.1\nstorage: inmemory\n", "alice push team/app");
    assert!(text.starts_with("there is no auth.policy"), "{text}");
    assert!(granted);
}

#[test]
fn a_question_that_makes_no_sense_is_told() {
    for line in ["alice pull", "alice push Team/App", "alice delete"] {
        let arguments =
            Line::try_parse_from(["explain"].into_iter().chain(line.split(' '))).unwrap().arguments;
        assert!(matches!(explain(&arguments, &mut Vec::new()), Ok(Explained::Nonsense(_))), "{line}");
    }
    for line in ["alice fly a", "alice pull a --from here", "alice pull a --claim x", "alice"] {
        assert!(Line::try_parse_from(["explain"].into_iter().chain(line.split(' '))).is_err(), "{line}");
    }
}
