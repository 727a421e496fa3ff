//! The checks themselves. What they say of a failure is what Distribution says, as far as its readers can tell.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode, Uri};
use registry::core::{ListRequest, Shape, StorageDriver, StoragePath};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::model::Target;
use crate::outside;

/// How a probe went: nothing, or why it failed.
type Verdict = Result<(), String>;

/// Why checks by HTTP cannot be made at all.
#[derive(Debug, thiserror::Error)]
#[error("health.http: there is no HTTP client: {0}")]
pub(crate) struct HealthError(#[from] reqwest::Error);

/// A client for all checks. It makes a connection for each: one that is kept says little about whether another can
/// be made.
///
/// # Errors
/// There is no TLS on this system.
pub(super) fn client() -> Result<reqwest::Client, HealthError> {
    let agent = concat!("registry/", env!("CARGO_PKG_VERSION"));
    Ok(outside::client()?.user_agent(agent).pool_max_idle_per_host(0).build()?)
}

/// One check, to be run again and again.
#[derive(Debug)]
pub(super) enum Probe {
    Store(Store),
    File(PathBuf),
    Http(Box<Http>),
    Tcp { addr: String, at_most: Duration },
}

/// Asks the store for what always has to be there.
#[derive(Debug)]
pub(super) struct Store {
    driver: Arc<dyn StorageDriver>,
    /// The directory, for a store of files.
    root: Option<PathBuf>,
    at_most: Duration,
    /// A question that had no answer yet. No second one is asked meanwhile: threads that wait for a store that
    /// hangs would add up.
    asked: Option<JoinHandle<Verdict>>,
}

#[derive(Debug)]
pub(super) struct Http {
    /// As it was written.
    name: String,
    uri: Uri,
    headers: HeaderMap,
    status: StatusCode,
    at_most: Duration,
    client: reqwest::Client,
}

impl Probe {
    /// A probe of the store, which has `at_most` so long to answer.
    pub(super) fn store(driver: Arc<dyn StorageDriver>, root: Option<PathBuf>, at_most: Duration) -> Self {
        Self::Store(Store { driver, root, at_most, asked: None })
    }

    /// A probe of what the configuration names; `client` makes a client where one is needed.
    ///
    /// # Errors
    /// Those of `client`.
    pub(super) fn of(
        name: &str,
        target: &Target,
        client: impl FnOnce() -> Result<reqwest::Client, HealthError>,
    ) -> Result<Self, HealthError> {
        Ok(match target {
            Target::File(path) => Self::File(path.clone()),
            Target::Tcp { addr, timeout } => Self::Tcp { addr: addr.clone(), at_most: *timeout },
            Target::Http { uri, headers, status, timeout } => Self::Http(Box::new(Http {
                name: name.to_owned(),
                uri: uri.clone(),
                headers: headers.clone(),
                status: *status,
                at_most: *timeout,
                client: client()?,
            })),
        })
    }

    pub(super) async fn run(&mut self) -> Verdict {
        match self {
            Self::Store(store) => store.run().await,
            Self::File(path) => file(path.clone()).await,
            Self::Http(http) => http.run().await,
            Self::Tcp { addr, at_most } => tcp(addr, *at_most).await,
        }
    }
}

impl Store {
    async fn run(&mut self) -> Verdict {
        let asked = self.asked.take();
        let mut asked =
            asked.unwrap_or_else(|| tokio::spawn(ask(Arc::clone(&self.driver), self.root.clone())));
        match timeout(self.at_most, &mut asked).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(defect)) => Err(defect.to_string()),
            Err(_) => {
                self.asked = Some(asked);
                Err(format!("the storage has not answered for {:?}", self.at_most))
            }
        }
    }
}

/// Where there are no directories, nobody has to be asked whether there is a root: one name is asked for.
///
/// The driver of a tree answers from what the kernel remembers, which it does also when the disk is gone: a directory is
/// read besides. It was there when the registry started; Distribution takes a directory that is gone for an empty
/// store.
async fn ask(driver: Arc<dyn StorageDriver>, root: Option<PathBuf>) -> Verdict {
    let root_of_all = StoragePath::root();
    let asked = match driver.shape() {
        Shape::Tree => driver.stat(&root_of_all).await.map(drop),
        Shape::Flat => driver.list(&root_of_all, &ListRequest::children(1)).await.map(drop),
    };
    match asked {
        Err(error) if !error.is_not_found() => return Err(causes(&error)),
        Ok(_) | Err(_) => {}
    }
    let Some(root) = root else { return Ok(()) };
    let read = move || match std::fs::read_dir(&root).and_then(|mut entries| entries.next().transpose()) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot read {}: {error}", root.display())),
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|defect| Err(defect.to_string()))
}

async fn file(path: PathBuf) -> Verdict {
    let look = move || match std::fs::metadata(&path) {
        Ok(_) => Err("file exists".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("stat {}: {}", absolute(&path).display(), plain(&error))),
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|defect| Err(defect.to_string()))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Http {
    async fn run(&self) -> Verdict {
        let request = self.client.head(self.uri.to_string()).headers(self.headers.clone());
        let request = request.timeout(self.at_most);
        let name = &self.name;
        match request.send().await {
            Ok(response) if response.status() == self.status => Ok(()),
            Ok(response) => {
                let status = response.status().as_u16();
                Err(format!("{name}: downstream service returned unexpected status: {status}"))
            }
            Err(error) => {
                let place = self.uri.authority().map_or("", |authority| authority.as_str());
                let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
                let cause = match io_cause(&error) {
                    Some(cause) => dial(place, cause),
                    None => causes(&error.without_url()),
                };
                Err(format!("{name}: error while checking: Head \"{name}\": {cause}"))
            }
        }
    }
}

async fn tcp(addr: &str, at_most: Duration) -> Verdict {
    let failed =
        |place: &str, error: &io::Error| Err(format!("{addr}: connection failed: {}", dial(place, error)));
    let connect = async {
        let places = match lookup_host(addr).await {
            Ok(places) => places,
            Err(error) => return failed(addr, &error),
        };
        let mut verdict = failed(addr, &io::Error::other("the name has no address"));
        for (index, place) in places.enumerate() {
            match TcpStream::connect(place).await {
                Ok(_) => return Ok(()),
                Err(error) if index == 0 => verdict = failed(&place.to_string(), &error),
                Err(_) => {}
            }
        }
        verdict
    };
    timeout(at_most, connect).await.unwrap_or_else(|_| failed(addr, &io::ErrorKind::TimedOut.into()))
}

/// A failure to connect, in Go's words.
fn dial(place: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => format!("dial tcp {place}: i/o timeout"),
        _ if error.raw_os_error().is_some() => format!("dial tcp {place}: connect: {}", plain(error)),
        _ => format!("dial tcp {place}: {error}"),
    }
}

/// What the system calls an error: in lower case and without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

fn io_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<io::Error>() {
            Some(error) if error.raw_os_error().is_some() => return Some(error),
            Some(_) | None => cause = error.source(),
        }
    }
    None
}

/// An error with all its causes, on one line.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
