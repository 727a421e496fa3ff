//! Whom a certificate names (RFC 5280, sections 4.1.2.6 and 4.2.1.6).

use std::time::{SystemTime, UNIX_EPOCH};

use registry_core::{ClientCertificate, Principal};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::AttributeTypeAndValue;

/// Names are short. What is longer is a mistake, or meant to be one in whatever reads logs.
const LONGEST: usize = 256;

/// Which name of a certificate is that of the caller. Of several of its kind it is the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CertificateName {
    /// The common name of the subject.
    #[default]
    SubjectCn,
    /// A URI among the alternative names, as SPIFFE has it.
    Uri,
    /// A host name among the alternative names.
    Dns,
    /// A mail address among the alternative names.
    Email,
}

impl CertificateName {
    /// All of them, with the words for them in a configuration.
    pub const ALL: [(&'static str, Self); 4] =
        [("subject-cn", Self::SubjectCn), ("uri", Self::Uri), ("dns", Self::Dns), ("email", Self::Email)];
}

/// What in the subject of a certificate is the groups of the caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CertificateGroups {
    /// Nothing: the caller is in no group.
    #[default]
    None,
    /// The organizational units.
    Ou,
    /// The organizations.
    O,
}

impl CertificateGroups {
    /// All of them, with the words for them in a configuration.
    pub const ALL: [(&'static str, Self); 3] = [("none", Self::None), ("ou", Self::Ou), ("o", Self::O)];
}

/// Why a certificate names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Nobody {
    #[error("the client certificate was not verified")]
    NotVerified,
    #[error("the client certificate cannot be read")]
    Unreadable,
    #[error("the client certificate is not in its time")]
    NotNow,
    #[error("the client certificate has no common name")]
    NoCommonName,
    #[error("the client certificate has no {0} among its alternative names")]
    NoAlternativeName(&'static str),
    #[error("the name in the client certificate is empty, too long or has control characters")]
    BadName,
}

/// The caller that a certificate names.
pub(super) fn principal(
    shown: &ClientCertificate,
    name: CertificateName,
    groups: CertificateGroups,
) -> Result<Principal, Nobody> {
    if !shown.verified {
        return Err(Nobody::NotVerified);
    }
    let der = shown.chain.first().ok_or(Nobody::Unreadable)?;
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| Nobody::Unreadable)?;
    // The listener has looked when the connection began, or the one that it resumes: that may be days ago.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let validity = certificate.validity();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    if now < validity.not_before.timestamp() || now > validity.not_after.timestamp() {
        return Err(Nobody::NotNow);
    }
    let name = match name {
        CertificateName::SubjectCn => {
            let mut names = certificate.subject().iter_common_name();
            text(names.next().ok_or(Nobody::NoCommonName)?).ok_or(Nobody::BadName)?
        }
        CertificateName::Uri => alternative(&certificate, "URI", |name| match name {
            GeneralName::URI(text) => Some(text),
            _ => None,
        })?,
        CertificateName::Dns => alternative(&certificate, "host name", |name| match name {
            GeneralName::DNSName(text) => Some(text),
            _ => None,
        })?,
        CertificateName::Email => alternative(&certificate, "mail address", |name| match name {
            GeneralName::RFC822Name(text) => Some(text),
            _ => None,
        })?,
    };
    let subject = certificate.subject();
    let groups: Vec<String> = match groups {
        CertificateGroups::None => Vec::new(),
        CertificateGroups::Ou => subject.iter_organizational_unit().filter_map(text).collect(),
        CertificateGroups::O => subject.iter_organization().filter_map(text).collect(),
    };
    Ok(Principal::new(name).with_groups(groups).with_method("certificate"))
}

fn alternative(
    certificate: &X509Certificate<'_>,
    what: &'static str,
    of: for<'n> fn(&'n GeneralName<'_>) -> Option<&'n str>,
) -> Result<String, Nobody> {
    let names = certificate.subject_alternative_name().map_err(|_| Nobody::Unreadable)?;
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let name = names.iter().find_map(of).ok_or(Nobody::NoAlternativeName(what))?;
    sound(name).ok_or(Nobody::BadName)
}

fn text(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    sound(attribute.as_str().ok()?)
}

/// Text that can stand for somebody in rules and logs.
fn sound(text: &str) -> Option<String> {
    let sound = !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
    sound.then(|| text.to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};

    use super::*;

    /// A certificate with these attributes in its subject and these alternative names.
    pub(in crate::certificate) fn certificate(subject: &[(&str, &str)], names: &[SanType]) -> Vec<u8> {
        made(subject, names, 2100)
    }

    fn made(subject: &[(&str, &str)], names: &[SanType], until: i32) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            let kind = match *kind {
                "CN" => DnType::CommonName,
                "OU" => DnType::OrganizationalUnitName,
                _ => DnType::OrganizationName,
            };
            params.distinguished_name.push(kind, *value);
        }
        params.subject_alt_names = names.to_vec();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn of(der: Vec<u8>, name: CertificateName) -> Result<String, Nobody> {
        let shown = ClientCertificate::new([der], true);
        principal(&shown, name, CertificateGroups::None).map(|principal| principal.name)
    }

