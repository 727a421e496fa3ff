//! What a client asks a token for: scopes of the registry token protocol.
//!
//! The grammar is that of "Docker Registry Token Scope and Access": resource scopes joined by spaces, each
//! `type[(class)]:name:action[,action…]`. A name may contain colons, so the type ends at the first and the actions
//! begin after the last.

use registry_core::RepositoryName;
use registry_core::access::{Access, Action, Resource};

/// How many resources one token can be asked for. A push that mounts from everywhere asks for a dozen; a token for
/// more than this would not fit into a header.
pub const MAX_RESOURCES: usize = 100;

/// A resource, and what is to be done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// To what.
    pub resource: Resource,
    /// The class of a repository, such as `plugin`; empty if the scope names none.
    pub class: String,
    /// What, each action once, in the order in which they were asked for.
    pub actions: Vec<Action>,
}

/// More resources than [`MAX_RESOURCES`] were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is for {MAX_RESOURCES} resources at most")]
pub struct TooMany;

impl Scope {
    /// What the values of all `scope` parameters ask for, with several scopes for a resource made one.
    ///
    /// What this registry has no access for (other types of resources, names that no repository can have, words that
    /// are no action) asks for nothing: token servers leave it out of what they grant, and clients expect that.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn parse_all<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, TooMany> {
        let mut scopes: Vec<Self> = Vec::new();
        for text in values.into_iter().flat_map(|value| value.split(' ')) {
            let Some(scope) = Self::parse(text) else { continue };
            let same = |known: &Self| known.resource == scope.resource && known.class == scope.class;
            match scopes.iter().position(same) {
                Some(at) => scopes[at].add(scope.actions),
                None if scopes.len() == MAX_RESOURCES => return Err(TooMany),
                None => scopes.push(scope),
            }
        }
        Ok(scopes)
    }

    /// What one resource scope asks for; `None` if that is nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let (kind, class) = match kind.split_once('(') {
            None => (kind, ""),
            Some((kind, class)) => (kind, class.strip_suffix(')').filter(|class| is_word(class))?),
        };
        let resource = match (kind, name) {
            ("repository", name) => Resource::Repository(RepositoryName::parse(name).ok()?),
            ("registry", "catalog") if class.is_empty() => Resource::Catalog,
            ("registry", "blobs") if class.is_empty() => Resource::AnyBlob,
            _ => return None,
        };
        let mut scope = Self { resource, class: class.to_owned(), actions: Vec::new() };
        scope.add(actions.split(',').filter_map(action));
        (!scope.actions.is_empty()).then_some(scope)
    }

    fn add(&mut self, actions: impl IntoIterator<Item = Action>) {
        for action in actions {
            if !self.actions.contains(&action) {
                self.actions.push(action);
            }
        }
    }

    /// The accesses that this stands for.
    pub fn accesses(&self) -> impl Iterator<Item = Access> + '_ {
        let access = |action: &Action| Access { resource: self.resource.clone(), action: action.clone() };
        self.actions.iter().map(access)
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn action(word: &str) -> Option<Action> {
    Some(match word {
        "pull" => Action::Pull,
        "push" => Action::Push,
        "delete" => Action::Delete,
        "*" => Action::All,
        _ => return None,
    })
}

impl std::fmt::Display for Scope {
    /// The resource scope, as in a challenge.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.resource.kind())?;
        if !self.class.is_empty() {
            write!(f, "({})", self.class)?;
        }
        write!(f, ":{}:", self.resource.name())?;
        for (index, action) in self.actions.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}", action.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(values: &[&str]) -> Vec<String> {
        Scope::parse_all(values.iter().copied()).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn scopes_come_as_several_parameters_or_joined_by_spaces() {
        let one = "repository:a/b:pull,push";
        let two = "registry:catalog:*";
        assert_eq!(round(&[one, two]), [one, two]);
        assert_eq!(round(&["repository:a/b:pull,push registry:catalog:*"]), [one, two]);
        assert_eq!(round(&[" repository:a/b:pull,push  ", ""]), [one]);
        assert!(round(&[]).is_empty());
    }

    #[test]
    fn a_resource_that_is_named_twice_is_one() {
        assert_eq!(round(&["repository:a:pull", "repository:a:push,pull"]), ["repository:a:pull,push"]);
        let classes = ["repository(plugin):a:pull", "repository:a:pull"];
        assert_eq!(round(&classes), classes);
    }

    #[test]
    fn what_the_registry_does_not_have_asks_for_nothing() {
        for text in [
            "",
            "repository",
            "repository:a",
            "repository:a:",
            "repository::pull",
            "repository:A:pull",
            "repository:a/../b:pull",
            "repository:host:5000/a:pull",
            "repository:a:fly",
            "repository:a:Pull",
            "repository(:a:pull",
            "repository():a:pull",
            "repository(plugin:a:pull",
            "repository(plu-gin):a:pull",
            "repository(plugin)x:a:pull",
            "registry(x):catalog:*",
            "registry:other:*",
            "artifact:a:pull",
            "repository:a\u{a0}b:pull",
        ] {
            assert_eq!(Scope::parse(text), None, "{text:?}");
        }
        assert_eq!(round(&["repository:a:fly,pull,,pull"]), ["repository:a:pull"]);
    }

    #[test]
    fn classes_and_the_other_actions_are_understood() {
        let plugin = Scope::parse("repository(plugin):a:delete,*").unwrap();
        assert_eq!((plugin.class.as_str(), plugin.actions), ("plugin", vec![Action::Delete, Action::All]));
        assert_eq!(Scope::parse("registry:blobs:pull").unwrap().resource, Resource::AnyBlob);
    }

    #[test]
    fn resources_are_bounded() {
        let many = |count: usize| {
            let names: Vec<String> = (0..count).map(|n| format!("repository:a{n}:pull")).collect();
            Scope::parse_all([names.join(" ").as_str()]).map(|scopes| scopes.len())
        };
        assert_eq!(many(MAX_RESOURCES), Ok(MAX_RESOURCES));
        assert_eq!(many(MAX_RESOURCES + 1), Err(TooMany));
    }
}
