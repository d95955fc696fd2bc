//! `callcenter asterisk-config`: prints Asterisk's files for the configuration in force.

pub(super) mod accept;
pub(super) mod files;

use std::io::Write;

use clap::{Args, ValueEnum};

use super::{Exit, node_name};
use crate::config::{Asterisk, Config, Loaded};

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Prints what Asterisk's http.conf, ari.conf and extensions.conf need for the configuration in force: address, prefix, \
    user, application and the guard, by which calls enter the application only while the service answers; in accept \
    mode (asterisk.feed_listen) websocket_client.conf too. Changes nothing; without a configured Asterisk it prints it for the defaults.";

/// `callcenter asterisk-config`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  callcenter asterisk-config\n  callcenter asterisk-config --part \
                       extensions.conf\n  callcenter asterisk-config --freepbx --part extensions.conf >> \
                       /etc/asterisk/extensions_custom.conf")]
pub struct AsteriskConfigArgs {
    /// For FreePBX, which writes its files itself: what to set in its web interface, and extensions_custom.conf.
    #[arg(long)]
    pub freepbx: bool,
    /// Print this file only.
    #[arg(long, value_name = "FILE")]
    pub part: Option<ConfPart>,
    /// For this server of the configuration; the first one when none is given.
    #[arg(long, value_name = "NAME", value_parser = node_name)]
    pub node: Option<String>,
    /// Print the password too; a comment stands for it otherwise.
    #[arg(long)]
    pub show_secrets: bool,
}

/// A file of Asterisk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConfPart {
    /// Asterisk's HTTP server.
    #[value(name = "http.conf")]
    Http,
    /// ARI and its user.
    #[value(name = "ari.conf")]
    Ari,
    /// Accept mode: where Asterisk connects to.
    #[value(name = "websocket_client.conf")]
    WebsocketClient,
    /// The dialplan; with --freepbx extensions_custom.conf.
    #[value(name = "extensions.conf")]
    Extensions,
}

/// Prints the files.
pub(super) fn run(args: &AsteriskConfigArgs, loaded: &Loaded) -> Exit {
    match text(args, &loaded.config) {
        Ok(text) if std::io::stdout().write_all(text.as_bytes()).is_ok() => Exit::Ok,
        Ok(_) => Exit::Failed,
        Err(error) => {
            eprintln!("{error}");
            Exit::Usage
        }
    }
}

/// What is printed.
///
/// # Errors
/// When there is no server of the name that was asked for.
pub(super) fn text(args: &AsteriskConfigArgs, config: &Config) -> Result<String, String> {
    let defaults = Asterisk::default();
    let asterisk = match &args.node {
        None => config.asterisk.first().unwrap_or(&defaults),
        Some(name) => config.asterisk.iter().find(|asterisk| asterisk.name == *name).ok_or_else(|| {
            let names: Vec<&str> = config.asterisk.iter().map(|asterisk| asterisk.name.as_str()).collect();
            format!("No server has the name '{name}'. Configured: {}.", names.join(", "))
        })?,
    };
    let print = |part| match part {
        ConfPart::Http => files::http(&asterisk.url, args.freepbx),
        ConfPart::Ari => {
            let outward = accept::ari(asterisk, args.freepbx);
            format!("{}{outward}", files::ari(asterisk, args.freepbx, args.show_secrets))
        }
        ConfPart::WebsocketClient => accept::websocket_client(asterisk, &config.feed, args.show_secrets),
        ConfPart::Extensions if args.freepbx => files::freepbx(&asterisk.app, &config.guard),
        ConfPart::Extensions => format!("[internal]\n{}", files::dialplan(&asterisk.app, &config.guard)),
    };
    if let Some(part) = args.part {
        return Ok(print(part));
    }
    let own = if args.freepbx { "extensions_custom.conf" } else { "extensions.conf" };
    let outward = asterisk.accepts().then_some(("websocket_client.conf", ConfPart::WebsocketClient));
    let parts = [("http.conf", ConfPart::Http), ("ari.conf", ConfPart::Ari)].into_iter().chain(outward);
    let parts = parts.chain([(own, ConfPart::Extensions)]);
    let texts = parts.map(|(name, part)| format!("; ---- {name} of '{}'\n{}", asterisk.name, print(part)));
    Ok(texts.collect::<Vec<_>>().join("\n"))
}
