//! `REGISTRY_…_FILE`: values out of files.

use super::*;

/// A file with `content`, and its path.
fn file(content: &[u8]) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (file, path)
}

fn secret(content: &[u8]) -> String {
    let (_file, path) = file(content);
    let config = clean(BASE, &[("REGISTRY_HTTP_SECRET_FILE", &path)]);
    config.http.secret.unwrap().expose().to_owned()
}

#[test]
fn the_text_is_taken_as_it_is_without_the_line_end() {
    for (content, expected) in [
        ("hunter2\n", "hunter2"),
        ("hunter2", "hunter2"),
        ("hunter2\r\n", "hunter2"),
        ("  a: b #c ", "  a: b #c "),
        ("\"quoted\"\n", "\"quoted\""),
        ("two\nlines\n", "two\nlines"),
        ("null\n", "null"),
    ] {
        assert_eq!(secret(content.as_bytes()), expected, "{content:?}");
    }
}

#[test]
fn any_single_value_can_be_in_a_file() {
    let (_level, level) = file(b"debug\n");
    let (_number, number) = file(b"5\n");
    let (_password, password) = file(b"p\n");
    let (_header, header) = file(b"nosniff\n");
    let config = clean(
        BASE,
        &[
            ("REGISTRY_LOG_LEVEL_FILE", &level),
            ("REGISTRY_CATALOG_MAXENTRIES_FILE", &number),
            ("REGISTRY_HTTP_HEADERS_X-A_0_FILE", &header),
            (
                "REGISTRY_LOG_HOOKS",
                "[{type: mail, levels: [error], options: {smtp: {addr: 'm:1', username: u}, from: a@b.c, to: [a@b.c]}}]",
            ),
            ("REGISTRY_LOG_HOOKS_0_OPTIONS_SMTP_PASSWORD_FILE", &password),
        ],
    );
    assert_eq!((config.log.level, config.catalog_max_entries), (crate::config::Level::Debug, 5));
    assert_eq!(config.http.headers[0].1, "nosniff");
    assert_eq!(config.log.hooks[0].credentials.as_ref().unwrap().1.expose(), "p");
}

#[test]
fn keys_that_end_in_file_are_keys() {
    let found = errors(BASE, &[("REGISTRY_HEALTH_FILE_0_INTERVAL", "soon")]);
    assert!(found.iter().all(|line| line.contains("health.file")), "{found:?}");
    let fields = clean(BASE, &[("REGISTRY_LOG_FIELDS_MY_FILE", "x")]).log.fields;
    assert_eq!(fields, [("my_file".to_owned(), "x".into())]);
    // Nothing that a file could be about.
    for name in ["REGISTRY_NOTHING_FILE", "REGISTRY_HTTP_FILE", "REGISTRY_FILE"] {
        let found = warnings(BASE, &[(name, "/x")]);
        assert_eq!(found, [format!("{name}: not a configuration key, ignored")]);
    }
}

#[test]
fn a_file_and_a_value_for_one_key_are_an_error() {
    let (_file, path) = file(b"x");
    let variables = [("REGISTRY_HTTP_SECRET", "y"), ("REGISTRY_HTTP_SECRET_FILE", path.as_str())];
    assert_eq!(
        errors(BASE, &variables),
        [
            "REGISTRY_HTTP_SECRET_FILE: http.secret: is set by REGISTRY_HTTP_SECRET as well; unset one of the two"
        ]
    );
    let text = format!("{BASE}http: {{secret: z}}\n");
    let config = clean(&text, &[("REGISTRY_HTTP_SECRET", ""), variables[1]]);
    assert_eq!(config.http.secret.unwrap().expose(), "x", "an empty variable sets nothing");
    let config = clean(&text, &[("REGISTRY_HTTP_SECRET_FILE", "")]);
    assert_eq!(config.http.secret.unwrap().expose(), "z", "and points nowhere");
}

#[test]
fn files_that_hold_no_value_are_refused_without_showing_them() {
    let refused = |content: &[u8]| {
        let (_file, path) = file(content);
        let found = errors(BASE, &[("REGISTRY_HTTP_SECRET_FILE", &path)]);
        let start = format!("REGISTRY_HTTP_SECRET_FILE: http.secret: cannot read the value from {path}: ");
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].strip_prefix(&start).unwrap_or_else(|| panic!("{found:?}")).to_owned()
    };
    assert_eq!(refused(b"\n"), "it is empty");
    assert_eq!(refused(b"hunter2\xff"), "it is not UTF-8 text");
    assert_eq!(refused(&[b'x'; (1 << 20) + 1]), "it is larger than 1 MiB");
    let found = errors(BASE, &[("REGISTRY_HTTP_SECRET_FILE", "/none/x")]);
    assert!(found[0].contains("cannot read the value from /none/x: No such file or directory"), "{found:?}");
    let (_file, path) = file(b"loud");
    let found = errors(BASE, &[("REGISTRY_CATALOG_MAXENTRIES_FILE", &path)]);
    assert!(
        found[0].starts_with("REGISTRY_CATALOG_MAXENTRIES_FILE: catalog.maxentries: expected a whole"),
        "{found:?}"
    );
}
