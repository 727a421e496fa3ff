//! A policy, checked and ready to decide.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use registry_core::{BuildError, Network};

use super::action::Verbs;
use super::document::{PolicyDocument, Private, RuleDocument, WhoDocument};
use super::pattern::{Pattern, Slot};
use super::who::Who;

/// What can be wrong with a policy, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", self.place())]
#[non_exhaustive]
pub struct PolicyError {
    /// The way from the policy to what is wrong: `rules`, 3, `who`, 0.
    pub path: Vec<PolicyStep>,
    /// What is wrong, and what to write.
    pub reason: String,
}

/// A step into a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyStep {
    /// To what a key holds.
    Key(String),
    /// To an entry of a list, counted from zero.
    Index(usize),
}

impl PolicyError {
    fn place(&self) -> String {
        let mut place = String::new();
        for step in &self.path {
            match step {
                PolicyStep::Key(key) if place.is_empty() => place.push_str(key),
                PolicyStep::Key(key) => place.push_str(&format!(".{key}")),
                PolicyStep::Index(index) => place.push_str(&format!("[{index}]")),
            }
        }
        if place.is_empty() { place } else { place + ": " }
    }
}

impl From<PolicyError> for BuildError {
    fn from(error: PolicyError) -> Self {
        Self::Invalid { what: "policy", reason: error.to_string() }
    }
}

/// A policy that can decide. Cheap to clone.
///
/// What it costs to decide follows from how many rules are about the caller and about the repository, not from how
/// many rules there are.
#[derive(Clone)]
pub struct PolicyRules(pub(super) Arc<Compiled>);

/// The rules, and ways to find those that matter.
pub(super) struct Compiled {
    pub(super) rules: Vec<Rule>,
    /// The groups that the policy puts a user in.
    pub(super) groups: HashMap<String, Vec<String>>,
    /// What fills the places in patterns.
    pub(super) slots: Vec<Slot>,
    pub(super) private: Vec<Pattern>,
    /// Who there is in rules, each once; rules name them by number.
    pub(super) whos: Vec<Who>,
    /// Exact descriptions by what they say.
    pub(super) exact: HashMap<Who, usize>,
    /// The names of the claims in exact descriptions.
    pub(super) claims: Vec<String>,
    /// Descriptions that have to be tried if the exact one with this number applies.
    pub(super) after: HashMap<usize, Vec<usize>>,
    /// Descriptions that have to be tried for every caller.
    pub(super) always: Vec<usize>,
    /// The rules for each description.
    pub(super) by_who: Vec<Vec<usize>>,
    /// The rules by the beginnings of their patterns.
    pub(super) tree: Tree,
}

/// A rule, checked.
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) allows: bool,
    pub(super) verbs: Verbs,
    pub(super) patterns: Vec<Pattern>,
    pub(super) from: Vec<Network>,
}

/// Where patterns begin: a node for each path of whole components.
#[derive(Default)]
pub(super) struct Tree {
    children: HashMap<String, Self>,
    /// For each description the rules, and which of their patterns begin here.
    entries: HashMap<usize, Vec<(usize, usize)>>,
}

impl Tree {
    fn insert(&mut self, prefix: &[String], who: usize, entry: (usize, usize)) {
        match prefix.split_first() {
            None => self.entries.entry(who).or_default().push(entry),
            Some((first, rest)) => {
                self.children.entry(first.clone()).or_default().insert(rest, who, entry);
            }
        }
    }

    /// Shows `see` each rule for one of `whos` that has a pattern with which `name` begins, and the pattern.
    pub(super) fn visit(&self, name: &str, whos: &[usize], mut see: impl FnMut(usize, usize)) {
        let mut node = Some(self);
        let mut components = name.split('/');
        while let Some(here) = node {
            if !here.entries.is_empty() {
                for (rule, pattern) in whos.iter().filter_map(|who| here.entries.get(who)).flatten() {
                    see(*rule, *pattern);
                }
            }
            node = components.next().and_then(|component| here.children.get(component));
        }
    }
}

impl PolicyRules {
    /// Checks a policy.
    ///
    /// # Errors
    /// The first mistake: a word that does not exist, a pattern that nothing matches, a rule that says nothing.
    pub fn new(document: &PolicyDocument) -> Result<Self, PolicyError> {
        Compiler::default().compile(document).map(|compiled| Self(Arc::new(compiled)))
    }

    /// Every mistake in a policy, at most one for each rule.
    pub fn mistakes(document: &PolicyDocument) -> Vec<PolicyError> {
        let around = PolicyDocument { rules: Vec::new(), ..document.clone() };
        let mut mistakes: Vec<PolicyError> = Self::new(&around).err().into_iter().collect();
        for (index, rule) in document.rules.iter().enumerate() {
            let alone = PolicyDocument { rules: vec![rule.clone()], ..PolicyDocument::default() };
            mistakes.extend(Self::new(&alone).err().map(|mut error| {
                if let Some(PolicyStep::Index(number)) = error.path.get_mut(1) {
                    *number = index;
                }
                error
            }));
        }
        // What is wrong with rules together, such as names, shows when each is right.
        if mistakes.is_empty() {
            mistakes.extend(Self::new(document).err());
        }
        mistakes
    }

