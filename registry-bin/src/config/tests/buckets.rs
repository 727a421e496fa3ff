//! `storage.s3`, `storage.gcs` and `storage.azure`: how a file and an environment have their keys. What the
//! keys mean is tested with the drivers (`registry-storage/src/drivers/bucket/keys/tests.rs`).

use std::time::Duration;

use registry::storage::bucket::{
    AzureCredentials, AzureOptions, GcsCredentials, GcsOptions, S3Credentials, S3Options, Secret,
};

use super::*;
use crate::config::model::{Bucket, Driver};
use crate::config::show;

const S3: &str = "version: 0.1\nstorage: {s3: {bucket: b, region: eu-central-1}}\n";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

fn bucket(text: &str, environment: &[(&str, &str)]) -> Bucket {
    match clean(text, environment).storage.driver {
        Driver::Bucket(bucket) => *bucket,
        other => panic!("{other:?}"),
    }
}

fn s3(text: &str, environment: &[(&str, &str)]) -> S3Options {
    match bucket(text, environment) {
        Bucket::S3(options) => options,
        other => panic!("{other:?}"),
    }
}

fn gcs(text: &str, environment: &[(&str, &str)]) -> GcsOptions {
    match bucket(text, environment) {
        Bucket::Gcs(options) => options,
        other => panic!("{other:?}"),
    }
}

fn azure(text: &str, environment: &[(&str, &str)]) -> AzureOptions {
    match bucket(text, environment) {
        Bucket::Azure(options) => options,
        other => panic!("{other:?}"),
    }
}

#[test]
fn buckets_are_read_from_a_file() {
    assert_eq!(s3(S3, &[]), S3Options::new("b", "eu-central-1"));
    assert_eq!(s3(&S3.replace("s3:", "s3aws:"), &[]), S3Options::new("b", "eu-central-1"));
    let found = s3(
        "version: 0.1
storage:
  s3:
    accesskey: 012
    secretkey: secret
    sessiontoken: token
    bucket: b
    regionendpoint: http://127.0.0.1:9000
    chunksize: '6291456'
    multipartcopychunksize: 0x600000
    storageclass: none
    loglevel: off
    skipverify: 't'
    secure: no
    v4auth: 1
    retrydeadline: 30s
",
        &[],
    );
    let mut expected = S3Options::new("b", "us-east-1");
    expected.credentials = Some(S3Credentials {
        access_key: "012".to_owned(),
        secret_key: Secret::new("secret"),
        session_token: Some(Secret::new("token")),
    });
    expected.endpoint = Some("http://127.0.0.1:9000".to_owned());
    expected.secure = false;
    expected.bucket.part_size = 6 << 20;
    expected.copy_part = 6 << 20;
    expected.storage_class = None;
    expected.bucket.skip_verify = true;
    expected.bucket.retry_deadline = Duration::from_secs(30);
    assert_eq!(found, expected);
}

