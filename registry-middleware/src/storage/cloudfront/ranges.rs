//! The addresses of AWS, as it publishes them.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use registry_core::{BoxError, BuildError, Network, NetworkSet};
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

const URL: &str = "https://ip-ranges.amazonaws.com/ip-ranges.json";
const FREQUENCY: Duration = Duration::from_secs(12 * 60 * 60);

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The largest list that is read, in bytes. That of 2026 has 3 MiB.
const MOST: usize = 32 << 20;

/// How long after a first failure the list is asked for again; each time twice as long, up to the usual
/// time.
const AGAIN: Duration = Duration::from_secs(60);

/// Which addresses of AWS are meant, and where the list of them is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsRanges {
    url: String,
    frequency: Duration,
    regions: Vec<String>,
}

impl AwsRanges {
    /// All addresses, of every service, from the list that AWS publishes, fetched every twelve hours.
    pub fn everywhere() -> Self {
        Self { url: URL.to_owned(), frequency: FREQUENCY, regions: Vec::new() }
    }

    /// The regions that a text names, with commas between them.
    pub fn regions(text: &str) -> Vec<String> {
        let regions = text.split(',').map(str::trim).filter(|region| !region.is_empty());
        regions.map(str::to_ascii_lowercase).collect()
    }

    /// Only the addresses of these regions, such as `eu-north-1`.
    #[must_use]
    pub fn with_regions(mut self, regions: impl IntoIterator<Item = String>) -> Self {
        self.regions = regions.into_iter().collect();
        self
    }

    /// A list elsewhere, of the same form.
    ///
    /// # Errors
    /// It is no URL of `http` or `https`.
    pub fn with_url(mut self, url: &str) -> Result<Self, &'static str> {
        let parsed = Url::parse(url).map_err(|_| "is not a URL")?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err("has to be a URL of http or https");
        }
        self.url = url.to_owned();
        Ok(self)
    }

    /// How often the list is fetched.
    #[must_use]
    pub fn with_update_frequency(mut self, frequency: Duration) -> Self {
        self.frequency = frequency;
        self
    }

    /// Begins to fetch the list, in the background, and goes on until the result is dropped.
    ///
    /// # Errors
    /// There is no runtime to fetch in.
    pub(super) fn watch(&self, client: Client) -> Result<Watched, BuildError> {
        let runtime = Handle::try_current()
            .map_err(|error| BuildError::failed("fetching the addresses of AWS", error))?;
        let current = Arc::new(RwLock::new(Arc::default()));
        let task = runtime.spawn(keep(self.clone(), client, Arc::clone(&current)));
        Ok(Watched { current, task })
    }

    async fn fetch(&self, client: &Client) -> Result<NetworkSet, BoxError> {
        let mut response =
            client.get(&self.url).timeout(TIMEOUT).send().await.map_err(reqwest::Error::without_url)?;
        if !response.status().is_success() {
            return Err(format!("answered {}", response.status()).into());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            if body.len() + chunk.len() > MOST {
                return Err(format!("answered more than {MOST} bytes").into());
            }
            body.extend_from_slice(&chunk);
        }
        self.read(&body)
    }

    /// The networks of a list that are meant.
    fn read(&self, json: &[u8]) -> Result<NetworkSet, BoxError> {
        let list: List = serde_json::from_slice(json)?;
        let entries = list.prefixes.iter().chain(&list.ipv6_prefixes);
        let meant = |entry: &&Entry| {
            self.regions.is_empty()
                || self.regions.iter().any(|region| region.eq_ignore_ascii_case(&entry.region))
        };
        let (mut known, mut networks) = (0, Vec::new());
        for entry in entries {
            match Network::parse(&entry.prefix) {
                Some(network) => {
                    known += 1;
                    networks.extend(Some(network).filter(|_| meant(&entry)));
                }
                None => tracing::warn!(prefix = entry.prefix, "an address range of AWS cannot be read"),
            }
        }
        if known == 0 {
            return Err("there are no address ranges in it".into());
        }
        for region in &self.regions {
            let mut entries = list.prefixes.iter().chain(&list.ipv6_prefixes);
            if !entries.any(|entry| region.eq_ignore_ascii_case(&entry.region)) {
                tracing::warn!(region, "AWS has no addresses in this region");
            }
        }
        Ok(networks.into_iter().collect())
    }
}

/// The published list, as far as it matters.
#[derive(Deserialize)]
struct List {
    #[serde(default)]
    prefixes: Vec<Entry>,
    #[serde(default)]
    ipv6_prefixes: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(alias = "ip_prefix", alias = "ipv6_prefix")]
    prefix: String,
    #[serde(default)]
    region: String,
}

/// The addresses as they were last fetched: none before the first time.
#[derive(Debug)]
pub(super) struct Watched {
    current: Arc<RwLock<Arc<NetworkSet>>>,
    task: JoinHandle<()>,
}

