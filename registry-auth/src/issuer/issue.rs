//! From a request for a token to the token.

use std::net::IpAddr;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use registry_core::Principal;
use registry_core::access::Action;
use tracing::info;

use super::answer::{self, Issued};
use super::claims::{Bearer, Claims, Entry};
use super::refresh::Remembered;
use super::refusal::Refusal;
use super::request::{Form, Proof, TokenRequest};
use super::scope::Scope;
use super::seal::Sealed;
use super::users::Credential;
use super::{Address, Shared, audit, client_addr, keys};
use crate::jose::{self, base64url};

/// A login, and what it may go on with.
struct Known {
    principal: Principal,
    /// What a refresh token is to remember, and the token if there is one already.
    login: Remembered,
    token: Option<String>,
}

impl Shared {
    pub(super) async fn token(&self, parts: &Parts, body: &[u8]) -> Result<Response<Bytes>, Refusal> {
        let request = TokenRequest::read(parts, body)?;
        if let Some(service) = request.service.as_ref().filter(|service| **service != self.options.service) {
            return Err(Refusal::Service(cut(service).to_owned()));
        }
        let now = keys::now();
        let addr = client_addr(parts);
        let known = self.known(&request, addr, now).await?;
        let principal = known.as_ref().map(|known| &known.principal);
        let granted: Vec<Scope> =
            request.scopes.iter().filter_map(|scope| self.granted(principal, addr, scope)).collect();
        let held = self.keys.fresh().await;
        let expires_in = self.options.expiration.as_secs();
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: principal.map_or_else(String::new, |principal| principal.name.clone()),
            aud: self.options.service.clone(),
            exp: now + expires_in,
            nbf: now,
            iat: now,
            jti: unique()?,
            access: granted.iter().map(Entry::from).collect(),
            bearer: principal.map(Bearer::from),
        };
        let key = self.keys.signing(&held).ok_or_else(|| Refusal::Failed("no key".into()))?;
        let token = jose::sign(key, &claims).map_err(|error| Refusal::Failed(error.into()))?;
        let refresh = match &known {
            Some(Known { token: Some(token), .. }) => Some(token.clone()),
            Some(known) if request.offline => Some(self.keys.sealing(&held).map_or_else(
                || Err(Refusal::Failed("no key".into())),
                |key| known.login.sealed(key).map_err(|error| Refusal::Failed(error.into())),
            )?),
            _ => None,
        };
        info!(
            user = principal.map_or("", |principal| principal.name.as_str()),
            client = %Address(addr),
            program = cut(&request.client),
            service = self.options.service,
            granted = answer::written(&granted),
            refresh = refresh.is_some(),
            "token issued"
        );
        audit::issued(self.audit.as_deref(), parts, principal, &granted);
        let mut issued =
            Issued::new(request.form, &token, now, expires_in).with_refresh_token(refresh.as_deref());
        if request.form != Form::Registry {
            issued = issued.with_scopes(&granted);
        }
        Ok(issued.answer())
    }

    /// Who asks; `None` is anybody.
    async fn known(
        &self,
        request: &TokenRequest,
        from: Option<IpAddr>,
        now: u64,
    ) -> Result<Option<Known>, Refusal> {
        match &request.proof {
            Proof::Nothing => Ok(None),
            Proof::Password { user, password } => {
                // Machines have no user name: they show their identity token as password.
                if looks_like_a_token(password)
                    && let Some(known) =
                        self.login(Credential::IdentityToken(password), request, from, now).await?
                {
                    return Ok(Some(known));
                }
                let known = self.login(Credential::Password { user, password }, request, from, now).await?;
                let wrong = || {
                    Refusal::Credentials(format!("user {:?}: unknown, or wrong password", cut(user)).into())
                };
                known.ok_or_else(wrong).map(Some)
            }
            Proof::Identity(token) => {
                let known = self.login(Credential::IdentityToken(token), request, from, now).await?;
                let wrong = || Refusal::Credentials("an identity token of nobody who is known".into());
                known.ok_or_else(wrong).map(Some)
            }
            Proof::Refresh(token) => self.resumed(token, now).await.map(Some),
        }
    }

    async fn login(
        &self,
        credential: Credential<'_>,
        request: &TokenRequest,
        from: Option<IpAddr>,
        now: u64,
    ) -> Result<Option<Known>, Refusal> {
        for source in &self.users {
            let Some(login) = source.authenticate(credential, from).await.map_err(Refusal::source_failed)?
            else {
                continue;
            };
            let lifetime = self.options.refresh_expiration.as_secs();
            let principal = login.principal.clone();
            let login =
                Remembered::new(login, source.name(), &self.options.service, &request.client, now, lifetime);
            return Ok(Some(Known { principal, login, token: None }));
        }
        Ok(None)
    }

    /// Who showed a refresh token of ours, as they are now.
    async fn resumed(&self, token: &str, now: u64) -> Result<Known, Refusal> {
        let refused = |why: &'static str| Refusal::Credentials(why.into());
        let sealed = Sealed::parse(token).ok_or_else(|| refused("not a refresh token"))?;
        let id = sealed.key_id();
        let mut held = self.keys.fresh().await;
        if held.sealing(&id).is_none() {
            held = self.keys.looked_for().await;
        }
        let key =
            held.sealing(&id).ok_or_else(|| refused("a refresh token under a key that is not known"))?;
        let claims = sealed.open(key).ok_or_else(|| refused("a refresh token that was changed"))?;
        let login =
            Remembered::read(&claims).ok_or_else(|| refused("a refresh token that cannot be read"))?;
        if login.service() != self.options.service {
            return Err(refused("a refresh token for another service"));
        }
        if login.has_expired(now) {
            return Err(refused("an expired refresh token"));
        }
        let source = self.users.iter().find(|source| source.name() == login.source());
        let source = source.ok_or_else(|| refused("a refresh token for a source of users that is gone"))?;
        let principal = source.resume(&login.login()).await.map_err(Refusal::source_failed)?;
        let principal = principal.ok_or_else(|| {
            let user = login.user();
            Refusal::Credentials(
                format!("a refresh token of user {user:?}, who is gone or changed since").into(),
            )
        })?;
        Ok(Known { principal, login, token: Some(token.to_owned()) })
    }

    /// What of a scope is granted; `None` if nothing is.
    fn granted(&self, who: Option<&Principal>, addr: Option<IpAddr>, scope: &Scope) -> Option<Scope> {
        let granted = |scope: &Scope| {
            let asked: Vec<_> = scope.accesses().collect();
            let granted = self.grants.granted(who, addr, &asked);
            asked.into_iter().filter(|access| granted.contains(access)).map(|access| access.action).collect()
        };
        let mut actions: Vec<Action> = granted(scope);
        if scope.actions.contains(&Action::All) && !actions.contains(&Action::All) {
            // Who may not do everything may still do something.
            let parts = Scope { actions: vec![Action::Pull, Action::Push, Action::Delete], ..scope.clone() };
            actions = granted(&parts);
        }
        (!actions.is_empty()).then(|| Scope { actions, ..scope.clone() })
    }
}

/// Three parts joined by dots, the first of them a JSON object in base64url.
fn looks_like_a_token(text: &str) -> bool {
    text.starts_with("ey") && text.split('.').count() == 3
}

/// What of a text that a client sent goes into the log.
fn cut(text: &str) -> &str {
    const LONGEST: usize = 64;
    text.char_indices().nth(LONGEST).map_or(text, |(end, _)| &text[..end])
}

/// An id that no other token has.
fn unique() -> Result<String, Refusal> {
    let mut id = [0; 16];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| Refusal::Failed("no random numbers".into()))?;
    Ok(base64url::encode(id))
}
