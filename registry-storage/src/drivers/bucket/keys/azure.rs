//! `storage.azure`

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::options::{AzureCredentials, AzureOptions, Secret};
use super::{BucketKeys, bucket, filled, url};

/// What stands for aborting a copy that is not finished at once.
const NO_POLLS: i64 = -1;

impl AzureOptions {
    /// Reads Distribution's keys for Azure, and `memory`, `retries` and `retrydeadline`.
    ///
    /// `None` if something essential is missing, which has been told; other mistakes have been told as well.
    pub fn read(keys: &dyn BucketKeys) -> Option<Self> {
        let string = connection_string(keys);
        let missing = "no container parameter provided; name the container";
        let common = bucket(keys, "container", missing, None);
        let account = filled(keys, "accountname").or_else(|| string.get("accountname").cloned());
        if account.is_none() {
            let text = "no accountname parameter provided; name the storage account";
            keys.fail("accountname", text.to_owned());
        }
        let key = filled(keys, "accountkey").or_else(|| string.get("accountkey").cloned());
        let credentials = credentials(keys, key);
        let service_url = url(keys, "serviceurl", false)
            .and_then(|_| filled(keys, "serviceurl"))
            .or_else(|| string.get("blobendpoint").cloned())
            .map(|url| url.trim_end_matches('/').to_owned());
        let realm = filled(keys, "realm").or_else(|| string.get("endpointsuffix").cloned());
        let (polls, delay) = (polls(keys), keys.time("retry_delay"));
        let mut options = Self::new(account?, String::new(), credentials?);
        options.bucket = common?;
        options.realm = realm.unwrap_or(options.realm);
        options.service_url = service_url;
        options.copy_polls = polls.unwrap_or(options.copy_polls);
        options.copy_delay = delay.filter(|delay| !delay.is_zero()).unwrap_or(options.copy_delay);
        Some(options)
    }
}

fn polls(keys: &dyn BucketKeys) -> Option<u32> {
    match keys.number("max_retries")? {
        0 => None,
        NO_POLLS => Some(0),
        number => match u32::try_from(number) {
            Ok(number) => Some(number),
            Err(_) => {
                let text = format!("{number} has to be a small number, or -1 for none");
                keys.fail("max_retries", text);
                None
            }
        },
    }
}

fn credentials(keys: &dyn BucketKeys, key: Option<String>) -> Option<AzureCredentials> {
    let section = keys.section("credentials");
    let unused = |names: &[&str]| {
        for name in names.iter().filter(|name| filled(&*section, name).is_some()) {
            section.warn(name, "has no effect: it belongs to the type client_secret".to_owned());
        }
    };
    const PRINCIPAL: [&str; 3] = ["clientid", "tenantid", "secret"];
    match filled(&*section, "type").map(|kind| kind.to_ascii_lowercase()).as_deref() {
        Some("shared_key") | None if key.is_some() => {
            unused(&PRINCIPAL);
            let key = key.unwrap_or_default();
            if !STANDARD.decode(&key).is_ok_and(|bytes| !bytes.is_empty()) {
                keys.fail(
                    "accountkey",
                    "is not base64; copy the whole key, with the = at its end".to_owned(),
                );
                return None;
            }
            Some(AzureCredentials::SharedKey(Secret::new(key)))
        }
        Some("shared_key") => {
            keys.fail("accountkey", "is missing: credentials.type is shared_key".to_owned());
            None
        }
        Some("client_secret") => {
            unused_key(keys, key.as_ref(), "client_secret");
            let [client, tenant, secret] = PRINCIPAL.map(|name| {
                let text = filled(&*section, name);
                if text.is_none() {
                    section.fail(name, "is missing: credentials.type is client_secret".to_owned());
                }
                text
            });
            Some(AzureCredentials::ClientSecret {
                tenant: tenant?,
                client: client?,
                secret: Secret::new(secret?),
            })
        }
        Some("default_credentials") => {
            unused_key(keys, key.as_ref(), "default_credentials");
            unused(&PRINCIPAL);
            Some(AzureCredentials::Default)
        }
        other => {
            let known = "client_secret, shared_key (with accountkey) or default_credentials";
            let text = match other {
                Some(other) => format!("invalid credentials type: {other:?}; it is {known}"),
                None => format!("is missing, and so is accountkey; it is {known}"),
            };
            section.fail("type", text);
            None
        }
    }
}

fn unused_key(keys: &dyn BucketKeys, key: Option<&String>, kind: &str) {
    if key.is_some() {
        keys.warn("accountkey", format!("has no effect: credentials.type is {kind}"));
    }
}

/// `Name=value;…`, with the names in lower case. What stands in other keys counts before it.
fn connection_string(keys: &dyn BucketKeys) -> BTreeMap<String, String> {
    let key = "connectionstring";
    let Some(text) = filled(keys, key) else { return BTreeMap::new() };
    let mut fields = BTreeMap::new();
    for field in text.split(';').filter(|field| !field.trim().is_empty()) {
        // Whatever is wrong about it, it may be secret.
        let Some((name, value)) = field.split_once('=') else {
            keys.fail(key, "is not of the form Name=value;Name=value".to_owned());
            return BTreeMap::new();
        };
        let name = name.trim().to_ascii_lowercase();
        match name.as_str() {
            "accountname" | "accountkey" | "endpointsuffix" | "blobendpoint" => {
                fields.insert(name, value.trim().to_owned());
            }
            "defaultendpointsprotocol" => {
                fields.insert(name, value.trim().to_ascii_lowercase());
            }
            "queueendpoint" | "tableendpoint" | "fileendpoint" => {}
            "sharedaccesssignature" | "usedevelopmentstorage" => {
                let text =
                    format!("{name} is not supported; use AccountName and AccountKey, and BlobEndpoint");
                keys.fail(key, text);
            }
            _ => keys.fail(key, "has a field that no connection string of a storage account has".to_owned()),
        }
    }
    if let Some(protocol) = fields.remove("defaultendpointsprotocol")
        && protocol != "https"
        && !fields.contains_key("blobendpoint")
    {
        keys.fail(key, "DefaultEndpointsProtocol has to be https; use BlobEndpoint for others".to_owned());
    }
    fields
}
