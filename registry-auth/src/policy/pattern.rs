//! Patterns for the names of repositories, with places for what is known of the caller.

use registry_core::{Glob, RepositoryName};

/// What of a caller fills a place in a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    /// `{user}`: its name.
    User,
    /// `{group}`: each of its groups.
    Group,
    /// `{claim.x}`: a claim, or each entry of one that is a list.
    Claim(String),
}

impl Slot {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "user" => Some(Self::User),
            "group" => Some(Self::Group),
            _ => {
                text.strip_prefix("claim.").filter(|name| !name.is_empty()).map(|x| Self::Claim(x.to_owned()))
            }
        }
    }

    /// Whether `value` can stand in a name. That of a claim may have several components, as GitHub's `repository`
    /// has; the names of users and groups are one, or else somebody called `alice/x` would own a part of what is
    /// alice's.
    pub(super) fn takes(&self, value: &str) -> bool {
        let several = matches!(self, Self::Claim(_));
        (several || !value.contains('/')) && RepositoryName::parse(value).is_ok()
    }
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Glob(Glob),
    /// The number of a slot.
    Slot(usize),
}

/// A pattern, ready to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// The whole components at its beginning that stand for themselves: every name that matches begins with them.
    pub(super) prefix: Vec<String>,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// The prefix, and nothing after it.
    Exact,
    /// The prefix, and at least one component after it.
    Below,
    /// Everything: `**`.
    All,
    Parts(Vec<Part>),
}