    #[test]
    fn each_kind_of_name_is_found() {
        let names = [
            SanType::DnsName("host.example.com".try_into().unwrap()),
            SanType::DnsName("other.example.com".try_into().unwrap()),
            SanType::URI("spiffe://example.com/ci".try_into().unwrap()),
            SanType::Rfc822Name("ann@example.com".try_into().unwrap()),
        ];
        let der = certificate(&[("CN", "Ann")], &names);
        for (kind, name) in [
            (CertificateName::SubjectCn, "Ann"),
            (CertificateName::Uri, "spiffe://example.com/ci"),
            (CertificateName::Dns, "host.example.com"),
            (CertificateName::Email, "ann@example.com"),
        ] {
            assert_eq!(of(der.clone(), kind).as_deref(), Ok(name));
        }
    }

    #[test]
    fn groups_come_from_the_subject() {
        let der = certificate(&[("CN", "Ann"), ("OU", "devs"), ("O", "Acme")], &[]);
        let shown = ClientCertificate::new([der], true);
        for (groups, expected) in [
            (CertificateGroups::None, &[][..]),
            (CertificateGroups::Ou, &["devs"]),
            (CertificateGroups::O, &["Acme"]),
        ] {
            let principal = principal(&shown, CertificateName::SubjectCn, groups).unwrap();
            assert_eq!(principal.groups, expected);
            assert_eq!(principal.method, "certificate");
        }
    }

    #[test]
    fn a_certificate_without_a_sound_name_names_nobody() {
        let common = |name: &str| of(certificate(&[("CN", name)], &[]), CertificateName::SubjectCn);
        assert_eq!(common(""), Err(Nobody::BadName));
        assert_eq!(common("a\nb"), Err(Nobody::BadName));
        assert_eq!(common("a\0b"), Err(Nobody::BadName));
        assert_eq!(common(&"x".repeat(257)), Err(Nobody::BadName));
        let none = certificate(&[("O", "Acme")], &[]);
        assert_eq!(of(none.clone(), CertificateName::SubjectCn), Err(Nobody::NoCommonName));
        assert_eq!(of(none, CertificateName::Dns), Err(Nobody::NoAlternativeName("host name")));
    }

    #[test]
    fn what_is_not_in_its_time_or_no_certificate_names_nobody() {
        let old = made(&[("CN", "Ann")], &[], 2021);
        assert_eq!(of(old, CertificateName::SubjectCn), Err(Nobody::NotNow));
        let whole = certificate(&[("CN", "Ann")], &[]);
        for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
            assert_eq!(
                of(whole[..cut].to_vec(), CertificateName::SubjectCn),
                Err(Nobody::Unreadable),
                "{cut}"
            );
        }
        let shown = ClientCertificate::new([whole], false);
        let nobody = principal(&shown, CertificateName::SubjectCn, CertificateGroups::None);
        assert_eq!(nobody, Err(Nobody::NotVerified));
    }
}
