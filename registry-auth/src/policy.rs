//! Rules that say who may do what to which repositories.
//!
//! A [`PolicyDocument`] is what is written down, [`PolicyRules`] the same checked and ready to decide, and [`Policy`]
//! the access controller that obeys it. Any rule that denies wins; else any rule that allows; else it is denied.
//!
//! | Key of a rule | What it says |
//! |---|---|
//! | `name` | what refusals, the audit log and `registry auth explain` call it |
//! | `allow` | some of `pull`, `push`, `delete`, `list`, `admin`, `all`. Whoever may push may pull, and whoever may pull may list |
//! | `deny` | the same words, each for itself alone |
//! | `repositories` | patterns: `*` is any text within a path component, `**` any text; `{user}`, `{group}` and `{claim.x}` are what is known of the caller, and never patterns |
//! | `who` | `anyone`, `anonymous`, `authenticated`, `user:alice`, `group:devs`, `claim:repository=acme/app`, `method:certificate`. One of them has to fit; of a list in the list all have to. `user` and `claim` take `*` |
//! | `from` | addresses and networks of clients; all if there are none |
//!
//! ```
//! use std::sync::Arc;
//! use registry_auth::Anonymous;
//! use registry_auth::policy::{LivePolicy, Policy, PolicyDocument, PolicyRules, RuleDocument};
//!
//! let document = PolicyDocument::new([
//!     RuleDocument::allow(["pull"]).on(["public/**"]).to(["anyone"]),
//!     RuleDocument::allow(["push", "delete"]).on(["users/{user}/**"]).to(["authenticated"]),
//!     RuleDocument::deny(["push"]).on(["users/*/frozen"]).to(["anyone"]).named("frozen"),
//! ]);
//! let rules = PolicyRules::new(&document)?;
//! let controller = Policy::new(Arc::new(Anonymous), Arc::new(LivePolicy::new(rules)));
//! # Ok::<(), registry_auth::policy::PolicyError>(())
//! ```

mod action;
mod controller;
mod decide;
mod document;
#[cfg(feature = "issuer")]
mod grants;
mod pattern;
mod rules;
#[cfg(test)]
mod tests;
mod who;

pub use action::Verb;
pub use controller::{LivePolicy, Policy};
pub use decide::{Caller, Decision};
pub use document::{PolicyDocument, Private, RuleDocument, WhoDocument};
pub use rules::{PolicyError, PolicyRules, PolicyStep};
