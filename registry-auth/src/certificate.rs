//! Client certificates: whom they name, and a controller that goes by it.

mod identity;

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{AccessController, AuthError, AuthRequest, ClientCertificate, Grant};

pub use self::identity::{CertificateGroups, CertificateName};

/// Recognizes callers by the certificate that they showed the listener, and asks another controller about those who
/// showed none.
///
/// Whoever has a certificate may do everything, as far as this controller is concerned: the authorities of the
/// listener decide whom to give one, and a policy around this controller who of them may do what. A certificate
/// counts if the listener has verified it, if it is in its time and if it has a name of the kind that is looked
/// for; it counts more than any `Authorization`.
#[derive(Debug)]
pub struct Certificates {
    name: CertificateName,
    groups: CertificateGroups,
    /// About requests without a certificate; `None` refuses them.
    otherwise: Option<Arc<dyn AccessController>>,
}

impl Certificates {
    /// A controller for which nothing but a certificate counts. Requests without one are anonymous and may do what
    /// needs no access: 403 for all else, because a browser's or a client's dialogue for passwords would be of no
    /// use.
    pub fn new(name: CertificateName) -> Self {
        Self { name, groups: CertificateGroups::None, otherwise: None }
    }

    /// Takes groups from certificates too.
    #[must_use]
    pub fn with_groups(mut self, groups: CertificateGroups) -> Self {
        self.groups = groups;
        self
    }

    /// Asks `controller` about requests without a certificate that counts.
    #[must_use]
    pub fn or(mut self, controller: Arc<dyn AccessController>) -> Self {
        self.otherwise = Some(controller);
        self
    }
}

#[async_trait]
impl AccessController for Certificates {
    async fn authorize(&self, request: &AuthRequest<'_>) -> Result<Grant, AuthError> {
        let certificate = request.connection.get::<ClientCertificate>();
        let why = match certificate.map(|shown| identity::principal(shown, self.name, self.groups)) {
            Some(Ok(principal)) => {
                return Ok(Grant::new(Some(principal)).with_optional(request.optional.iter().cloned()));
            }
            Some(Err(why)) => {
                tracing::debug!("a client certificate does not count: {why}");
                why.to_string()
            }
            None => "no client certificate".to_owned(),
        };
        match &self.otherwise {
            Some(controller) => controller.authorize(request).await,
            None if request.required.is_empty() => Ok(Grant::default()),
            None => Err(AuthError::Denied { reason: why.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use registry_core::RepositoryName;
    use registry_core::access::{Access, Action};

    use super::*;
    use crate::Anonymous;

    fn certificate(verified: bool) -> ClientCertificate {
        ClientCertificate::new([identity::tests::certificate(&[("CN", "robot")], &[])], verified)
    }

    async fn ask(
        controller: &Certificates,
        shown: Option<ClientCertificate>,
        required: &[Access],
    ) -> Result<Option<String>, AuthError> {
        let (mut parts, ()) = Request::new(()).into_parts();
        if let Some(shown) = shown {
            parts.extensions.insert(shown);
        }
        let granted = controller.authorize(&AuthRequest::new(&parts, required, required)).await?;
        if granted.principal.is_some() {
            assert_eq!(granted.optional, required);
        }
        Ok(granted.principal.map(|principal| principal.name))
    }

    fn pull() -> [Access; 1] {
        [Access::repository(&RepositoryName::parse("a/b").unwrap(), Action::Pull)]
    }

    #[tokio::test]
    async fn only_a_verified_certificate_counts() {
        let controller = Certificates::new(CertificateName::SubjectCn);
        assert_eq!(
            ask(&controller, Some(certificate(true)), &pull()).await.unwrap().as_deref(),
            Some("robot")
        );
        for shown in [None, Some(certificate(false)), Some(ClientCertificate::new([], true))] {
            let refused = ask(&controller, shown.clone(), &pull()).await;
            assert!(matches!(refused, Err(AuthError::Denied { .. })), "{shown:?}: {refused:?}");
            assert_eq!(ask(&controller, shown, &[]).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn who_has_none_is_for_the_other_controller() {
        let controller = Certificates::new(CertificateName::SubjectCn).or(Arc::new(Anonymous));
        assert_eq!(
            ask(&controller, Some(certificate(true)), &pull()).await.unwrap().as_deref(),
            Some("robot")
        );
        assert_eq!(ask(&controller, None, &pull()).await.unwrap(), None);
        // A name of another kind is none.
        let controller = Certificates::new(CertificateName::Uri).or(Arc::new(Anonymous));
        assert_eq!(ask(&controller, Some(certificate(true)), &pull()).await.unwrap(), None);
        let controller = Certificates::new(CertificateName::Uri);
        let Err(AuthError::Denied { reason }) = ask(&controller, Some(certificate(true)), &pull()).await
        else {
            panic!()
        };
        assert_eq!(reason, "the client certificate has no URI among its alternative names");
    }
}
