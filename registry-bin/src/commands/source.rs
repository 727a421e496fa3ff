//! Where the configuration of a command comes from.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::config::{self, Strictness};

/// Names the file when the command line does not.
const PATH_VARIABLE: &str = "REGISTRY_CONFIGURATION_PATH";

/// No configuration comes near this.
const MAX_BYTES: u64 = 4 << 20;

/// The text of a configuration and its name in messages.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) text: String,
    pub(super) name: String,
    pub(super) built_in: bool,
}

impl Source {
    /// The file given, the file in the environment, or the built-in text.
    pub(super) fn find(given: Option<PathBuf>, environment: &[(String, String)]) -> Result<Self, Failure> {
        let named = environment.iter().find(|(name, value)| name == PATH_VARIABLE && !value.is_empty());
        match given.or_else(|| named.map(|(_, path)| PathBuf::from(path))) {
            Some(path) => Self::file(&path),
            None => Ok(Self {
                text: config::BUILT_IN.to_owned(),
                name: config::BUILT_IN_NAME.to_owned(),
                built_in: true,
            }),
        }
    }

    pub(super) fn file(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let failed = |why: String| Failure(vec![format!("{name}: cannot read the configuration: {why}")]);
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(failed("it is larger than 4 MiB".to_owned()));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { text, name, built_in: false }),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let line = 1 + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
                Err(failed(format!("line {line} is not UTF-8 text")))
            }
        }
    }
}

/// What `--lenient-config` says.
pub(super) fn strictness(lenient: bool) -> Strictness {
    if lenient { Strictness::Lenient } else { Strictness::Usual }
}

/// The variables that can concern the configuration.
pub(super) fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, Failure> {
    let ours = |(name, value): (OsString, OsString)| {
        let name = name.into_string().ok().filter(|name| name.starts_with("REGISTRY_"))?;
        Some(
            value
                .into_string()
                .map(|value| (name.clone(), value))
                .map_err(|_| Failure(vec![format!("{name}: the value is not UTF-8 text")])),
        )
    };
    variables.into_iter().filter_map(ours).collect()
}
