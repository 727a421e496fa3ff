//! Serves a registry in memory that one key opens: `cargo run -p example-custom-access --example serve_with_keys`,
//! then `docker login -u me -p writer-key 127.0.0.1:5000` and push to `127.0.0.1:5000/team/app`.

use std::error::Error;
use std::time::Duration;

use example_custom_access::{ApiKeys, NAME};
use registry::auth;
use registry::core::Options;
use registry::prelude::*;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut controllers = auth::builtin();
    ApiKeys::register(&mut controllers)?;
    // What a configuration file would say.
    let options = r#"{"keys": [{
        "name": "writer",
        "sha256": "3aec1946afb01344ae0065f3b123820a2144e455c13e5816dbd439e6634f7f26",
        "below": "team",
        "write": true
    }]}"#;
    let options = Options::new(serde_json::from_str(options)?);
    let registry = Registry::builder(MemoryDriver::new())
        .access_controller_over(controllers.build(NAME, options).await?)
        .build()
        .await?;
    let listener = TcpListener::bind("127.0.0.1:5000").await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    let service = registry.service(HttpOptions::default());
    example_embed_hyper::serve(listener, service, stop, Duration::from_secs(30)).await;
    Ok(())
}
