//! How mail gets to its server.

use std::net::IpAddr;
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message, SmtpTransport, Transport};

use crate::config::MailHook;

/// For each step of the conversation with the server.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where TLS comes before the first word.
const TLS_FROM_THE_START: u16 = 465;

/// Why no mail can be sent, or this one cannot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailError {
    /// There are no certificates to check a server against, or another fault of the set-up.
    #[error("log.hooks: TLS to the mail server {server} cannot be set up")]
    Tls { server: String, source: lettre::transport::smtp::Error },
    /// The addresses do not make a message.
    #[error("no message can be made")]
    Message(#[from] lettre::error::Error),
    /// The server cannot be reached or refuses.
    #[error("the mail server {server} did not take it")]
    Server { server: String, source: lettre::transport::smtp::Error },
}

/// The transport of a hook, and what to call its server.
#[derive(Debug)]
pub(super) struct Server {
    transport: SmtpTransport,
    name: String,
}

/// Sets up the way to a server; nothing is connected.
///
/// TLS is used whenever the server offers it. A password goes out only over TLS with a certificate that holds,
/// or to this machine, or with `insecure`.
pub(super) fn transport(hook: &MailHook) -> Result<Server, MailError> {
    let name = format!("{}:{}", hook.host, hook.port);
    let parameters = TlsParameters::builder(hook.host.clone())
        .dangerous_accept_invalid_certs(hook.insecure)
        .build_rustls()
        .map_err(|source| MailError::Tls { server: name.clone(), source })?;
    let tls = if hook.port == TLS_FROM_THE_START {
        Tls::Wrapper(parameters)
    } else if hook.credentials.is_some() && !hook.insecure && !is_this_machine(&hook.host) {
        Tls::Required(parameters)
    } else {
        Tls::Opportunistic(parameters)
    };
    let mut builder = SmtpTransport::builder_dangerous(hook.host.clone())
        .port(hook.port)
        .tls(tls)
        .timeout(Some(PATIENCE))
        .hello_name(ClientId::Domain(host_name()));
    if let Some((username, password)) = &hook.credentials {
        builder = builder
            .credentials(Credentials::new(username.clone(), password.expose().to_owned()))
            .authentication(vec![Mechanism::Plain]);
    }
    Ok(Server { transport: builder.build(), name })
}

/// Hands one mail to the server.
pub(super) fn send(server: &Server, message: &Message) -> Result<(), MailError> {
    match server.transport.send(message) {
        Ok(_) => Ok(()),
        Err(source) => Err(MailError::Server { server: server.name.clone(), source }),
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The name of this machine.
pub(super) fn host_name() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    if name.is_empty() { "localhost".to_owned() } else { name.into_owned() }
}
