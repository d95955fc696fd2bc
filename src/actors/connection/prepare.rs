//! What is asked after each connect, beside the reading: whether Asterisk sends everything (and the repair), the event
//! filter, and the state that a gap may have changed.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;
use tracing::{info, warn};

use super::away::Away;
use super::control::{release, release_until_none_waits, within_limit};
use super::hearing::Hearing;
use super::life::Life;
use super::outbox::Outbox;
use super::session::Session;
use super::status::{Shared, SubscribeAll};
use crate::actors::ari_http::{Answer, AriClient};
use crate::actors::audit::{self, CommandIds};
use crate::actors::messages::{EntryBody, wall_clock};
use crate::ari::entry::Gap;
use crate::ari::outcome::Outcome;
use crate::ari::request::{ApplicationAction, ChannelAction, Request};
use crate::model::NodeId;

/// Right after the handshake Asterisk may not know the application yet: so often it is looked for again.
const APP_LOOKS: u32 = 20;
/// The pause between two looks, and between two tries at reading the state.
const PAUSE: Duration = Duration::from_millis(100);
/// Tries at `GET /channels` and `GET /bridges`.
const STATE_TRIES: u32 = 3;
/// Channel variables read at once.
const VARIABLES_AT_ONCE: usize = 4;
/// Time for all channel variables; what is missing then stays missing.
const VARIABLES_LIMIT: Duration = Duration::from_secs(10);
/// How long what comes meanwhile is held back for the snapshot: callers wait for that.
const HOLD_LIMIT: Duration = Duration::from_secs(1);
/// What a channel object doesn't tell: when its call was answered, and which channels belong together.
const VARIABLES: [&str; 2] = ["CDR(answer,u)", "CHANNEL(linkedid)"];
/// Every device's state, as `eventSource` names it.
const DEVICES: &str = "deviceState:";
/// How long a backlog that was read may take into the journal.
const BACKLOG_LIMIT: Duration = Duration::from_secs(10);
/// Who asks, in the audit.
pub(super) const WHO: &str = "connection";

pub(super) struct Prepare {
    node: NodeId,
    app: String,
    filter: Vec<String>,
    client: Rc<AriClient>,
    ids: Rc<CommandIds>,
    outbox: Outbox,
    status: Shared,
    hearing: Rc<Hearing>,
    /// The gap that ends with this session.
    heard: Option<Gap>,
    /// When the handshake was done, seconds since 1970.
    opened: f64,
    root: String,
    /// When the connect began.
    began: Instant,
    /// Whether this is only the control beside a feed process.
    control: bool,
    /// How the session before ended, where Asterisk connected to us.
    away: Option<Rc<Away>>,
}

/// What `GET /applications/APP` shows of its subscriptions.
#[derive(Deserialize)]
pub(super) struct Application {
    channel_ids: Vec<String>,
    bridge_ids: Vec<String>,
    endpoint_ids: Vec<String>,
    device_names: Vec<String>,
}

impl Application {
    /// Whether every kind of event comes whole.
    pub(super) fn hears_everything(&self) -> bool {
        self.missing().is_empty()
    }

    /// Whether no kind of event comes whole.
    pub(super) fn hears_nothing_whole(&self) -> bool {
        self.missing().len() == 4
    }

    /// The event sources whose subscription to everything is missing, as `eventSource` names them.
    fn missing(&self) -> Vec<String> {
        let everything = |ids: &[String]| ids.iter().any(|id| id.starts_with("__AST_") && id.ends_with("_ALL_TOPIC"));
        [
            ("channel:", &self.channel_ids),
            ("bridge:", &self.bridge_ids),
            ("endpoint:", &self.endpoint_ids),
            (DEVICES, &self.device_names),
        ]
        .into_iter()
        .filter(|(_, ids)| !everything(ids))
        .map(|(source, _)| source.to_owned())
        .collect()
    }
}

