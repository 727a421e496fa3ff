//! `middleware.storage` and `storage.redirect`.

use std::time::Duration;

use ::http::Method;
use registry::core::Network;
use registry::middleware::storage::cloudfront::AwsRanges;
use registry::middleware::storage::{BaseUrl, Rewrite};

use super::*;
use crate::config::model::{CloudFront, Redirects, StorageMiddleware};

const BUCKET: &str = "version: 0.1\nstorage: {s3: {region: eu-north-1, bucket: images}}\n";
const NEEDED: &str = "baseurl: d111.cloudfront.net, privatekey: /k.pem, keypairid: K2JC";

fn cloudfront(options: &str, environment: &[(&str, &str)]) -> CloudFront {
    let text = format!("{BUCKET}middleware: {{storage: [{{name: cloudfront, options: {{{options}}}}}]}}\n");
    match clean(&text, environment).storage_middleware.as_slice() {
        [StorageMiddleware::CloudFront(options)] => options.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn storage_middleware_is_read_in_order_and_what_is_disabled_is_left_out() {
    let text = "\
middleware:
  storage:
    - name: redirect
      options: {baseurl: https://one.example.com/x/}
    - name: redirect
      disabled: true
      options: {baseurl: nonsense, host: x}
    - {}
    - name: Rewrite
      disabled: false
      options: {scheme: http, host: cdn.example.com:8080, trimpathprefix: /x}
    - name: redirect
      options: {baseurl: http://127.0.0.1:8080}
";
    let config = clean(&format!("{BASE}{text}"), &[]);
    let rewrite = Rewrite::new().with_scheme("http").unwrap().with_host("cdn.example.com:8080").unwrap();
    match config.storage_middleware.as_slice() {
        [
            StorageMiddleware::Redirect(one),
            StorageMiddleware::Rewrite(two),
            StorageMiddleware::Redirect(three),
        ] => {
            assert_eq!(*one, BaseUrl::parse("https://one.example.com/x").unwrap());
            assert_eq!(*two, rewrite.with_trimmed_prefix("/x"));
            assert_eq!(*three, BaseUrl::parse("http://127.0.0.1:8080").unwrap());
        }
        other => panic!("{other:?}"),
    }
    let variables = [
        ("REGISTRY_MIDDLEWARE_STORAGE_0_NAME", "redirect"),
        ("REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_BASEURL", "https://two.example.com"),
    ];
    let config = clean(&format!("{BASE}middleware: {{storage: []}}\n"), &variables);
    let expected = BaseUrl::parse("https://two.example.com").unwrap();
    assert!(
        matches!(config.storage_middleware.as_slice(), [StorageMiddleware::Redirect(url)] if *url == expected)
    );
}

#[test]
fn every_key_of_cloudfront_is_read() {
    let least = cloudfront(NEEDED, &[]);
    assert_eq!(least.base.to_string(), "https://d111.cloudfront.net");
    assert_eq!((least.private_key.to_str(), least.key_pair_id.as_str()), (Some("/k.pem"), "K2JC"));
    assert_eq!(least.private_key_at, "middleware.storage[0].options.privatekey");
    assert_eq!((least.duration, least.direct), (Duration::from_secs(1200), None));

    let hour = Duration::from_secs(3600);
    let all = "duration: 5m, ipfilteredby: awsregion, awsregion: 'EU-north-1, us-east-1,', updatefrequency: 1h, \
               iprangesurl: http://127.0.0.1/x";
    let all = cloudfront(&format!("{NEEDED}, {all}"), &[]);
    let ranges = AwsRanges::everywhere().with_url("http://127.0.0.1/x").unwrap().with_update_frequency(hour);
    let regions = ["eu-north-1".to_owned(), "us-east-1".to_owned()];
    assert_eq!((all.duration, all.direct), (Duration::from_secs(300), Some(ranges.with_regions(regions))));

    for (options, expected) in [
        ("ipfilteredby: aws", Some(AwsRanges::everywhere())),
        ("ipfilteredby: AWS", Some(AwsRanges::everywhere())),
        ("ipfilteredby: none", None),
        ("ipfilteredby: ''", None),
    ] {
        assert_eq!(cloudfront(&format!("{NEEDED}, {options}"), &[]).direct, expected, "{options}");
    }
    let variables = [
        ("REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_DURATION", "30s"),
        ("REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_IPFILTEREDBY", "aws"),
    ];
    let varied = cloudfront(NEEDED, &variables);
    assert_eq!((varied.duration, varied.direct), (Duration::from_secs(30), Some(AwsRanges::everywhere())));
}

#[test]
fn what_has_no_effect_on_middleware_is_told() {
    let middleware = |entry: &str| format!("middleware: {{storage: [{entry}]}}\n");
    let with = |options: &str| middleware(&format!("{{name: cloudfront, options: {{{NEEDED}, {options}}}}}"));
    for (base, text, expected) in [
        (BUCKET, with("awsregion: eu-north-1"), "awsregion: has no effect without ipfilteredby: awsregion"),
        (
            BUCKET,
            with("ipfilteredby: none, updatefrequency: 1h"),
            "updatefrequency: has no effect without ipfilteredby",
        ),
        (
            BUCKET,
            with("ipfilteredby: aws, updatefrenquency: 1h"),
            "updatefrenquency: deprecated; write updatefrequency",
        ),
        (
            BUCKET,
            middleware("{name: rewrite}"),
            "options.host: rewrites nothing without scheme, host or trimpathprefix",
        ),
        (
            BASE,
            middleware("{name: rewrite, options: {host: x}}"),
            "name: has no effect: there are no URLs to rewrite",
        ),
        (
            "version: 0.1\nstorage: {inmemory: , redirect: {disable: true}}\n",
            middleware("{name: redirect, options: {baseurl: http://x}}"),
            "name: has no effect with storage.redirect.disable: true",
        ),
    ] {
        let warnings = warnings(&format!("{base}{text}"), &[]);
        assert!(warnings.len() == 1 && warnings[0].contains(expected), "{text}\n{warnings:#?}");
    }
    let old = with("ipfilteredby: aws, updatefrenquency: 1h");
    let config = load_with(&format!("{BUCKET}{old}"), &[]).unwrap().config;
    let hourly = AwsRanges::everywhere().with_update_frequency(Duration::from_secs(3600));
    assert!(
        matches!(config.storage_middleware.as_slice(), [StorageMiddleware::CloudFront(found)] if found.direct == Some(hourly))
    );
}

#[test]
fn mistakes_in_storage_middleware_are_told() {
    let entry = |name: &str, options: &str| format!("{{name: {name}, options: {{{options}}}}}");
    let cloudfront = |options: &str| entry("cloudfront", options);
    for (base, entry, expected) in [
        (
            BASE,
            "{options: {baseurl: x}}".to_owned(),
            "[0].name: is missing; it is one of cloudfront, redirect, rewrite",
        ),
        (BASE, entry("x", ""), "[0].name: no storage middleware registered with name: \"x\"; it is one of"),
        (BASE, entry("redirect", ""), "[0].options.baseurl: no baseurl provided; write it like https://"),
        (BASE, "{name: redirect}".to_owned(), "[0].options.baseurl: no baseurl provided"),
        (
            BASE,
            entry("redirect", "baseurl: [a]"),
            "[0].options.baseurl: expected a single value, found a list",
        ),
        (BASE, entry("redirect", "baseurl: cdn.example.com"), "baseurl: no scheme specified; write it like"),
        (BASE, entry("redirect", "baseurl: 'https:///x'"), "baseurl: no host specified; write it like"),
        (BASE, entry("redirect", "baseurl: 'ftp://x'"), "baseurl: the scheme has to be http or https"),
        (
            BASE,
            entry("redirect", "baseurl: 'https://u:hunter2@x'"),
            "baseurl: cannot have a user; write it like",
        ),
        (BASE, entry("redirect", "baseurl: 'https://x/?a=b'"), "baseurl: cannot have a query or fragment"),
        (
            BASE,
            entry("redirect", "baseurl: 'https://x', host: y"),
            "options.host: redirect has no such option; it has baseurl",
        ),
        (
            BASE,
            entry("redirect", "baseurl: 'https://x', hots: y"),
            "options.hots: unknown key; did you mean middleware.storage.options.host?",
        ),
        (BUCKET, entry("rewrite", "scheme: ftp"), "options.scheme: the scheme has to be http or https"),
        (
            BUCKET,
            entry("rewrite", "host: a/b"),
            "options.host: is not a URL; write it like cdn.example.com:8443",
        ),
        (BASE, cloudfront(NEEDED), "[0].name: cloudfront needs a bucket, as with storage.s3"),
        (BUCKET, cloudfront("privatekey: /k, keypairid: K"), "options.baseurl: no baseurl provided"),
        (BUCKET, cloudfront("baseurl: x, keypairid: K"), "options.privatekey: no privatekey provided"),
        (BUCKET, cloudfront("baseurl: x, privatekey: /k"), "options.keypairid: no keypairid provided"),
        (
            BUCKET,
            cloudfront("baseurl: x, privatekey: '-----BEGIN RSA PRIVATE KEY-----', keypairid: K"),
            "options.privatekey: is a key; name the file",
        ),
        (
            BUCKET,
            cloudfront("baseurl: x, privatekey: /k, keypairid: 'K&x'"),
            "options.keypairid: has letters and digits only",
        ),
        (
            BUCKET,
            cloudfront(&format!("{NEEDED}, duration: soon")),
            "options.duration: \"soon\" is not a duration",
        ),
        (
            BUCKET,
            cloudfront(&format!("{NEEDED}, duration: 0s")),
            "options.duration: has to be a time of at least 1s",
        ),
        (
            BUCKET,
            cloudfront(&format!("{NEEDED}, ipfilteredby: all")),
            "options.ipfilteredby: ipfilteredby only allows the following values, not \"all\": none, aws, awsregion",
        ),
        (
            BUCKET,
            cloudfront(&format!("{NEEDED}, ipfilteredby: awsregion")),
            "options.awsregion: awsRegion is not defined; name regions",
        ),
        (
            BUCKET,
            cloudfront(&format!("{NEEDED}, ipfilteredby: awsregion, awsregion: [a]")),
            "options.awsregion: expected a single value",
        ),
        (
            BUCKET,
            cloudfront(&format!("{NEEDED}, ipfilteredby: aws, updatefrequency: -1s")),
            "options.updatefrequency: has to be a time",
        ),
        (
            BUCKET,
            cloudfront(&format!("{NEEDED}, ipfilteredby: aws, iprangesurl: /x")),
            "options.iprangesurl: is not a URL",
        ),
    ] {
        let errors = errors(&format!("{base}middleware: {{storage: [{entry}]}}\n"), &[]);
        assert!(errors[0].contains(expected) && errors[0].starts_with("c.yml:3:"), "{entry}\n{errors:#?}");
        assert!(!errors[0].contains("hunter2"), "{errors:#?}");
    }
    let lenient = load(
        &format!("{BASE}middleware: {{storage: [{}]}}\n", entry("redirect", "baseurl: 'https://x', hots: y")),
        "c.yml",
        Vec::new(),
        Strictness::Lenient,
    );
    assert!(lenient.is_ok());
}

fn redirects(redirect: &str, environment: &[(&str, &str)]) -> Redirects {
    let text = format!("version: 0.1\nstorage: {{inmemory: , redirect: {{{redirect}}}}}\n");
    clean(&text, environment).storage.redirects
}

#[test]
fn every_key_of_redirect_is_read() {
    let usual = Redirects {
        enabled: true,
        only: None,
        except: Vec::new(),
        methods: vec![Method::GET, Method::HEAD],
        min_size: 0,
        expiry: Duration::from_secs(1200),
    };
    assert_eq!(redirects("", &[]), usual);
    assert_eq!(redirects("networks: , methods: , expiry: ", &[]), usual);
    let text = "disable: true, networks: [10.0.0.0/8, 'fd00::/8'], exceptnetworks: [10.9.9.9], methods: [get], \
                minsize: 4096, expiry: 1h";
    let network = |text: &str| Network::parse(text).unwrap();
    let all = Redirects {
        enabled: false,
        only: Some(vec![network("10.0.0.0/8"), network("fd00::/8")]),
        except: vec![network("10.9.9.9")],
        methods: vec![Method::GET],
        min_size: 4096,
        expiry: Duration::from_secs(3600),
    };
    assert_eq!(redirects(text, &[]), all);
    let variables = [
        ("REGISTRY_STORAGE_REDIRECT_DISABLE", "true"),
        ("REGISTRY_STORAGE_REDIRECT_NETWORKS", "[10.0.0.0/8, 'fd00::/8']"),
        ("REGISTRY_STORAGE_REDIRECT_EXCEPTNETWORKS_0", "10.9.9.9"),
        ("REGISTRY_STORAGE_REDIRECT_METHODS", "[GET]"),
        ("REGISTRY_STORAGE_REDIRECT_MINSIZE", "4096"),
        ("REGISTRY_STORAGE_REDIRECT_EXPIRY", "1h"),
    ];
    assert_eq!(redirects("", &variables), all);
}

#[test]
fn mistakes_in_redirect_are_told() {
    for (text, expected) in [
        (
            "networks: 10.0.0.0/8",
            "storage.redirect.networks: expected a list such as [one, two], found a single value",
        ),
        ("networks: []", "storage.redirect.networks: is empty, so nobody would be redirected"),
        (
            "networks: [10.0.0.0/8, home]",
            "storage.redirect.networks[1]: \"home\" is not a network of clients, such as",
        ),
        (
            "exceptnetworks: [10.0.0.0/33]",
            "storage.redirect.exceptnetworks[0]: \"10.0.0.0/33\" is not a network",
        ),
        ("methods: []", "storage.redirect.methods: is empty, so nothing would be redirected"),
        (
            "methods: [GET, POST]",
            "storage.redirect.methods[1]: no blob is fetched with \"POST\"; there are GET, HEAD",
        ),
        ("minsize: -1", "storage.redirect.minsize: cannot be negative"),
        ("minsize: 4KiB", "storage.redirect.minsize: expected a whole number, found \"4KiB\""),
        ("expiry: 0s", "storage.redirect.expiry: has to be a time from 1s to 168h, such as 20m"),
        ("expiry: 169h", "storage.redirect.expiry: has to be a time from 1s to 168h"),
        ("expire: 1h", "storage.redirect.expire: unknown key; did you mean storage.redirect.expiry?"),
    ] {
        let text = format!("version: 0.1\nstorage: {{inmemory: , redirect: {{{text}}}}}\n");
        let errors = errors(&text, &[]);
        assert!(errors.len() == 1 && errors[0].contains(expected), "{text}{errors:#?}");
        assert!(errors[0].starts_with("c.yml:2:"), "{errors:#?}");
    }
}
