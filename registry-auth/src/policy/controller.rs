//! The access controller that obeys a policy.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use registry_core::access::Resource;
use registry_core::{
    AccessController, AuthError, AuthRequest, ClientCertificate, Grant, Principal, RepositoryName, Visibility,
};

use super::decide::Caller;
use super::rules::PolicyRules;

/// Rules that can be replaced while they are in force, for everything that asks them.
#[derive(Debug)]
pub struct LivePolicy(RwLock<PolicyRules>);

impl LivePolicy {
    /// Puts rules in force.
    pub fn new(rules: PolicyRules) -> Self {
        Self(RwLock::new(rules))
    }

    /// Puts other rules in force, for every request that is decided from now on.
    pub fn replace(&self, rules: PolicyRules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// The rules in force.
    pub fn rules(&self) -> PolicyRules {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A caller as the rules in force see it. One without a name is nobody.
    pub fn caller(&self, principal: Option<&Principal>, address: Option<IpAddr>) -> Caller {
        self.rules().caller(principal.filter(|principal| !principal.name.is_empty()), address)
    }
}

/// Decides by rules, around a controller that says who a caller is.
///
/// | Who asks | What happens |
/// |---|---|
/// | somebody with an `Authorization` | the controller inside recognizes the caller and grants what it would grant alone, or refuses; then the policy has to allow it too |
/// | somebody without | the policy decides about an anonymous caller; where it denies, the controller inside gives its challenge, so that the client can log in |
///
/// So a token that does not cover what is asked for is refused whatever the policy says, and a token that does is
/// refused what the policy denies to whom it names.
///
/// A caller who is denied gets 403, or 404 with `NAME_UNKNOWN` if the repository [is hidden](Caller::hides); an
/// anonymous one gets a challenge in both cases, which tells nothing. `GET /v2/` needs no rule: it is how clients
/// find out that they can log in, so it is the controller inside that answers.
///
/// An empty user name with an empty password (`Basic Og==`, which skopeo and podman send if they have no
/// credentials) is no `Authorization`.
#[derive(Debug)]
pub struct Policy {
    inner: Arc<dyn AccessController>,
    pub(super) rules: Arc<LivePolicy>,
}

impl Policy {
    /// A policy around a controller that says who a caller is.
    pub fn new(inner: Arc<dyn AccessController>, rules: Arc<LivePolicy>) -> Self {
        Self { inner, rules }
    }

    /// Grants to whoever the controller inside has recognized what the policy allows too.
    fn judge(
        &self,
        grant: Grant,
        request: &AuthRequest<'_>,
        address: Option<IpAddr>,
    ) -> Result<Grant, AuthError> {
        let caller = self.rules.caller(grant.principal.as_ref(), address);
        if let Some((access, decision)) = caller.refusal(request.required) {
            let reason = decision.to_string().into();
            let error = match &access.resource {
                Resource::Repository(name) if caller.hides(name) => {
                    AuthError::Hidden { repository: name.clone(), reason }
                }
                _ => AuthError::Denied { reason },
            };
            return Err(error.with_principal(grant.principal));
        }
        let visible = match (grant.visible.clone(), caller.visible()) {
            (Some(one), Some(other)) => Some(Arc::new(Both(one, other)) as Arc<dyn Visibility>),
            (one, other) => one.or(other),
        };
        let mut grant = grant.with_visible(visible);
        grant.optional.retain(|access| caller.decide(access).allowed);
        Ok(grant)
    }
}

#[async_trait]
impl AccessController for Policy {
    async fn authorize(&self, request: &AuthRequest<'_>) -> Result<Grant, AuthError> {
        let address = request.client_addr();
        if brings_credentials(request.headers) || request.required.is_empty() {
            let grant = self.inner.authorize(request).await?;
            return self.judge(grant, request, address);
        }
        let anonymous = self.rules.caller(None, address);
        let is_allowed = anonymous.refusal(request.required).is_none();
        let shows_certificate = request.connection.get::<ClientCertificate>().is_some();
        if is_allowed && !shows_certificate {
            return self.judge(everything(request), request, address);
        }
        match self.inner.authorize(request).await {
            Ok(grant) => self.judge(grant, request, address),
            // A certificate that says nothing to the controller inside makes nobody of the caller, and where it has
            // no challenge to give, it is the policy that denies.
            Err(AuthError::Unauthorized { .. } | AuthError::Denied { .. }) if is_allowed => {
                self.judge(everything(request), request, address)
            }
            Err(AuthError::Denied { .. }) => self.judge(Grant::default(), request, address),
            Err(error) => Err(error),
        }
    }
}

/// What an anonymous caller would be granted if there were no policy.
fn everything(request: &AuthRequest<'_>) -> Grant {
    Grant::new(None).with_optional(request.optional.iter().cloned())
}

/// Whether a request says in its headers who sends it. An empty name with an empty password says nothing.
fn brings_credentials(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(first), None) = (values.next(), values.next()) else {
        // None, or more than one, which is for the controller inside to judge.
        return headers.contains_key(AUTHORIZATION);
    };
    let nobody = first.to_str().is_ok_and(|text| {
        text.split_once(' ').is_some_and(|(scheme, rest)| {
            scheme.eq_ignore_ascii_case("basic") && matches!(rest.trim(), "Og==" | "Og")
        })
    });
    !nobody
}

/// What both show.
#[derive(Debug)]
struct Both(Arc<dyn Visibility>, Arc<dyn Visibility>);

impl Visibility for Both {
    fn shows(&self, name: &RepositoryName) -> bool {
        self.0.shows(name) && self.1.shows(name)
    }

    fn among(&self) -> Option<Vec<RepositoryName>> {
        self.1.among().or_else(|| self.0.among())
    }
}
