//! Serves a registry in memory in which tags below `prod` lead only to what is signed:
//! `cargo run -p example-custom-middleware --example serve_signed`.

use std::error::Error;
use std::time::Duration;

use example_custom_middleware::{NAME, SignedTags};
use registry::core::Options;
use registry::middleware::Middlewares;
use registry::prelude::*;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut middlewares = Middlewares::builtin();
    SignedTags::register(&mut middlewares.repository)?;
    // What a configuration file would say.
    let options = r#"{"artifactType": "application/vnd.example.signature", "below": ["prod"]}"#;
    let options = Options::new(serde_json::from_str(options)?);
    let registry = Registry::builder(MemoryDriver::new())
        .repository_middleware_over(middlewares.repository.build(NAME, options).await?)
        .build()
        .await?;
    let listener = TcpListener::bind("127.0.0.1:5000").await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    let service = registry.service(HttpOptions::default());
    example_embed_hyper::serve(listener, service, stop, Duration::from_secs(30)).await;
    Ok(())
}
