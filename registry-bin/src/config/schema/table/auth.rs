//! The section `auth`, and the file that `auth.policy.file` names.

use super::super::{Key, Kind, Status, duration, flag, key, section, text, texts, word};

pub(super) const AUTH: &[Key] = &[
    key("none", Kind::Any, Status::NoEffect),
    section("silly", &[text("realm"), text("service")]),
    section("htpasswd", &[text("realm"), text("path")]),
    section("token", TOKEN),
    // Ours.
    section("issuer", ISSUER),
    section(
        "certificate",
        &[
            word("name", &["subject-cn", "uri", "dns", "email"]).or("subject-cn"),
            word("groups", &["none", "ou", "o"]).or("none"),
        ],
    ),
    section("policy", AUTH_POLICY),
    section("audit", &[text("path"), flag("reads").or("true")]),
];

const TOKEN: &[Key] = &[
    text("realm"),
    text("service"),
    text("issuer"),
    text("rootcertbundle"),
    text("jwks"),
    flag("autoredirect").or("false"),
    text("autoredirectpath").or("/auth/token"),
    texts("signingalgorithms"),
];

const ISSUER: &[Key] = &[
    text("service").or("registry"),
    text("issuer"),
    text("realm"),
    text("path").or("/auth/token"),
    text("keys"),
    text("algorithm").or("ES256"),
    duration("rotation").or("720h"),
    duration("expiration").or("5m"),
    duration("refreshexpiration").or("720h"),
    section(
        "users",
        &[text("htpasswd"), text("file"), key("oidc", Kind::List(&Kind::Section(OIDC)), Status::Supported)],
    ),
];

const OIDC: &[Key] = &[
    text("name"),
    text("issuer"),
    text("audience"),
    text("jwks"),
    text("principal"),
    text("groups"),
    key("claims", Kind::Map(&Kind::List(&Kind::Text)), Status::Supported),
    text("ca"),
    text("tokenfile"),
    duration("session").or("1h"),
];

const AUTH_POLICY: &[Key] = &[
    text("file"),
    key("private", Kind::Any, Status::Supported).or("false"),
    key("groups", Kind::Map(&Kind::List(&Kind::Text)), Status::Supported),
    key("rules", Kind::List(&Kind::Section(POLICY_RULE)), Status::Supported),
];

/// What `auth.policy.file` leads to.
pub(crate) const POLICY_FILE: &[Key] = &[
    key("private", Kind::Any, Status::Supported),
    key("groups", Kind::Map(&Kind::List(&Kind::Text)), Status::Supported),
    key("rules", Kind::List(&Kind::Section(POLICY_RULE)), Status::Supported),
];

const POLICY_RULE: &[Key] = &[
    text("name"),
    texts("allow"),
    texts("deny"),
    texts("repositories"),
    key("who", Kind::List(&Kind::Any), Status::Supported),
    texts("from"),
];
