//! end-8a and end-8b.

use http::header::LINK;
use registry_core::RepositoryName;
use serde_json::json;

use super::Handled;
use crate::options::HttpOptions;
use crate::page::{Beyond, next_link, request};
use crate::route::{PageQuery, Route};
use crate::service::Call;

/// `GET /v2/<name>/tags/list`.
pub(super) async fn list(call: &Call, name: &RepositoryName, query: &PageQuery) -> Handled {
    let limit = call.shared.options.tags_max;
    let page = request(query, HttpOptions::TAGS_WITHOUT_N.max(limit), limit, Beyond::Clamp)?;
    let found = call.repository(name).await?.tags().list(&page).await?;
    let mut response = super::json(&json!({ "name": name, "tags": found.items }));
    if let Some(last) = found.items.last().filter(|_| found.more) {
        let route = |page| Route::Tags { name: name.clone(), page };
        let prefix = &call.shared.options.prefix;
        response.headers_mut().insert(LINK, next_link(prefix, last.as_str(), page.limit, route));
    }
    Ok(response)
}
