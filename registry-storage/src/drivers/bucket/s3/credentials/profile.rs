//! The files that Amazon's tools share.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use std::collections::BTreeMap;
use std::path::PathBuf;

use registry_core::BoxError;

use super::{Credentials, Environment};
use crate::drivers::bucket::options::Secret;

/// The sections of a file, and what is in each.
type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// The credentials of the profile that `AWS_PROFILE` names or of `default`, if there are any.
///
/// # Errors
/// If a profile is asked for by name and has none, or has some that are not supported.
pub(super) async fn load(env: &Environment) -> Result<Option<Credentials>, BoxError> {
    let asked = env("AWS_PROFILE").filter(|name| !name.is_empty());
    let name = asked.as_deref().unwrap_or("default");
    let home = env("HOME").map(|home| PathBuf::from(home).join(".aws"));
    let file = |variable: &str, name: &str| {
        env(variable).map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(name)))
    };
    let credentials = read(file("AWS_SHARED_CREDENTIALS_FILE", "credentials")).await?;
    let config = read(file("AWS_CONFIG_FILE", "config")).await?;
    let mut found = BTreeMap::new();
    // In the one file all sections are profiles, in the other only those that say so.
    for (sections, key) in
        [(&config, format!("profile {name}")), (&config, name.to_owned()), (&credentials, name.to_owned())]
    {
        found.extend(sections.get(&key).into_iter().flatten());
    }
    let value = |key: &str| found.get(&key.to_owned()).map(|value| (*value).clone());
    match (value("aws_access_key_id"), value("aws_secret_access_key")) {
        (Some(access_key), Some(secret)) => Ok(Some(Credentials {
            access_key,
            secret_key: Secret::new(secret),
            session_token: value("aws_session_token").map(Secret::new),
            expires: None,
        })),
        (Some(_), None) | (None, Some(_)) => {
            Err(format!("profile {name:?} has only one of aws_access_key_id and aws_secret_access_key")
                .into())
        }
        (None, None) => {
            let other = ["role_arn", "sso_session", "sso_start_url", "credential_process"];
            match (other.iter().find(|key| value(key).is_some()), asked.as_deref()) {
                (Some(key), _) => Err(format!(
                    "profile {name:?} has {key}, which is not supported: it needs aws_access_key_id and \
                     aws_secret_access_key"
                )
                .into()),
                (None, Some(name)) => Err(format!("there is no profile {name:?} with credentials").into()),
                (None, None) => Ok(None),
            }
        }
    }
}

async fn read(path: Option<PathBuf>) -> Result<Sections, BoxError> {
    let Some(path) = path else { return Ok(Sections::new()) };
    let wrong = |why: String| -> BoxError { format!("{}: {why}", path.display()).into() };
    let file = path.clone();
    let text = match tokio::task::spawn_blocking(move || std::fs::read_to_string(file)).await? {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Sections::new()),
        Err(error) => return Err(wrong(error.to_string())),
    };
    parse(&text).map_err(wrong)
}

/// `[section]` and `key = value`; `#` and `;` begin comments; an indented line belongs to the value above it.
fn parse(text: &str) -> Result<Sections, String> {
    let mut sections = Sections::new();
    let mut section: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.trim().is_empty() || line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            // A value of several lines: none of ours is.
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let Some((name, _)) = rest.split_once(']') else {
                return Err(format!("line {number}: a section does not end in ]"));
            };
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            let name = name.replace(['"', '\''], "");
            sections.entry(name.clone()).or_default();
            section = Some(name);
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(format!("line {number}: neither a section nor key = value"));
        };
        let Some(section) = section.as_ref().and_then(|name| sections.get_mut(name)) else {
            return Err(format!("line {number}: a value outside of any section"));
        };
        let value =
            value.split_once(" #").or_else(|| value.split_once(" ;")).map_or(value, |(value, _)| value);
        section.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    //! The form of the files, and which profile is meant.

    use std::sync::Arc;

    use super::*;

    const CREDENTIALS: &str = "
# keys
[default]
aws_access_key_id = AKDEFAULT
aws_secret_access_key=sec=ret ; not this
s3 =
  max_concurrent_requests = 20

[ci]
AWS_ACCESS_KEY_ID = AKCI
aws_secret_access_key = s2
aws_session_token = t2

[half]
aws_access_key_id = AKHALF
";
    const CONFIG: &str = "
[default]
region = eu-west-1
[profile \"other\"]
aws_access_key_id = AKOTHER
aws_secret_access_key = s3
[profile role]
role_arn = arn:aws:iam::1:role/x
source_profile = default
";

    async fn with(
        profile: Option<&'static str>,
        credentials: &str,
        config: &str,
    ) -> Result<Option<String>, String> {
        let home = tempfile::tempdir().unwrap();
        let at = home.path().join(".aws");
        std::fs::create_dir(&at).unwrap();
        std::fs::write(at.join("config"), config).unwrap();
        let elsewhere = home.path().join("keys");
        std::fs::write(&elsewhere, credentials).unwrap();
        let root = home.path().to_str().unwrap().to_owned();
        let env: Environment = Arc::new(move |name| match name {
            "HOME" => Some(root.clone()),
            "AWS_SHARED_CREDENTIALS_FILE" => Some(elsewhere.to_str().unwrap().to_owned()),
            "AWS_PROFILE" => profile.map(str::to_owned),
            _ => None,
        });
        let found = load(&env).await.map_err(|error| error.to_string())?;
        Ok(found.map(|c| {
            let token = c.session_token.as_ref().map_or("-", Secret::expose);
            format!("{} {} {token}", c.access_key, c.secret_key.expose())
        }))
    }

    #[tokio::test]
    async fn the_profile_that_is_asked_for_is_found_in_either_file() {
        for (profile, found) in [
            (None, "AKDEFAULT sec=ret -"),
            (Some(""), "AKDEFAULT sec=ret -"),
            (Some("ci"), "AKCI s2 t2"),
            (Some("other"), "AKOTHER s3 -"),
        ] {
            assert_eq!(with(profile, CREDENTIALS, CONFIG).await.unwrap().as_deref(), Some(found));
        }
        assert_eq!(with(None, "", CONFIG).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_said() {
        for (profile, text) in [
            (Some("nobody"), "no profile \"nobody\""),
            (Some("half"), "\"half\" has only one of"),
            (Some("role"), "\"role\" has role_arn, which is not supported"),
        ] {
            let error = with(profile, CREDENTIALS, CONFIG).await.unwrap_err();
            assert!(error.contains(text), "{error}");
        }
        for (text, line) in [("[a", 1), ("\na = b", 2), ("[a]\n\njust text", 3)] {
            let error = with(None, text, "").await.unwrap_err();
            assert!(error.contains(&format!("keys: line {line}: ")), "{error}");
        }
    }
}
