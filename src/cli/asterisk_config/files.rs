//! The texts of Asterisk's files: the one source of what the READMEs show, `doctor` advises and the command prints.

use url::{Host, Url};

use crate::config::{Asterisk, Guard};

/// What can be told of ARI's root.
struct Root {
    secure: bool,
    /// The address to listen at; none where the URL has a name that only Asterisk's machine can resolve.
    bind: Option<String>,
    port: u16,
    prefix: String,
}

impl Root {
    fn of(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let secure = matches!(url.scheme(), "https" | "wss");
        let bind = match url.host()? {
            Host::Ipv4(ip) => Some(ip.to_string()),
            Host::Ipv6(ip) => Some(ip.to_string()),
            Host::Domain("localhost") => Some("127.0.0.1".to_owned()),
            Host::Domain(_) => None,
        };
        let path = url.path().trim_matches('/');
        let prefix = path.strip_suffix("ari").unwrap_or(path).trim_matches('/').to_owned();
        Some(Self { secure, bind, port: url.port().unwrap_or(if secure { 443 } else { 80 }), prefix })
    }
}

/// http.conf for this root of ARI; for FreePBX what to set.
pub(in crate::cli) fn http(url: &str, freepbx: bool) -> String {
    // A URL that validation refuses doesn't come this far.
    let Some(root) = Root::of(url) else { return "; asterisk.url (ARI_URL) is no URL\n".to_owned() };
    let bind = root.bind.as_deref().unwrap_or("0.0.0.0");
    if freepbx {
        let (secure, kind) = if root.secure { ("HTTPS ", "HTTPS ") } else { ("", "HTTP ") };
        let prefix = if root.prefix.is_empty() { "(empty)" } else { &root.prefix };
        return format!(
            "; FreePBX writes this file. Settings, Advanced Settings, Asterisk Builtin mini-HTTP server:\n\
             ;   Enable the mini-HTTP Server: Yes\n;   {secure}Bind Address: {bind}\n;   {kind}Bind Port: {}\n\
             ;   HTTP Prefix: {prefix}\n; Then Apply Config, and: fwconsole restart\n",
            root.port
        );
    }
    let whence = match (&root.bind, bind) {
        (None, _) => "   ; better only the address by which callcenter reaches it; behind a firewall",
        (Some(_), "127.0.0.1") => "   ; callcenter on another machine: an address it can reach, behind a firewall",
        (Some(_), _) => "   ; behind a firewall",
    };
    let prefix = if root.prefix.is_empty() {
        ";prefix = asterisk     ; if set, it is part of ARI_URL: http://127.0.0.1:8088/asterisk/ari\n".to_owned()
    } else {
        format!("prefix = {}\n", root.prefix)
    };
    if !root.secure {
        return format!("[general]\nenabled = yes\nbindaddr = {bind}{whence}\nbindport = {}\n{prefix}", root.port);
    }
    let bind = if bind.contains(':') { format!("[{bind}]") } else { bind.to_owned() };
    format!(
        "[general]\nenabled = yes\nbindaddr = 127.0.0.1\n{prefix}tlsenable = yes\ntlsbindaddr = {bind}:{}{whence}\n\
         tlscertfile = /etc/asterisk/keys/asterisk.pem\ntlsprivatekey = /etc/asterisk/keys/asterisk.key\n",
        root.port
    )
}

/// ari.conf with the user; for FreePBX what to set.
pub(in crate::cli) fn ari(asterisk: &Asterisk, freepbx: bool, show_secrets: bool) -> String {
    let user = &asterisk.username;
    let known = show_secrets && !asterisk.password.is_empty();
    if freepbx {
        let password = if known { asterisk.password.expose() } else { "that of asterisk.password (ARI_PASSWORD)" };
        return format!(
            "; FreePBX writes this file. Settings, Advanced Settings: Enable the Asterisk REST Interface: Yes. Then\n\
             ; Settings, Asterisk REST Interface Users, a user:\n;   REST Interface User Name: {user}\n\
             ;   REST Interface User Password: {password}\n;   Password Type: Plain Text\n;   Read Only: No\n"
        );
    }
    let password = if known {
        // A semicolon begins a comment in Asterisk's files.
        format!("password = {}", asterisk.password.expose().replace(';', "\\;"))
    } else {
        "password =    ; that of asterisk.password (ARI_PASSWORD); --show-secrets prints it".to_owned()
    };
    format!("[general]\nenabled = yes\n\n[{user}]\ntype = user\nread_only = no\npassword_format = plain\n{password}\n")
}

