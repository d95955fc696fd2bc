//! What Asterisk needs to connect out to the feed process: websocket_client.conf, and a section of ari.conf.

use std::net::SocketAddr;

use crate::actors::feed::app_beside;
use crate::config::{Asterisk, Feed};

/// The section of ari.conf; nothing where the feed connects to Asterisk.
pub(super) fn ari(asterisk: &Asterisk, freepbx: bool) -> String {
    if !asterisk.accepts() {
        return String::new();
    }
    let whence = if freepbx { "; The following into ari_additional_custom.conf:\n" } else { "" };
    format!(
        "\n{whence}[{}]\ntype = outbound_websocket\nwebsocket_client_id = {}\napps = {}\nsubscribe_all = yes\n\
         local_ari_user = {}\n",
        section(asterisk),
        section(asterisk),
        app_beside(&asterisk.app, None),
        asterisk.username
    )
}

/// websocket_client.conf, the same with and without FreePBX, which doesn't write it.
pub(super) fn websocket_client(asterisk: &Asterisk, feed: &Feed, show_secrets: bool) -> String {
    if !asterisk.accepts() {
        return "; not needed: asterisk.feed_listen (ARI_FEED_LISTEN) is empty, so the feed connects to Asterisk\n"
            .to_owned();
    }
    let secure = !feed.tls_cert.as_os_str().is_empty();
    // An address that validation refuses doesn't come this far.
    let (host, hint) = match asterisk.feed_listen.parse::<SocketAddr>() {
        Ok(address) if secure => (
            format!("callcenter.example:{}", address.port()),
            "   ; a name of the certificate's: addresses don't match",
        ),
        Ok(address) if address.ip().is_unspecified() => {
            (format!("callcenter.example:{}", address.port()), "   ; the address by which Asterisk reaches callcenter")
        }
        Ok(_) | Err(_) => (asterisk.feed_listen.clone(), ""),
    };
    let (scheme, tls) = if secure {
        let tls = "tls_enabled = yes\nca_list_file = /etc/asterisk/keys/callcenter-ca.pem   ; who signed feed.tls_cert\n\
                   verify_server_cert = yes\nverify_server_hostname = yes\n";
        ("wss", tls)
    } else {
        ("ws", "")
    };
    let password = if show_secrets && !asterisk.feed_password.is_empty() {
        // A semicolon begins a comment in Asterisk's files.
        format!("password = {}", asterisk.feed_password.expose().replace(';', "\\;"))
    } else {
        "password =    ; that of asterisk.feed_password (ARI_FEED_PASSWORD); --show-secrets prints it".to_owned()
    };
    format!(
        "[{}]\ntype = websocket_client\nconnection_type = persistent\nuri = {scheme}://{host}{}{hint}\nprotocols = ari\n\
         username = {}\n{password}\nconnection_timeout = 500\nreconnect_interval = 1000\n{tls}",
        section(asterisk),
        asterisk.feed_path(),
        asterisk.name
    )
}

/// The name of both sections. ari.conf has users beside it, so it is none that a user would have.
fn section(asterisk: &Asterisk) -> String {
    format!("callcenter-feed-{}", asterisk.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn both_files_name_what_the_feed_expects_and_the_password_only_when_asked() {
        let asterisk = Asterisk {
            feed_listen: "0.0.0.0:8091".into(),
            feed_password: Secret::new("ge;heim"),
            username: "cc".into(),
            ..Asterisk::default()
        };
        let text = ari(&asterisk, false);
        assert!(text.starts_with("\n[callcenter-feed-main]\ntype = outbound_websocket\n"), "{text}");
        assert!(text.contains("\napps = callcenter-app-feed\nsubscribe_all = yes\nlocal_ari_user = cc\n"), "{text}");
        assert!(ari(&asterisk, true).contains("ari_additional_custom.conf"));
        let mut feed = Feed::default();
        let text = websocket_client(&asterisk, &feed, false);
        assert!(text.contains("\nuri = ws://callcenter.example:8091/feed/main   ;"), "{text}");
        assert!(text.contains("\nusername = main\n") && !text.contains("heim") && !text.contains("tls"), "{text}");
        feed.tls_cert = "/etc/callcenter/feed.pem".into();
        let own = Asterisk { feed_listen: "10.0.0.5:8091".into(), ..asterisk };
        let text = websocket_client(&own, &feed, true);
        assert!(
            text.contains("\nuri = wss://callcenter.example:8091/feed/main   ; a name of")
                && text.contains("ge\\;heim\n"),
            "{text}"
        );
        assert!(text.ends_with("verify_server_hostname = yes\n") && text.contains("\ntls_enabled = yes\n"), "{text}");
    }

    #[test]
    fn without_accept_mode_nothing_is_asked_of_asterisk() {
        assert_eq!(ari(&Asterisk::default(), false), "");
        assert!(websocket_client(&Asterisk::default(), &Feed::default(), true).starts_with("; not needed"));
    }
}
