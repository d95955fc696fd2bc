//! The test's own way into ARI: REST commands, and an application that stays registered.

use std::time::Duration;

use actix_rt::Runtime;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::Asterisk;
use super::asterisk::USER;
use super::wait;

/// The application that tests register themselves; the dialplan's extension 811 enters it.
pub(crate) const TEST_APP: &str = "test-app";

/// One HTTP request: status and body (`Null` if there is none or it isn't JSON).
pub(crate) fn http(method: &str, url: &str, user: Option<(&str, &str)>) -> Result<(u16, Value), String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let client = awc::Client::builder().timeout(Duration::from_secs(10)).finish();
        let method = method.parse().map_err(|_| format!("no method: {method}"))?;
        let mut request = client.request(method, url);
        if let Some((name, password)) = user {
            request = request.basic_auth(name, password);
        }
        let mut response = request.send().await.map_err(|error| error.to_string())?;
        let body = response.body().limit(16 << 20).await.map_err(|error| error.to_string())?;
        Ok((response.status().as_u16(), serde_json::from_slice(&body).unwrap_or(Value::Null)))
    })
}

impl Asterisk {
    /// One REST command, such as `POST`, `channels/1.0/continue`.
    pub(crate) fn rest(&self, method: &str, path: &str, query: &[(&str, &str)]) -> (u16, Value) {
        let mut url = url::Url::parse(&format!("{}/{path}", self.url())).unwrap();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let ask = || http(method, url.as_str(), Some(USER));
        // A look may be repeated: on a busy machine one can time out, or find all of Asterisk's HTTP sessions taken.
        let answer = if method == "GET" { ask().or_else(|_| ask()) } else { ask() };
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// A REST command that must succeed. A channel that Asterisk has just made is in the application a moment later, also when
    /// its list of channels shows it there already; until then it answers 422 (to a bridge) or 409 (to the channel).
    #[track_caller]
    pub(crate) fn order(&self, method: &str, path: &str, query: &[(&str, &str)]) -> Value {
        let early = |status: u16| status == 422 || status == 409;
        let ready =
            wait::within(wait::s(5), || Some(self.rest(method, path, query)).filter(|(status, _)| !early(*status)));
        let (status, body) = ready.unwrap_or_else(|| self.rest(method, path, query));
        assert!(status < 300, "{method} {path} {query:?}: {status} {body}");
        body
    }

    /// The channels that exist now.
    pub(crate) fn channels(&self) -> Vec<Value> {
        let (_, body) = self.rest("GET", "channels", &[]);
        body.as_array().cloned().unwrap_or_default()
    }

    /// Waits until Asterisk has no channel left.
    pub(crate) fn quiet(&self, limit: Duration) {
        wait::until("the end of all channels", limit, || {
            let names: Vec<Value> = self.channels().iter().map(|channel| channel["name"].clone()).collect();
            if names.is_empty() { Ok(()) } else { Err(names) }
        });
    }

    /// The id of the one channel whose name begins with `prefix` and that `wanted` accepts.
    #[track_caller]
    pub(crate) fn channel(&self, prefix: &str, limit: Duration, wanted: impl Fn(&Value) -> bool) -> String {
        wait::until(&format!("channel {prefix}"), limit, || {
            let all = self.channels();
            let named = |channel: &&Value| channel["name"].as_str().is_some_and(|name| name.starts_with(prefix));
            let found = all.iter().filter(named).find(|channel| wanted(channel));
            found.and_then(|channel| channel["id"].as_str()).map(str::to_owned).ok_or(all)
        })
    }

    /// Waits until this channel is gone.
    #[track_caller]
    pub(crate) fn gone(&self, channel: &str, limit: Duration) {
        wait::until(&format!("end of channel {channel}"), limit, || {
            let (status, body) = self.rest("GET", &format!("channels/{channel}"), &[]);
            if status == 404 { Ok(()) } else { Err(body) }
        });
    }
}

/// The application [`TEST_APP`], registered as long as this lives. Its events are read and dropped.
pub(crate) struct TestApp {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl TestApp {
    /// Registers it.
    pub(crate) fn open(asterisk: &Asterisk) -> Self {
        let url = format!("{}/events?app={TEST_APP}", asterisk.url().replace("http:", "ws:"));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = Runtime::new().unwrap();
            runtime.block_on(hold_open(&url, stopped));
        });
        let app = Self { stop: Some(stop), thread: Some(thread) };
        wait::until("registration of test-app", wait::s(10), || {
            let (status, body) = asterisk.rest("GET", &format!("applications/{TEST_APP}"), &[]);
            if status == 200 { Ok(()) } else { Err(body) }
        });
        app
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn hold_open(url: &str, mut stopped: tokio::sync::oneshot::Receiver<()>) {
    use base64::Engine as _;
    let mut request = url.into_client_request().unwrap();
    let login = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", USER.0, USER.1));
    request.headers_mut().insert("Authorization", format!("Basic {login}").parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("the test's own WebSocket");
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            message = socket.next() => if message.is_none() { return },
        }
    }
}