impl Pattern {
    /// Reads a pattern; `number` gives slots their numbers.
    ///
    /// # Errors
    /// Why no name can match it, or why it would not mean what it looks like.
    pub(super) fn parse(text: &str, mut number: impl FnMut(Slot) -> usize) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut glob = String::new();
        let mut possible = Vec::new();
        for (index, component) in text.split('/').enumerate() {
            if index > 0 {
                glob.push('/');
            }
            if component.contains(['{', '}']) {
                let slot = component.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
                let Some(slot) = slot.and_then(Slot::parse) else {
                    return Err(format!(
                        "{text:?}: {component:?} is none of {{user}}, {{group}} and {{claim.NAME}}, each of which \
                         has to fill a path component"
                    ));
                };
                parts.push(Part::Glob(Glob::new(std::mem::take(&mut glob))));
                parts.push(Part::Slot(number(slot)));
                possible.push("x".to_owned());
            } else {
                glob.push_str(component);
                possible.push(component.replace('*', "x"));
            }
        }
        // Each `*` may stand for a letter.
        if let Err(error) = RepositoryName::parse(&possible.join("/")) {
            return Err(format!("no repository can match {text:?}: {}", error.reason()));
        }
        parts.push(Part::Glob(Glob::new(glob)));
        let plain = text.split('/').take_while(|component| !component.contains(['*', '{']));
        let prefix: Vec<String> = plain.map(str::to_owned).collect();
        let rest: Vec<&str> = text.split('/').skip(prefix.len()).collect();
        let form = match rest.as_slice() {
            [] => Form::Exact,
            ["**"] if prefix.is_empty() => Form::All,
            ["**"] => Form::Below,
            _ => Form::Parts(parts),
        };
        Ok(Self { prefix, form })
    }

    /// Whether it matches every name.
    pub(super) fn is_all(&self) -> bool {
        self.form == Form::All
    }

    /// Whether it has places that are filled for each caller.
    pub(super) fn has_slots(&self) -> bool {
        matches!(&self.form, Form::Parts(parts) if parts.iter().any(|part| matches!(part, Part::Slot(_))))
    }

    /// Whether `name` matches a pattern without places.
    pub(super) fn covers(&self, name: &str) -> bool {
        let mut components = name.split('/');
        self.prefix.iter().all(|own| components.next() == Some(own)) && self.matches(name, &[])
    }

    /// Whether `name`, which begins with the components of the prefix, matches as a whole; `values` has what fills
    /// each slot, for this caller.
    pub(super) fn matches(&self, name: &str, values: &[Vec<String>]) -> bool {
        let parts = match &self.form {
            Form::All => return true,
            Form::Exact | Form::Below => {
                let own: usize = self.prefix.iter().map(|component| component.len() + 1).sum();
                // Without the slash after the last component.
                return if self.form == Form::Exact { name.len() + 1 == own } else { name.len() > own };
            }
            Form::Parts(parts) => parts,
        };
        let mut reached = vec![false; name.len() + 1];
        reached[0] = true;
        for part in parts {
            match part {
                Part::Glob(glob) => glob.advance(name, &mut reached),
                Part::Slot(slot) => {
                    let values = values.get(*slot).map(Vec::as_slice).unwrap_or_default();
                    let mut next = vec![false; name.len() + 1];
                    for start in (0..=name.len()).filter(|start| reached[*start]) {
                        for value in values.iter().filter(|value| name[start..].starts_with(value.as_str())) {
                            next[start + value.len()] = true;
                        }
                    }
                    reached = next;
                }
            }
        }
        reached[name.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a pattern matches a name for a caller with these values for all slots.
    fn matches(pattern: &str, name: &str, values: &[&str]) -> bool {
        let mut slots: Vec<Slot> = Vec::new();
        let pattern = Pattern::parse(pattern, |slot| {
            slots.push(slot);
            slots.len() - 1
        })
        .unwrap();
        let fill = |slot: &Slot| {
            values.iter().filter(|value| slot.takes(value)).map(ToString::to_string).collect::<Vec<_>>()
        };
        let values: Vec<Vec<String>> = slots.iter().map(fill).collect();
        let begins = name.split('/').zip(&pattern.prefix).filter(|(one, other)| one == other).count();
        begins == pattern.prefix.len() && pattern.matches(name, &values)
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("team/app", "team/app", true),
            ("team/app", "team/app/x", false),
            ("team/app", "team", false),
            ("team/**", "team/app/debug", true),
            ("team/**", "team", false),
            ("team/**", "teams/app", false),
            ("team/*", "team/app", true),
            ("team/*", "team/app/debug", false),
            ("**", "a/b/c", true),
            ("**/app", "a/b/app", true),
            ("*/app", "b/app", true),
            ("*/app", "a/b/app", false),
            ("team-*/app", "team-a/app", true),
            ("team-*/app", "team/app", false),
        ] {
            assert_eq!(matches(pattern, name, &[]), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_filled_in_stands_for_itself() {
        for (pattern, name, values, expected) in [
            ("users/{user}/**", "users/alice/x", &["alice"][..], true),
            ("users/{user}/**", "users/bob/x", &["alice"], false),
            ("users/{user}/**", "users/alice", &["alice"], false),
            ("users/{user}", "users/alice", &["alice"], true),
            // Neither a pattern, nor a way around, nor nothing at all.
            ("users/{user}/**", "users/bob/x", &["*"], false),
            ("users/{user}/**", "users/bob/x", &["**"], false),
            ("users/{user}/**", "users/bob/x", &[""], false),
            ("users/{user}/**", "users/bob/x", &["../bob"], false),
            ("users/{user}/**", "users/bob/x", &["{user}"], false),
            ("users/{user}/**", "users/bob/sub/x", &["bob/sub"], false),
            ("users/{user}/**", "users/bob/x", &[], false),
            ("{group}/**", "devs/x", &["ops", "devs"], true),
            ("{group}/**", "dev/x", &["ops", "devs"], false),
            ("{group}/**", "devs-x/x", &["devs"], false),
            ("{claim.repository}/**", "acme/app/image", &["acme/app"], true),
            ("{claim.repository}", "acme/app", &["acme/app"], true),
            ("{claim.repository}", "acme/app2", &["acme/app"], false),
            ("ci/{claim.repository}/*", "ci/acme/app/image", &["acme/app"], true),
            ("ci/{claim.repository}/*", "ci/acme/app/a/b", &["acme/app"], false),
            ("{claim.repository}", "acme/app", &["acme/*"], false),
            ("{claim.repository}", "acme/app", &["Acme/app"], false),
            ("**/{user}", "a/b/alice", &["alice"], true),
            ("**/{user}", "a/b-alice", &["alice"], false),
        ] {
            assert_eq!(matches(pattern, name, values), expected, "{pattern} {name} {values:?}");
        }
    }

    #[test]
    fn what_can_only_be_a_mistake_is_one() {
        for pattern in [
            "",
            "Team/**",
            "/team",
            "team/",
            "a//b",
            "a b",
            "{user",
            "user}",
            "{users}",
            "x-{user}",
            "{user}-*",
            "{claim.}",
            "{claim}",
            "{}",
            "a/{user}{group}",
            "https://host/a",
            "team/?",
        ] {
            assert!(Pattern::parse(pattern, |_| 0).is_err(), "{pattern}");
        }
    }
}