/// The snapshot as the journal holds it: `entry::Snapshot`.
#[derive(Serialize)]
struct Snapshot {
    channels: Box<RawValue>,
    bridges: Box<RawValue>,
    variables: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asterisk_at: Option<f64>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

impl Prepare {
    pub(super) fn new(life: &Life, session: &Session, began: Instant) -> Self {
        Self {
            node: life.node.clone(),
            app: life.http.app().to_owned(),
            filter: life.ari.event_filter.clone(),
            client: life.client.clone(),
            ids: life.ids.clone(),
            outbox: life.outbox.clone(),
            status: life.status.clone(),
            hearing: session.hearing.clone(),
            heard: life.heard.clone(),
            opened: session.hearing.certain.get(),
            root: life.http.root().to_owned(),
            began,
            control: session.gate.is_control(),
            away: life.accept.as_ref().map(|accept| accept.away.clone()),
        }
    }

    /// All of it, in order.
    ///
    /// # Errors
    /// The reason why this session can't be used: it is closed on purpose and a new one tried after a wait.
    pub(super) async fn run(self) -> Result<(), String> {
        let took = self.began.elapsed().as_millis();
        if self.control {
            return self.take_control(took).await;
        }
        self.subscribe().await?;
        self.set_filter().await;
        let version = self.version().await;
        let (channels, bridges) = self.snapshot().await?;
        let all = {
            let mut status = self.status.borrow_mut();
            status.view.prepared = true;
            status.view.last_error = None;
            status.view.subscribe_all
        };
        let subscriptions = if all == SubscribeAll::Repaired { "repaired" } else { "in force" };
        info!(
            node = %self.node,
            "connected to {} (Asterisk {version}) in {took} ms; subscribeAll {subscriptions}; {channels} channels, \
             {bridges} bridges now", self.root
        );
        Ok(())
    }

    /// The control beside a feed process: nothing is subscribed and no gap noted, as the feed hears everything; whoever
    /// came into the application while nobody watched it goes on.
    async fn take_control(self, took: u128) -> Result<(), String> {
        self.hearing.begin(&self.outbox, None);
        let version = self.version().await;
        let whose = (&self.node, &*self.client, self.app.as_str());
        let released = within_limit(release(whose, &self.ids, |entry| self.outbox.entry(entry))).await;
        {
            let mut status = self.status.borrow_mut();
            status.view.prepared = true;
            status.view.last_error = None;
        }
        info!(
            node = %self.node,
            "the control of '{}' is connected to {} (Asterisk {version}) in {took} ms; {} callers had waited",
            self.app, self.root, released.waited
        );
        if !released.all {
            release_until_none_waits(whose, &self.ids, |entry| self.outbox.entry(entry)).await;
        }
        Ok(())
    }

    /// Sees to it that Asterisk sends everything. `subscribeAll` is only read when the application object is made; one
    /// that outlived its last client has only what was asked for explicitly.
    async fn subscribe(&self) -> Result<(), String> {
        let mut missing = self.look().await?.missing();
        // `subscribe_all = yes` of an outbound WebSocket leaves device states out (measured); no call is made of them.
        let devices = self.away.is_some() && missing == [DEVICES];
        if devices {
            missing.clear();
        }
        let found = if missing.is_empty() { SubscribeAll::Ok } else { self.repair(missing).await? };
        if let Some(gap) = &self.heard {
            let lost = self.opened - gap.since;
            info!(node = %self.node, "nothing was heard for {lost:.1} s: {}", gap.reason);
        }
        let gap = if found == SubscribeAll::Repaired {
            // Only a part was heard until now.
            let why = "subscribeAll was not in force";
            let before = self.heard.clone().map(|g| Gap { reason: format!("{}; then {why}", g.reason), ..g });
            Some((wall_clock(), before.unwrap_or_else(|| Gap { since: self.opened, reason: why.into() })))
        } else {
            self.heard.clone().map(|gap| (self.opened, gap))
        };
        match &self.away {
            None => self.hearing.begin(&self.outbox, gap),
            Some(away) => self.take_backlog(away, found, gap).await,
        }
        self.status.borrow_mut().view.subscribe_all = found;
        if devices {
            let answer = self.audited(&self.about_app(ApplicationAction::Subscribe(vec![DEVICES.into()]))).await;
            if !answer.outcome.is_done() {
                warn!(node = %self.node, "device states will not come: {}", answer.outcome);
            }
        }
        Ok(())
    }