/// The line that leads past the application unless the service answered just now; none without a guard.
fn guarded(guard: &Guard) -> Option<String> {
    let Guard { variable, max_age_s } = guard;
    (!variable.is_empty()).then(|| format!("GotoIf($[${{EPOCH}} - 0${{{variable}}} > {max_age_s}]?direct)"))
}

/// The lines of an extension that enters the application and then dials, below a context of the owner's.
pub(in crate::cli) fn dialplan(app: &str, guard: &Guard) -> String {
    let (check, label) =
        guarded(guard).map_or_else(Default::default, |line| (format!(" same => n,{line}\n"), "(direct)"));
    format!(
        "exten => _X.,1,NoOp(Call to ${{EXTEN}})\n{check} same => n,Stasis({app},${{EXTEN}})\n \
         same => n{label},Dial(PJSIP/${{FILTER(0-9,${{EXTEN}})}},30,tr)\n same => n,Hangup()\n"
    )
}

/// extensions_custom.conf: a subroutine, and where FreePBX calls it.
pub(in crate::cli) fn freepbx(app: &str, guard: &Guard) -> String {
    let enter = match guarded(guard) {
        Some(line) => {
            format!("exten => s,1,{line}\n same => n,Stasis({app},${{ARG1}})\n same => n(direct),Return()\n")
        }
        None => format!("exten => s,1,Stasis({app},${{ARG1}})\n same => n,Return()\n"),
    };
    format!(
        "; Enters the application and comes back. For inbound routes make a Custom Destination in FreePBX: target\n\
         ; callcenter-enter,s,1, Return: Yes, and as destination what the route had before.\n\
         [callcenter-enter]\n{enter}\n\
         ; FreePBX calls this before it dials a trunk. If you have it already, add the Gosub line to yours.\n\
         ; FreePBX 16 and older: MacroExit() instead of Return().\n\
         [macro-dialout-trunk-predial-hook]\n\
         exten => s,1,Gosub(callcenter-enter,s,1(${{OUTNUM}}))\n same => n,Return()\n\n\
         ; Looked at before FreePBX's own extensions: only single numbers that are free, to try it. No patterns such as\n\
         ; _X., which would take over every call. Here 7999 rings 100.\n\
         [from-internal-custom]\n\
         ;exten => 7999,1,Gosub(callcenter-enter,s,1(${{EXTEN}}))\n; same => n,Goto(from-internal,100,1)\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn address_and_prefix_are_those_of_the_url() {
        let plain = http("http://10.0.0.2:8090/pbx/one/ari/", false);
        for line in ["bindaddr = 10.0.0.2   ; behind a firewall", "bindport = 8090", "prefix = pbx/one"] {
            assert!(plain.lines().any(|found| found == line), "{line}: {plain}");
        }
        let secure = http("wss://[::1]:8089/ari", false);
        assert!(secure.contains("tlsenable = yes\ntlsbindaddr = [::1]:8089   ; behind"), "{secure}");
        let named = http("http://pbx.example/asterisk", false);
        assert!(
            named.contains("bindaddr = 0.0.0.0 ") && named.contains("bindport = 80\nprefix = asterisk\n"),
            "{named}"
        );
        let free = http("http://127.0.0.1:8088/asterisk/ari", true);
        assert!(free.lines().all(|line| line.starts_with(';')) && free.contains("HTTP Prefix: asterisk\n"), "{free}");
    }

    #[test]
    fn the_password_is_printed_only_when_asked_for() {
        let asterisk = Asterisk { password: Secret::new("ge;heim"), ..Asterisk::default() };
        for freepbx in [false, true] {
            let hidden = ari(&asterisk, freepbx, false);
            assert!(!hidden.contains("heim") && hidden.contains("ARI_PASSWORD"), "{hidden}");
        }
        assert!(ari(&asterisk, false, true).ends_with("password = ge\\;heim\n"));
        assert!(ari(&asterisk, true, true).contains("Password: ge;heim\n"));
    }

    #[test]
    fn without_a_guard_nothing_asks_for_it() {
        let none = Guard { variable: String::new(), ..Guard::default() };
        for text in [dialplan("cc", &none), freepbx("cc", &none)] {
            assert!(text.contains("Stasis(cc,") && !text.contains("direct") && !text.contains("EPOCH"), "{text}");
        }
        let own = Guard { variable: "OFFICE".into(), max_age_s: 5 };
        for text in [dialplan("cc", &own), freepbx("cc", &own)] {
            assert!(
                text.contains("GotoIf($[${EPOCH} - 0${OFFICE} > 5]?direct)") && text.contains("n(direct),"),
                "{text}"
            );
        }
    }
}