    /// Reads and checks a policy, such as the options of an access controller.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and keys that there are not.
    pub fn from_value(value: serde_json::Value) -> Result<Self, PolicyError> {
        let document: PolicyDocument = serde_json::from_value(value)
            .map_err(|error| PolicyError { path: Vec::new(), reason: error.to_string() })?;
        Self::new(&document)
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.0.rules.len()
    }

    /// Whether a rule is about the addresses of clients.
    pub fn has_addresses(&self) -> bool {
        self.0.rules.iter().any(|rule| !rule.from.is_empty())
    }

    /// Whether there is none, so that nobody may do anything.
    pub fn is_empty(&self) -> bool {
        self.0.rules.is_empty()
    }
}

impl fmt::Debug for PolicyRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyRules").field("rules", &self.0.rules.len()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Compiler {
    slots: Vec<Slot>,
    whos: Vec<Who>,
    numbers: HashMap<Who, usize>,
}

impl Compiler {
    fn compile(mut self, document: &PolicyDocument) -> Result<Compiled, PolicyError> {
        let private = match &document.private {
            Private::All(false) => Vec::new(),
            Private::All(true) => self.patterns(&["**".to_owned()], |_| Vec::new())?,
            Private::Some(patterns) => self.patterns(patterns, |index| vec![key("private"), at(index)])?,
        };
        if let Some(index) = private.iter().position(Pattern::has_slots) {
            let reason = "what is private is so for everybody, so no {user}, {group} or {claim.…}".to_owned();
            return Err(PolicyError { path: vec![key("private"), at(index)], reason });
        }
        let groups = groups(&document.groups)?;
        let mut rules: Vec<Rule> = Vec::new();
        let mut by_who: Vec<Vec<usize>> = Vec::new();
        let mut tree = Tree::default();
        let mut names = HashMap::new();
        for (index, written) in document.rules.iter().enumerate() {
            let place = |below: &[PolicyStep]| [&[key("rules"), at(index)], below].concat();
            let rule = self.rule(index, written, &place)?;
            let whos = self.whos(written, &place)?;
            if let Some(other) = names.insert(rule.name.clone(), index) {
                let reason =
                    format!("rule {} is called {:?} too; give each its own name", other + 1, rule.name);
                return Err(PolicyError { path: place(&[key("name")]), reason });
            }
            by_who.resize_with(self.whos.len(), Vec::new);
            for who in whos {
                by_who[who].push(index);
                for (number, pattern) in rule.patterns.iter().enumerate() {
                    tree.insert(&pattern.prefix, who, (index, number));
                }
            }
            rules.push(rule);
        }
        let mut compiled = Compiled {
            rules,
            groups,
            slots: self.slots,
            private,
            exact: HashMap::new(),
            claims: Vec::new(),
            after: HashMap::new(),
            always: Vec::new(),
            by_who,
            tree,
            whos: self.whos,
        };
        compiled.index(self.numbers);
        Ok(compiled)
    }

    fn rule(
        &mut self,
        index: usize,
        written: &RuleDocument,
        place: &dyn Fn(&[PolicyStep]) -> Vec<PolicyStep>,
    ) -> Result<Rule, PolicyError> {
        let fail = |path: &[PolicyStep], reason: String| Err(PolicyError { path: place(path), reason });
        let (allows, words, side) = match (written.allow.as_slice(), written.deny.as_slice()) {
            ([], []) => return fail(&[], "allows and denies nothing; say allow: [pull] or such".to_owned()),
            (allow, []) => (true, allow, "allow"),
            ([], deny) => (false, deny, "deny"),
            _ => return fail(&[key("deny")], "a rule either allows or denies; make two of it".to_owned()),
        };
        let mut verbs = Verbs::default();
        for (number, word) in words.iter().enumerate() {
            let read = if allows { Verbs::allowed_by(word) } else { Verbs::denied_by(word) };
            let Some(read) = read else {
                let reason = format!("{word:?} is no action; there are pull, push, delete, list, admin, all");
                return fail(&[key(side), at(number)], reason);
            };
            verbs = verbs | read;
        }
        if written.repositories.is_empty() {
            let reason = "says no repositories; write repositories: [\"**\"] for all".to_owned();
            return fail(&[key("repositories")], reason);
        }
        let patterns =
            self.patterns(&written.repositories, |number| place(&[key("repositories"), at(number)]))?;
        let mut from = Vec::new();
        for (number, text) in written.from.iter().enumerate() {
            match network(text) {
                Ok(network) => from.push(network),
                Err(reason) => return fail(&[key("from"), at(number)], reason),
            }
        }
        let name = if written.name.is_empty() { format!("rule {}", index + 1) } else { written.name.clone() };
        if name.chars().any(char::is_control) {
            return fail(&[key("name")], "has a control character".to_owned());
        }
        Ok(Rule { name, allows, verbs, patterns, from })
    }

