//! What can be done, as a policy sees it.

use std::fmt;
use std::ops::BitOr;

use registry_core::access::Action;

/// One of the five things that a rule allows or denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// Learning that there is a repository, and which tags it has.
    List,
    /// Reading.
    Pull,
    /// Writing.
    Push,
    /// Removing.
    Delete,
    /// Routes of an embedder's own.
    Admin,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::List, Self::Pull, Self::Push, Self::Delete, Self::Admin];

    /// The verb that a rule writes like this.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == word)
    }

    /// The word for it in a rule.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Admin => "admin",
        }
    }

    /// What an action on a repository needs.
    pub(super) fn needed(action: &Action) -> Verbs {
        match action {
            Action::List => Self::List.into(),
            Action::Pull => Self::Pull.into(),
            Action::Push => Self::Push.into(),
            Action::Delete => Self::Delete.into(),
            Action::All => Verbs::EVERYTHING_IN_SCOPES,
            _ => Self::Admin.into(),
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of verbs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Verbs(u8);

impl Verbs {
    /// All five.
    pub(super) const ALL: Self = Self(0b1_1111);
    /// What `*` of a scope stands for: all that is done to repositories.
    const EVERYTHING_IN_SCOPES: Self = Self(0b1111);

    fn of(verbs: &[Verb]) -> Self {
        verbs.iter().fold(Self::default(), |set, verb| set | (*verb).into())
    }

    /// What a rule allows that says `word`: who may push may pull, because no push does without, and who may pull
    /// may list.
    pub(super) fn allowed_by(word: &str) -> Option<Self> {
        Some(match word {
            "all" => Self::ALL,
            _ => match Verb::parse(word)? {
                Verb::Push => Self::of(&[Verb::Push, Verb::Pull, Verb::List]),
                Verb::Pull => Self::of(&[Verb::Pull, Verb::List]),
                verb => verb.into(),
            },
        })
    }

    /// What a rule denies that says `word`: that and nothing else.
    pub(super) fn denied_by(word: &str) -> Option<Self> {
        if word == "all" { Some(Self::ALL) } else { Verb::parse(word).map(Into::into) }
    }

    pub(super) fn has(self, verb: Verb) -> bool {
        self.0 & (1 << verb as u8) != 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.into_iter().filter(move |verb| self.has(*verb))
    }
}

impl From<Verb> for Verbs {
    fn from(verb: Verb) -> Self {
        Self(1 << verb as u8)
    }
}

impl BitOr for Verbs {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
