//! What can be measured.

use clap::ValueEnum;

/// One kind of operation, as clients repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub(crate) enum Workload {
    /// GET /v2/
    Ping,
    /// GET a manifest by its tag
    ManifestTag,
    /// GET a manifest by its digest
    ManifestDigest,
    /// HEAD a manifest by its tag
    ManifestHead,
    /// HEAD a blob
    BlobHead,
    /// GET a blob of 4 KiB
    BlobGet,
    /// GET a large blob
    BlobGetLarge,
    /// Push a blob of 4 KiB, a new one each time: POST and PUT
    BlobPush,
    /// Push a large blob, a new one each time
    BlobPushLarge,
    /// GET the first 100 tags of the repository with many tags
    Tags,
    /// Push an image with one new layer of 4 KiB under a new tag, into the repository with many tags
    ImagePush,
    /// DELETE a tagged manifest in the repository with many tags; only when asked for
    Delete,
}

/// What has to be in the registry before a workload can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Images,
    LargeBlob,
    Tags,
    Victims,
}

impl Workload {
    /// What is measured unless `--only` says otherwise.
    pub(crate) fn usual() -> Vec<Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(|workload| *workload != Self::Delete).collect()
    }

    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Whether an operation moves so much that bytes are what counts.
    pub(super) fn is_large(self) -> bool {
        matches!(self, Self::BlobGetLarge | Self::BlobPushLarge)
    }

    pub(super) fn needs(self) -> &'static [Need] {
        match self {
            Self::Ping | Self::BlobPush | Self::BlobPushLarge => &[],
            Self::ManifestTag
            | Self::ManifestDigest
            | Self::ManifestHead
            | Self::BlobHead
            | Self::BlobGet => &[Need::Images],
            Self::BlobGetLarge => &[Need::LargeBlob],
            Self::Tags | Self::ImagePush => &[Need::Tags],
            Self::Delete => &[Need::Tags, Need::Victims],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleting_is_only_done_when_asked_for() {
        assert_eq!(Workload::usual().len(), Workload::value_variants().len() - 1);
        assert!(!Workload::usual().contains(&Workload::Delete));
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        let names: Vec<_> = Workload::value_variants().iter().map(|workload| workload.name()).collect();
        assert_eq!(names[..3], ["ping", "manifest-tag", "manifest-digest"]);
        assert!(names.contains(&"blob-push-large".to_owned()));
    }
}
