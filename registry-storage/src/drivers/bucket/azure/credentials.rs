//! Who we are for Azure.

use std::sync::Arc;

use object_store::StaticCredentialProvider;
use object_store::azure::{
    AzureAccessKey, AzureCredential, AzureCredentialProvider, MicrosoftAzureBuilder, authority_hosts,
};
use registry_core::BoxError;

use super::super::http::{Transport, client_options, no_retries};
use super::super::options::{AzureCredentials, AzureOptions};

/// Reads the environment.
pub(super) type Env<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// What requests are signed with, fetched and renewed as needed. Asks nobody yet.
///
/// Without credentials in the options: a service principal, then workload identity, as the environment says
/// (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` or `AZURE_FEDERATED_TOKEN_FILE`), then the
/// managed identity of the machine.
pub(super) fn provider(
    options: &AzureOptions,
    env: Env<'_>,
    transport: Transport,
) -> Result<AzureCredentialProvider, BoxError> {
    let builder = || -> Result<MicrosoftAzureBuilder, BoxError> {
        let builder = MicrosoftAzureBuilder::new()
            .with_account(&options.account)
            .with_container_name(&options.bucket.bucket)
            .with_client_options(client_options(&options.bucket, false)?)
            .with_retry(no_retries())
            .with_authority_host(authority(options, env))
            .with_http_connector(transport.clone());
        Ok(builder)
    };
    let builder = match &options.credentials {
        AzureCredentials::SharedKey(key) => {
            let key = AzureAccessKey::try_new(key.expose())
                .map_err(|error| format!("the account key is not base64: {error}"))?;
            return Ok(Arc::new(StaticCredentialProvider::new(AzureCredential::AccessKey(key))));
        }
        AzureCredentials::ClientSecret { tenant, client, secret } => {
            builder()?.with_client_secret_authorization(client, secret.expose(), tenant)
        }
        AzureCredentials::Default => {
            let known =
                ["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"];
            match known.map(env) {
                [Some(client), Some(tenant), Some(secret), _] => {
                    builder()?.with_client_secret_authorization(client, secret, tenant)
                }
                [Some(client), Some(tenant), None, Some(file)] => {
                    builder()?.with_client_id(client).with_tenant_id(tenant).with_federated_token_file(file)
                }
                [client, ..] => {
                    let builder = match env("IDENTITY_ENDPOINT") {
                        Some(endpoint) => builder()?.with_msi_endpoint(endpoint),
                        None => builder()?,
                    };
                    match client {
                        // Which of several identities of the machine.
                        Some(client) => builder.with_client_id(client),
                        None => builder,
                    }
                }
            }
        }
    };
    Ok(Arc::clone(builder.build()?.credentials()))
}

/// Who gives out tokens: whom the environment names, or whoever does in the cloud that the realm is part of.
fn authority(options: &AzureOptions, env: Env<'_>) -> String {
    let host = env("AZURE_AUTHORITY_HOST").unwrap_or_else(|| {
        let host = match options.realm.as_str() {
            "core.usgovcloudapi.net" => authority_hosts::AZURE_GOVERNMENT,
            "core.chinacloudapi.cn" => authority_hosts::AZURE_CHINA,
            _ => authority_hosts::AZURE_PUBLIC_CLOUD,
        };
        host.to_owned()
    });
    host.trim_end_matches('/').to_owned()
}
