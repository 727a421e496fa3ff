//! end-12a and end-12b.

use http::HeaderValue;
use http::header::LINK;
use registry_core::{Digest, MediaType, ReferrerFilter, RepositoryName};
use serde_json::json;

use super::{Handled, content};
use crate::headers::OCI_FILTERS_APPLIED;
use crate::options::HttpOptions;
use crate::page::{Beyond, next_link, request};
use crate::route::{PageQuery, Route};
use crate::service::Call;

/// `GET /v2/<name>/referrers/<digest>`: an image index of the manifests that refer to the digest.
pub(super) async fn list(
    call: &Call,
    name: &RepositoryName,
    digest: &Digest,
    artifact_type: Option<String>,
    query: &PageQuery,
) -> Handled {
    let limit = HttpOptions::REFERRERS_MAX;
    let page = request(query, limit, limit, Beyond::Clamp)?;
    let filter = ReferrerFilter { artifact_type };
    let found = call.repository(name).await?.manifests().referrers(digest, &filter, &page).await?;
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": found.items,
    });
    let mut response = content(MediaType::OCI_INDEX, index.to_string());
    if let Some(last) = found.items.last().filter(|_| found.more) {
        let route = |page| Route::Referrers {
            name: name.clone(),
            digest: digest.clone(),
            artifact_type: filter.artifact_type.clone(),
            page,
        };
        let prefix = &call.shared.options.prefix;
        let link = next_link(prefix, last.digest.as_str(), page.limit, route);
        response.headers_mut().insert(LINK, link);
    }
    if filter.artifact_type.is_some() {
        response.headers_mut().insert(OCI_FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    Ok(response)
}
