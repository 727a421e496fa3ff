//! Each key lands where it belongs, and each mistake is told by its key.

use registry_core::Options;
use serde_json::{Value, json};

use super::*;

fn read<T>(keys: Value, read: fn(&dyn BucketKeys) -> Option<T>) -> Result<T, String> {
    let Value::Object(map) = keys else { panic!("{keys}") };
    parse("x", Options::new(map), read).map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error} {source}")
    })
}

/// `base` with `more` in it.
fn with(base: &Value, more: Value) -> Value {
    let (Value::Object(mut base), Value::Object(more)) = (base.clone(), more) else { panic!("no sections") };
    base.extend(more);
    Value::Object(base)
}

/// What is told of each of `cases`: keys beside `base`, and a part of the message.
fn refused<T: std::fmt::Debug>(
    base: &Value,
    decode: fn(&dyn BucketKeys) -> Option<T>,
    cases: &[(Value, &str)],
) {
    for (keys, expected) in cases {
        let error = read(with(base, keys.clone()), decode).unwrap_err();
        assert!(error.contains(expected), "{keys}: {error}");
    }
}

#[cfg(feature = "s3")]
mod s3 {
    use super::super::super::options::{S3Credentials, S3Encryption, S3Log, S3Options, Secret};
    use super::*;

    fn s3(more: Value) -> Result<S3Options, String> {
        read(with(&json!({"bucket": "b", "region": "eu-central-1"}), more), S3Options::read)
    }

    #[test]
    fn every_s3_key_is_read() {
        let found = s3(json!({
            "accesskey": "key", "secretkey": "secret", "sessiontoken": "token",
            "regionendpoint": "objects.example.com:9000", "redirectendpoint": "https://cdn.example.com",
            "forcepathstyle": "true", "encrypt": true, "keyid": "kms", "secure": false, "skipverify": true,
            "v4auth": false, "chunksize": "5242880", "multipartcopychunksize": 6_000_000,
            "multipartcopymaxconcurrency": 3, "multipartcopythresholdsize": 0, "rootdirectory": "/images",
            "storageclass": "standard_ia", "objectacl": "public-read", "useragent": "agent/1",
            "loglevel": "debugwithsigning", "memory": 50_000_000, "retries": 0, "retrydeadline": "7s",
        }))
        .unwrap();
        let mut expected = S3Options::new("b", "eu-central-1");
        expected.credentials = Some(S3Credentials {
            access_key: "key".to_owned(),
            secret_key: Secret::new("secret"),
            session_token: Some(Secret::new("token")),
        });
        expected.endpoint = Some("objects.example.com:9000".to_owned());
        expected.redirect_endpoint = Some("https://cdn.example.com".to_owned());
        expected.path_style = true;
        expected.encryption = S3Encryption::Kms("kms".to_owned());
        expected.secure = false;
        expected.v4_auth = false;
        expected.copy_part = 6_000_000;
        expected.copy_concurrency = 3;
        expected.copy_threshold = 0;
        expected.storage_class = Some("STANDARD_IA".to_owned());
        expected.acl = Some("public-read".to_owned());
        expected.log = S3Log::Signing;
        expected.bucket.root = "/images".to_owned();
        expected.bucket.part_size = 5_242_880;
        expected.bucket.memory = 50_000_000;
        expected.bucket.skip_verify = true;
        expected.bucket.user_agent = Some("agent/1".to_owned());
        expected.bucket.retries = 0;
        expected.bucket.retry_deadline = Duration::from_secs(7);
        assert_eq!(found, expected);
        let found = s3(json!({"usedualstack": true, "accelerate": "1".parse::<i64>().is_ok()})).unwrap();
        assert!(found.dual_stack && found.accelerate && !found.fips);
        assert!(s3(json!({"usefipsendpoint": true})).unwrap().fips);
    }

    #[test]
    fn what_is_left_out_has_the_default() {
        assert_eq!(s3(json!({})).unwrap(), S3Options::new("b", "eu-central-1"));
        assert_eq!(s3(json!({"objectacl": "private"})).unwrap().acl, None, "it is so without a word");
        assert_eq!(s3(json!({"storageclass": "none"})).unwrap().storage_class, None);
        assert_eq!(s3(json!({"chunksize": 64 << 20})).unwrap().bucket.memory, 128 << 20, "two parts");
        let elsewhere = read(json!({"bucket": "b", "regionendpoint": "http://x"}), S3Options::read).unwrap();
        assert_eq!(elsewhere.region, "us-east-1");
    }

