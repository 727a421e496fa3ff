//! The suite of access controllers: whatever a request brings, nothing is granted that is not proved.
//!
//! ```ignore
//! registry_conformance::access_tests!(my_controller, async {
//!     let may = Access::repository(&RepositoryName::parse("team/app")?, Action::Push);
//!     (Subject::new(Arc::new(MyController::new()), credentials(), may), ())
//! });
//! ```

use std::future::Future;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderValue, Request};
use registry_core::access::{Access, Action, Resource};
use registry_core::{AccessController, AuthError, AuthRequest, Grant, RepositoryName};

/// A controller, and what it takes to pass it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Subject {
    /// The controller.
    pub controller: Arc<dyn AccessController>,
    /// A request that proves who somebody is, by its headers or by its connection.
    pub credentials: Parts,
    /// Who that is, if the controller names anybody.
    pub principal: Option<String>,
    /// What they may do, and nobody without credentials.
    pub may: Access,
    /// What they may not do; `None` if whoever is known may do everything.
    pub may_not: Option<Access>,
}

impl Subject {
    /// A controller under which the bearer of these credentials may do `may`, and nobody else.
    pub fn new(controller: Arc<dyn AccessController>, credentials: Parts, may: Access) -> Self {
        Self { controller, credentials, principal: None, may, may_not: None }
    }

    /// The name that the controller has for the bearer.
    #[must_use]
    pub fn with_principal(mut self, name: impl Into<String>) -> Self {
        self.principal = Some(name.into());
        self
    }

    /// Something that the bearer may not do.
    #[must_use]
    pub fn with_may_not(mut self, access: Access) -> Self {
        self.may_not = Some(access);
        self
    }

    async fn ask(&self, parts: &Parts, required: &[Access], optional: &[Access]) -> Result<Grant, AuthError> {
        self.controller.authorize(&AuthRequest::new(parts, required, optional)).await
    }

    /// What the bearer is granted who asks for what they may do.
    async fn let_in(&self) -> Grant {
        let required = std::slice::from_ref(&self.may);
        self.ask(&self.credentials, required, &[]).await.expect("credentials that are good are granted")
    }

    /// Asserts that a request is refused, and not because the controller failed.
    async fn refuses(&self, parts: &Parts, what: &str) {
        match self.ask(parts, std::slice::from_ref(&self.may), &[]).await {
            Err(AuthError::Failed { source, .. }) => panic!("{what} made the controller fail: {source}"),
            Err(_) => {}
            Ok(grant) => panic!("{what} was granted: {grant:?}"),
        }
    }
}

