//! One plausible mistake each, and what the operator reads.

use super::*;
use crate::config::schema::UNSUPPORTED;

/// `text` goes after [`BASE`]; its first line is line 3.
#[test]
fn each_mistake_has_its_message() {
    let unsupported = |key: &str| format!("{key}: {UNSUPPORTED}");
    let mut wrong = Vec::new();
    for (text, expected) in [
        // Unknown keys.
        ("htpp: {}", "c.yml:3:1: htpp: unknown key; did you mean http?".to_owned()),
        ("http:\n  adr: :5000", "c.yml:4:3: http.adr: unknown key; did you mean http.addr?".to_owned()),
        ("prefix: /x/", "c.yml:3:1: prefix: unknown key; did you mean http.prefix?".to_owned()),
        ("addr: :5000", "c.yml:3:1: addr: unknown key; did you mean http.addr?".to_owned()),
        ("log:\n  levle: debug", "c.yml:4:3: log.levle: unknown key; did you mean log.level?".to_owned()),
        ("log: {accesslog: {disable: true}}", "c.yml:3:19: log.accesslog.disable: unknown key; did you mean log.accesslog.disabled?".to_owned()),
        ("delete: {enabled: true}", "c.yml:3:1: delete: unknown key; did you mean storage.delete?".to_owned()),
        ("zzz: 1", "c.yml:3:1: zzz: unknown key; remove it (docs/configuration.md lists what there is)".to_owned()),
        ("Http: {}", "c.yml:3:1: Http: unknown key; did you mean http?".to_owned()),
        ("auht: {htpasswd: {}}", "c.yml:3:1: auht: unknown key; did you mean auth?".to_owned()),
        ("auth: {htpaswd: {realm: r}}", "c.yml:3:8: auth.htpaswd: unknown key; did you mean auth.htpasswd?".to_owned()),
        ("auth: htpaswd", "c.yml:3:7: auth.htpaswd: unknown key; did you mean auth.htpasswd?".to_owned()),
        ("auth: false", "c.yml:3:7: auth.false: unknown key".to_owned()),
        ("tags: {max: 5}", "c.yml:3:8: tags.max: unknown key".to_owned()),
        ("proxy: {remoteurl: \"\", remoturl: x}", "c.yml:3:24: proxy.remoturl: unknown key; did you mean proxy.remoteurl?".to_owned()),
        ("health: {storagedriver: {enabled: false, threshhold: 3}}", "c.yml:3:42: health.storagedriver.threshhold: unknown key; did you mean health.storagedriver.threshold?".to_owned()),
        ("validation: {manifests: {indexes: {platformlist: [{arch: x}]}}}", "c.yml:3:52: validation.manifests.indexes.platformlist[0].arch: unknown key; did you mean validation.manifests.indexes.platformlist.architecture?".to_owned()),
        // Known, not here yet.
        ("auth:\n  htpasswd:\n    realm: r", "c.yml:4:3: auth.htpasswd.path: must be set for htpasswd access controller; name the file with the users".to_owned()),
        ("proxy:\n  username: u\n  remoteurl: https://x", format!("c.yml:5:3: {}", unsupported("proxy.remoteurl"))),
        ("middleware: {storage: [{name: redirect}]}", "c.yml:3:24: middleware.storage[0].options.baseurl: no baseurl provided; write it like https://cdn.example.com/path".to_owned()),
        ("middleware: {registry: [{name: readonly}]}", format!("c.yml:3:25: {}", unsupported("middleware.registry[0]"))),
        // Values that do not fit.
        ("log: debug", "c.yml:3:6: log: expected a section, found a single value".to_owned()),
        ("http: [a]", "c.yml:3:7: http: expected a section, found a list".to_owned()),
        ("log: {level: [debug]}", "c.yml:3:14: log.level: expected a single value, found a list".to_owned()),
        ("log: {level: trace}", "c.yml:3:14: log.level: invalid loglevel \"trace\"; it is one of error, warn, info, debug".to_owned()),
        ("log: {level: off}", "c.yml:3:14: log.level: invalid loglevel \"off\"; it is one of error, warn, info, debug".to_owned()),
        ("loglevel: verbose", "c.yml:3:11: loglevel: invalid loglevel \"verbose\"; it is one of error, warn, info, debug".to_owned()),
        ("log: {formatter: xml}", "c.yml:3:18: log.formatter: unsupported logging formatter: \"xml\"; use text, json or logstash".to_owned()),
        ("log: {accesslog: {disabled: \"true\"}}", "c.yml:3:29: log.accesslog.disabled: expected true or false; \"true\" is text, remove the quotes".to_owned()),
        ("log: {reportcaller: 1}", "c.yml:3:21: log.reportcaller: expected true or false, found \"1\"".to_owned()),
        ("http: {addr: 5000}", "c.yml:3:14: http.addr: \"5000\" is not an address such as :5000 or localhost:5000: the port is missing".to_owned()),
        ("http: {addr: 'localhost:http'}", "c.yml:3:14: http.addr: \"localhost:http\" is not an address such as :5000 or localhost:5000: the port is a number from 0 to 65535".to_owned()),
        ("http: {addr: ':99999'}", "c.yml:3:14: http.addr: \":99999\" is not an address such as :5000 or localhost:5000: the port is a number from 0 to 65535".to_owned()),
        ("http: {addr: '::1:5000'}", "c.yml:3:14: http.addr: \"::1:5000\" is not an address such as :5000 or localhost:5000: put brackets around an IPv6 address, as in [::1]:5000".to_owned()),
        ("http: {addr: '[::1:5000'}", "c.yml:3:14: http.addr: \"[::1:5000\" is not an address such as :5000 or localhost:5000: the closing bracket is missing".to_owned()),
        ("http: {addr: 'http://a:5000'}", "c.yml:3:14: http.addr: \"http://a:5000\" is not an address such as :5000 or localhost:5000: put brackets around an IPv6 address, as in [::1]:5000".to_owned()),
        ("http: {net: udp}", "c.yml:3:13: http.net: unknown address type \"udp\"; it is tcp or unix".to_owned()),
        ("http: {net: unix}", "c.yml:3:13: http.net: unix needs the path of a socket in http.addr".to_owned()),
        ("http: {prefix: nested}", "c.yml:3:16: http.prefix: \"nested\" has to start with a slash; no request would match it".to_owned()),
        ("http: {host: 'registry:5000'}", "c.yml:3:14: http.host: could not parse \"registry:5000\" as a URL; write it like https://registry.example.com".to_owned()),
        ("http: {host: 'ftp://registry'}", "c.yml:3:14: http.host: could not parse \"ftp://registry\" as a URL; write it like https://registry.example.com".to_owned()),
        ("http: {headers: {X-A: b}}", "c.yml:3:23: http.headers.X-A: expected a list such as [one, two], found a single value".to_owned()),
        ("http: {headers: {'X A': [b]}}", "c.yml:3:25: http.headers.X A: is not the name of a header".to_owned()),
        ("http: {headers: {X-A: [\"b\\nc\"]}}", "c.yml:3:23: http.headers.X-A: a value has a character that no header may carry".to_owned()),
        ("http: {draintimeout: 1d}", "c.yml:3:22: http.draintimeout: \"1d\" is not a duration such as 30s or 1h30m: unknown unit \"d\", use ns, us, ms, s, m or h".to_owned()),
        ("http: {draintimeout: 1.5}", "c.yml:3:22: http.draintimeout: \"1.5\" is not a duration such as 30s or 1h30m: a number without a unit (ns, us, ms, s, m, h)".to_owned()),
        ("http: {draintimeout: \"60\"}", "c.yml:3:22: http.draintimeout: \"60\" is not a duration such as 30s or 1h30m: a number without a unit (ns, us, ms, s, m, h)".to_owned()),
        ("http: {draintimeout: -9223372036854775808}", "c.yml:3:22: http.draintimeout: cannot be negative".to_owned()),
        ("http: {draintimeout: -1s}", "c.yml:3:22: http.draintimeout: cannot be negative".to_owned()),
        ("http: {timeouts: {body: soon}}", "c.yml:3:25: http.timeouts.body: \"soon\" is not a duration such as 30s or 1h30m: a number has to come before each unit".to_owned()),
        ("http: {timeouts: {header: -1s}}", "c.yml:3:27: http.timeouts.header: cannot be negative".to_owned()),
        ("http: {limits: {headerbytes: 4096}}", "c.yml:3:30: http.limits.headerbytes: has to be a number of bytes from 8192 to 262144".to_owned()),
        ("http: {limits: {headerbytes: 1000000}}", "c.yml:3:30: http.limits.headerbytes: has to be a number of bytes from 8192 to 262144".to_owned()),
        ("http: {limits: {connections: -1}}", "c.yml:3:30: http.limits.connections: cannot be negative".to_owned()),
        ("http: {relativeurls: maybe}", "c.yml:3:22: http.relativeurls: expected true or false, found \"maybe\"".to_owned()),
        ("http: {secret: {a: b}}", "c.yml:3:16: http.secret: expected a single value, found a section".to_owned()),
        ("notifications: {endpoints: [{name: a}]}", "c.yml:3:29: notifications.endpoints[0].url: is missing, so there is nobody to tell; write it like https://hooks.example.com/events".to_owned()),
        ("notifications: {endpoints: [{url: 'hooks:80/x'}]}", "c.yml:3:35: notifications.endpoints[0].url: is not a URL of http or https; write it like https://hooks.example.com/events".to_owned()),
        ("notifications: {endpoints: [{url: 'ftp://u:hunter2@x'}]}", "c.yml:3:35: notifications.endpoints[0].url: is not a URL of http or https; write it like https://hooks.example.com/events".to_owned()),
        ("notifications: {endpoints: {url: http://x}}", "c.yml:3:28: notifications.endpoints: expected a list of sections, found a section".to_owned()),
        ("notifications: {endpoints: [{url: http://x, headers: {X-A: b}}]}", "c.yml:3:60: notifications.endpoints[0].headers.X-A: expected a list such as [one, two], found a single value".to_owned()),
        ("notifications: {endpoints: [{url: http://x, timeout: soon}]}", "c.yml:3:54: notifications.endpoints[0].timeout: \"soon\" is not a duration such as 30s or 1h30m: a number has to come before each unit".to_owned()),
        ("notifications: {endpoints: [{url: http://x, threshold: 1s}]}", "c.yml:3:56: notifications.endpoints[0].threshold: expected a whole number, found \"1s\"".to_owned()),
        ("notifications: {endpoints: [{url: http://x, format: xml}]}", "c.yml:3:53: notifications.endpoints[0].format: unknown format \"xml\"; it is one of distribution, cloudevents, cloudevents-binary".to_owned()),
        ("notifications: {endpoints: [{url: http://x, batch: 5000}]}", "c.yml:3:52: notifications.endpoints[0].batch: has to be a number of events from 1 to 1000".to_owned()),
        ("notifications: {endpoints: [{url: http://x, batch: 2, format: cloudevents-binary}]}", "c.yml:3:52: notifications.endpoints[0].batch: one request has one event in the format cloudevents-binary; use cloudevents".to_owned()),
        ("notifications: {queue: {maxbytes: 1000}}", "c.yml:3:35: notifications.queue.maxbytes: has to be a number of bytes, at least 65536; an event has about 1000".to_owned()),
        ("notifications: {queue: {directory: /q}, endpoints: [{url: http://x}]}", "c.yml:3:53: notifications.endpoints[0].name: is missing; the queue of the endpoint in notifications.queue.directory needs it".to_owned()),
        ("notifications: {queue: {directory: /q}, endpoints: [{name: a, url: http://x}, {name: a, url: http://y}]}", "c.yml:3:86: notifications.endpoints[1].name: there is an endpoint \"a\" already, and they need a queue each".to_owned()),
        ("http: {host: 'https://hub.example.com:port'}", "c.yml:3:14: http.host: could not parse \"https://hub.example.com:port\" as a URL; write it like https://registry.example.com".to_owned()),
        ("http: {host: 'https://hub.example.com:70000/x'}", "c.yml:3:14: http.host: could not parse \"https://hub.example.com:70000/x\" as a URL; write it like https://registry.example.com".to_owned()),
        ("catalog: {maxentries: many}", "c.yml:3:23: catalog.maxentries: expected a whole number, found \"many\"".to_owned()),
        ("catalog: {maxentries: '5'}", "c.yml:3:23: catalog.maxentries: expected a whole number, found \"5\" in quotes".to_owned()),
        ("tags: {maxtags: -1}", "c.yml:3:17: tags.maxtags: has to be a non-negative integer; 0 means the default".to_owned()),
        ("validation: {manifests: {urls: {allow: ['(']}}}", "c.yml:3:40: validation.manifests.urls.allow: \"(\" is not a regular expression: unclosed group".to_owned()),
        ("validation: {manifests: {urls: {deny: a}}}", "c.yml:3:39: validation.manifests.urls.deny: expected a list such as [one, two], found a single value".to_owned()),
        ("validation: {manifests: {images: {layers: some}}}", "c.yml:3:43: validation.manifests.images.layers: invalid layers option \"some\"; it is one of all, none".to_owned()),
        ("validation: {manifests: {indexes: {platforms: some}}}", "c.yml:3:47: validation.manifests.indexes.platforms: invalid platforms option \"some\"; it is one of all, none, list".to_owned()),
        // Broken documents.
        ("version: 0.1", "c.yml:3:1: version: this key is already given at line 1".to_owned()),
        ("http:\n  addr: :1\n  addr: :2", "c.yml:5:3: http.addr: this key is already given at line 4".to_owned()),
        ("http: {addr: [a}", "c.yml:3:14: http.addr: not valid YAML: mismatched bracket".to_owned()),
        ("http:\n\taddr: x", "c.yml:4:2: http: not valid YAML".to_owned()),
        ("log: {fields: *missing}", "c.yml:3:15: log.fields: not valid YAML: while parsing node, found unknown anchor".to_owned()),
        ("? [a]\n: b", "c.yml:3:3: a key has to be a single word".to_owned()),
        ("log: !custom {level: info}\nhttp: {secret: !custom x}", "c.yml:4:24: http.secret: the tag !custom is not supported".to_owned()),
        ("<<: text", "c.yml:3:5: only a section can be merged with <<".to_owned()),
        ("log: &l {fields: {a: *l}}", "c.yml:3:22: log.fields.a: this alias points into its own value".to_owned()),
    ] {
        let errors = errors(&format!("{BASE}{text}\n"), &[]);
        if errors.len() != 1 || !errors[0].starts_with(&expected) {
            wrong.push(format!("{text}\n expected {expected:?}\n got {errors:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mistakes_in_version_and_storage() {
    let mut wrong = Vec::new();
    for (text, expected) in [
        ("storage: inmemory", "c.yml: version: is missing; add the line version: 0.1"),
        ("version: 0.10\nstorage: inmemory", "c.yml:1:10: version: unsupported version: \"0.10\"; write 0.1"),
        (
            "version: \"1.0\"\nstorage: inmemory",
            "c.yml:1:10: version: unsupported version: \"1.0\"; write 0.1",
        ),
        (
            "version: latest\nstorage: inmemory",
            "c.yml:1:10: version: unsupported version: \"latest\"; write 0.1",
        ),
        (
            "version: 0.1",
            "c.yml: storage: no storage configuration provided; name a driver, such as filesystem",
        ),
        (
            "version: 0.1\nstorage: {}",
            "c.yml: storage: no storage configuration provided; name a driver, such as filesystem",
        ),
        (
            "version: 0.1\nstorage: {delete: {enabled: true}}",
            "c.yml: storage: no storage configuration provided; name a driver, such as filesystem",
        ),
        (
            "version: 0.1\nstorage:\n  inmemory:\n  filesystem:",
            "c.yml:4:3: storage: must provide exactly one storage type, found [inmemory filesystem] (inmemory by line 3, filesystem by line 4)",
        ),
        (
            "version: 0.1\nstorage: filesytem",
            "c.yml:2:10: storage.filesytem: unknown key; did you mean storage.filesystem?",
        ),
        (
            "version: 0.1\nstorage:\n  filesystem:\n  delet: {enabled: true}",
            "c.yml:4:3: storage.delet: unknown key; did you mean storage.delete?",
        ),
        (
            "version: 0.1\nstorage:\n  filesystem:\n    rootdir: /x",
            "c.yml:4:5: storage.filesystem.rootdir: unknown key; did you mean storage.filesystem.rootdirectory?",
        ),
        (
            "version: 0.1\nstorage:\n  rootdirectory: /x\n  filesystem:",
            "c.yml:3:3: storage.rootdirectory: unknown key; did you mean storage.filesystem.rootdirectory?",
        ),
        (
            "version: 0.1\nstorage: {inmemory: {size: 5}}",
            "c.yml:2:22: storage.inmemory.size: unknown key; remove it (docs/configuration.md lists what there is)",
        ),
        (
            "version: 0.1\nstorage: {filesystem: /data}",
            "c.yml:2:23: storage.filesystem: expected a section, found a single value",
        ),
        (
            "version: 0.1\nstorage: {filesystem: {rootdirectory: ''}}",
            "c.yml:2:39: storage.filesystem.rootdirectory: is empty; name a directory or leave the key out",
        ),
        (
            "version: 0.1\nstorage: {filesystem: {maxthreads: lots}}",
            "c.yml:2:36: storage.filesystem.maxthreads: expected a whole number, found \"lots\"",
        ),
        (
            "version: 0.1\nstorage: {swift: {}}",
            "c.yml:2:11: storage.swift: this storage driver was dropped from the original registry too; use another one",
        ),
        (
            "version: 0.1\nstorage: {inmemory: , delete: {enabled: 'true'}}",
            "c.yml:2:41: storage.delete.enabled: expected true or false; \"true\" is text, remove the quotes",
        ),
        (
            "version: 0.1\nstorage: {inmemory: , maintenance: {readonly: true}}",
            "c.yml:2:47: storage.maintenance.readonly: expected a section, found a single value",
        ),
        (
            "version: 0.1\nstorage: {inmemory: , tag: {concurrencylimit: -1}}",
            "c.yml:2:47: storage.tag.concurrencylimit: the tag lookup concurrency limit has to be a non-negative integer",
        ),
        (
            "version: 0.1\nstorage: {inmemory: , tag: {concurrencylimit: '8'}}",
            "c.yml:2:47: storage.tag.concurrencylimit: expected a whole number, found \"8\" in quotes",
        ),
        (
            "version: 0.1\nstorage: {inmemory: , cache: {blobdescriptor: inmemory, blobdescriptorsize: 1k}}",
            "c.yml:2:77: storage.cache.blobdescriptorsize: expected a whole number, found \"1k\"",
        ),
        ("- a", "c.yml:1:1: expected keys such as version: 0.1, found a list"),
        ("just text", "c.yml:1:1: expected keys such as version: 0.1, found a single value"),
    ] {
        let errors = errors(text, &[]);
        if errors != [expected] {
            wrong.push(format!("{text}\n expected {expected:?}\n got {errors:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let purging =
        "version: 0.1\nstorage: {inmemory: , maintenance: {uploadpurging: {age: 168, interval: 1h}}}";
    assert_eq!(
        errors(purging, &[]),
        ["c.yml:2:58: storage.maintenance.uploadpurging.age: has to be a time of at least 1s, such as 168h"]
    );
}

#[test]
fn everything_wrong_is_reported_at_once_in_order() {
    let text = "log: {level: loud}\nstorage: {inmemory: , s3: }\nhtpp: {}\nhttp: {addr: x, net: udp}\n";
    let found = errors(text, &[("REGISTRY_HTTP_DRAINTIMEOUT", "soon")]);
    let starts: Vec<&str> = found.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        starts,
        ["c.yml", "c.yml:1:14", "c.yml:2:23", "c.yml:3:1", "c.yml:4:22", "REGISTRY_HTTP_DRAINTIMEOUT"],
        "{found:#?}"
    );
    assert!(found[0].starts_with("c.yml: version: is missing"));
}

#[test]
fn lenient_forgives_unknown_keys_and_nothing_else() {
    let lenient = |text: &str| load(&format!("{BASE}{text}"), "c.yml", [], Strictness::Lenient);
    let loaded = lenient("htpp: {}\nhttp: {adr: x}").unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "c.yml:3:1: htpp: ignored: unknown key; did you mean http?",
            "c.yml:4:8: http.adr: ignored: unknown key; did you mean http.addr?"
        ]
    );
    for text in [
        "http: {addr: x}",
        "http: {tls: {certificate: a}}",
        "http: {}\nhttp: {}",
        // Anything that may be a misspelled or misplaced request for access control.
        "auht: {}",
        "Auth: {}",
        "AUTH: {}",
        "oauth2: {}",
        "auths: {}",
        "auth: {htpaswd: {}}",
        "auth: {ldap: {}}",
        "auth: nonee",
        "htpasswd: {realm: r}",
        "token: {}",
        "http: {auth: {token: {}}}",
        "http: {htpaswd: {}}",
        "log: {auht: {}}",
    ] {
        assert!(lenient(text).is_err(), "{text}");
    }
    let unknown_driver = load("version: 0.1\nstorage: foo", "c.yml", [], Strictness::Lenient).unwrap_err();
    assert_eq!(
        unknown_driver.errors,
        [
            "c.yml:2:10: storage.foo: unknown storage driver; this version has filesystem, s3, gcs, azure and inmemory"
        ]
    );
}

#[test]
fn documents_built_to_exhaust_are_refused() {
    let mut bomb = format!("{BASE}log: {{fields: {{a0: &a0 [x, x]");
    for i in 1..40 {
        bomb.push_str(&format!(", a{i}: &a{i} [*a{}, *a{}]", i - 1, i - 1));
    }
    bomb.push_str("}}\n");
    assert!(errors(&bomb, &[])[0].contains("aliases make this document too large"));
    let deep = format!("{BASE}log: {{fields: {}1{}}}\n", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(errors(&deep, &[]).len(), 1);
    let mut tower = format!("{BASE}log: {{fields: {{a0: &a0 [x]");
    for i in 1..90 {
        tower.push_str(&format!(", a{i}: &a{i} [*a{}]", i - 1));
    }
    tower.push_str("}}\n");
    assert!(errors(&tower, &[])[0].contains("too deeply nested"));
}

#[test]
fn a_secret_is_never_part_of_a_message() {
    for text in ["http: {secret: [hunter2]}", "http: {secret: {hunter2: x}}", "http: {secrte: hunter2}"] {
        assert!(!errors(&format!("{BASE}{text}"), &[])[0].contains("hunter2"), "{text}");
    }
}

#[test]
fn broken_input_is_refused_without_a_panic() {
    let text = include_str!("../../../tests/fixtures/all-keys.yml");
    let middle = |at: usize| text.is_char_boundary(at);
    for at in (0..text.len()).step_by(97).filter(|at| middle(*at)) {
        let (head, tail) = text.split_at(at);
        for junk in ["", "\u{0}", "{", "]", "\"", "*x", "&x ", "!!", "\t", "é: ", "<<: ", "\n---\n", "- "] {
            _ = load(
                &format!("{head}{junk}{}", if junk.is_empty() { "" } else { tail }),
                "c.yml",
                [],
                if at % 2 == 0 { Strictness::Lenient } else { Strictness::Usual },
            );
        }
    }
    let names = [
        "REGISTRY_STORAGE",
        "REGISTRY_HTTP_HEADERS_A_0_B",
        "REGISTRY_LOG_FIELDS",
        "REGISTRY_LOG_FIELDS_A_B_C",
    ];
    for name in
        names.iter().chain(&["REGISTRY_AUTH", "REGISTRY_MIDDLEWARE_STORAGE_0", "REGISTRY_HTTP_DRAINTIMEOUT"])
    {
        for value in [
            "",
            "{",
            "[",
            "*x",
            "!x y",
            "{a: b}",
            "[a, [b]]",
            "a: b",
            "\u{0}",
            "-",
            "99999999999999999999",
            "'",
        ] {
            _ = load(BASE, "c.yml", variables(&[(name, value)]), Strictness::Usual);
        }
    }
}

/// Whatever a file consists of: a search of all keys before, for each key, would take minutes here.
#[test]
fn very_many_keys_are_read_and_refused() {
    let keys = |indent: &str, value: &str| -> String {
        (0..30_000).map(|number| format!("{indent}key-{number}: {value}\n")).collect()
    };
    let fields = clean(&format!("{BASE}log:\n  fields:\n{}", keys("    ", "v")), &[]).log.fields;
    assert_eq!(fields.len(), 30_000);
    let merged = format!("{BASE}log:\n  fields:\n    <<:\n{}    key-0: mine\n", keys("      ", "v"));
    assert_eq!(clean(&merged, &[]).log.fields.len(), 30_000);
    assert_eq!(errors(&format!("{BASE}{}", keys("", "v")), &[]).len(), 30_000);
    let again = format!("{BASE}log:\n  fields:\n{}    key-7: again\n", keys("    ", "v"));
    assert_eq!(
        errors(&again, &[]),
        ["c.yml:30005:5: log.fields.key-7: this key is already given at line 12"]
    );
}
