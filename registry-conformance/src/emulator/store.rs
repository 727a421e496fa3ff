//! What every emulator is: a server over a bucket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::bucket::{Bucket, Pending};
use super::faults::FaultPlan;
use super::log::Request;
use super::server::{Protocol, Server};
use super::{BUCKET, Options};

/// A running store, whatever its protocol. It stops when it is dropped.
#[derive(Debug)]
pub struct Emulator {
    bucket: Arc<Bucket>,
    server: Server,
}

impl Emulator {
    pub(super) async fn start<P: Protocol>(
        options: Options,
        address: SocketAddr,
        protocol: impl FnOnce(Arc<Bucket>) -> P,
    ) -> io::Result<Self> {
        let bucket = Arc::new(Bucket::new(options)?);
        let server = Server::start(address, Arc::new(protocol(Arc::clone(&bucket)))).await?;
        Ok(Self { bucket, server })
    }

    /// The URL of the server: `http://127.0.0.1:…`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// The name of the bucket or container: [`BUCKET`].
    pub fn bucket(&self) -> &'static str {
        BUCKET
    }

    /// Every request so far, or since [`Self::clear_requests`], in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.server.shared.log.all()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.server.shared.log.clear();
    }

    /// From now on this goes wrong, in place of what went wrong before.
    pub fn inject(&self, plan: FaultPlan) {
        self.server.shared.faults.set(plan);
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        self.inject(FaultPlan::none());
    }

    /// The keys in the bucket with their lengths in bytes, in byte order, without a request.
    pub fn objects(&self) -> Vec<(String, u64)> {
        self.bucket.names()
    }

    /// The uploads in parts that are neither complete nor aborted, without a request.
    pub fn uploads(&self) -> Vec<Pending> {
        self.bucket.pending()
    }
}
