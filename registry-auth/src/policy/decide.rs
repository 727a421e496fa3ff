//! What a policy says about a caller.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use registry_core::access::{Access, Resource};
use registry_core::{Principal, RepositoryName, Visibility};

use super::action::{Verb, Verbs};
use super::pattern::{Pattern, Slot};
use super::rules::{Compiled, PolicyRules, Rule};
use super::who::{Who, claim};

/// Whoever asks, as a policy sees it: which of its rules are about the caller has been found out. Cheap to clone.
#[derive(Clone)]
pub struct Caller(Arc<Known>);

struct Known {
    policy: PolicyRules,
    /// The numbers of the descriptions that apply.
    whos: Vec<usize>,
    /// What fills the places in patterns, by their numbers.
    values: Vec<Vec<String>>,
    address: Option<IpAddr>,
}

/// What a policy decides, and which rule decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The rule that decided, counted from zero, and its name; `None` if no rule is about it, which denies.
    pub rule: Option<(usize, String)>,
    /// What was asked for, or the first part of it that is denied.
    pub verb: Verb,
    /// Of what.
    pub resource: String,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allowed, rule, verb, resource } = self;
        match rule {
            Some((_, name)) if *allowed => write!(f, "{name:?} allows {verb} on {resource}"),
            Some((_, name)) => write!(f, "{name:?} denies {verb} on {resource}"),
            None => write!(f, "no rule allows {verb} on {resource}"),
        }
    }
}

/// The rules about a repository: for each verb the first that allows and the first that denies it.
#[derive(Default)]
struct Verdict {
    allowed: [Option<usize>; Verb::ALL.len()],
    denied: [Option<usize>; Verb::ALL.len()],
}

impl Verdict {
    fn note(&mut self, number: usize, rule: &Rule) {
        let side = if rule.allows { &mut self.allowed } else { &mut self.denied };
        for verb in rule.verbs.iter() {
            let first = &mut side[verb as usize];
            *first = Some(first.map_or(number, |other| other.min(number)));
        }
    }

    fn allows(&self, verb: Verb) -> bool {
        self.denied[verb as usize].is_none() && self.allowed[verb as usize].is_some()
    }

    fn of(&self, verb: Verb) -> (bool, Option<usize>) {
        match self.denied[verb as usize] {
            Some(rule) => (false, Some(rule)),
            None => (self.allows(verb), self.allowed[verb as usize]),
        }
    }
}

impl PolicyRules {
    /// The caller `principal`, `None` for an anonymous one, whose address is `address` as far as it can be trusted.
    pub fn caller(&self, principal: Option<&Principal>, address: Option<IpAddr>) -> Caller {
        let compiled = self.0.as_ref();
        let mut groups = principal.map(|principal| principal.groups.clone()).unwrap_or_default();
        if let Some(more) = principal.and_then(|principal| compiled.groups.get(&principal.name)) {
            groups.extend(more.iter().cloned());
        }
        let values = compiled.slots.iter().map(|slot| fill(slot, principal, &groups)).collect();
        let whos = compiled.whos_of(principal, &groups);
        Caller(Arc::new(Known { policy: self.clone(), whos, values, address }))
    }
}

/// What fills a place in patterns.
fn fill(slot: &Slot, principal: Option<&Principal>, groups: &[String]) -> Vec<String> {
    let mut values = match slot {
        Slot::User => principal.map(|principal| principal.name.clone()).into_iter().collect(),
        Slot::Group => groups.to_vec(),
        Slot::Claim(name) => claim(principal, name),
    };
    values.retain(|value| slot.takes(value));
    values
}

