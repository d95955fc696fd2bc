//! The rules of accept mode: where the feed process waits for Asterisk, and what it needs for that.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use super::validate::ca_mistake;
use super::{Config, FeedMode, Mistake, keys};

/// What is wrong with it.
pub(super) fn check(config: &Config, mistakes: &mut Vec<Mistake>) {
    let mut taken = HashMap::new();
    for (index, server) in config.asterisk.iter().enumerate() {
        let mut wrong = |field: &str, found: String, sentence: &str| {
            mistakes.push(Mistake::at(keys::server_key(index, field), found, sentence));
        };
        if !server.accepts() {
            continue;
        }
        let listen = format!("{:?}", server.feed_listen);
        match server.feed_listen.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 => {
                if let Some(first) = taken.insert(address, index) {
                    let sentence = format!("Server {} waits there already. Allowed: another port.", first + 1);
                    wrong("feed_listen", listen, &sentence);
                }
            }
            Ok(_) | Err(_) => {
                let sentence = "Allowed: an IP address of this machine and a port, such as 127.0.0.1:8091 or [::1]:8091; \
                                empty, and the feed connects to Asterisk.";
                wrong("feed_listen", listen, sentence);
            }
        }
        let password = server.feed_password.expose();
        if password.is_empty() {
            let sentence = "Set one: whoever knows it can tell this program of calls that never were.";
            wrong("feed_password", "nothing".into(), sentence);
        } else if password.contains(char::is_control) {
            wrong("feed_password", "a control character".into(), "Allowed: text on one line.");
        }
        if config.feed.mode == FeedMode::Own {
            let sentence =
                "Only a feed process can be connected to. Allowed: feed.mode \"auto\" or \"process\" with it.";
            wrong("feed_listen", format!("{:?}", server.feed_listen), sentence);
        }
    }
    tls(config, mistakes);
}

fn tls(config: &Config, mistakes: &mut Vec<Mistake>) {
    let (certificate, key) = (config.feed.tls_cert.as_path(), config.feed.tls_key.as_path());
    let is_empty = |path: &Path| path.as_os_str().is_empty();
    let mut wrong = |field: &str, path: &Path, sentence: String| {
        mistakes.push(Mistake::at(format!("feed.{field}"), format!("{:?}", path.to_string_lossy()), sentence));
    };
    match (is_empty(certificate), is_empty(key)) {
        (true, true) => {}
        (true, false) => wrong("tls_cert", certificate, "Set both feed.tls_cert and feed.tls_key, or none.".into()),
        (false, true) => wrong("tls_key", key, "Set both feed.tls_cert and feed.tls_key, or none.".into()),
        (false, false) => {
            if let Some(sentence) = ca_mistake(certificate) {
                wrong("tls_cert", certificate, sentence);
            }
            if let Err(error) = PrivateKeyDer::from_pem_file(key) {
                // The reader's words name no content of the file.
                let sentence = format!("It can't be used: {error}. Allowed: a PEM file with a private key.");
                wrong("tls_key", key, sentence);
            }
        }
    }
}
