//! Whom a rule is for.

use registry_core::{Glob, Principal};
use serde_json::Value;

/// A description of callers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Who {
    Anyone,
    Anonymous,
    Authenticated,
    User(String),
    UserLike(Glob),
    Group(String),
    /// How the caller was recognized.
    Method(String),
    Claim(String, String),
    ClaimLike(String, Glob),
    /// All of these.
    All(Vec<Self>),
}

impl Who {
    /// Reads one word of a rule.
    ///
    /// # Errors
    /// What is wrong with it, and what there is.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let known = "anyone, anonymous, authenticated, user:NAME, group:NAME, claim:NAME=VALUE, method:NAME";
        let (kind, value) = match text {
            "anyone" => return Ok(Self::Anyone),
            "anonymous" => return Ok(Self::Anonymous),
            "authenticated" => return Ok(Self::Authenticated),
            _ => {
                text.split_once(':').ok_or_else(|| format!("{text:?} describes nobody; there are {known}"))?
            }
        };
        if value.is_empty() {
            return Err(format!("{text:?} has nothing after the colon"));
        }
        match kind {
            "user" if value.contains('*') => Ok(Self::UserLike(Glob::new(value))),
            "user" => Ok(Self::User(value.to_owned())),
            "group" if value.contains('*') => Err(format!("{text:?}: groups have no patterns, list them")),
            "group" => Ok(Self::Group(value.to_owned())),
            "method" => Ok(Self::Method(value.to_owned())),
            "claim" => match value.split_once('=') {
                Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok(if value.contains('*') {
                    Self::ClaimLike(name.to_owned(), Glob::new(value))
                } else {
                    Self::Claim(name.to_owned(), value.to_owned())
                }),
                _ => Err(format!("{text:?} has to be written like claim:repository=acme/app")),
            },
            _ => Err(format!("{text:?} describes nobody; there are {known}")),
        }
    }

    /// Whether it describes this caller, who is in these groups.
    pub(super) fn describes(&self, caller: Option<&Principal>, groups: &[String]) -> bool {
        match self {
            Self::Anyone => true,
            Self::Anonymous => caller.is_none(),
            Self::Authenticated => caller.is_some(),
            Self::User(name) => caller.is_some_and(|caller| caller.name == *name),
            Self::UserLike(glob) => caller.is_some_and(|caller| glob.matches(&caller.name)),
            Self::Group(name) => groups.contains(name),
            Self::Method(name) => caller.is_some_and(|caller| caller.method == name.as_str()),
            Self::Claim(name, value) => claim(caller, name).iter().any(|found| found == value),
            Self::ClaimLike(name, glob) => claim(caller, name).iter().any(|found| glob.matches(found)),
            Self::All(members) => members.iter().all(|member| member.describes(caller, groups)),
        }
    }

    /// Whether it describes only callers whom few other words describe, so that looking them up finds it.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self, Self::User(_) | Self::Group(_) | Self::Claim(..))
    }
}

/// The values of a claim as text: of a list each entry, of an object none. A name with slashes that no claim has
/// leads into objects: `kubernetes.io/namespace`.
pub(super) fn claim(caller: Option<&Principal>, name: &str) -> Vec<String> {
    let Some(caller) = caller else { return Vec::new() };
    let value = caller.claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('/')?;
        let inner = caller.claims.get(first)?;
        rest.split('/').try_fold(inner, |value, step| value.get(step))
    });
    match value {
        Some(Value::Array(entries)) => entries.iter().filter_map(text).collect(),
        Some(value) => text(value).into_iter().collect(),
        None => Vec::new(),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_are_compared_as_text_and_lists_entry_by_entry() {
        let claims = json!({
            "repository": "acme/app", "run": 7, "protected": true, "groups": ["a", "b", 3], "none": null,
            "kubernetes.io": { "namespace": "ci", "pod": { "name": "p" } }, "https://x/role": "admin",
        });
        let caller = Principal::new("x").with_claims(claims.as_object().cloned().unwrap());
        for (name, expected) in [
            ("repository", &["acme/app"][..]),
            ("run", &["7"]),
            ("protected", &["true"]),
            ("groups", &["a", "b", "3"]),
            ("none", &[]),
            ("kubernetes.io", &[]),
            ("kubernetes.io/namespace", &["ci"]),
            ("kubernetes.io/pod/name", &["p"]),
            ("kubernetes.io/pod/none", &[]),
            ("https://x/role", &["admin"]),
            ("absent", &[]),
        ] {
            assert_eq!(claim(Some(&caller), name), expected, "{name}");
        }
        assert!(claim(None, "repository").is_empty());
    }

    #[test]
    fn words_that_describe_nobody_are_mistakes() {
        for word in [
            "",
            "alice",
            "Anyone",
            "user:",
            "group:",
            "group:dev*",
            "claim:x",
            "claim:=y",
            "claim:x=",
            "role:x",
            "everyone",
            "*",
        ] {
            assert!(Who::parse(word).is_err(), "{word}");
        }
    }
}
