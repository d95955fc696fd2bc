//! `callcenter health`: asks the running service, for scripts and for the health check of a container.

use std::time::Duration;

use actix::System;
use clap::Args;
use serde_json::Value;

use super::Exit;
use crate::config::Loaded;

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Asks the running service on this machine whether it records calls (GET /health/ready) and says so in one line; \
    if not, why not.";

/// How long the service may take to answer.
const LIMIT: Duration = Duration::from_secs(3);
/// The largest answer read, bytes: sixteen servers with a reason each are a few KiB.
const MAX_BYTES: usize = 256 * 1024;

/// `callcenter health`.
#[derive(Debug, Args)]
#[command(after_long_help = "Exit codes: 0 it is, 1 it isn't or doesn't answer, 2 wrong usage or configuration.\n\n\
                       Examples:\n  callcenter health\n  callcenter health --live\n  callcenter health --url \
                       http://127.0.0.1:8081")]
pub struct HealthArgs {
    /// Ask only whether the process answers, whatever Asterisk and the database do.
    #[arg(long)]
    pub live: bool,
    /// Where it listens; 127.0.0.1 and `http.port` when not given.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

/// Asks and says.
pub(super) fn run(args: &HealthArgs, loaded: &Loaded) -> Exit {
    let root = match &args.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        // A wrong file somewhere else in the configuration doesn't matter, a wrong port does.
        None => match loaded.mistakes.iter().find(|mistake| mistake.key == "http.port") {
            Some(mistake) => {
                eprintln!("{mistake}");
                return Exit::Usage;
            }
            None => format!("http://127.0.0.1:{}", loaded.config.http.port),
        },
    };
    let url = format!("{root}/health/{}", if args.live { "live" } else { "ready" });
    match System::new().block_on(ask(&url)) {
        Ok(status) => {
            println!("{status}");
            Exit::Ok
        }
        Err(reason) => {
            eprintln!("{reason}");
            Exit::Failed
        }
    }
}

/// The service's own word for how it is; an error says why it isn't.
async fn ask(url: &str) -> Result<String, String> {
    let client = awc::Client::builder().timeout(LIMIT).disable_redirects().finish();
    let mut answer = client.get(url).send().await.map_err(|error| format!("no answer from {url}: {error}"))?;
    let status = answer.status();
    let other = |what: String| format!("no callcenter answers at {url}: {what}");
    let body: Value = answer.json().limit(MAX_BYTES).await.map_err(|error| other(format!("{status}, {error}")))?;
    let said = body["status"].as_str().ok_or_else(|| other(format!("{status}")))?;
    if status.is_success() {
        return Ok(said.to_owned());
    }
    let reasons: Vec<&str> = body["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    Err(format!("{said}: {}", reasons.join("; ")))
}