impl Watched {
    pub(super) fn current(&self) -> Arc<NetworkSet> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Fetches the list again and again. What was fetched last counts until there is something newer.
async fn keep(ranges: AwsRanges, client: Client, current: Arc<RwLock<Arc<NetworkSet>>>) {
    let mut again = AGAIN;
    loop {
        let wait = match ranges.fetch(&client).await {
            Ok(networks) => {
                tracing::info!(url = ranges.url, "the address ranges of AWS were fetched");
                *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(networks);
                again = AGAIN;
                ranges.frequency
            }
            Err(error) => {
                let wait = again.min(ranges.frequency);
                again = again.saturating_mul(2);
                let (url, error) = (&ranges.url, causes(&*error));
                tracing::warn!(url, error, "the address ranges of AWS could not be fetched");
                wait
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// An error with its causes, on one line.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::Notify;

    use super::*;

    const LIST: &str = r#"{"syncToken": "1", "prefixes": [
        {"ip_prefix": "192.0.2.0/24", "region": "eu-north-1", "service": "EC2", "network_border_group": "x"},
        {"ip_prefix": "198.51.100.0/24", "region": "us-east-1", "service": "S3"},
        {"ip_prefix": "nonsense", "region": "us-east-1", "service": "S3"}
    ], "ipv6_prefixes": [{"ipv6_prefix": "2001:db8::/32", "region": "eu-north-1", "service": "AMAZON"}]}"#;

    fn has(networks: &NetworkSet, address: &str) -> bool {
        networks.contains(address.parse().unwrap())
    }

    #[test]
    fn the_list_of_aws_is_read_with_all_services_and_the_wanted_regions() {
        let all = AwsRanges::everywhere().read(LIST.as_bytes()).unwrap();
        for inside in ["192.0.2.77", "198.51.100.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            assert!(has(&all, inside), "{inside}");
        }
        assert!(!has(&all, "203.0.113.1"));
        let region = |name: &str| AwsRanges::everywhere().with_regions([name.to_owned()]);
        let north = region("EU-north-1").read(LIST.as_bytes()).unwrap();
        assert!(has(&north, "192.0.2.77") && has(&north, "2001:db8::1") && !has(&north, "198.51.100.1"));
        assert!(region("mars-1").read(LIST.as_bytes()).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_list_is_not_taken_for_an_empty_one() {
        for text in ["", "<html>", "[]", "{}", r#"{"prefixes": []}"#, r#"{"prefixes": [{"ip_prefix": "x"}]}"#]
        {
            assert!(AwsRanges::everywhere().read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_list_is_somewhere_with_http() {
        assert!(AwsRanges::everywhere().with_url("http://127.0.0.1:1/x").is_ok());
        for text in ["", "ip-ranges.json", "file:///etc/passwd"] {
            assert!(AwsRanges::everywhere().with_url(text).is_err(), "{text}");
        }
    }

    /// A server that gives these answers, the last one for ever, once it may.
    pub(in super::super) async fn server(answers: Vec<String>) -> (String, Arc<Notify>, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ip-ranges.json", listener.local_addr().unwrap());
        let (may, asked) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let (gate, count) = (Arc::clone(&may), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let _ = socket.read(&mut [0; 4096]).await;
                let at = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
                gate.notified().await;
                let _ = socket.write_all(answers[at].as_bytes()).await;
            }
        });
        (url, may, asked)
    }

    fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n{body}")
    }

    fn client() -> Client {
        Client::builder().no_proxy().build().unwrap()
    }

    async fn until(what: impl Fn() -> bool) {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn the_list_is_fetched_on_schedule_and_the_last_good_one_stays() {
        let (url, may, asked) = server(vec![
            answer("200 OK", r#"{"prefixes": [{"ip_prefix": "192.0.2.0/24"}]}"#),
            answer("503 Service Unavailable", ""),
            answer("200 OK", "<html>"),
            answer("200 OK", r#"{"prefixes": [{"ip_prefix": "198.51.100.0/24"}]}"#),
        ])
        .await;
        let ranges = AwsRanges::everywhere().with_url(&url).unwrap();
        let ranges = ranges.with_update_frequency(Duration::from_millis(10));
        let watched = ranges.watch(client()).unwrap();
        until(|| asked.load(Ordering::SeqCst) == 1).await;
        assert!(watched.current().is_empty(), "nothing is known while the list is on its way");
        may.notify_one();
        until(|| has(&watched.current(), "192.0.2.1")).await;
        for answered in [2, 3] {
            may.notify_one();
            until(|| asked.load(Ordering::SeqCst) == answered + 1).await;
            assert!(has(&watched.current(), "192.0.2.1"), "after answer {answered}");
        }
        may.notify_one();
        until(|| has(&watched.current(), "198.51.100.1")).await;
        assert!(!has(&watched.current(), "192.0.2.1"));
    }

    #[tokio::test]
    async fn nothing_is_fetched_any_more_once_nobody_wants_it() {
        let (url, may, asked) = server(vec![answer("503 Service Unavailable", "")]).await;
        let ranges = AwsRanges::everywhere().with_url(&url).unwrap();
        let ranges = ranges.with_update_frequency(Duration::from_millis(1));
        let watched = ranges.watch(client()).unwrap();
        until(|| asked.load(Ordering::SeqCst) == 1).await;
        let current = Arc::downgrade(&watched.current);
        drop(watched);
        may.notify_one();
        until(|| current.upgrade().is_none()).await;
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}
