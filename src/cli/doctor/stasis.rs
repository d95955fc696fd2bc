//! The application: its event socket, what it is subscribed to, and a call that enters it.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::events::{self, Watch, Way};
use super::hold::{Held, Seen};
use super::report::Outcome;
use crate::actors::ari_http::{AriClient, AriHttp};
use crate::actors::journal::JournalReader;
use crate::ari::outcome::Outcome as Answer;
use crate::ari::request::{ApplicationAction, Request};
use crate::cli::asterisk_config::files::dialplan;
use crate::config::Guard;

/// Right after the handshake Asterisk may not know the application yet: so often it is looked for again.
const LOOKS: u32 = 20;
/// The pause between two looks at Asterisk or at the journal's end.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes of the journal that are read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// By what a test call is seen.
pub(super) enum Entered {
    /// Doctor's own event socket.
    Held(Held),
    /// The journal of the running service.
    Journal(JournalReader),
}

impl Entered {
    /// Waits so many seconds for a call: what was tried and what came of it. Gives the application back.
    pub(super) async fn wait(self, app: &str, guard: &Guard, seconds: u64) -> (String, Outcome) {
        let limit = Duration::from_secs(seconds);
        match self {
            Self::Held(held) => {
                (format!("waited for a StasisStart of '{app}'"), by_socket(held, app, guard, limit).await)
            }
            Self::Journal(reader) => {
                let tried = format!("waited for a StasisStart of '{app}' in the running service's journal");
                (tried, by_journal(reader, app, guard, limit).await)
            }
        }
    }
}

async fn by_socket(mut held: Held, app: &str, guard: &Guard, limit: Duration) -> Outcome {
    let seen = held.wait(limit).await;
    held.release().await;
    match seen {
        Some(Seen::Call(call, Answer::Done { .. })) => {
            came(&call, "; it was sent on in the dialplan at once", app, guard)
        }
        // It hung up, or went on by itself.
        Some(Seen::Call(call, Answer::Gone(_) | Answer::NotInStasis)) => {
            came(&call, "; it was gone before it was sent on", app, guard)
        }
        Some(Seen::Call(call, answer)) => Outcome::problem(
            format!("a call entered ({}), but sending it on in the dialplan failed: {answer}", call.shown),
            "Callers would wait: see the ARI user's rights in ari.conf and Asterisk's own messages.",
        ),
        Some(Seen::End(reason)) => Outcome::problem(
            format!("no call was seen: {reason}"),
            "If another client uses this application, give each its own name (ARI_APP_NAME).",
        ),
        None => none_came(app, guard, limit),
    }
}

async fn by_journal(mut reader: JournalReader, app: &str, guard: &Guard, limit: Duration) -> Outcome {
    let began = Instant::now();
    let mut watch = Watch::new(app);
    loop {
        match reader.read(CHUNK_BYTES) {
            Ok(Some(chunk)) => {
                if let Some(call) = chunk.lines().find_map(|(_, line)| watch.line(line)) {
                    return came(&call, "", app, guard);
                }
            }
            Ok(None) if began.elapsed() >= limit => return none_came(app, guard, limit),
            Ok(None) => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                return Outcome::problem(error.to_string(), "See the journal's folder and the service's log.");
            }
        }
    }
}

/// A call that entered, and whether the dialplan asks first if it may.
fn came(call: &events::Entered, then: &str, app: &str, guard: &Guard) -> Outcome {
    let found = format!("a call entered: {}{then}", call.shown);
    let variable = &guard.variable;
    match &call.way {
        Way::Straight if !variable.is_empty() => Outcome::warning(
            format!("{found}; no condition stands before Stasis in that extension"),
            format!(
                "When the service hangs or is cut off from Asterisk, callers would wait there. Let the dialplan look at                  {variable} first (`callcenter asterisk-config` prints it too):\n{}\
                 Then: asterisk -rx 'dialplan reload'. A condition in another extension can't be seen from here.",
                dialplan(app, guard)
            ),
        ),
        Way::Condition(shown) if !variable.is_empty() => Outcome::ok(format!(
            "{found}; the condition before Stasis let it in: {shown} (Asterisk doesn't tell whether it asks for {variable})"
        )),
        Way::Condition(_) | Way::Straight | Way::Unseen => Outcome::ok(found),
    }
}

