//! Serves a registry over a log: `cargo run -p example-custom-driver --example serve_log -- store.log`.

use std::error::Error;
use std::time::Duration;

use example_custom_driver::LogDriver;
use registry::prelude::*;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("the path of the log is missing")?;
    let registry = Registry::builder(LogDriver::open(path)?).build().await?;
    let listener = TcpListener::bind("127.0.0.1:5000").await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    let service = registry.service(HttpOptions::default());
    example_embed_hyper::serve(listener, service, stop, Duration::from_secs(30)).await;
    Ok(())
}