    #[test]
    fn mistakes_in_s3_are_told() {
        let base = json!({"bucket": "b", "region": "eu-central-1"});
        refused(
            &base,
            S3Options::read,
            &[
                (json!({"bucket": ""}), "bucket: no bucket parameter provided"),
                (json!({"region": null}), "region: no region parameter provided"),
                (json!({"region": "Frankfurt"}), "region: invalid region provided: Frankfurt"),
                (json!({"accesskey": "k"}), "secretkey: is missing beside accesskey"),
                (json!({"secretkey": "k"}), "accesskey: is missing beside secretkey"),
                (json!({"sessiontoken": "k"}), "sessiontoken: belongs to accesskey and secretkey"),
                (json!({"keyid": "k"}), "keyid: encrypts nothing without encrypt: true"),
                (json!({"encrypt": "perhaps"}), "encrypt: has to be true or false"),
                (
                    json!({"accelerate": true, "regionendpoint": "http://x"}),
                    "accelerate: transfer acceleration is",
                ),
                (json!({"v4auth": false}), "v4auth: on Amazon S3"),
                (
                    json!({"v4auth": false, "regionendpoint": "https://s3.amazonaws.com"}),
                    "v4auth: on Amazon S3",
                ),
                (json!({"chunksize": "10MB"}), "chunksize: has to be a whole number"),
                (json!({"chunksize": 10}), "chunksize: 10 has to be a number between 5242880 and 5368709120"),
                (json!({"multipartcopychunksize": 1}), "multipartcopychunksize: 1 has to be"),
                (
                    json!({"multipartcopymaxconcurrency": 0}),
                    "multipartcopymaxconcurrency: 0 has to be at least 1",
                ),
                (json!({"multipartcopythresholdsize": -1}), "multipartcopythresholdsize: -1 has to be"),
                (
                    json!({"storageclass": "GLACIER"}),
                    "storageclass: the storageclass parameter must be one of",
                ),
                (json!({"objectacl": "mine"}), "objectacl: invalid value for objectacl parameter: mine"),
                (
                    json!({"redirectendpoint": "cdn.example.com"}),
                    "redirectendpoint: \"cdn.example.com\" has no scheme",
                ),
                (json!({"redirectendpoint": "https://x/base"}), "redirectendpoint: it cannot have a path"),
                (json!({"redirectendpoint": "https://x?a=b"}), "has a query"),
                (json!({"regionendpoint": "ftp://x"}), "regionendpoint: \"ftp://x\" is not a URL"),
                (json!({"regionendpoint": "https://me:secret@x"}), "regionendpoint: there is a user in it"),
                (
                    json!({"accelerate": true, "usefipsendpoint": true}),
                    "accelerate: transfer acceleration needs",
                ),
                (json!({"useragent": "a\nb"}), "useragent: "),
                (json!({"memory": 1000}), "memory: 1000 is less than one part of an upload (8388608 bytes)"),
                (json!({"retries": 1000}), "retries: 1000 has to be"),
                (json!({"retrydeadline": "1ms"}), "retrydeadline: has to be a time of at least 1s"),
                (json!({"buckett": "b"}), "unknown key buckett"),
            ],
        );
        let both = read(json!({"chunksize": 1, "unknown": 1}), S3Options::read).unwrap_err();
        for part in ["no bucket", "no region", "chunksize: 1", "unknown key unknown"] {
            assert!(both.contains(part), "{both}");
        }
    }

    #[test]
    fn every_level_of_the_log_is_known() {
        for (level, expected) in [
            (json!("off"), S3Log::Off),
            (json!(false), S3Log::Off),
            (json!("loud"), S3Log::Off),
            (json!("Debug"), S3Log::Requests),
            (json!("debugwitheventstreambody"), S3Log::Requests),
            (json!("debugwithhttpbody"), S3Log::Requests),
            (json!("debugwithsigning"), S3Log::Signing),
            (json!("debugwithrequestretries"), S3Log::Retries),
            (json!("debugwithrequesterrors"), S3Log::Errors),
        ] {
            assert_eq!(s3(json!({"loglevel": level})).unwrap().log, expected, "{level}");
        }
    }
}

