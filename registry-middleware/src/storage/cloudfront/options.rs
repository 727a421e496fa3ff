//! The options of a configuration.

use std::path::PathBuf;
use std::time::Duration;

use registry_core::BoxError;
use serde::Deserialize;

use super::{AwsRanges, BaseUrl, CloudFront};

/// Options by the names that Distribution gives them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    baseurl: String,
    privatekey: PathBuf,
    keypairid: String,
    duration: Option<String>,
    ipfilteredby: Option<String>,
    awsregion: Option<String>,
    updatefrequency: Option<String>,
    iprangesurl: Option<String>,
}

impl Options {
    /// The middleware that they describe.
    ///
    /// # Errors
    /// What cannot be used, with its key.
    pub(crate) async fn open(self) -> Result<CloudFront, BoxError> {
        let ranges = self.ranges()?;
        let base = BaseUrl::parse_or_https(&self.baseurl).map_err(|error| format!("baseurl: {error}"))?;
        let path = self.privatekey.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await?;
        let in_key =
            |error: &dyn std::fmt::Display| format!("privatekey: {}: {error}", self.privatekey.display());
        let pem = read.map_err(|error| in_key(&error))?;
        let mut cloudfront = CloudFront::new(base, &self.keypairid, &pem).map_err(|error| in_key(&error))?;
        if let Some(duration) = time("duration", self.duration.as_deref())? {
            cloudfront = cloudfront.with_duration(duration);
        }
        Ok(match ranges {
            Some(ranges) => cloudfront.with_direct(ranges, reqwest::Client::builder().build()?),
            None => cloudfront,
        })
    }

    fn ranges(&self) -> Result<Option<AwsRanges>, String> {
        let mut ranges = AwsRanges::everywhere();
        if let Some(url) = &self.iprangesurl {
            ranges = ranges.with_url(url).map_err(|error| format!("iprangesurl: {error}"))?;
        }
        if let Some(frequency) = time("updatefrequency", self.updatefrequency.as_deref())? {
            ranges = ranges.with_update_frequency(frequency);
        }
        match self.ipfilteredby.as_deref() {
            None | Some("none") => Ok(None),
            Some("aws") => Ok(Some(ranges)),
            Some("awsregion") => {
                let regions = AwsRanges::regions(self.awsregion.as_deref().unwrap_or_default());
                if regions.is_empty() {
                    return Err("awsregion: is missing".to_owned());
                }
                Ok(Some(ranges.with_regions(regions)))
            }
            Some(_) => Err("ipfilteredby: is one of none, aws, awsregion".to_owned()),
        }
    }
}

fn time(key: &str, text: Option<&str>) -> Result<Option<Duration>, String> {
    let Some(text) = text else { return Ok(None) };
    let time = humantime::parse_duration(text).map_err(|error| format!("{key}: {error}"))?;
    if time < CloudFront::LEAST_TIME {
        return Err(format!("{key}: has to be a time of at least 1s"));
    }
    Ok(Some(time))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use registry_core::StorageMiddleware;
    use serde_json::json;

    use super::super::super::testing::{Bucket, ask};
    use super::super::testing::RSA;
    use super::*;

    fn options(more: &serde_json::Value, key: &std::path::Path) -> Result<Options, serde_json::Error> {
        let mut all = json!({ "baseurl": "d111.cloudfront.net", "privatekey": key, "keypairid": "K1" });
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        serde_json::from_value(all)
    }

    #[tokio::test]
    async fn options_make_a_middleware_or_name_the_key() {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("key.pem");
        std::fs::write(&key, &RSA.pems[1]).unwrap();
        for more in [
            json!({}),
            json!({ "duration": "5m", "ipfilteredby": "none" }),
            json!({ "ipfilteredby": "aws", "iprangesurl": "http://127.0.0.1:1/", "updatefrequency": "1h30m" }),
            json!({ "ipfilteredby": "awsregion", "awsregion": "eu-north-1, us-east-1" }),
        ] {
            let cloudfront = options(&more, &key).unwrap().open().await.unwrap();
            let driver = cloudfront.wrap(Arc::new(Bucket::with_urls())).await.unwrap();
            assert!(RSA.verify(&ask(&*driver, None).await.unwrap()).is_some(), "{more}");
        }
        for (more, expected) in [
            (json!({ "baseurl": "ftp://x" }), "baseurl: the scheme has to be http or https"),
            (json!({ "privatekey": "/nowhere/key.pem" }), "privatekey: /nowhere/key.pem: No such file"),
            (json!({ "keypairid": "" }), "the id of a key pair"),
            (json!({ "duration": "soon" }), "duration: "),
            (json!({ "duration": "0s" }), "duration: has to be a time of at least 1s"),
            (json!({ "updatefrequency": "1ms" }), "updatefrequency: has to be"),
            (json!({ "iprangesurl": "x" }), "iprangesurl: is not a URL"),
            (json!({ "ipfilteredby": "all" }), "ipfilteredby: is one of none, aws, awsregion"),
            (json!({ "ipfilteredby": "awsregion" }), "awsregion: is missing"),
            (json!({ "ipfilteredby": "awsregion", "awsregion": " ," }), "awsregion: is missing"),
        ] {
            let error = options(&more, &key).unwrap().open().await.unwrap_err().to_string();
            assert!(error.contains(expected), "{more}: {error}");
        }
        assert!(options(&json!({ "keypair": "K" }), &key).is_err());
    }
}