    /// The numbers of those whom a rule is for.
    fn whos(
        &mut self,
        written: &RuleDocument,
        place: &dyn Fn(&[PolicyStep]) -> Vec<PolicyStep>,
    ) -> Result<Vec<usize>, PolicyError> {
        if written.who.is_empty() {
            let reason = "says nobody; write who: [anyone] for everybody, anonymous callers too".to_owned();
            return Err(PolicyError { path: place(&[key("who")]), reason });
        }
        let mut numbers = Vec::new();
        for (index, entry) in written.who.iter().enumerate() {
            let read = |text: &str, below: &[PolicyStep]| {
                let path = || place(&[&[key("who"), at(index)], below].concat());
                Who::parse(text).map_err(|reason| PolicyError { path: path(), reason })
            };
            let who = match entry {
                WhoDocument::One(text) => read(text, &[])?,
                WhoDocument::All(texts) if texts.is_empty() => {
                    let reason = "a list in the list means all of its entries, and has none".to_owned();
                    return Err(PolicyError { path: place(&[key("who"), at(index)]), reason });
                }
                WhoDocument::All(texts) => {
                    let members = texts.iter().enumerate().map(|(number, text)| read(text, &[at(number)]));
                    Who::All(members.collect::<Result<_, _>>()?)
                }
            };
            let number = self.number(who);
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        Ok(numbers)
    }

    fn number(&mut self, who: Who) -> usize {
        *self.numbers.entry(who).or_insert_with_key(|who| {
            self.whos.push(who.clone());
            self.whos.len() - 1
        })
    }

    fn patterns(
        &mut self,
        texts: &[String],
        place: impl Fn(usize) -> Vec<PolicyStep>,
    ) -> Result<Vec<Pattern>, PolicyError> {
        let slots = &mut self.slots;
        let mut number = |slot: Slot| {
            slots.iter().position(|known| *known == slot).unwrap_or_else(|| {
                slots.push(slot);
                slots.len() - 1
            })
        };
        let read = |(index, text): (usize, &String)| {
            Pattern::parse(text, &mut number).map_err(|reason| PolicyError { path: place(index), reason })
        };
        texts.iter().enumerate().map(read).collect()
    }
}

impl Compiled {
    /// Fills what is found by looking up. A description that asks for several things is tried for callers of whom
    /// one of its exact members is true.
    fn index(&mut self, mut numbers: HashMap<Who, usize>) {
        let mut whos = std::mem::take(&mut self.whos);
        for number in 0..whos.len() {
            let leads = match &whos[number] {
                Who::All(members) => members.iter().find(|member| member.is_exact()).cloned(),
                who if who.is_exact() => {
                    self.exact.insert(who.clone(), number);
                    continue;
                }
                _ => None,
            };
            match leads {
                None => self.always.push(number),
                Some(lead) => {
                    // It may be in no rule by itself.
                    let lead_number = *numbers.entry(lead.clone()).or_insert_with(|| {
                        whos.push(lead.clone());
                        self.by_who.push(Vec::new());
                        whos.len() - 1
                    });
                    self.exact.insert(lead, lead_number);
                    self.after.entry(lead_number).or_default().push(number);
                }
            }
        }
        for who in self.exact.keys() {
            if let Who::Claim(name, _) = who
                && !self.claims.contains(name)
            {
                self.claims.push(name.clone());
            }
        }
        self.whos = whos;
    }
}

/// The groups of each user.
fn groups(written: &BTreeMap<String, Vec<String>>) -> Result<HashMap<String, Vec<String>>, PolicyError> {
    let mut groups: HashMap<String, Vec<String>> = HashMap::new();
    for (group, users) in written {
        for (index, user) in users.iter().enumerate() {
            if user.is_empty() || user.contains('*') {
                let reason = format!("{user:?} is not the name of a user; a group lists users one by one");
                return Err(PolicyError { path: vec![key("groups"), key(group), at(index)], reason });
            }
            groups.entry(user.clone()).or_default().push(group.clone());
        }
    }
    Ok(groups)
}

fn network(text: &str) -> Result<Network, String> {
    let network = Network::parse(text)
        .ok_or_else(|| format!("{text:?} is neither an address nor a network such as 10.0.0.0/8"))?;
    if network.address.to_canonical() != network.address {
        return Err(format!("{text:?}: write the IPv4 addresses as such, clients have them in that form"));
    }
    Ok(network)
}

fn key(key: &str) -> PolicyStep {
    PolicyStep::Key(key.to_owned())
}

fn at(index: usize) -> PolicyStep {
    PolicyStep::Index(index)
}
