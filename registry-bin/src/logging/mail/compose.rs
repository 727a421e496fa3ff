//! What a mail says.

use std::fmt::Write as _;

use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;

use super::{Entry, MailError};
use crate::config::MailHook;
use crate::time::Civil;

/// The longest part of a message that goes into a subject, in characters.
const SUBJECT: usize = 150;

/// Makes mails, all from and to the same people.
#[derive(Debug)]
pub(super) struct Composer {
    from: Mailbox,
    to: Vec<Mailbox>,
    host: String,
}

impl Composer {
    pub(super) fn new(hook: &MailHook) -> Self {
        Self { from: hook.from.clone(), to: hook.to.clone(), host: super::smtp::host_name() }
    }

    /// One mail about all `lines`, of which there is at least one; the worst is its subject.
    pub(super) fn message(&self, lines: &[Entry], dropped: usize) -> Result<Message, MailError> {
        let mut builder = Message::builder().from(self.from.clone()).subject(self.subject(lines));
        for receiver in &self.to {
            builder = builder.to(receiver.clone());
        }
        Ok(builder.header(ContentType::TEXT_PLAIN).body(body(lines, dropped))?)
    }

    /// `[error] host: message`
    fn subject(&self, lines: &[Entry]) -> String {
        let Some(worst) = lines.iter().min_by_key(|line| line.severity) else { return String::new() };
        let message: String =
            worst.message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SUBJECT).collect();
        let more = if lines.len() > 1 { format!(" (and {} more)", lines.len() - 1) } else { String::new() };
        format!("[{}] {}: {message}{more}", worst.severity.name(), self.host)
    }
}

fn body(lines: &[Entry], dropped: usize) -> String {
    let mut body = String::new();
    for line in lines {
        if !body.is_empty() {
            body.push('\n');
        }
        let time = Civil::new(line.at).rfc3339();
        _ = writeln!(
            body,
            "{}\n\nlevel={}\ntime={time}\n{}",
            line.message,
            line.severity.name(),
            line.fields
        );
    }
    if dropped > 0 {
        _ = writeln!(body, "\n{dropped} more lines came in too fast to be mailed; they are in the log.");
    }
    body
}
