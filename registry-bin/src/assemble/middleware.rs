//! `middleware.storage`: from values to what wraps the driver.

use std::sync::Arc;

use registry::core::{BuildError, StorageMiddleware};
use registry::http::RedirectPolicy;
use registry::middleware::storage::Redirect;
use registry::middleware::storage::cloudfront::CloudFront;

use crate::config::model;
use crate::outside;

/// The middleware in its order.
///
/// # Errors
/// The file of a key cannot be used, or there is no way out for the list of addresses.
pub(super) fn storage(
    configured: &[model::StorageMiddleware],
) -> Result<Vec<Arc<dyn StorageMiddleware>>, BuildError> {
    let make = |one: &model::StorageMiddleware| -> Result<Arc<dyn StorageMiddleware>, BuildError> {
        Ok(match one {
            model::StorageMiddleware::Redirect(base) => Arc::new(Redirect::to(base.clone())),
            model::StorageMiddleware::Rewrite(rewrite) => Arc::new(rewrite.clone()),
            model::StorageMiddleware::CloudFront(options) => Arc::new(cloudfront(options)?),
        })
    };
    configured.iter().map(make).collect()
}

fn cloudfront(options: &model::CloudFront) -> Result<CloudFront, BuildError> {
    let path = &options.private_key;
    let at = format!("{}: {}", options.private_key_at, path.display());
    let pem = std::fs::read(path)
        .map_err(|error| BuildError::failed(format!("{at}: failed to read privatekey file"), error))?;
    let cloudfront = CloudFront::new(options.base.clone(), &options.key_pair_id, &pem)
        .map_err(|error| BuildError::failed(at, error))?
        .with_duration(options.duration);
    Ok(match &options.direct {
        Some(ranges) => {
            let client = outside::client().and_then(|client| client.build());
            let failed = |error| BuildError::failed("fetching the addresses of AWS", error);
            cloudfront.with_direct(ranges.clone(), client.map_err(failed)?)
        }
        None => cloudfront,
    })
}

/// `storage.redirect`, but for whether there are any.
pub(super) fn redirects(configured: &model::Redirects) -> RedirectPolicy {
    let policy = RedirectPolicy::default()
        .with_methods(configured.methods.iter().cloned())
        .with_except(configured.except.iter().copied())
        .with_min_size(configured.min_size)
        .with_expires_in(configured.expiry);
    match &configured.only {
        Some(networks) => policy.with_only(networks.iter().copied()),
        None => policy,
    }
}
