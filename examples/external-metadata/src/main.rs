//! Serves a registry in memory over a made-up cluster on port 5000, see the library of this example.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use example_external_metadata::fake::{FakeCluster, FakeUpstream};
use example_external_metadata::{App, answer};
use http::Request;
use hyper::body::Incoming;
use registry::prelude::*;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Arc::new(FakeCluster::default());
    cluster.add_user("alice-token", "alice", false);
    cluster.add_user("root-token", "root", true);
    let app = App::new(cluster, Arc::new(FakeUpstream::default()));
    let registry = app.configured_registry(MemoryDriver::new()).await?;
    let v2 = registry.service(HttpOptions::default());
    let service = tower::service_fn({
        let app = Arc::clone(&app);
        move |request: Request<Incoming>| {
            let (app, registry, v2) = (Arc::clone(&app), registry.clone(), v2.clone());
            async move { Ok::<_, Infallible>(answer(&app, &registry, v2, request).await) }
        }
    });
    let listener = TcpListener::bind("127.0.0.1:5000").await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    example_embed_hyper::serve(listener, service, stop, Duration::from_secs(30)).await;
    app.settle().await;
    Ok(())
}
