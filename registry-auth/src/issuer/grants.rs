//! Who is granted what in a token.

use std::fmt;
use std::net::IpAddr;

use registry_core::Principal;
use registry_core::access::Access;

/// Decides what a token grants.
///
/// A token is made once and used for minutes, so this is asked when a client logs in or comes back for another scope,
/// and not when it uses the token.
pub trait Grants: fmt::Debug + Send + Sync + 'static {
    /// Those of `asked` that are granted to `who`, `None` being anybody, from `addr`. What is not granted is left out:
    /// the client learns of it from the registry.
    fn granted(&self, who: Option<&Principal>, addr: Option<IpAddr>, asked: &[Access]) -> Vec<Access>;
}

/// Everything to whoever has logged in, and nothing to anybody else: what is granted where there is no policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EverythingToUsers;

impl Grants for EverythingToUsers {
    fn granted(&self, who: Option<&Principal>, _addr: Option<IpAddr>, asked: &[Access]) -> Vec<Access> {
        who.map(|_| asked.to_vec()).unwrap_or_default()
    }
}
