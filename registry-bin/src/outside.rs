//! HTTP clients of this program: how they get out.

use reqwest::{ClientBuilder, NoProxy, Proxy};

/// This machine, which no proxy is asked for. Go's clients, and so Distribution's, do it like that.
const HERE: &str = "localhost,127.0.0.0/8,::1";

/// A client that goes through the proxies of `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, in either case.
///
/// # Errors
/// One of them is no URL.
pub(crate) fn client() -> reqwest::Result<ClientBuilder> {
    through(|name| std::env::var(name).ok())
}

fn through(environment: impl Fn(&str) -> Option<String>) -> reqwest::Result<ClientBuilder> {
    let filled = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    let either = |name: &str| filled(&name.to_ascii_lowercase()).or_else(|| filled(name));
    let exceptions = either("NO_PROXY").map_or_else(|| HERE.to_owned(), |more| format!("{HERE},{more}"));
    // Without those that the library finds by itself, for which there would be no exceptions.
    let mut builder = reqwest::Client::builder().no_proxy();
    if let Some(url) = either("HTTP_PROXY") {
        builder = builder.proxy(Proxy::http(url)?.no_proxy(NoProxy::from_string(&exceptions)));
    }
    if let Some(url) = either("HTTPS_PROXY") {
        builder = builder.proxy(Proxy::https(url)?.no_proxy(NoProxy::from_string(&exceptions)));
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that says who it is to one request.
    async fn server(name: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let _ = socket.read(&mut [0; 4096]).await;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{name}",
                    name.len()
                );
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn others_are_reached_through_the_proxy_and_this_machine_directly() {
        let (proxy, here) = (server("proxy").await, server("here").await);
        let proxy = format!("http://{proxy}");
        for (variables, uri, expected) in [
            (vec![("HTTP_PROXY", proxy.as_str())], "http://registry.invalid/".to_owned(), Some("proxy")),
            (vec![("http_proxy", proxy.as_str())], "http://registry.invalid/".to_owned(), Some("proxy")),
            (vec![("HTTP_PROXY", proxy.as_str())], format!("http://{here}/"), Some("here")),
            (
                vec![("HTTP_PROXY", proxy.as_str()), ("NO_PROXY", ".invalid")],
                "http://registry.invalid/".to_owned(),
                None,
            ),
            (vec![("HTTP_PROXY", "")], format!("http://{here}/"), Some("here")),
        ] {
            let builder = through(|name| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            });
            let answer = builder.unwrap().build().unwrap().get(&uri).send().await;
            let said = match answer {
                Ok(answer) => Some(answer.text().await.unwrap()),
                Err(_) => None,
            };
            assert_eq!(said.as_deref(), expected, "{variables:?} {uri}");
        }
    }
}
