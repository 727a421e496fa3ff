//! Names that are made of claims.

use std::collections::BTreeMap;

use serde_json::Value;

/// The longest name, in bytes.
const MOST: usize = 256;

/// A name with claims in it: `github:{repository}`. A claim inside others has `/` between:
/// `{kubernetes.io/namespace}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Claim(String),
}

/// Why a text is no template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A brace without its other.
    #[error("a brace stands alone: claims are written like {{sub}}")]
    Brace,
    /// Nothing between braces.
    #[error("a claim has no name")]
    Empty,
    /// All tokens would be of the same principal.
    #[error("there is no claim in it, so everybody would have the same name")]
    Constant,
}

impl NameTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(open) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(open);
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let inside = from.strip_prefix('{').ok_or(TemplateError::Brace)?;
            let (claim, after) = inside.split_once('}').ok_or(TemplateError::Brace)?;
            if claim.is_empty() {
                return Err(TemplateError::Empty);
            }
            if claim.contains('{') {
                return Err(TemplateError::Brace);
            }
            parts.push(Part::Claim(claim.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if !parts.iter().any(|part| matches!(part, Part::Claim(_))) {
            return Err(TemplateError::Constant);
        }
        Ok(Self(parts))
    }

    /// `<provider>:{sub}`.
    pub(super) fn subject_of(provider: &str) -> Self {
        Self(vec![Part::Text(format!("{provider}:")), Part::Claim("sub".to_owned())])
    }

    /// The name that these claims make.
    ///
    /// # Errors
    /// Which claim is missing, or is nothing that a name could have in it.
    pub(super) fn name(&self, claims: &BTreeMap<String, Value>) -> Result<String, String> {
        let mut name = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Claim(claim) => {
                    let value = lookup(claims, claim).and_then(text_of).filter(|text| !text.is_empty());
                    name.push_str(&value.ok_or_else(|| format!("no claim {claim:?} to make a name of"))?);
                }
            }
        }
        if name.len() > MOST || name.chars().any(char::is_control) {
            return Err("its claims make a name that is too long or has control characters".to_owned());
        }
        Ok(name)
    }
}

/// The claim of this name, or the one that this path with `/` leads to.
pub(super) fn lookup<'a>(claims: &'a BTreeMap<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    // Names have slashes in them too: those of claims that are URLs.
    path.match_indices('/').find_map(|(at, _)| {
        let (first, rest) = (claims.get(&path[..at])?, &path[at + 1..]);
        rest.split('/').try_fold(first, |value, name| value.get(name))
    })
}

/// A single value as text.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims() -> BTreeMap<String, Value> {
        let claims = json!({
            "sub": "repo:acme/app:ref:refs/heads/main",
            "repository": "acme/app",
            "run": 7,
            "list": ["a"],
            "empty": "",
            "control": "a\nb",
            "long": "x".repeat(300),
            "https://example.com/team": "core",
            "kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "builder"}},
        });
        serde_json::from_value(claims).unwrap()
    }

    #[test]
    fn names_are_made_of_claims() {
        for (template, name) in [
            ("github:{repository}", "github:acme/app"),
            ("{repository}#{run}", "acme/app#7"),
            ("k8s:{kubernetes.io/namespace}/{kubernetes.io/serviceaccount/name}", "k8s:ci/builder"),
            ("{https://example.com/team}!", "core!"),
        ] {
            assert_eq!(NameTemplate::parse(template).unwrap().name(&claims()).as_deref(), Ok(name));
        }
        let of_subject = NameTemplate::subject_of("gh").name(&claims()).unwrap();
        assert_eq!(of_subject, "gh:repo:acme/app:ref:refs/heads/main");
    }

    #[test]
    fn what_is_missing_or_no_text_makes_no_name() {
        for template in
            ["{no}", "{list}", "{kubernetes.io}", "{empty}", "{control}", "{long}", "{repository/x}"]
        {
            NameTemplate::parse(template).unwrap().name(&claims()).unwrap_err();
        }
    }

    #[test]
    fn texts_that_are_no_templates_are_refused() {
        for (text, error) in [
            ("", TemplateError::Constant),
            ("github", TemplateError::Constant),
            ("{sub", TemplateError::Brace),
            ("sub}", TemplateError::Brace),
            ("{{sub}}", TemplateError::Brace),
            ("{}", TemplateError::Empty),
        ] {
            assert_eq!(NameTemplate::parse(text), Err(error), "{text}");
        }
    }
}