/// What to do when nothing came: the lines that the dialplan needs.
fn none_came(app: &str, guard: &Guard, limit: Duration) -> Outcome {
    Outcome::problem(
        format!("no call entered the application within {} s", limit.as_secs()),
        format!(
            "If you made a call, the dialplan doesn't lead it into the application. In extensions.conf, in the context \
             of your phones (`callcenter asterisk-config` prints them too):\n{}\
             Then: asterisk -rx 'dialplan reload'. `asterisk -rx 'dialplan show'` shows what is in force.\n\
             Else: make a call while doctor waits (--wait SECONDS).",
            dialplan(app, guard)
        ),
    )
}

/// What `GET /applications/APP` shows of its subscriptions.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Application {
    channel_ids: Vec<String>,
    bridge_ids: Vec<String>,
    endpoint_ids: Vec<String>,
    device_names: Vec<String>,
}

/// The application as Asterisk has it; `None` when nobody has made it.
pub(super) async fn application(client: &AriClient, app: &str) -> Result<Option<Application>, String> {
    let answer = client.ask(&Request::application(app, ApplicationAction::Get)).await;
    match &answer.outcome {
        Answer::Gone(_) => Ok(None),
        other => match other.body() {
            Some(body) => serde_json::from_slice(body).map(Some).map_err(|e| format!("no application: {e}")),
            None => Err(other.to_string()),
        },
    }
}

/// The same after our own connect.
pub(super) async fn application_soon(client: &AriClient, app: &str) -> Result<Option<Application>, String> {
    for _ in 1..LOOKS {
        match application(client, app).await {
            Ok(None) => tokio::time::sleep(PAUSE).await,
            found => return found,
        }
    }
    application(client, app).await
}

impl Application {
    /// The kinds of events of which not all come.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let everything = |ids: &[String]| ids.iter().any(|id| id.starts_with("__AST_") && id.ends_with("_ALL_TOPIC"));
        let kinds = [
            ("channel", &self.channel_ids),
            ("bridge", &self.bridge_ids),
            ("endpoint", &self.endpoint_ids),
            ("deviceState", &self.device_names),
        ];
        kinds.into_iter().filter(|(_, ids)| !everything(ids)).map(|(kind, _)| kind).collect()
    }

    /// Whether `subscribeAll` is in force.
    pub(super) fn subscribe_all(&self, app: &str) -> Outcome {
        let missing = self.missing();
        if missing.is_empty() {
            return Outcome::ok("in force: every channel, bridge, endpoint and device");
        }
        Outcome::warning(
            format!("not in force for: {}", missing.join(", ")),
            format!(
                "Asterisk reads subscribeAll only when it makes the application. This '{app}' was made by a client \
                 without it, and a subscription or a channel inside has kept it alive since.\n\
                 The service repairs that at each connect (POST /applications/{app}/subscription); there is nothing to \
                 do by hand."
            ),
        )
    }
}

/// Opens the event socket and holds the application.
pub(super) async fn hold(http: &AriHttp, guard: &str) -> Result<Held, Outcome> {
    match http.open_socket().await {
        Ok(socket) => Ok(Held::new(http, socket, guard)),
        Err(failure) => {
            let advice = match failure.status {
                Some(_) => {
                    "See that res_ari_events.so and res_http_websocket.so are loaded: `asterisk -rx 'module show \
                            like websocket'`. A proxy in front of Asterisk must pass WebSockets on."
                }
                None => "See Asterisk's own messages, and any proxy or firewall in between.",
            };
            Err(Outcome::problem(failure.message, advice))
        }
    }
}
