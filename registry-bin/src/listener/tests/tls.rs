//! TLS: what is agreed on, who is let in, and what becomes of files that change.

use std::path::{Path, PathBuf};

use http_body_util::Full;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use registry::core::ClientCertificate;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http2::{get, http2_over, start};
use super::*;
use crate::config::model::{self, Certificate, ClientAuth, ClientCertificates, SUITES, Suite, TlsVersion};
use crate::reload::Reload;

/// A directory with an authority and what it gave out.
struct Authority {
    directory: tempfile::TempDir,
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), &pem).unwrap();
        Self { directory, params, key, pem }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Gives out a certificate for `name` and writes it and its key to files of that name.
    fn give(&self, name: &str) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.crt")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn settings(&self, name: &str) -> model::Tls {
        model::Tls {
            certificate: Certificate::Files {
                certificate: self.path(&format!("{name}.crt")),
                key: self.path(&format!("{name}.key")),
            },
            clients: None,
            minimum: TlsVersion::V12,
            suites: SUITES.map(|(_, suite)| suite).to_vec(),
        }
    }

    /// A client that believes this authority and shows the certificate called `own`.
    fn client(&self, own: Option<&str>, protocols: &[&str]) -> Arc<ClientConfig> {
        let certificates = |pem: &str| {
            CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect::<Vec<_>>()
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(&self.pem));
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let read = |end: &str| std::fs::read_to_string(self.path(&format!("{name}.{end}"))).unwrap();
                let key = PrivateKeyDer::from_pem_slice(read("key").as_bytes()).unwrap();
                builder.with_client_auth_cert(certificates(&read("crt")), key).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

fn over(tls: Tls) -> Transport {
    Transport { tls: Some(Arc::new(tls)), ..Transport::default() }
}

async fn shake(server: &Server, client: Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("server.test").unwrap();
    within(TlsConnector::from(client).connect(name, server.connect().await)).await
}

/// The answer to one request, or why there is none: with TLS 1.3 a client hears late that it is refused.
async fn one(server: &Server, client: Arc<ClientConfig>) -> io::Result<String> {
    let mut stream = shake(server, client).await?;
    within(stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")).await?;
    let mut answer = vec![0; 12];
    within(stream.read_exact(&mut answer)).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn requests_come_over_tls_with_both_versions_of_http() {
    let authority = Authority::new();
    authority.give("server.test");
    let settings = authority.settings("server.test");
    let server = start(over(Tls::load(&settings, true).unwrap()), Limits::default()).await;
    let mut stream = shake(&server, authority.client(None, &[])).await.unwrap();
    for _ in 0..3 {
        assert!(ask(&mut stream, "/").await.ends_with("Some(127.0.0.1)"));
    }
    let stream = shake(&server, authority.client(None, &["h2", "http/1.1"])).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (mut client, connection) = http2_over(stream).await;
    for _ in 0..3 {
        let (status, body) = get(&mut client, "https://server.test/").await;
        assert_eq!((status.as_u16(), body), (200, Bytes::from("Some(127.0.0.1)")));
    }
    server.stop();
    assert_eq!(server.outcome().await, Outcome::Drained);
    within(connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn without_http2_it_is_not_offered() {
    let authority = Authority::new();
    authority.give("server.test");
    let settings = authority.settings("server.test");
    let server = start(over(Tls::load(&settings, false).unwrap()), Limits::default()).await;
    let stream = shake(&server, authority.client(None, &["h2", "http/1.1"])).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
}

#[tokio::test]
async fn each_mode_asks_clients_for_what_it_says() {
    let authority = Authority::new();
    let stranger = Authority::new();
    authority.give("server.test");
    authority.give("client.test");
    stranger.give("stranger.test");
    for end in ["crt", "key"] {
        std::fs::copy(
            stranger.path(&format!("stranger.test.{end}")),
            authority.path(&format!("stranger.test.{end}")),
        )
        .unwrap();
    }
    for (auth, none, unknown) in [
        (ClientAuth::Request, true, true),
        (ClientAuth::RequireAny, false, true),
        (ClientAuth::VerifyIfGiven, true, false),
        (ClientAuth::RequireAndVerify, false, false),
    ] {
        let clients = Some(ClientCertificates { authorities: vec![authority.path("ca.pem")], auth });
        let settings = model::Tls { clients, ..authority.settings("server.test") };
        let server = start(over(Tls::load(&settings, true).unwrap()), Limits::default()).await;
        for (own, works) in [(None, none), (Some("stranger.test"), unknown), (Some("client.test"), true)] {
            let answer = one(&server, authority.client(own, &[])).await;
            assert_eq!(answer.is_ok_and(|answer| answer == "HTTP/1.1 200"), works, "{auth:?} {own:?}");
        }
    }
}

#[tokio::test]
async fn requests_carry_the_certificate_that_the_client_has_shown() {
    let authority = Authority::new();
    authority.give("server.test");
    authority.give("client.test");
    for (auth, verified) in [(ClientAuth::Request, false), (ClientAuth::VerifyIfGiven, true)] {
        let clients = Some(ClientCertificates { authorities: vec![authority.path("ca.pem")], auth });
        let settings = model::Tls { clients, ..authority.settings("server.test") };
        let transport = over(Tls::load(&settings, true).unwrap());
        let service = tower::service_fn(async |request: Request<Intake>| {
            let shown = request.extensions().get::<ClientCertificate>();
            let told = shown.map(|shown| format!("{} {:?}", shown.verified, hash(&shown.chain[0])));
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(told.unwrap_or_else(|| "none".to_owned()))))
        });
        let server = Server::with(service, &anywhere(), BOUND, Limits::default(), transport).await;
        let own = CertificateDer::from_pem_file(authority.path("client.test.crt")).unwrap();
        let expected = format!("{verified} {:?}", hash(&own));
        for (client, expected) in [(Some("client.test"), expected.as_str()), (None, "none")] {
            let mut stream = shake(&server, authority.client(client, &[])).await.unwrap();
            for _ in 0..2 {
                let answer = ask(&mut stream, "/").await;
                assert!(answer.ends_with(expected), "{auth:?} {client:?}: {answer}");
            }
            let stream = shake(&server, authority.client(client, &["h2"])).await.unwrap();
            let (mut http2, _connection) = http2_over(stream).await;
            for _ in 0..2 {
                let (_, body) = get(&mut http2, "https://server.test/").await;
                assert_eq!(body, Bytes::from(expected.to_owned()), "{auth:?} {client:?}");
            }
        }
    }
}

/// Stands for bytes that are too many to read.
fn hash(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[tokio::test]
async fn versions_and_suites_are_those_that_were_chosen() {
    let authority = Authority::new();
    authority.give("server.test");
    let agreed = async |settings: &model::Tls, versions: &[&'static rustls::SupportedProtocolVersion]| {
        let server = start(over(Tls::load(settings, true).unwrap()), Limits::default()).await;
        let usual = authority.client(None, &[]);
        let provider = Arc::clone(usual.crypto_provider());
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_slice_iter(authority.pem.as_bytes());
        roots.add_parsable_certificates(certificates.map(Result::unwrap));
        let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        let stream = shake(&server, Arc::new(client)).await.ok()?;
        stream.get_ref().1.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()))
    };
    let old = &[&rustls::version::TLS12];
    let settings = authority.settings("server.test");
    assert!(agreed(&settings, old).await.is_some());
    let modern = model::Tls { minimum: TlsVersion::V13, ..settings.clone() };
    assert_eq!(agreed(&modern, old).await, None);
    assert!(agreed(&modern, rustls::ALL_VERSIONS).await.is_some());
    let chosen = model::Tls { suites: vec![Suite::EcdsaChacha20], ..settings.clone() };
    let suite = agreed(&chosen, old).await;
    assert_eq!(suite.as_deref(), Some("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"));
    let useless = model::Tls { suites: vec![Suite::RsaAes128], ..settings };
    assert_eq!(agreed(&useless, old).await, None, "the certificate is not for RSA");
}

#[tokio::test]
async fn new_connections_get_the_new_certificate_and_old_ones_go_on() {
    let authority = Authority::new();
    authority.give("server.test");
    let tls = Arc::new(Tls::load(&authority.settings("server.test"), true).unwrap());
    let server =
        start(Transport { tls: Some(Arc::clone(&tls)), ..Transport::default() }, Limits::default()).await;
    let seen = |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    let mut before = shake(&server, authority.client(None, &[])).await.unwrap();
    ask(&mut before, "/").await;
    authority.give("server.test");
    tls.reload().unwrap();
    let mut after = shake(&server, authority.client(None, &[])).await.unwrap();
    assert_ne!(seen(&before), seen(&after));
    for stream in [&mut before, &mut after] {
        assert!(ask(stream, "/").await.ends_with("Some(127.0.0.1)"));
    }
    std::fs::write(authority.path("server.test.key"), "nonsense").unwrap();
    let error = tls.reload().unwrap_err();
    assert!(
        error.starts_with("http.tls.key: ")
            && error.ends_with("has no private key in it (PEM: BEGIN PRIVATE KEY)"),
        "{error}"
    );
    let still = shake(&server, authority.client(None, &[])).await.unwrap();
    assert_eq!(seen(&after), seen(&still));
}

#[test]
fn files_that_cannot_be_used_are_one_clear_line() {
    let authority = Authority::new();
    authority.give("one.test");
    authority.give("two.test");
    let path = |name: &str| authority.path(name);
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    write("empty.pem", "");
    write("broken.pem", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n");
    write("text.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    write(
        "encrypted.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    write("ec.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let load = |certificate: &Path, key: &Path, authorities: Vec<PathBuf>| {
        let certificate = Certificate::Files { certificate: certificate.to_owned(), key: key.to_owned() };
        let clients = ClientCertificates { authorities, auth: ClientAuth::RequireAndVerify };
        let clients = (!clients.authorities.is_empty()).then_some(clients);
        let settings = model::Tls { certificate, clients, ..authority.settings("one.test") };
        Tls::load(&settings, true).map(drop).map_err(|error| {
            error.to_string().replace(&format!("{}/", authority.directory.path().display()), "")
        })
    };
    let (certificate, key) = (path("one.test.crt"), path("one.test.key"));
    assert_eq!(load(&certificate, &key, vec![path("ca.pem")]), Ok(()));
    for (certificate, key, message) in [
        (
            "none",
            "one.test.key",
            "http.tls.certificate: cannot read none: No such file or directory (os error 2)",
        ),
        (
            "empty.pem",
            "one.test.key",
            "http.tls.certificate: empty.pem has no certificate in it (PEM: BEGIN CERTIFICATE)",
        ),
        ("text.pem", "one.test.key", "http.tls.certificate: text.pem has a certificate that cannot be read"),
        ("one.test.crt", "none", "http.tls.key: cannot read none: No such file or directory (os error 2)"),
        (
            "one.test.crt",
            "empty.pem",
            "http.tls.key: empty.pem has no private key in it (PEM: BEGIN PRIVATE KEY)",
        ),
        (
            "one.test.crt",
            "one.test.crt",
            "http.tls.key: one.test.crt has no private key in it (PEM: BEGIN PRIVATE KEY)",
        ),
        (
            "one.test.crt",
            "encrypted.pem",
            "http.tls.key: encrypted.pem is encrypted, and there is nobody to ask for the password; write it without one",
        ),
        (
            "one.test.crt",
            "two.test.key",
            "http.tls.key: two.test.key does not belong to the certificate in one.test.crt",
        ),
    ] {
        assert_eq!(
            load(&path(certificate), &path(key), Vec::new()),
            Err(message.to_owned()),
            "{certificate} {key}"
        );
    }
    let directory = authority.directory.path();
    assert!(load(directory, &key, Vec::new()).unwrap_err().ends_with(": it is not a file"));
    let broken = load(&path("broken.pem"), &key, Vec::new()).unwrap_err();
    assert!(broken.starts_with("http.tls.certificate: broken.pem is not PEM: "), "{broken}");
    let kind = load(&certificate, &path("ec.pem"), Vec::new()).unwrap_err();
    assert!(kind.starts_with("http.tls.key: ec.pem has a key of a kind that is not supported"), "{kind}");
    let clients = load(&certificate, &key, vec![path("ca.pem"), path("empty.pem")]).unwrap_err();
    assert_eq!(clients, "http.tls.clientcas[1]: empty.pem has no certificate in it (PEM: BEGIN CERTIFICATE)");
}

#[tokio::test]
async fn a_client_without_tls_is_told() {
    let authority = Authority::new();
    authority.give("server.test");
    let server =
        start(over(Tls::load(&authority.settings("server.test"), true).unwrap()), Limits::default()).await;
    let mut stream = server.connect().await;
    within(stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.0 400 ") && answer.contains("HTTP request to an HTTPS server"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_handshake_that_does_not_come_ends_the_connection() {
    let authority = Authority::new();
    authority.give("server.test");
    let tls = Tls::load(&authority.settings("server.test"), true).unwrap();
    let server = start(over(tls), limits(|limits| limits.header = Duration::from_millis(50))).await;
    for start in [b"".as_slice(), b"\x16", b"\x16\x03\x01\x02\x00\x01"] {
        let mut stream = server.connect().await;
        within(stream.write_all(start)).await.unwrap();
        assert!(closed(&mut stream).await, "{start:?}");
    }
}

#[tokio::test]
async fn a_drain_does_not_wait_for_handshakes() {
    let authority = Authority::new();
    authority.give("server.test");
    let tls = Tls::load(&authority.settings("server.test"), true).unwrap();
    let server = start(over(tls), Limits::default()).await;
    let mut stream = server.connect().await;
    within(stream.write_all(b"\x16\x03\x01")).await.unwrap();
    let mut other = shake(&server, authority.client(None, &[])).await.unwrap();
    ask(&mut other, "/").await;
    server.stop();
    assert!(closed(&mut stream).await);
    assert_eq!(server.outcome().await, Outcome::Drained);
}
