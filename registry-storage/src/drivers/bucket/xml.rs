//! XML that services answer with.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::store::BucketError;

/// Why a request was refused: S3, the XML interface of Google and Azure write it alike.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ErrorBody {
    pub(crate) code: String,
    pub(crate) message: String,
    /// Where the bucket is, when the request went elsewhere.
    pub(crate) region: Option<String>,
}

/// The refusal in a body, if that is what it is.
pub(crate) fn error_body(body: &[u8]) -> Option<ErrorBody> {
    let text = std::str::from_utf8(body).ok()?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let root = match text.strip_prefix("<?") {
        Some(prolog) => prolog.split_once("?>")?.1.trim_start(),
        None => text,
    };
    let after = root.strip_prefix("<Error")?;
    if !after.starts_with(['>', ' ', '/', '\n', '\r', '\t']) {
        return None;
    }
    Some(quick_xml::de::from_str(root).unwrap_or_default())
}

/// Reads an answer.
///
/// # Errors
/// [`BucketError::Other`] if it is something else.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, BucketError> {
    quick_xml::de::from_reader(body).map_err(|error| BucketError::Other(Box::new(error)))
}

/// Writes a text so that it can stand between two tags.
#[cfg(any(test, feature = "s3", feature = "gcs"))]
pub(crate) fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    //! Which bodies say that a request was refused.

    use super::*;

    #[test]
    fn a_refusal_is_known_by_its_root() {
        let body = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code>\
            <Message>Please reduce &amp; wait</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>";
        let error = error_body(body).unwrap();
        assert_eq!((error.code.as_str(), error.message.as_str()), ("SlowDown", "Please reduce & wait"));
        let moved = error_body(b"<Error><Code>PermanentRedirect</Code><Region>eu-west-1</Region></Error>");
        assert_eq!(moved.unwrap().region.as_deref(), Some("eu-west-1"));
        let azure =
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>BlobNotFound</Code></Error>";
        assert_eq!(error_body(azure.as_bytes()).unwrap().code, "BlobNotFound");
        assert_eq!(error_body(b"<Error/>").unwrap().code, "");
    }

    #[test]
    fn an_answer_that_only_mentions_errors_is_none() {
        for body in [
            &b"<DeleteResult><Error><Code>AccessDenied</Code></Error></DeleteResult>"[..],
            b"<Errors/>",
            b"<html>Error</html>",
            b"{\"error\": 1}",
            b"",
            b"\xff",
        ] {
            assert!(error_body(body).is_none(), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn keys_stand_between_tags() {
        assert_eq!(escape("a<b>&\"c'"), "a&lt;b&gt;&amp;&quot;c&apos;");
    }
}