    /// Asterisk connected to us, and sends first what it kept: that is there was a gap only where it can't have kept
    /// everything. Returns when it has sent that.
    async fn take_backlog(&self, away: &Away, found: SubscribeAll, gap: Option<(f64, Gap)>) {
        let startup = self.client.ask(&Request::Info).await.startup();
        let kept = away.nothing_missed(startup, self.heard.as_ref()) && found == SubscribeAll::Ok;
        match (&self.heard, kept) {
            (Some(heard), true) => self.hearing.begin_backlog(&self.outbox, heard.since),
            (Some(_) | None, _) => {
                self.hearing.begin(&self.outbox, gap);
                away.forget();
            }
        }
        self.hearing.backlog_read().await;
        if kept {
            info!(node = %self.node, "Asterisk had kept what came meanwhile: no gap");
            // Until it is in the journal, a sudden end would lose what the file still tells of.
            if self.outbox.drained(BACKLOG_LIMIT).await {
                away.forget();
            }
        }
    }

    async fn repair(&self, missing: Vec<String>) -> Result<SubscribeAll, String> {
        let names = missing.join(" ").replace(':', "");
        warn!(node = %self.node, "subscribeAll is not in force for {names}: repairing");
        let answer = self.audited(&self.about_app(ApplicationAction::Subscribe(missing))).await;
        let left = self.look().await?.missing();
        if left.is_empty() {
            return Ok(SubscribeAll::Repaired);
        }
        self.status.borrow_mut().view.subscribe_all = SubscribeAll::Failed;
        Err(format!(
            "subscribeAll is not in force and subscribing to {names} failed ({}): Asterisk would not send every call",
            answer.outcome
        ))
    }

    async fn look(&self) -> Result<Application, String> {
        let get = self.about_app(ApplicationAction::Get);
        let mut answer = self.client.ask(&get).await;
        for _ in 1..APP_LOOKS {
            if !matches!(answer.outcome, Outcome::Gone(_)) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            answer = self.client.ask(&get).await;
        }
        let body = done(&get, &answer)?;
        serde_json::from_slice(body).map_err(|e| format!("{} gave no application: {e}", get.path()))
    }

    /// Without the filter everything still works, only with more traffic.
    async fn set_filter(&self) {
        let answer = self.audited(&self.about_app(ApplicationAction::Filter(self.filter.clone()))).await;
        if !answer.outcome.is_done() {
            warn!(node = %self.node, "the event filter could not be set, every event will come: {}", answer.outcome);
        }
    }

    /// Asterisk's version, for people.
    async fn version(&self) -> String {
        let version = self.client.ask(&Request::Info).await.version();
        let text = version.clone().unwrap_or_else(|| "of unknown version".into());
        self.status.borrow_mut().view.asterisk_version = version;
        text
    }

