//! Access controllers: who may do what.
//!
//! The trait is [`AccessController`] of `registry-core`; here are the implementations that come with
//! the registry. Nothing in this crate reads a configuration file or knows an HTTP server: a controller
//! gets the headers of a request and what the request is about to do, and grants it or says how the
//! caller could come to be granted it.
//!
//! | Name in a configuration | Controller | Who may do what |
//! |---|---|---|
//! | `none` | [`Anonymous`] | everybody everything |
//! | `htpasswd` | `Htpasswd` | everything, users in a file |
//! | `token` | `Token` | what a token says that a trusted key signed |
//! | `silly` | `Silly` | everything, whoever sends any `Authorization` |
//! | `certificate` | `Certificates` | everything, whom a client certificate names; else another controller decides |
//! | | `policy::Policy` | what rules say, around one that says who a caller is |
//!
//! Each is a feature of its own, called as in a configuration. `htpasswd` is on by default: it is what most want, and
//! brings no TLS, no HTTP client and no C code.
//!
//! ```
//! use http::Request;
//! use registry_auth::Anonymous;
//! use registry_core::access::{Access, Action};
//! use registry_core::{AccessController, AuthRequest, RepositoryName};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let push = [Access::repository(&RepositoryName::parse("team/app")?, Action::Push)];
//! let (parts, ()) = Request::new(()).into_parts();
//! let grant = Anonymous.authorize(&AuthRequest::new(&parts, &push, &[])).await?;
//! assert_eq!(grant.principal, None);
//! # Ok(())
//! # }
//! ```

mod anonymous;
#[cfg(feature = "audit")]
pub mod audit;
#[cfg(feature = "htpasswd")]
mod basic;
#[cfg(feature = "certificate")]
mod certificate;
#[cfg(feature = "htpasswd")]
mod htpasswd;
#[cfg(feature = "issuer")]
pub mod issuer;
#[cfg(feature = "jose")]
mod jose;
#[cfg(feature = "oidc")]
pub mod oidc;
#[cfg(feature = "policy")]
pub mod policy;
#[cfg(feature = "silly")]
mod silly;
#[cfg(feature = "token")]
mod token;

use std::sync::Arc;

use registry_core::{AccessController, BuildError, Factories, Options};
use serde::Deserialize;

pub use anonymous::Anonymous;
#[cfg(feature = "certificate")]
pub use certificate::{CertificateGroups, CertificateName, Certificates};
#[cfg(feature = "htpasswd")]
pub use htpasswd::{Busy, Htpasswd, HtpasswdError, NewUser, Passwords, provision};
#[cfg(feature = "jose")]
pub use jose::SigningAlgorithm;
#[cfg(feature = "silly")]
pub use silly::Silly;
#[cfg(feature = "token")]
pub use token::{KeysError, Token, TokenOptions, TrustedKeys};

/// The name under which [`Anonymous`] is registered.
const NONE: &str = "none";

/// Factories with [`Anonymous`] under the name `none`, to which an embedder adds its own. The other controllers of this
/// crate are made of values, such as files that are read again, and not of options.
pub fn builtin() -> Factories<dyn AccessController> {
    let mut factories = Factories::<dyn AccessController>::new("access controller");
    factories.register(NONE, anonymous).expect("nothing is registered in new factories");
    factories
}

/// Options of a controller that has none, so that a stray key stops the start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

async fn anonymous(options: Options) -> Result<Arc<dyn AccessController>, BuildError> {
    let NoOptions {} = options.parse().map_err(|error| BuildError::options(NONE, error))?;
    Ok(Arc::new(Anonymous))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn none_is_built_by_name() {
        let built = builtin().build("none", Options::none()).await.unwrap();
        assert_eq!(format!("{built:?}"), "Anonymous");
    }

    #[tokio::test]
    async fn a_stray_option_stops_the_start() {
        let options = serde_json::json!({ "realm": "x" }).as_object().cloned().unwrap();
        let error = builtin().build("none", Options::new(options)).await.unwrap_err();
        assert!(error.to_string().contains("realm"), "{error}");
    }
}