#[test]
fn buckets_are_read_from_the_environment_alone() {
    let file = "version: 0.1\nstorage: {filesystem: {rootdirectory: /a}, delete: {enabled: true}}\n";
    let found = s3(
        file,
        &[
            ("REGISTRY_STORAGE", "s3"),
            ("REGISTRY_STORAGE_S3_BUCKET", "b"),
            ("REGISTRY_STORAGE_S3_REGION", "eu-central-1"),
            ("REGISTRY_STORAGE_S3_ENCRYPT", "true"),
            ("REGISTRY_STORAGE_S3_CHUNKSIZE", "10485760"),
        ],
    );
    let mut expected = S3Options::new("b", "eu-central-1");
    expected.encryption = registry::storage::bucket::S3Encryption::Service;
    expected.bucket.part_size = 10 << 20;
    // Two parts are the least.
    expected.bucket.memory = 20 << 20;
    assert_eq!(found, expected);
    let found = gcs(
        file,
        &[
            ("REGISTRY_STORAGE", "gcs"),
            ("REGISTRY_STORAGE_GCS_BUCKET", "b"),
            ("REGISTRY_STORAGE_GCS_CREDENTIALS_TYPE", "service_account"),
            ("REGISTRY_STORAGE_GCS_CREDENTIALS_CLIENT_EMAIL", "robot@p"),
            ("REGISTRY_STORAGE_GCS_CREDENTIALS_PRIVATE_KEY_ID", "1"),
            ("REGISTRY_STORAGE_GCS_CREDENTIALS_PRIVATE_KEY", PEM),
        ],
    );
    let GcsCredentials::Json(json) = found.credentials else { panic!("{found:?}") };
    let json: serde_json::Value = serde_json::from_str(json.expose()).unwrap();
    assert_eq!(json["client_email"], "robot@p");
    assert_eq!(json["private_key_id"], "1");
    assert_eq!(json["private_key"].as_str().map(str::trim_end), Some(PEM.trim_end()));
    let whole = format!("{{client_email: r@p, private_key: {PEM:?}}}");
    let found = gcs(
        file,
        &[
            ("REGISTRY_STORAGE", "gcs"),
            ("REGISTRY_STORAGE_GCS_BUCKET", "b"),
            ("REGISTRY_STORAGE_GCS_CREDENTIALS", &whole),
        ],
    );
    assert!(matches!(found.credentials, GcsCredentials::Json(_)), "{found:?}");
    let found = azure(
        file,
        &[
            ("REGISTRY_STORAGE", "azure"),
            ("REGISTRY_STORAGE_AZURE_ACCOUNTNAME", "12"),
            ("REGISTRY_STORAGE_AZURE_CONTAINER", "c"),
            ("REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE", "default_credentials"),
            ("REGISTRY_STORAGE_AZURE_MAX_RETRIES", "7"),
            ("REGISTRY_STORAGE_AZURE_RETRY_DELAY", "2s"),
        ],
    );
    let mut expected = AzureOptions::new("12", "c", AzureCredentials::Default);
    (expected.copy_polls, expected.copy_delay) = (7, Duration::from_secs(2));
    assert_eq!(found, expected);
}

#[test]
fn secrets_of_buckets_come_from_files_too() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hush\n").unwrap();
    let path = file.path().to_str().unwrap();
    let found =
        s3(S3, &[("REGISTRY_STORAGE_S3_ACCESSKEY", "k"), ("REGISTRY_STORAGE_S3_SECRETKEY_FILE", path)]);
    assert_eq!(found.credentials.unwrap().secret_key.expose(), "hush");
}

#[test]
fn both_names_of_azures_polling_work() {
    let base =
        "version: 0.1\nstorage:\n  azure:\n    accountname: a\n    accountkey: a2V5\n    container: c\n";
    let old = format!("{base}    copy_status_poll_max_retry: 7\n    copy_status_poll_delay: 2s\n");
    let loaded = load_with(&old, &[]).unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "c.yml:7:5: storage.azure.copy_status_poll_max_retry: deprecated; write storage.azure.max_retries instead",
            "c.yml:8:5: storage.azure.copy_status_poll_delay: deprecated; write storage.azure.retry_delay instead",
        ]
    );
    let new = format!("{base}    max_retries: 7\n    retry_delay: 2s\n");
    assert_eq!(loaded.config.storage.driver, clean(&new, &[]).storage.driver);
    let both = load_with(&format!("{old}    max_retries: 9\n"), &[]).unwrap().config.storage.driver;
    let Driver::Bucket(both) = both else { panic!("{both:?}") };
    assert!(matches!(*both, Bucket::Azure(AzureOptions { copy_polls: 9, .. })), "{both:?}");
    assert_eq!(
        errors(&format!("{base}    copy_status_poll_max_retry: -3\n"), &[]),
        ["c.yml:7:33: storage.azure.copy_status_poll_max_retry: -3 has to be a small number, or -1 for none"]
    );
}

