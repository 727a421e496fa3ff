//! Decodes `auth.silly`.

use super::challenge_text;
use crate::config::model::Provider;
use crate::config::reader::Reader;

pub(super) fn silly(reader: &Reader<'_>) -> Option<Provider> {
    let realm = challenge_text(reader, "realm", "silly");
    let service = challenge_text(reader, "service", "silly");
    Some(Provider::Silly { realm: realm?, service: service? })
}
