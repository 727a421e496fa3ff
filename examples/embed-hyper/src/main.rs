//! Serves a registry in memory on port 5000 until Ctrl-C, see the library of this example.

use std::error::Error;
use std::time::Duration;

use example_embed_hyper::serve;
use registry::prelude::*;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let registry = Registry::builder(MemoryDriver::new()).build().await?;
    let listener = TcpListener::bind("127.0.0.1:5000").await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    let service = registry.service(HttpOptions::default());
    if !serve(listener, service, stop, Duration::from_secs(30)).await {
        return Err("some requests were still under way after 30 seconds".into());
    }
    Ok(())
}
