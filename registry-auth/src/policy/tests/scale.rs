//! What deciding costs with many rules.

use std::time::Instant;

use super::*;

/// A policy of `count` rules of each usual kind.
fn large(count: usize) -> PolicyRules {
    let mut rules = vec![RuleDocument::allow(["pull"]).on(["public/**"]).to(["anyone"])];
    for number in 0..count {
        rules.extend([
            RuleDocument::allow(["push"])
                .on([format!("team-{number}/**")])
                .to([format!("group:g{number}").as_str()]),
            RuleDocument::allow(["pull"]).on(["**"]).to([format!("user:u{number}").as_str()]),
            RuleDocument::allow(["push"]).on([format!("ci/{number}/*")]).to([WhoDocument::All(vec![
                format!("claim:repository=acme/{number}"),
                "claim:ref=main".to_owned(),
            ])]),
            RuleDocument::deny(["push"]).on([format!("team-{number}/frozen-*")]).to(["anyone"]),
        ]);
    }
    PolicyRules::new(&PolicyDocument::new(rules)).unwrap()
}

/// Nanoseconds of this thread for a decision, recognizing the caller included: the least of a few series.
fn cost(policy: &PolicyRules) -> u128 {
    let claims = json!({ "repository": "acme/7", "ref": "main" });
    let caller = Principal::new("u5")
        .with_groups(["g3".to_owned(), "g5".to_owned()])
        .with_claims(claims.as_object().cloned().unwrap());
    let wanted = [access("pull", "team-3/app/x"), access("push", "team-3/app/x")];
    let series = || {
        let started = Instant::now();
        for _ in 0..200 {
            let caller = policy.caller(Some(&caller), Some("10.0.0.1".parse().unwrap()));
            assert!(wanted.iter().all(|access| caller.decide(access).allowed));
        }
        started.elapsed().as_nanos() / 200
    };
    (0..20).map(|_| series()).min().unwrap()
}

#[test]
fn many_rules_about_others_cost_nothing() {
    let (few, many) = (large(10), large(2500));
    assert_eq!(many.len(), 10_001);
    let (with_few, with_many) = (cost(&few), cost(&many));
    println!("a decision takes {with_few} ns with {} rules, {with_many} ns with {}", few.len(), many.len());
    assert!(with_many < with_few * 10, "{with_few} ns became {with_many} ns");
}