#[cfg(feature = "gcs")]
mod gcs {
    use super::super::super::options::{GcsCredentials, GcsOptions, Secret};
    use super::*;

    fn gcs(more: Value) -> Result<GcsOptions, String> {
        read(with(&json!({"bucket": "b"}), more), GcsOptions::read)
    }

    #[test]
    fn every_gcs_key_is_read() {
        let found = gcs(json!({
            "keyfile": "/k.json", "rootdirectory": "/images/", "chunksize": "16777216", "maxconcurrency": "60",
            "useragent": "agent/1", "endpoint": "https://storage.example.com", "memory": 50_000_000,
        }))
        .unwrap();
        let mut expected = GcsOptions::new("b");
        expected.credentials = GcsCredentials::File("/k.json".into());
        expected.bucket.root = "/images/".to_owned();
        expected.bucket.part_size = 16 << 20;
        expected.bucket.memory = 50_000_000;
        expected.bucket.user_agent = Some("agent/1".to_owned());
        expected.max_concurrency = 60;
        expected.endpoint = Some("https://storage.example.com".to_owned());
        assert_eq!(found, expected);
        assert_eq!(gcs(json!({})).unwrap(), GcsOptions::new("b"));
        assert_eq!(gcs(json!({"maxconcurrency": 1})).unwrap().max_concurrency, 25);
        assert_eq!(gcs(json!({"chunksize": 262_144})).unwrap().bucket.part_size, 5 << 20);
    }

    #[test]
    fn the_fields_of_a_key_file_make_one() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for written in [key.to_owned(), key.replace('\n', "\\n")] {
            let credentials = json!({"private_key": written, "client_email": "r@p", "client_id": 2});
            let found = gcs(json!({ "credentials": credentials })).unwrap().credentials;
            let GcsCredentials::Json(json) = found else { panic!("{found:?}") };
            let json: Value = serde_json::from_str(json.expose()).unwrap();
            assert_eq!(json["private_key"], key);
            assert_eq!(
                (json["type"].as_str(), json["client_id"].as_str()),
                (Some("service_account"), Some("2"))
            );
        }
        let both = gcs(json!({"keyfile": "/k", "credentials": {"client_email": "r@p"}})).unwrap();
        assert_eq!(both.credentials, GcsCredentials::File("/k".into()));
        let emulator = gcs(json!({"endpoint": "http://127.0.0.1:4443"})).unwrap().credentials;
        assert_eq!(emulator, GcsCredentials::Bearer(Secret::new("none")), "no token goes out in the clear");
    }

    #[test]
    fn mistakes_in_gcs_are_told() {
        refused(
            &json!({"bucket": "b"}),
            GcsOptions::read,
            &[
                (json!({"bucket": null}), "bucket: no bucket parameter provided"),
                (json!({"chunksize": 5}), "chunksize: 5 has to be a number between 262144"),
                (json!({"chunksize": 262_145}), "chunksize: 262145 should be a multiple of 262144"),
                (
                    json!({"credentials": {"type": "external_account"}}),
                    "credentials.type: \"external_account\"",
                ),
                (json!({"credentials": {"private_key": "k"}}), "credentials.client_email: is missing"),
                (json!({"credentials": {"client_email": "r@p"}}), "credentials.private_key: is missing"),
                (
                    json!({"credentials": {"client_email": "r@p", "private_key": "k"}}),
                    "credentials.private_key: is no private key in PEM",
                ),
                (json!({"credentials": {"colour": "red"}}), "unknown key credentials.colour"),
                (json!({"credentials": "x"}), "credentials: has to be a section"),
            ],
        );
    }
}

#[cfg(feature = "azure")]
mod azure {
    use super::super::super::options::{AzureCredentials, AzureOptions, Secret};
    use super::*;

    fn azure(more: Value) -> Result<AzureOptions, String> {
        let base = json!({"accountname": "a", "accountkey": "a2V5", "container": "c"});
        read(with(&base, more), AzureOptions::read)
    }

