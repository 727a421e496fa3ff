//! Decodes `auth.htpasswd`.

use std::path::PathBuf;

use super::challenge_text;
use crate::config::model::Provider;
use crate::config::reader::Reader;

pub(super) fn htpasswd(reader: &Reader<'_>) -> Option<Provider> {
    let realm = challenge_text(reader, "realm", "htpasswd");
    let path = reader.filled("path").map(PathBuf::from);
    if path.is_none() {
        reader.missing("path", "must be set for htpasswd access controller; name the file with the users");
    }
    Some(Provider::Htpasswd { realm: realm?, path: path? })
}
