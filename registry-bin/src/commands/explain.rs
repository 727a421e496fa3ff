//! `registry auth explain`

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use registry::auth::policy::{Caller, Decision};
use registry::core::access::{Access, Action, Resource};
use registry::core::{Principal, RepositoryName};

use super::Failure;
use super::source::{Source, environment, strictness};
use crate::access::policy;
use crate::config::model::Provider;
use crate::config::{self, Config};

/// Who wants to do what.
#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The name of a user, or `anonymous` for a caller without credentials; `user:anonymous` is a user of that name
    user: String,
    /// What is to be done
    action: Word,
    /// The repository; without one `list` is about the list of repositories, and `admin` about the registry
    repository: Option<String>,
    /// A group that the user is in, besides those of the policy
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// A claim of the user's identity token; a value that is JSON counts as such
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, serde_json::Value)>,
    /// How the user is recognized: htpasswd, file, token, certificate, oidc
    #[arg(long, default_value = "")]
    method: String,
    /// The address of the client; without it, it is unknown
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// Configuration file; without it REGISTRY_CONFIGURATION_PATH
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Word {
    Pull,
    Push,
    Delete,
    List,
    Admin,
}

fn claim(text: &str) -> Result<(String, serde_json::Value), String> {
    let (name, value) = text.split_once('=').ok_or("a claim is written like repository=acme/app")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

/// Says what the policy of a configuration decides, by which rule, and what the answer would be. Returns whether it is
/// allowed.
pub(crate) fn explain(arguments: &ExplainArguments, output: &mut impl Write) -> Result<Explained, Failure> {
    let accesses = match accesses(arguments) {
        Ok(accesses) => accesses,
        Err(reason) => return Ok(Explained::Nonsense(reason)),
    };
    let environment = environment(std::env::vars_os())?;
    let source = Source::find(arguments.config.clone(), &environment)?;
    let loaded = config::load(&source.text, &source.name, environment, strictness(false))
        .map_err(|rejected| Failure(rejected.errors))?;
    let report = judge(&loaded.config, arguments, &accesses)?;
    // Whoever closed standard output still gets the exit code.
    let _ = output.write_all(report.text.as_bytes());
    Ok(if report.granted { Explained::Granted } else { Explained::Denied })
}

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Explained {
    Granted,
    Denied,
    /// The question makes no sense.
    Nonsense(String),
}

/// What a request for this asks for, as in `registry-http`.
fn accesses(arguments: &ExplainArguments) -> Result<Vec<Access>, String> {
    let Some(repository) = &arguments.repository else {
        return match arguments.action {
            Word::List => Ok(vec![Access { resource: Resource::Catalog, action: Action::All }]),
            Word::Admin => {
                let resource = Resource::Custom { kind: "registry".to_owned(), name: "admin".to_owned() };
                Ok(vec![Access { resource, action: Action::Custom("admin".to_owned()) }])
            }
            Word::Pull | Word::Push | Word::Delete => {
                Err("which repository? It follows the action".to_owned())
            }
        };
    };
    let name = RepositoryName::parse(repository).map_err(|error| error.to_string())?;
    let actions = match arguments.action {
        Word::Pull => vec![Action::Pull],
        Word::Push => vec![Action::Pull, Action::Push],
        Word::Delete => vec![Action::Delete],
        Word::List => vec![Action::List],
        Word::Admin => vec![Action::Custom("admin".to_owned())],
    };
    Ok(actions.into_iter().map(|action| Access::repository(&name, action)).collect())
}

struct Report {
    text: String,
    granted: bool,
}

fn judge(config: &Config, arguments: &ExplainArguments, accesses: &[Access]) -> Result<Report, Failure> {
    let principal = principal(arguments);
    let Some(rules) = config.auth.policy.as_ref().map(policy::rules).transpose().map_err(Failure)? else {
        let text =
            "there is no auth.policy: whoever the provider recognizes may do what it grants\n".to_owned();
        return Ok(Report { text, granted: true });
    };
    let caller = rules.caller(principal.as_ref(), arguments.from);
    let refused = caller.refusal(accesses).map(|(_, decision)| decision);
    let decision = refused.or_else(|| accesses.last().map(|access| caller.decide(access)));
    let Some(decision) = decision else { return Err(Failure(Vec::new())) };
    let word = if decision.allowed { "granted" } else { "denied" };
    let mut text = format!("{word}: {decision}\n");
    if let Some((number, _)) = &decision.rule {
        text.push_str(&format!("rule: {} of {}\n", number + 1, rules.len()));
    }
    let answer = answer(config, principal.is_some(), &caller, accesses, &decision);
    text.push_str(&format!("answer: {answer}\n"));
    if arguments.from.is_none() && rules.has_addresses() {
        text.push_str(
            "note: from where is not said; rules with from then count if they deny, and not if they allow (--from)\n",
        );
    }
    Ok(Report { text, granted: decision.allowed })
}

/// The caller; `None` for an anonymous one.
fn principal(arguments: &ExplainArguments) -> Option<Principal> {
    let name = match arguments.user.strip_prefix("user:") {
        Some(name) => name,
        None if arguments.user == "anonymous" => return None,
        None => arguments.user.as_str(),
    };
    let principal = Principal::new(name)
        .with_groups(arguments.groups.iter().cloned())
        .with_claims(arguments.claims.iter().cloned())
        .with_method(arguments.method.clone());
    Some(principal)
}

fn answer(
    config: &Config,
    known: bool,
    caller: &Caller,
    accesses: &[Access],
    decision: &Decision,
) -> &'static str {
    let name = accesses.iter().find_map(|access| match &access.resource {
        Resource::Repository(name) => Some(name),
        _ => None,
    });
    if decision.allowed {
        "the request is served"
    } else if !known && config.auth.provider.recognizes() {
        "401 UNAUTHORIZED, with the challenge to log in"
    } else if known && matches!(config.auth.provider, Provider::Issuer(_)) {
        "401 UNAUTHORIZED, since no token is issued for it"
    } else if name.is_some_and(|name| caller.hides(name)) {
        "404 NAME_UNKNOWN, as if there were no such repository"
    } else {
        "403 DENIED"
    }
}

#[cfg(test)]
mod tests;