    #[test]
    fn every_azure_key_is_read() {
        let found = azure(json!({
            "credentials": {"type": "shared_key"}, "realm": "core.chinacloudapi.cn",
            "serviceurl": "https://blobs.example.com/", "rootdirectory": "/images", "max_retries": 7,
            "retry_delay": "2s", "skipverify": "true", "memory": 50_000_000, "retries": 2,
        }))
        .unwrap();
        let key = || AzureCredentials::SharedKey(Secret::new("a2V5"));
        let mut expected = AzureOptions::new("a", "c", key());
        expected.realm = "core.chinacloudapi.cn".to_owned();
        expected.service_url = Some("https://blobs.example.com".to_owned());
        expected.bucket.root = "/images".to_owned();
        expected.bucket.skip_verify = true;
        expected.bucket.memory = 50_000_000;
        expected.bucket.retries = 2;
        expected.copy_polls = 7;
        expected.copy_delay = Duration::from_secs(2);
        assert_eq!(found, expected);
        assert_eq!(
            azure(json!({})).unwrap(),
            AzureOptions::new("a", "c", key()),
            "as published examples have it"
        );
        assert_eq!(azure(json!({"max_retries": -1})).unwrap().copy_polls, 0);
        assert_eq!(azure(json!({"max_retries": 0})).unwrap().copy_polls, 5);
    }

    #[test]
    fn each_kind_of_credentials_is_read() {
        let principal = json!({"type": "client_secret", "clientid": "i", "tenantid": "t", "secret": "s"});
        let found = azure(json!({"accountkey": null, "credentials": principal})).unwrap().credentials;
        let expected = AzureCredentials::ClientSecret {
            tenant: "t".to_owned(),
            client: "i".to_owned(),
            secret: Secret::new("s"),
        };
        assert_eq!(found, expected);
        let default = json!({"accountkey": null, "credentials": {"type": "default_credentials"}});
        assert_eq!(azure(default).unwrap().credentials, AzureCredentials::Default);
    }

    #[test]
    fn a_connection_string_says_what_other_keys_do_not() {
        let string =
            "DefaultEndpointsProtocol=https;AccountName=from;AccountKey=a2V5PT0=;EndpointSuffix=core.x";
        let keys = json!({"accountname": null, "accountkey": null, "connectionstring": string});
        let found = azure(keys).unwrap();
        assert_eq!((found.account.as_str(), found.realm.as_str()), ("from", "core.x"));
        assert_eq!(found.credentials, AzureCredentials::SharedKey(Secret::new("a2V5PT0=")));
        assert_eq!(
            azure(json!({ "connectionstring": string })).unwrap().account,
            "a",
            "other keys come first"
        );
        let emulator = "AccountName=d;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:10000/d;DefaultEndpointsProtocol=http";
        let found = azure(json!({ "connectionstring": emulator })).unwrap();
        assert_eq!(found.service_url.as_deref(), Some("http://127.0.0.1:10000/d"));
    }

    #[test]
    fn mistakes_in_azure_are_told() {
        refused(
            &json!({"accountname": "a", "accountkey": "a2V5", "container": "c"}),
            AzureOptions::read,
            &[
                (json!({"accountname": ""}), "accountname: no accountname parameter provided"),
                (json!({"container": ""}), "container: no container parameter provided"),
                (json!({"accountkey": ""}), "credentials.type: is missing, and so is accountkey"),
                (json!({"accountkey": "?"}), "accountkey: is not base64"),
                (
                    json!({"credentials": {"type": "magic"}}),
                    "credentials.type: invalid credentials type: \"magic\"",
                ),
                (
                    json!({"accountkey": "", "credentials": {"type": "shared_key"}}),
                    "accountkey: is missing: credentials.type is shared_key",
                ),
                (json!({"credentials": {"type": "client_secret"}}), "credentials.tenantid: is missing"),
                (json!({"max_retries": -2}), "max_retries: -2 has to be a small number, or -1 for none"),
                (json!({"serviceurl": "blobs"}), "serviceurl: \"blobs\" is no URL"),
                (json!({"connectionstring": "secret"}), "connectionstring: is not of the form"),
                (
                    json!({"connectionstring": "UseDevelopmentStorage=true"}),
                    "usedevelopmentstorage is not supported",
                ),
                (json!({"connectionstring": "Colour=red"}), "connectionstring: has a field"),
                (json!({"connectionstring": "DefaultEndpointsProtocol=http"}), "has to be https"),
            ],
        );
    }
}
