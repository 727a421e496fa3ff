//! One certificate from the authority.

use std::error::Error;
use std::sync::Arc;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, Key, LetsEncrypt, NewAccount, NewOrder,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use super::cache::Cache;
use crate::config::model;

type Failure = Box<dyn Error + Send + Sync>;

/// Asks for a certificate for `host`; gives its key and chain as PEM. `answer` is told what the authority has to
/// see, and `None` when it has seen it.
pub(super) async fn certificate(
    settings: &model::Acme,
    cache: &Cache,
    host: &str,
    answer: impl Fn(Option<Arc<CertifiedKey>>),
) -> Result<Vec<u8>, Failure> {
    let account = account(settings, cache).await?;
    let identifiers = [Identifier::Dns(host.to_owned())];
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    let patience = RetryPolicy::new().timeout(super::ORDER);
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Valid => continue,
            status => return Err(format!("the authority has the name as {status:?}").into()),
        }
        let mut challenge = authorization
            .challenge(ChallengeType::TlsAlpn01)
            .ok_or("the authority does not look at the port that is served (tls-alpn-01)")?;
        answer(Some(Arc::new(shown(host, challenge.key_authorization().digest().as_ref())?)));
        challenge.set_ready().await?;
    }
    let status = order.poll_ready(&patience).await;
    answer(None);
    if status? != OrderStatus::Ready {
        let why = refused(&mut order).await.unwrap_or_else(|| "it does not say why".to_owned());
        return Err(format!("the authority refuses: {why}").into());
    }
    let key = order.finalize().await?;
    let chain = order.poll_certificate(&patience).await?;
    Ok(format!("{}\n{chain}", key.trim_end()).into_bytes())
}

/// What the authority found wrong.
async fn refused(order: &mut instant_acme::Order) -> Option<String> {
    if let Some(problem) = &order.state().error {
        return Some(problem.to_string());
    }
    let mut authorizations = order.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        let problem = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem {
            return Some(problem.to_string());
        }
    }
    None
}

/// The account that is kept, or a new one.
async fn account(settings: &model::Acme, cache: &Cache) -> Result<Account, Failure> {
    let directory = settings
        .directory
        .as_ref()
        .map_or_else(|| LetsEncrypt::Production.url().to_owned(), ToString::to_string);
    if let Some(key) = cache.account() {
        let pair = (Key::from_pkcs8_der(key.clone_key())?, PrivateKeyDer::Pkcs8(key));
        return Ok(Account::builder()?.create_from_key(pair, directory).await?.0);
    }
    let contact = settings.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let account =
        NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = Account::builder()?.create(&account, directory, None).await?;
    cache.keep_account(credentials.private_key())?;
    Ok(account)
}

/// A certificate that has nothing but the name and the digest of what the authority asked.
fn shown(host: &str, digest: &[u8]) -> Result<CertifiedKey, Failure> {
    let mut params = CertificateParams::new([host.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let signer = any_supported_type(&PrivateKeyDer::try_from(key.serialize_der())?)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], signer))
}
