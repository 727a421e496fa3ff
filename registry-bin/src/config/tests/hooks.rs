//! `log.hooks`.

use super::*;
use crate::config::{MailHook, Severity};

const FULL: &str = "log:
  hooks:
    - type: mail
      levels: [panic, WARN, error]
      options:
        smtp: {addr: '[::1]:587', username: robot, password: 012, insecure: yes}
        from: Registry <registry@example.com>
        to: [a@example.com, 'B <b@example.com>']
    - type: mail
      disabled: true
";

fn hooks(text: &str, environment: &[(&str, &str)]) -> Vec<MailHook> {
    clean(&format!("{BASE}{text}"), environment).log.hooks
}

#[test]
fn a_hook_is_read() {
    let hooks = hooks(FULL, &[]);
    let [hook] = hooks.as_slice() else { panic!("{hooks:?}") };
    assert_eq!(hook.levels, [Severity::Panic, Severity::Warning, Severity::Error]);
    assert_eq!((hook.host.as_str(), hook.port, hook.insecure), ("::1", 587, true));
    let (name, password) = hook.credentials.as_ref().unwrap();
    assert_eq!((name.as_str(), password.expose()), ("robot", "012"));
    assert_eq!(hook.from.to_string(), "Registry <registry@example.com>");
    let to: Vec<String> = hook.to.iter().map(ToString::to_string).collect();
    assert_eq!(to, ["a@example.com", "B <b@example.com>"]);
}

#[test]
fn a_hook_can_come_from_the_environment_by_either_name() {
    let hooks = hooks(
        "",
        &[
            ("REGISTRY_LOG_HOOKS_0_TYPE", "mail"),
            ("REGISTRY_LOG_HOOKS_0_LEVELS_0", "fatal"),
            ("REGISTRY_LOG_HOOKS_0_MAILOPTIONS_FROM", "a@example.com"),
            ("REGISTRY_LOG_HOOKS_0_OPTIONS_TO", "[b@example.com]"),
            ("REGISTRY_LOG_HOOKS_0_MAILOPTIONS_SMTP_ADDR", "mail:25"),
        ],
    );
    assert_eq!(hooks.len(), 1);
    assert_eq!((hooks[0].host.as_str(), hooks[0].port, hooks[0].credentials.is_none()), ("mail", 25, true));
}

/// A complete hook, with `options` between what is required.
fn hook_with(levels: &str, smtp: &str, from: &str, to: &str) -> String {
    format!(
        "{BASE}log:\n  hooks:\n  - type: mail\n    levels: {levels}\n    options:\n      smtp: {smtp}\n      from: {from}\n      to: {to}\n"
    )
}

#[test]
fn a_hook_that_is_disabled_or_wrong() {
    let (smtp, from, to) = ("{addr: 'mail:25'}", "a@example.com", "[b@example.com]");
    let names = "panic, fatal, error, warning, info, debug";
    for (text, expected) in [
        (hook_with("", smtp, from, to), format!("c.yml:6:5: log.hooks[0].levels: is missing; without a level no mail is sent; name some of {names}")),
        (hook_with("[error, loud]", smtp, from, to), format!("c.yml:6:21: log.hooks[0].levels[1]: unknown level \"loud\"; it is one of {names}")),
        (hook_with("[error]", "", from, to), "c.yml:8:7: log.hooks[0].options.smtp.addr: is missing; name the mail server, such as mail.example.com:25".to_owned()),
        (hook_with("[error]", "{addr: mail}", from, to), "c.yml:8:20: log.hooks[0].options.smtp.addr: \"mail\" is not the host and port of a mail server, such as mail.example.com:25".to_owned()),
        (hook_with("[error]", "{addr: 'smtp://mail:25'}", from, to), "c.yml:8:20: log.hooks[0].options.smtp.addr: \"smtp://mail:25\" is not the host and port of a mail server, such as mail.example.com:25".to_owned()),
        (hook_with("[error]", "{addr: 'mail:0'}", from, to), "c.yml:8:20: log.hooks[0].options.smtp.addr: \"mail:0\" is not the host and port of a mail server, such as mail.example.com:25".to_owned()),
        (hook_with("[error]", "{addr: 'mail:25', username: u}", from, to), "c.yml:8:41: log.hooks[0].options.smtp.username: has no password; set password as well, or remove username".to_owned()),
        (hook_with("[error]", "{addr: 'mail:25', password: p}", from, to), "c.yml:8:41: log.hooks[0].options.smtp.password: has no username; set username as well, or remove password".to_owned()),
        (hook_with("[error]", smtp, "", to), "c.yml:9:7: log.hooks[0].options.from: is missing; name the sender, such as registry@example.com".to_owned()),
        (hook_with("[error]", smtp, "registry", to), "c.yml:9:13: log.hooks[0].options.from: \"registry\" is not a mail address such as registry@example.com".to_owned()),
        (hook_with("[error]", smtp, from, "[]"), "c.yml:10:7: log.hooks[0].options.to: is missing; name at least one receiver, such as [errors@example.com]".to_owned()),
        (hook_with("[error]", smtp, from, "[a@example.com, b]"), "c.yml:10:27: log.hooks[0].options.to[1]: \"b\" is not a mail address such as errors@example.com".to_owned()),
        (hook_with("[error]", smtp, from, "b@example.com"), "c.yml:10:11: log.hooks[0].options.to: expected a list such as [one, two], found a single value".to_owned()),
        (format!("{BASE}log: {{hooks: [{{levels: [error]}}]}}\n"), "c.yml:3:15: log.hooks[0].type: is missing; write type: mail".to_owned()),
        (format!("{BASE}log: {{hooks: [{{type: slack}}]}}\n"), "c.yml:3:22: log.hooks[0].type: unknown type of hook \"slack\"; the only one is mail".to_owned()),
    ] {
        assert_eq!(errors(&text, &[]), [expected], "{text}");
    }
    // Whatever else it says.
    assert!(hooks("log: {hooks: [{disabled: true, type: slack, levels: [loud]}]}\n", &[]).is_empty());
}
