//! Texts as URLs and signatures want them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but unreserved characters (RFC 3986 2.3), as signatures want it.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// A text as part of a query.
pub(crate) fn percent(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A key as the path of a URL: its slashes are slashes there too.
pub(crate) fn percent_path(key: &str) -> String {
    utf8_percent_encode(key, RESERVED_IN_PATH).to_string()
}

/// Whether a URL can name this key. One with a segment `.` or `..`, escaped or not, is that of another key by the
/// time it is sent (RFC 3986 5.2.4).
pub(crate) fn is_in_urls(key: &str) -> bool {
    !key.split('/').any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    //! What is escaped.

    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(percent("a/b c~d+é"), "a%2Fb%20c~d%2B%C3%A9");
        assert_eq!(percent_path("a/b c_d%"), "a/b%20c_d%25");
    }

    #[test]
    fn segments_of_dots_are_in_no_url() {
        for (key, named) in
            [("a/../b", false), ("./a", false), ("a/..", false), ("a..b/...", true), ("a//b", true)]
        {
            assert_eq!(is_in_urls(key), named, "{key}");
        }
    }
}