/// Expands to a module with one test for each case of the suite of access controllers. See the module's page.
#[macro_export]
macro_rules! access_tests {
    ($(#[$attribute:meta])* $name:ident, $make:expr) => {
        $crate::__access_cases! {
            __tests {$(#[$attribute])* $name, $make, $crate::access::check}
        }
    };
}

/// The list of all cases, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __access_cases {
    ($then:ident $arguments:tt) => {
        $crate::$then! {
            $arguments
            access {
                the_bearer_of_credentials_is_let_in,
                the_same_credentials_are_good_again,
                a_stranger_is_told_how_to_prove_who_they_are,
                the_bearer_is_refused_what_they_may_not,
                what_is_optional_is_left_out_and_refuses_nothing,
                nothing_is_granted_that_was_not_asked_for,
                credentials_that_were_cut_are_refused,
                credentials_with_a_changed_byte_are_refused,
                credentials_that_are_garbage_are_refused,
                credentials_that_come_twice_are_refused,
                many_at_once_are_told_apart,
            }
        }
    };
}

/// Runs one case.
#[doc(hidden)]
pub async fn check<C, F>(subject: Subject, case: C)
where
    C: FnOnce(Subject) -> F,
    F: Future<Output = ()>,
{
    case(subject).await;
}

/// A request that brings nothing.
fn nothing() -> Parts {
    Request::new(()).into_parts().0
}

/// Whoever proves who they are is granted what they may do, and named.
pub async fn the_bearer_of_credentials_is_let_in(subject: Subject) {
    let grant = subject.let_in().await;
    assert_eq!(grant.principal.map(|principal| principal.name), subject.principal);
    // A request that needs nothing, such as GET /v2/, needs good credentials all the same, and these are.
    subject.ask(&subject.credentials, &[], &[]).await.expect("good credentials");
}

/// What was remembered of the first request changes nothing for the next.
pub async fn the_same_credentials_are_good_again(subject: Subject) {
    for _ in 0..3 {
        let grant = subject.let_in().await;
        assert_eq!(grant.principal.map(|principal| principal.name), subject.principal);
        subject.refuses(&nothing(), "a request without credentials").await;
    }
}

/// Without credentials: refused with at least one well-formed challenge (RFC 9110, section 11.6.1).
pub async fn a_stranger_is_told_how_to_prove_who_they_are(subject: Subject) {
    let error = subject
        .ask(&nothing(), std::slice::from_ref(&subject.may), &[])
        .await
        .expect_err("nobody has no access");
    let AuthError::Unauthorized { challenges, .. } = error else {
        panic!("expected a challenge, got {error:?}")
    };
    assert!(!challenges.is_empty(), "a 401 has a challenge");
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    for challenge in challenges {
        assert!(token(&challenge.scheme), "{challenge:?}");
        for (name, value) in &challenge.params {
            assert!(token(name) && !value.contains(char::is_control), "{challenge:?}");
        }
    }
}

/// Known is not allowed.
pub async fn the_bearer_is_refused_what_they_may_not(subject: Subject) {
    let Some(may_not) = subject.may_not.clone() else { return };
    for required in [vec![may_not.clone()], vec![subject.may.clone(), may_not]] {
        match subject.ask(&subject.credentials, &required, &[]).await {
            Err(AuthError::Failed { source, .. }) => panic!("the controller failed: {source}"),
            Err(_) => {}
            Ok(grant) => panic!("{required:?} was granted: {grant:?}"),
        }
    }
}

/// The source of a mount that may not be read makes no push fail.
pub async fn what_is_optional_is_left_out_and_refuses_nothing(subject: Subject) {
    let Some(may_not) = subject.may_not.clone() else { return };
    let (required, optional) = ([subject.may.clone()], [may_not, subject.may.clone()]);
    let grant =
        subject.ask(&subject.credentials, &required, &optional).await.expect("what is required is allowed");
    assert_eq!(grant.optional, [subject.may]);
}

/// `Grant::optional` is a part of what was asked for.
pub async fn nothing_is_granted_that_was_not_asked_for(subject: Subject) {
    let grant = subject.let_in().await;
    assert_eq!(grant.optional, []);
    let unheard_of = Access {
        resource: Resource::Custom { kind: "unheard-of".into(), name: "*".into() },
        action: Action::Custom("*".into()),
    };
    let optional = [unheard_of];
    if let Ok(grant) = subject.ask(&subject.credentials, std::slice::from_ref(&subject.may), &optional).await
    {
        assert!(grant.optional.iter().all(|access| optional.contains(access)), "{grant:?}");
    }
}

/// Every beginning of a header that proves something proves nothing.
pub async fn credentials_that_were_cut_are_refused(subject: Subject) {
    for (name, value) in subject.credentials.headers.clone() {
        let Some(name) = name else { continue };
        // What pads base64 may be missing.
        let whole = value.as_bytes().iter().rposition(|b| *b != b'=').map_or(0, |last| last + 1);
        for length in (0..whole).step_by(1 + whole / 64) {
            let mut parts = subject.credentials.clone();
            parts.headers.insert(&name, HeaderValue::from_bytes(&value.as_bytes()[..length]).unwrap());
            subject.refuses(&parts, &format!("{name} cut to {length} bytes")).await;
        }
    }
}

/// So does one with any byte of the proof changed.
pub async fn credentials_with_a_changed_byte_are_refused(subject: Subject) {
    for (name, value) in subject.credentials.headers.clone() {
        let Some(name) = name else { continue };
        let bytes = value.as_bytes();
        let begin = bytes.iter().position(|b| *b == b' ').map_or(0, |space| space + 1);
        // The last digits of base64 can have bits that mean nothing.
        let end = bytes.len().saturating_sub(4);
        for index in (begin..end).step_by(1 + (end - begin.min(end)) / 48) {
            let mut changed = bytes.to_vec();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let mut parts = subject.credentials.clone();
            parts.headers.insert(&name, HeaderValue::from_bytes(&changed).unwrap());
            subject.refuses(&parts, &format!("{name} with byte {index} changed")).await;
        }
    }
}

/// Other people's headers, and nobody's.
pub async fn credentials_that_are_garbage_are_refused(subject: Subject) {
    let long = format!("Bearer {}", "a".repeat(200_000));
    let deep = format!("Bearer {}", "a.".repeat(50_000));
    let texts: [&[u8]; 22] = [
        b"",
        b" ",
        b"\t",
        b"Basic",
        b"Basic ",
        b"Basic Og==",
        b"Basic !!!!",
        b"Basic YQ",
        b"Basic YWRtaW46YWRtaW4=",
        b"Basic //////////8=",
        b"Basic YTpi YTpi",
        b"Bearer",
        b"Bearer ",
        b"Bearer .",
        b"Bearer ..",
        b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
        b"Bearer \xff\xfe",
        b"Digest username=\"a\"",
        b"Negotiate YQ==",
        b"\xff\xfe\xfd",
        long.as_bytes(),
        deep.as_bytes(),
    ];
    for text in texts {
        let mut parts = nothing();
        parts.headers.insert(AUTHORIZATION, HeaderValue::from_bytes(text).unwrap());
        subject.refuses(&parts, &String::from_utf8_lossy(&text[..text.len().min(60)])).await;
    }
}

/// One header is what RFC 9110 has; with two, a proxy and we may not mean the same one.
pub async fn credentials_that_come_twice_are_refused(subject: Subject) {
    for (name, value) in subject.credentials.headers.clone() {
        let Some(name) = name else { continue };
        for other in [value.clone(), HeaderValue::from_static("Basic YTpi")] {
            let mut parts = subject.credentials.clone();
            parts.headers.insert(&name, value.clone());
            parts.headers.append(&name, other.clone());
            subject.refuses(&parts, &format!("{name} twice")).await;
            parts.headers.insert(&name, other);
            parts.headers.append(&name, value.clone());
            subject.refuses(&parts, &format!("{name} twice, the other way round")).await;
        }
    }
}

/// Nothing that is remembered or shared mixes callers up.
pub async fn many_at_once_are_told_apart(subject: Subject) {
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..64 {
        let subject = subject.clone();
        tasks.spawn(async move {
            if index % 2 == 0 {
                let grant = subject.let_in().await;
                assert_eq!(grant.principal.map(|principal| principal.name), subject.principal);
            } else {
                subject.refuses(&nothing(), "a request without credentials").await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("callers are told apart");
    }
}

/// An access to a repository, for subjects.
pub fn repository(name: &str, action: Action) -> Access {
    Access::repository(&RepositoryName::parse(name).unwrap(), action)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_in_the_list() {
        let [(file, cases)] = __access_cases!(__names {});
        let source = std::fs::read_to_string(format!("{}/src/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let source = source.replace("pub async fn check", "async fn check");
        crate::suite::tests::assert_listed(file, &source, cases);
    }
}
