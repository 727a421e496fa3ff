//! Decisions of one policy, as its author would read them.

use super::*;

fn policy() -> PolicyRules {
    rules(json!({
        "private": ["secret/**"],
        "groups": { "devs": ["alice", "bob"], "ops": ["olga"] },
        "rules": [
            { "name": "public", "allow": ["pull"], "repositories": ["public/**"], "who": ["anyone"] },
            { "name": "own", "allow": ["push", "delete"], "repositories": ["users/{user}/**"], "who": ["authenticated"] },
            { "name": "devs", "allow": ["push"], "repositories": ["team/**"], "who": ["group:devs"] },
            { "name": "frozen", "deny": ["push", "delete"], "repositories": ["team/frozen", "public/frozen/*"], "who": ["anyone"] },
            { "name": "browse", "allow": ["list"], "repositories": ["team/**"], "who": ["authenticated"] },
            { "name": "ci", "allow": ["push"], "repositories": ["{claim.repository}/**"],
              "who": [["method:oidc", "claim:ref=refs/heads/main", "claim:repository=acme/*"]] },
            { "name": "office", "allow": ["delete"], "repositories": ["team/**"], "who": ["group:ops"],
              "from": ["10.0.0.0/8", "::1"] },
            { "name": "no outside", "deny": ["push"], "repositories": ["internal/**"], "who": ["anyone"], "from": ["192.0.2.0/24"] },
            { "name": "internal", "allow": ["push"], "repositories": ["internal/**"], "who": ["group:devs"] },
            { "name": "root", "allow": ["all"], "repositories": ["**"], "who": ["user:root"] },
            { "name": "robots", "allow": ["pull"], "repositories": ["secret/robots"], "who": ["user:robot-*"] },
            { "name": "teams", "allow": ["push"], "repositories": ["teams/{group}/**"], "who": ["authenticated"] },
            { "name": "banned", "deny": ["all"], "repositories": ["**"], "who": ["user:mallory"] },
        ],
    }))
}

/// Who asks: `alice`, `-` for nobody, `ci` for a job on main, `branch` for one elsewhere; `+group` adds a group.
fn principal(text: &str) -> Option<Principal> {
    let (name, groups) = text.split_once('+').map_or((text, None), |(name, group)| (name, Some(group)));
    let job = |reference: &str| {
        let claims = json!({ "repository": "acme/app", "ref": reference });
        Principal::new("repo:acme/app").with_method("oidc").with_claims(claims.as_object().cloned().unwrap())
    };
    let principal = match name {
        "-" => return None,
        "ci" => job("refs/heads/main"),
        "branch" => job("refs/heads/else"),
        "forged" => job("refs/heads/main").with_method("htpasswd"),
        name => Principal::new(name).with_method("htpasswd"),
    };
    Some(principal.with_groups(groups.map(str::to_owned)))
}

