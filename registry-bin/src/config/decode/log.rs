//! Decodes `log`.

use lettre::message::Mailbox;

use super::json;
use crate::config::model::{Formatter, Level, Log, MailHook, Secret, Severity};
use crate::config::reader::Reader;

/// Where a server for outgoing mail listens that does not say otherwise.
const EXAMPLE: &str = "mail.example.com:25";

pub(super) fn log(root: &Reader<'_>) -> Log {
    let reader = root.section("log");
    let old = level(root, "loglevel");
    let level = level(&reader, "level").or(old).unwrap_or(Level::Info);
    let fields = reader.section("fields").map().map(|map| {
        map.entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect::<Vec<_>>()
    });
    Log {
        level,
        formatter: formatter(&reader),
        fields: fields.unwrap_or_default(),
        access_log: !reader.section("accesslog").flag("disabled").unwrap_or(false),
        report_caller: reader.flag("reportcaller").unwrap_or(false),
        hooks: reader.sections("hooks").iter().filter_map(hook).collect(),
    }
}

fn level(reader: &Reader<'_>, key: &str) -> Option<Level> {
    let word = reader.text(key)?;
    let level = match word.to_ascii_lowercase().as_str() {
        "error" => Level::Error,
        "warn" => Level::Warn,
        "info" => Level::Info,
        "debug" => Level::Debug,
        _ => {
            reader.fail(key, format!("invalid loglevel {word:?}; it is one of error, warn, info, debug"));
            return None;
        }
    };
    Some(level)
}

fn formatter(reader: &Reader<'_>) -> Formatter {
    match reader.text("formatter").as_deref() {
        None | Some("" | "text") => Formatter::Text,
        Some("json") => Formatter::Json,
        Some("logstash") => Formatter::Logstash,
        Some(other) => {
            let text = format!("unsupported logging formatter: {other:?}; use text, json or logstash");
            reader.fail("formatter", text);
            Formatter::Text
        }
    }
}

/// An entry of `hooks`; `None` if it is switched off or wrong.
fn hook(reader: &Reader<'_>) -> Option<MailHook> {
    // What is no section has been reported; an empty one asks for nothing.
    if reader.map().is_none() || reader.flag("disabled") == Some(true) {
        return None;
    }
    match reader.filled("type").as_deref() {
        Some("mail") => {}
        Some(other) => {
            reader.fail("type", format!("unknown type of hook {other:?}; the only one is mail"));
            return None;
        }
        None => {
            reader.missing("type", "is missing; write type: mail");
            return None;
        }
    }
    let levels = levels(reader);
    let options = reader.section("options");
    let smtp = options.section("smtp");
    let server = server(&smtp);
    let from = from(&options);
    let to = to(&options);
    let credentials = credentials(&smtp);
    let insecure = smtp.flag("insecure").unwrap_or(false);
    let (host, port) = server?;
    Some(MailHook { levels, host, port, credentials: credentials?, insecure, from: from?, to })
}

fn levels(reader: &Reader<'_>) -> Vec<Severity> {
    let words = reader.texts("levels");
    let names = Severity::ALL.map(Severity::name).join(", ");
    if words.is_empty() {
        reader
            .missing("levels", format!("is missing; without a level no mail is sent; name some of {names}"));
    }
    let mut levels = Vec::new();
    for (index, word) in words.iter().enumerate() {
        match Severity::parse(word) {
            Some(level) => levels.push(level),
            None => reader.fail_at("levels", index, format!("unknown level {word:?}; it is one of {names}")),
        }
    }
    levels
}

fn server(smtp: &Reader<'_>) -> Option<(String, u16)> {
    let Some(text) = smtp.filled("addr") else {
        smtp.missing("addr", format!("is missing; name the mail server, such as {EXAMPLE}"));
        return None;
    };
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match parts {
        Some((host, port)) if port > 0 && !host.is_empty() && !host.contains(['/', ' ']) => {
            Some((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
        }
        _ => {
            smtp.fail(
                "addr",
                format!("{text:?} is not the host and port of a mail server, such as {EXAMPLE}"),
            );
            None
        }
    }
}

/// The outer `None` stands for a mistake.
fn credentials(smtp: &Reader<'_>) -> Option<Option<(String, Secret)>> {
    match (smtp.filled("username"), smtp.filled("password")) {
        (None, None) => Some(None),
        (Some(name), Some(password)) => Some(Some((name, Secret::new(password)))),
        (Some(_), None) => {
            smtp.fail("username", "has no password; set password as well, or remove username");
            None
        }
        (None, Some(_)) => {
            smtp.fail("password", "has no username; set username as well, or remove password");
            None
        }
    }
}

fn from(options: &Reader<'_>) -> Option<Mailbox> {
    let Some(text) = options.filled("from") else {
        options.missing("from", "is missing; name the sender, such as registry@example.com");
        return None;
    };
    let mailbox = mailbox(&text);
    if mailbox.is_none() {
        options.fail("from", format!("{text:?} is not a mail address such as registry@example.com"));
    }
    mailbox
}

fn to(options: &Reader<'_>) -> Vec<Mailbox> {
    let texts = options.texts("to");
    if texts.is_empty() {
        options.missing("to", "is missing; name at least one receiver, such as [errors@example.com]");
    }
    let mut receivers = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match mailbox(text) {
            Some(mailbox) => receivers.push(mailbox),
            None => {
                let text = format!("{text:?} is not a mail address such as errors@example.com");
                options.fail_at("to", index, text);
            }
        }
    }
    receivers
}

fn mailbox(text: &str) -> Option<Mailbox> {
    text.parse().ok()
}