#[test]
fn mistakes_in_buckets_have_a_place() {
    for (text, expected) in [
        (
            "s3: {region: eu-central-1}",
            &["c.yml:2:11: storage.s3.bucket: no bucket parameter provided; name the bucket"][..],
        ),
        (
            "s3: ",
            &[
                "c.yml:2:11: storage.s3.bucket: no bucket parameter provided; name the bucket",
                "c.yml:2:11: storage.s3.region: no region parameter provided; name one, such as eu-central-1",
            ],
        ),
        (
            "s3: {bucket: b, region: eu-central-1, chunksize: 10MB}",
            &["c.yml:2:60: storage.s3.chunksize: expected a whole number, found \"10MB\""],
        ),
        (
            "s3: {bucket: b, region: eu-central-1, encrypt: perhaps}",
            &["c.yml:2:58: storage.s3.encrypt: expected true or false, found \"perhaps\""],
        ),
        (
            "s3: {bucket: b, region: eu-central-1, keyid: k}",
            &[
                "c.yml:2:56: storage.s3.keyid: encrypts nothing without encrypt: true; set it, or leave keyid out",
            ],
        ),
        (
            "s3: {bucket: b, region: eu-central-1, chunk: 1}",
            &["c.yml:2:49: storage.s3.chunk: unknown key; did you mean storage.s3.chunksize?"],
        ),
        (
            "s3: {bucket: b, region: eu-central-1}, s3aws: {bucket: c}",
            &[
                "c.yml:2:50: storage: must provide exactly one storage type, found [s3 s3aws] (s3 by line 2, s3aws by line 2)",
            ],
        ),
        (
            "gcs: {bucket: b, credentials: {client_email: r@p}}",
            &[
                "c.yml:2:28: storage.gcs.credentials.private_key: is missing; copy every field of the key file, or name the file in keyfile",
            ],
        ),
        (
            "azure: {accountname: a, container: c}",
            &[
                "c.yml:2:11: storage.azure.credentials.type: is missing, and so is accountkey; it is client_secret, shared_key (with accountkey) or default_credentials",
            ],
        ),
    ] {
        assert_eq!(errors(&format!("version: 0.1\nstorage: {{{text}}}\n"), &[]), expected, "{text}");
    }
    assert_eq!(
        errors(S3, &[("REGISTRY_STORAGE_S3_V4AUTH", "false")]),
        [
            "REGISTRY_STORAGE_S3_V4AUTH: storage.s3.v4auth: on Amazon S3 this storage driver can only be used with v4 authentication; leave it out"
        ]
    );
}

#[test]
fn what_has_no_effect_is_a_warning() {
    for (text, expected) in [
        (
            "s3: {bucket: b, regionendpoint: http://x, usefipsendpoint: true}",
            "c.yml:2:70: storage.s3.usefipsendpoint: has no effect beside regionendpoint, which says where the service is",
        ),
        (
            "s3: {bucket: b, region: eu-central-1, loglevel: loud}",
            "c.yml:2:59: storage.s3.loglevel: unknown level \"loud\", counts as off; there are off, debug, debugwithsigning, debugwithrequestretries, debugwithrequesterrors",
        ),
        (
            "gcs: {bucket: b, chunksize: 262144}",
            "c.yml:2:39: storage.gcs.chunksize: 262144 counts as 5242880, the least that a part can have",
        ),
        (
            "gcs: {bucket: b, keyfile: /k, credentials: {client_email: r@p}}",
            "c.yml:2:54: storage.gcs.credentials: are not used: keyfile comes first",
        ),
    ] {
        assert_eq!(warnings(&format!("version: 0.1\nstorage: {{{text}}}\n"), &[]), [expected], "{text}");
    }
}

#[test]
fn several_replicas_need_what_they_have_in_common() {
    let with = |driver: &str, rest: &str| format!("version: 0.1\nstorage: {{{driver}, replicas: 3}}\n{rest}");
    let secret = "http: {secret: x}\n";
    assert_eq!(clean(S3, &[]).storage.replicas, 1);
    assert_eq!(clean(&with("s3: {bucket: b, region: eu-central-1}", secret), &[]).storage.replicas, 3);
    assert_eq!(clean(&with("filesystem: {rootdirectory: /a}", secret), &[]).storage.replicas, 3);
    assert_eq!(
        errors(&with("s3: {bucket: b, region: eu-central-1}", ""), &[]),
        [
            "c.yml: http.secret: must be set, to the same text for all of storage.replicas: they go on with the uploads of each other"
        ]
    );
    assert_eq!(
        errors(&with("inmemory: ", secret), &[]),
        ["c.yml:2:33: storage.replicas: 3 replicas have no memory in common; use another driver"]
    );
    assert_eq!(
        errors(S3, &[("REGISTRY_STORAGE_REPLICAS", "0")]),
        ["REGISTRY_STORAGE_REPLICAS: storage.replicas: has to be a number of at least 1"]
    );
}

