//! The list of repositories.

use http::header::LINK;
use serde_json::json;

use super::Handled;
use crate::options::HttpOptions;
use crate::page::{Beyond, next_link, request};
use crate::route::{PageQuery, Route};
use crate::service::Call;

/// `GET /v2/_catalog`.
pub(super) async fn list(call: &Call, query: &PageQuery) -> Handled {
    let limit = call.shared.options.catalog_max_entries;
    let page = request(query, HttpOptions::CATALOG_WITHOUT_N.min(limit), limit, Beyond::Refuse)?;
    let found = call.shared.namespace.repositories(&call.context, &page).await?;
    let mut response = super::json(&json!({ "repositories": found.items }));
    if let Some(last) = found.items.last().filter(|_| found.more) {
        let prefix = &call.shared.options.prefix;
        let link = next_link(prefix, last.as_str(), page.limit, |page| Route::Catalog { page });
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}
