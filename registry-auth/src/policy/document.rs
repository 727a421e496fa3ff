//! What a policy looks like when it is written down.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A policy as its author writes it, in YAML, JSON or values. [`PolicyRules::new`](super::PolicyRules::new) checks
/// it.
///
/// ```
/// use registry_auth::policy::{PolicyDocument, PolicyRules};
///
/// let document: PolicyDocument = serde_json::from_value(serde_json::json!({
///     "groups": { "devs": ["alice", "bob"] },
///     "rules": [
///         { "allow": ["pull"], "repositories": ["public/**"], "who": ["anyone"] },
///         { "allow": ["push", "delete"], "repositories": ["team/**"], "who": ["group:devs"] },
///     ],
/// }))?;
/// PolicyRules::new(&document)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PolicyDocument {
    /// Which repositories look as if they did not exist to callers who may do nothing with them.
    pub private: Private,
    /// Names of groups, and the users in each. A caller is also in the groups that whoever recognized it says.
    pub groups: BTreeMap<String, Vec<String>>,
    /// The rules. Their order decides nothing.
    pub rules: Vec<RuleDocument>,
}

impl PolicyDocument {
    /// A policy of these rules.
    pub fn new(rules: impl IntoIterator<Item = RuleDocument>) -> Self {
        Self { rules: rules.into_iter().collect(), ..Self::default() }
    }

    /// Defines a group.
    #[must_use]
    pub fn with_group<S: Into<String>>(
        mut self,
        name: impl Into<String>,
        users: impl IntoIterator<Item = S>,
    ) -> Self {
        self.groups.insert(name.into(), texts(users));
        self
    }

    /// Says what is private.
    #[must_use]
    pub fn with_private(mut self, private: Private) -> Self {
        self.private = private;
        self
    }
}

/// Which repositories are private: `true`, `false`, or a list of patterns.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Private {
    /// All of them, or none.
    All(bool),
    /// Those that match a pattern.
    Some(Vec<String>),
}

impl Default for Private {
    fn default() -> Self {
        Self::All(false)
    }
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RuleDocument {
    /// What `registry auth explain`, refusals and the audit log call it; without a name its number.
    pub name: String,
    /// What it allows; a rule either allows or denies.
    pub allow: Vec<String>,
    /// What it denies.
    pub deny: Vec<String>,
    /// In which repositories.
    pub repositories: Vec<String>,
    /// To whom.
    pub who: Vec<WhoDocument>,
    /// To clients at which addresses; all if there are none.
    pub from: Vec<String>,
}

impl RuleDocument {
    /// A rule that allows these actions.
    pub fn allow<S: Into<String>>(actions: impl IntoIterator<Item = S>) -> Self {
        Self { allow: texts(actions), ..Self::default() }
    }

    /// A rule that denies these actions.
    pub fn deny<S: Into<String>>(actions: impl IntoIterator<Item = S>) -> Self {
        Self { deny: texts(actions), ..Self::default() }
    }

    /// Names it.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// For repositories that match one of these patterns.
    #[must_use]
    pub fn on<S: Into<String>>(mut self, repositories: impl IntoIterator<Item = S>) -> Self {
        self.repositories.extend(texts(repositories));
        self
    }

    /// For whomever one of these describes.
    #[must_use]
    pub fn to<S: Into<WhoDocument>>(mut self, who: impl IntoIterator<Item = S>) -> Self {
        self.who.extend(who.into_iter().map(Into::into));
        self
    }

    /// For clients at these addresses.
    #[must_use]
    pub fn at<S: Into<String>>(mut self, networks: impl IntoIterator<Item = S>) -> Self {
        self.from.extend(texts(networks));
        self
    }
}

fn texts<S: Into<String>>(texts: impl IntoIterator<Item = S>) -> Vec<String> {
    texts.into_iter().map(Into::into).collect()
}

/// Whom a rule is for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum WhoDocument {
    /// Callers whom this describes, such as `user:alice`.
    One(String),
    /// Callers whom all of these describe.
    All(Vec<String>),
}

impl From<&str> for WhoDocument {
    fn from(text: &str) -> Self {
        Self::One(text.to_owned())
    }
}

impl<const N: usize> From<[&str; N]> for WhoDocument {
    fn from(list: [&str; N]) -> Self {
        Self::All(texts(list))
    }
}