#[test]
fn manifests_are_kept_for_buckets() {
    let with = |driver: &str, size: &str| {
        format!("version: 0.1\nstorage: {{{driver}, cache: {{manifestsize: {size}}}}}\n")
    };
    let s3 = "s3: {bucket: b, region: eu-central-1}";
    assert_eq!(clean(S3, &[]).storage.manifest_cache, 16 << 20);
    for (size, expected) in [
        ("0", 0),
        ("1048576", 1 << 20),
        ("'64MiB'", 64 << 20),
        ("10mb", 10_000_000),
        ("0x100", 256),
        ("", 16 << 20),
    ] {
        assert_eq!(clean(&with(s3, size), &[]).storage.manifest_cache, expected, "{size}");
        let variable = ("REGISTRY_STORAGE_CACHE_MANIFESTSIZE", size);
        assert_eq!(clean(S3, &[variable]).storage.manifest_cache, expected, "{size}");
    }
    for wrong in ["-1", "1.5MiB", "16 MiB", "lots", "'99999999999GiB'"] {
        let text = wrong.trim_matches('\'');
        assert_eq!(
            errors(&with(s3, wrong), &[]),
            [format!(
                "c.yml:2:72: storage.cache.manifestsize: expected a size such as 16MiB, found {text:?}"
            )]
        );
    }
    for tree in ["inmemory: ", "filesystem: {rootdirectory: /a}"] {
        for no_effect in ["0", "16MiB"] {
            clean(&with(tree, no_effect), &[]);
        }
        let warnings = warnings(&with(tree, "64MiB"), &[]);
        let expected = "storage.cache.manifestsize: has no effect: manifests are kept for buckets only";
        assert!(warnings.len() == 1 && warnings[0].contains(expected), "{warnings:?}");
    }
}

#[test]
fn secrets_of_buckets_are_not_shown() {
    let shown = |text: &str| show(text, "c.yml", [], Strictness::Usual).unwrap().0.yaml();
    let pem = format!("{PEM:?}");
    for text in [
        "s3: {bucket: b, region: eu-central-1, accesskey: k, secretkey: hush1, sessiontoken: hush2}".to_owned(),
        "azure: {accountname: a, container: c, accountkey: a2V5, connectionstring: 'AccountKey=a2V5', credentials: {secret: hush}}".to_owned(),
        format!("gcs: {{bucket: b, credentials: {{client_email: r@p, private_key: {pem}}}}}"),
    ] {
        let shown = shown(&format!("version: 0.1\nstorage: {{{text}}}\n"));
        for secret in ["hush", "a2V5", "BEGIN"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("********"), "{shown}");
    }
}

#[test]
fn what_is_shown_of_a_bucket_means_the_same() {
    for text in [
        "s3: {bucket: b, region: eu-central-1, chunksize: 67108864, objectacl: public-read}",
        "s3aws: {bucket: b, regionendpoint: 'http://127.0.0.1:9000'}",
        "gcs: {bucket: b, keyfile: /k, chunksize: 16777216}",
        "azure: {accountname: a, container: c, credentials: {type: default_credentials}, copy_status_poll_max_retry: 7}",
    ] {
        let text = format!("version: 0.1\nstorage: {{{text}}}\n");
        let shown = show(&text, "c.yml", [], Strictness::Usual).unwrap().0.yaml();
        assert_eq!(
            clean(&shown, &[]).storage.driver,
            load_with(&text, &[]).unwrap().config.storage.driver,
            "{shown}"
        );
    }
}

#[test]
fn a_bucket_says_where_it_is() {
    for (text, expected) in [
        (
            "s3: {bucket: b, region: eu-central-1, rootdirectory: /images/}",
            "the S3 bucket b in eu-central-1, below images/",
        ),
        ("s3: {bucket: b, regionendpoint: 'http://x'}", "the S3 bucket b at http://x"),
        ("gcs: {bucket: b}", "the Google bucket b"),
        (
            "azure: {accountname: a, accountkey: a2V5, container: c}",
            "the Azure container c of a.blob.core.windows.net",
        ),
    ] {
        assert_eq!(bucket(&format!("version: 0.1\nstorage: {{{text}}}\n"), &[]).describe(), expected);
    }
}