/// Who, from where (`?` for unknown), what, where, and the rule that allows it (`+`) or denies it (`-`).
const DECISIONS: &[(&str, &str, &str, &str, &str)] = &[
    ("-", "8.8.8.8", "pull", "public/app", "+public"),
    ("-", "8.8.8.8", "list", "public/app", "+public"),
    ("-", "8.8.8.8", "push", "public/app", "-"),
    ("-", "8.8.8.8", "delete", "public/app", "-"),
    ("-", "8.8.8.8", "pull", "public", "-"),
    ("-", "8.8.8.8", "pull", "publicity/app", "-"),
    ("-", "8.8.8.8", "pull", "team/app", "-"),
    ("-", "8.8.8.8", "list", "team/app", "-"),
    ("-", "8.8.8.8", "push", "users/alice/x", "-"),
    ("-", "8.8.8.8", "pull", "secret/robots", "-"),
    ("-", "?", "pull", "public/app", "+public"),
    ("-", "8.8.8.8", "push", "public/frozen/x", "-frozen"),
    ("-", "8.8.8.8", "*", "catalog", "+public"),
    ("-", "8.8.8.8", "pull", "blobs", "-"),
    ("-", "8.8.8.8", "read", "metrics:all", "-"),
    ("alice", "8.8.8.8", "pull", "public/app", "+public"),
    ("alice", "8.8.8.8", "push", "users/alice/x", "+own"),
    ("alice", "8.8.8.8", "pull", "users/alice/x/y", "+own"),
    ("alice", "8.8.8.8", "delete", "users/alice/x", "+own"),
    ("alice", "8.8.8.8", "*", "users/alice/x", "+own"),
    ("alice", "8.8.8.8", "push", "users/alice", "-"),
    ("alice", "8.8.8.8", "push", "users/bob/x", "-"),
    ("alice", "8.8.8.8", "push", "team/app", "+devs"),
    ("alice", "8.8.8.8", "pull", "team/app", "+devs"),
    ("alice", "8.8.8.8", "list", "team/app", "+devs"),
    ("alice", "8.8.8.8", "delete", "team/app", "-"),
    ("alice", "8.8.8.8", "*", "team/app", "-"),
    ("alice", "8.8.8.8", "push", "team/frozen", "-frozen"),
    ("alice", "8.8.8.8", "pull", "team/frozen", "+devs"),
    ("alice", "8.8.8.8", "push", "team/frozen/below", "+devs"),
    ("alice", "8.8.8.8", "push", "internal/x", "+internal"),
    ("alice", "192.0.2.7", "push", "internal/x", "-no outside"),
    ("alice", "::ffff:192.0.2.7", "push", "internal/x", "-no outside"),
    ("alice", "192.0.2.7", "pull", "internal/x", "+internal"),
    ("alice", "?", "push", "internal/x", "-no outside"),
    ("alice", "?", "pull", "internal/x", "+internal"),
    ("alice", "8.8.8.8", "pull", "secret/robots", "-"),
    ("alice", "8.8.8.8", "*", "catalog", "+public"),
    ("alice", "8.8.8.8", "pull", "blobs", "-"),
    ("zoe", "8.8.8.8", "list", "team/app", "+browse"),
    ("zoe", "8.8.8.8", "pull", "team/app", "-"),
    ("zoe", "8.8.8.8", "push", "team/app", "-"),
    ("zoe+devs", "8.8.8.8", "push", "team/app", "+devs"),
    ("zoe+core", "8.8.8.8", "push", "teams/core/x", "+teams"),
    ("zoe+core", "8.8.8.8", "push", "teams/devs/x", "-"),
    ("zoe+*", "8.8.8.8", "push", "teams/devs/x", "-"),
    ("zoe+devs/core", "8.8.8.8", "push", "teams/devs/core/x", "-"),
    ("alice", "8.8.8.8", "push", "teams/devs/x", "+teams"),
    ("Alice", "8.8.8.8", "push", "team/app", "-"),
    ("alice ", "8.8.8.8", "push", "team/app", "-"),
    ("*", "8.8.8.8", "push", "users/bob/x", "-"),
    ("bob/x", "8.8.8.8", "push", "users/bob/x/y", "-"),
    ("..", "8.8.8.8", "push", "users/bob/x", "-"),
    ("olga", "10.1.2.3", "delete", "team/app", "+office"),
    ("olga", "::1", "delete", "team/app", "+office"),
    ("olga", "11.1.2.3", "delete", "team/app", "-"),
    ("olga", "?", "delete", "team/app", "-"),
    ("olga", "10.1.2.3", "delete", "team/frozen", "-frozen"),
    ("olga", "10.1.2.3", "list", "team/frozen", "+browse"),
    ("ci", "8.8.8.8", "push", "acme/app/image", "+ci"),
    ("ci", "8.8.8.8", "pull", "acme/app/image/debug", "+ci"),
    ("ci", "8.8.8.8", "push", "acme/app", "-"),
    ("ci", "8.8.8.8", "push", "acme/other/image", "-"),
    ("ci", "8.8.8.8", "push", "acme/apps/image", "-"),
    ("branch", "8.8.8.8", "push", "acme/app/image", "-"),
    ("forged", "8.8.8.8", "push", "acme/app/image", "-"),
    ("robot-1", "8.8.8.8", "pull", "secret/robots", "+robots"),
    ("robot-1", "8.8.8.8", "push", "secret/robots", "-"),
    ("robot", "8.8.8.8", "pull", "secret/robots", "-"),
    ("root", "8.8.8.8", "*", "any/where", "+root"),
    ("root", "8.8.8.8", "read", "metrics:all", "+root"),
    ("root", "8.8.8.8", "*", "catalog", "+public"),
    ("root", "8.8.8.8", "push", "team/frozen", "-frozen"),
    // Denied to anyone somewhere, so not everything by digest alone is root's: but these deny no pull.
    ("root", "8.8.8.8", "pull", "blobs", "+root"),
    ("mallory", "8.8.8.8", "pull", "public/app", "-banned"),
    ("mallory", "8.8.8.8", "push", "users/mallory/x", "-banned"),
    ("mallory", "8.8.8.8", "*", "catalog", "-banned"),
    ("mallory", "8.8.8.8", "pull", "blobs", "-banned"),
    ("mallory", "8.8.8.8", "read", "metrics:all", "-banned"),
];

#[test]
fn each_decision_is_by_the_rule_that_says_so() {
    let policy = policy();
    assert!(DECISIONS.len() >= 60);
    for (who, from, verb, resource, expected) in DECISIONS {
        let address = (*from != "?").then(|| from.parse::<IpAddr>().unwrap());
        let decision = policy.caller(principal(who).as_ref(), address).decide(&access(verb, resource));
        let sign = if decision.allowed { "+" } else { "-" };
        let rule = decision.rule.as_ref().map_or("", |(_, name)| name.as_str());
        assert_eq!(format!("{sign}{rule}"), *expected, "{who} from {from}: {verb} {resource}: {decision}");
    }
}

#[test]
fn only_what_is_private_is_hidden_and_only_from_those_who_may_do_nothing() {
    let policy = policy();
    for (who, repository, hidden) in [
        ("alice", "secret/robots", true),
        ("alice", "secret/absent", true),
        ("alice", "team/app", false),
        ("alice", "nowhere/x", false),
        ("robot-1", "secret/robots", false),
        ("robot-1", "secret/other", true),
        ("root", "secret/other", false),
        ("mallory", "secret/robots", true),
        ("mallory", "team/app", false),
    ] {
        let caller = policy.caller(principal(who).as_ref(), None);
        assert_eq!(caller.hides(&name(repository)), hidden, "{who} {repository}");
    }
}

#[test]
fn lists_have_what_may_be_listed() {
    let policy = policy();
    let names =
        ["public/app", "public/frozen/x", "secret/robots", "team/app", "users/alice/x", "users/bob/x"];
    for (who, expected) in [
        ("-", &["public/app", "public/frozen/x"][..]),
        ("alice", &["public/app", "public/frozen/x", "team/app", "users/alice/x"]),
        ("zoe", &["public/app", "public/frozen/x", "team/app"]),
        ("robot-1", &["public/app", "public/frozen/x", "secret/robots", "team/app"]),
        ("mallory", &[]),
    ] {
        let seen = policy.caller(principal(who).as_ref(), None).visible().unwrap();
        let shown: Vec<&str> = names.into_iter().filter(|text| seen.shows(&name(text))).collect();
        assert_eq!(shown, expected, "{who}");
    }
    assert!(policy.caller(principal("root").as_ref(), None).visible().is_none());
}
