//! Serves a registry in memory on port 5000, see the library of this example.

use std::error::Error;
use std::net::SocketAddr;

use example_embed_axum::{AdminToken, Count, app};
use registry::prelude::*;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let token = std::env::var("ADMIN_TOKEN").map_err(|_| "set ADMIN_TOKEN to a secret of your choice")?;
    let registry = Registry::builder(MemoryDriver::new())
        .access_controller(AdminToken::new(token))
        .repository_middleware(ImmutableTags::matching("release-*"))
        .build()
        .await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:5000").await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let app = app(registry, Count::default());
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