    /// Puts Asterisk's present state into the journal; says how many channels and bridges there are.
    ///
    /// What comes after the lists stands behind them in the journal. Else a call of the gap that ends while variables are
    /// read would be known by its last events alone, which don't tell its legs.
    async fn snapshot(&self) -> Result<(usize, usize), String> {
        let (channels, asterisk_at) = self.list(&Request::ListChannels).await?;
        self.hearing.hold();
        let ids = |json: &RawValue, what: &str| {
            serde_json::from_str::<Vec<Id>>(json.get()).map_err(|e| format!("GET {what} gave no list: {e}"))
        };
        let (bridges, counts, variables) = {
            let mut rest = std::pin::pin!(async {
                let (bridges, _) = self.list(&Request::ListBridges).await?;
                let channel_ids = ids(&channels, "/channels")?;
                let counts = (channel_ids.len(), ids(&bridges, "/bridges")?.len());
                Ok::<_, String>((bridges, counts, self.variables(channel_ids).await))
            });
            match tokio::time::timeout(HOLD_LIMIT, &mut rest).await {
                Ok(rest) => rest,
                Err(_) => {
                    self.hearing.let_on(&self.outbox);
                    rest.await
                }
            }
        }?;
        let snapshot = to_raw_value(&Snapshot { channels, bridges, variables, asterisk_at })
            .map_err(|e| format!("the snapshot can't be written: {e}"))?;
        self.outbox.entry(EntryBody::Snapshot(snapshot));
        self.hearing.let_on(&self.outbox);
        Ok(counts)
    }

    /// A list as Asterisk gave it, on one line, and Asterisk's clock at that moment.
    async fn list(&self, request: &Request) -> Result<(Box<RawValue>, Option<f64>), String> {
        let mut answer = self.client.ask(request).await;
        for _ in 1..STATE_TRIES {
            if answer.outcome.is_done() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            answer = self.client.ask(request).await;
        }
        if let Some(theirs) = answer.clock() {
            self.status.borrow_mut().saw_clock(theirs, wall_clock(), false);
        }
        let body = done(request, &answer)?;
        // Line breaks (Asterisk's `pretty = yes`) stand between tokens only; the journal has one line an entry.
        let line: Vec<u8> = body.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }).collect();
        let list = serde_json::from_slice(&line).map_err(|e| format!("{} gave no JSON: {e}", request.path()))?;
        Ok((list, answer.asterisk_at))
    }

    /// By channel id: what its object doesn't tell. A channel that ends meanwhile simply has none.
    async fn variables(&self, channels: Vec<Id>) -> BTreeMap<String, BTreeMap<String, String>> {
        #[derive(Deserialize)]
        struct Variable {
            value: String,
        }
        let expected = channels.len() * VARIABLES.len();
        let reads = channels.into_iter().flat_map(|Id { id }| VARIABLES.map(|name| (id.clone(), name)));
        let answers = futures_util::stream::iter(reads)
            .map(|(id, name)| async move {
                let request = Request::channel(id.as_str(), ChannelAction::GetVariable(name.to_owned()));
                let answer = self.client.ask(&request).await;
                let value = answer.outcome.body().and_then(|b| serde_json::from_slice::<Variable>(b).ok());
                (id, name, value)
            })
            .buffer_unordered(VARIABLES_AT_ONCE);
        let mut answers = std::pin::pin!(answers.take_until(tokio::time::sleep(VARIABLES_LIMIT)));
        let mut variables = BTreeMap::<String, BTreeMap<String, String>>::new();
        let mut came = 0;
        while let Some((id, name, value)) = answers.next().await {
            came += 1;
            if let Some(Variable { value }) = value {
                variables.entry(id).or_default().insert(name.to_owned(), value);
            }
        }
        if came < expected {
            warn!(node = %self.node, "only {came} of {expected} channel variables were read in time");
        }
        variables
    }

    fn about_app(&self, action: ApplicationAction) -> Request {
        Request::application(self.app.as_str(), action)
    }

    /// Asks something that changes something: on record before and after.
    async fn audited(&self, request: &Request) -> Answer {
        let id = self.ids.next();
        self.outbox.entry(EntryBody::Command(request.to_command(id.as_str(), WHO)));
        let answer = self.client.ask(request).await;
        self.outbox.entry(EntryBody::Reply(audit::reply(id, &answer)));
        answer
    }
}

/// The body of an answer that must be there.
fn done<'a>(request: &Request, answer: &'a Answer) -> Result<&'a bytes::Bytes, String> {
    let what = || format!("{} {}: {}", request.method().as_str(), request.path(), answer.outcome);
    answer.outcome.body().ok_or_else(what)
}
