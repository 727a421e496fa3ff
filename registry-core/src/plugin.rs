//! Drivers, access controllers and middleware by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::BoxError;

/// The options that a configuration gives to something it names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options(Map<String, Value>);

impl Options {
    /// No options.
    pub fn none() -> Self {
        Self::default()
    }

    /// These options.
    pub fn new(options: Map<String, Value>) -> Self {
        Self(options)
    }

    /// The options as a type of the plugin's own, which should have `#[serde(deny_unknown_fields)]`, so
    /// that a mistyped key stops the start.
    ///
    /// # Errors
    /// A [`serde_json::Error`] that names the key.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        serde_json::from_value(Value::Object(self.0))
    }
}

/// Makes an instance of something out of options, once at start.
pub type Factory<M> = Arc<dyn Fn(Options) -> BoxFuture<'static, Result<Arc<M>, BuildError>> + Send + Sync>;

/// Factories by name: a value, no global. State that several plugins share is captured by their
/// closures.
///
/// ```
/// use registry_core::{AccessController, BuildError, Factories};
/// let factories = Factories::<dyn AccessController>::new("access controller");
/// let error = futures::executor::block_on(factories.build("ldap", Default::default())).unwrap_err();
/// assert_eq!(error.to_string(), "unknown access controller \"ldap\"; none is known");
/// ```
pub struct Factories<M: ?Sized> {
    kind: &'static str,
    by_name: BTreeMap<String, Factory<M>>,
}

impl<M: ?Sized + 'static> Factories<M> {
    /// No factories of things called `kind` in errors.
    pub fn new(kind: &'static str) -> Self {
        Self { kind, by_name: BTreeMap::new() }
    }

    /// Adds a factory under the name that configuration uses.
    ///
    /// # Errors
    /// [`BuildError::Taken`] if the name is in use.
    pub fn register<F, R>(&mut self, name: &str, factory: F) -> Result<&mut Self, BuildError>
    where
        F: Fn(Options) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Arc<M>, BuildError>> + Send + 'static,
    {
        if self.by_name.contains_key(name) {
            return Err(BuildError::Taken { kind: self.kind, name: name.to_owned() });
        }
        self.by_name.insert(name.to_owned(), Arc::new(move |options| factory(options).boxed()));
        Ok(self)
    }

    /// The known names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Makes the instance called `name`.
    ///
    /// # Errors
    /// [`BuildError::Unknown`], or the factory's own.
    pub async fn build(&self, name: &str, options: Options) -> Result<Arc<M>, BuildError> {
        match self.by_name.get(name) {
            Some(factory) => factory(options).await,
            None => Err(BuildError::Unknown {
                kind: self.kind,
                name: name.to_owned(),
                known: self.names().map(str::to_owned).collect(),
            }),
        }
    }
}

impl<M: ?Sized> fmt::Debug for Factories<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Factories")
            .field("kind", &self.kind)
            .field("names", &self.by_name.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Why a registry cannot be put together. Every mistake in a configuration ends here, at start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Nothing is registered under a name.
    #[error("unknown {kind} {name:?}; {}", known_names(.known))]
    Unknown {
        /// What was looked for.
        kind: &'static str,
        /// Under which name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A name is registered twice.
    #[error("{kind} {name:?} is registered already")]
    Taken {
        /// What was to be registered.
        kind: &'static str,
        /// Under which name.
        name: String,
    },
    /// The options of a plugin are wrong.
    #[error("options of {name:?}: {source}")]
    Options {
        /// The plugin.
        name: String,
        /// Which key, and what is wrong with it.
        #[source]
        source: BoxError,
    },
    /// A value cannot be used.
    #[error("{what}: {reason}")]
    Invalid {
        /// Which value.
        what: &'static str,
        /// Why not, and what would be right.
        reason: String,
    },
    /// Something that has to work at start does not.
    #[error("{what}: {source}")]
    Failed {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: BoxError,
    },
}

impl BuildError {
    /// The options of the plugin `name` are wrong.
    pub fn options(name: &str, source: impl Into<BoxError>) -> Self {
        Self::Options { name: name.to_owned(), source: source.into() }
    }

    /// Something that has to work at start does not.
    pub fn failed(what: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Failed { what: what.into(), source: source.into() }
    }
}

fn known_names(known: &[String]) -> String {
    if known.is_empty() { "none is known".to_owned() } else { format!("known: {}", known.join(", ")) }
}