impl Compiled {
    /// The descriptions that apply to a caller who is in these groups.
    fn whos_of(&self, principal: Option<&Principal>, groups: &[String]) -> Vec<usize> {
        let mut found = Vec::new();
        let mut look = |who: Who| found.extend(self.exact.get(&who).copied());
        if let Some(principal) = principal {
            look(Who::User(principal.name.clone()));
            for group in groups {
                look(Who::Group(group.clone()));
            }
            for name in &self.claims {
                for value in claim(Some(principal), name) {
                    look(Who::Claim(name.clone(), value));
                }
            }
        }
        let applies = |number: &usize| self.whos[*number].describes(principal, groups);
        let led = found.iter().filter_map(|number| self.after.get(number)).flatten();
        let led: Vec<usize> = led.copied().filter(applies).collect();
        found.extend(led);
        found.extend(self.always.iter().copied().filter(applies));
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Caller {
    fn compiled(&self) -> &Compiled {
        &self.0.policy.0
    }

    /// Decides: a rule that denies counts before all that allow, and what no rule allows is denied.
    ///
    /// The list of repositories is for whoever may list anything, and has what the caller may list. Content of any
    /// repository by digest alone is for whoever may pull everything, without exception. What is not the
    /// registry's own takes `admin` on `**`.
    pub fn decide(&self, access: &Access) -> Decision {
        let resource = || match &access.resource {
            Resource::Repository(name) => name.to_string(),
            other => format!("{}:{}", other.kind(), other.name()),
        };
        let everywhere = |rule: &Rule| rule.patterns.iter().any(Pattern::is_all);
        let (verb, (allowed, rule)) = match &access.resource {
            Resource::Repository(name) => {
                let verdict = self.verdict(name);
                let needed = Verb::needed(&access.action);
                // A rule that denies says more than that there is none that allows.
                let denied = needed.iter().find(|verb| verdict.denied[*verb as usize].is_some());
                let refused = denied.or_else(|| needed.iter().find(|verb| !verdict.allows(*verb)));
                let verb = refused.or_else(|| needed.iter().next()).unwrap_or(Verb::Admin);
                (verb, verdict.of(verb))
            }
            Resource::Catalog => (Verb::List, self.overall(Verb::List, |_| true, everywhere)),
            Resource::AnyBlob => (Verb::Pull, self.overall(Verb::Pull, everywhere, |_| true)),
            _ => (Verb::Admin, self.overall(Verb::Admin, everywhere, everywhere)),
        };
        let rule = rule.map(|number| (number, self.compiled().rules[number].name.clone()));
        Decision { allowed, rule, verb, resource: resource() }
    }

    /// Why this caller may not do all of this at once; `None` if it may. Of several reasons it is the one that says
    /// most: a rule that denies, or else what is missing for the last of them, as pushing includes pulling.
    pub fn refusal<'a>(&self, accesses: &'a [Access]) -> Option<(&'a Access, Decision)> {
        let decided = accesses.iter().map(|access| (access, self.decide(access)));
        let mut refused: Vec<_> = decided.filter(|(_, decision)| !decision.allowed).collect();
        match refused.iter().position(|(_, decision)| decision.rule.is_some()) {
            Some(by_rule) => Some(refused.swap_remove(by_rule)),
            None => refused.pop(),
        }
    }

    /// Whether a repository has to look to this caller as if it did not exist: it is private, and the caller may do
    /// nothing with it.
    pub fn hides(&self, name: &RepositoryName) -> bool {
        let private = self.compiled().private.iter().any(|pattern| pattern.covers(name.as_str()));
        private && {
            let verdict = self.verdict(name);
            !Verbs::ALL.iter().any(|verb| verdict.allows(verb))
        }
    }

    /// Which repositories the caller sees in lists; `None` for all.
    pub fn visible(&self) -> Option<Arc<dyn Visibility>> {
        let everywhere = |rule: &Rule| rule.patterns.iter().any(Pattern::is_all);
        let (all, _) = self.overall(Verb::List, everywhere, |_| true);
        if all { None } else { Some(Arc::new(Seen(self.clone()))) }
    }

    /// The rules about a repository.
    fn verdict(&self, name: &RepositoryName) -> Verdict {
        let mut verdict = Verdict::default();
        let Known { whos, values, .. } = self.0.as_ref();
        let compiled = self.compiled();
        compiled.tree.visit(name.as_str(), whos, |number, pattern| {
            let rule = &compiled.rules[number];
            if self.is_there(rule) && rule.patterns[pattern].matches(name.as_str(), values) {
                verdict.note(number, rule);
            }
        });
        verdict
    }

    /// Decides about something that is no repository: a rule that denies `verb` counts if it is one of `denying`, one
    /// that allows it if it is one of `allowing`.
    fn overall(
        &self,
        verb: Verb,
        allowing: impl Fn(&Rule) -> bool,
        denying: impl Fn(&Rule) -> bool,
    ) -> (bool, Option<usize>) {
        let mut verdict = Verdict::default();
        let compiled = self.compiled();
        for number in self.0.whos.iter().flat_map(|who| &compiled.by_who[*who]) {
            let rule = &compiled.rules[*number];
            let counts = if rule.allows { allowing(rule) } else { denying(rule) };
            if counts && rule.verbs.has(verb) && self.is_there(rule) {
                verdict.note(*number, rule);
            }
        }
        verdict.of(verb)
    }

    /// Whether the caller is where a rule is about. Where that is unknown, rules that deny count and others do not.
    fn is_there(&self, rule: &Rule) -> bool {
        let Some(address) = self.0.address else { return rule.from.is_empty() || !rule.allows };
        rule.from.is_empty() || rule.from.iter().any(|network| network.contains(address))
    }

    /// Names at or below which everything lies that the caller may list; `None` if that may be anywhere.
    fn among(&self) -> Option<Vec<RepositoryName>> {
        let compiled = self.compiled();
        let numbers = self.0.whos.iter().flat_map(|who| &compiled.by_who[*who]);
        let rules = numbers.map(|number| &compiled.rules[*number]);
        let listing = rules.filter(|rule| rule.allows && rule.verbs.has(Verb::List) && self.is_there(rule));
        let prefix = |pattern: &Pattern| RepositoryName::parse(&pattern.prefix.join("/")).ok();
        listing.flat_map(|rule| &rule.patterns).map(prefix).collect()
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("address", &self.0.address).finish_non_exhaustive()
    }
}

/// What a caller sees.
#[derive(Debug)]
struct Seen(Caller);

impl Visibility for Seen {
    fn shows(&self, name: &RepositoryName) -> bool {
        self.0.verdict(name).allows(Verb::List)
    }

    fn among(&self) -> Option<Vec<RepositoryName>> {
        self.0.among()
    }
}
