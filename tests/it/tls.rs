//! ARI over TLS with a private certificate authority, without a prefix: a real Asterisk's own HTTPS port.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::doctor::Doctor;
use crate::kit::asterisk::USER;
use crate::kit::wait::s;
use crate::kit::{Asterisk, Service, live};

/// PEM files: an authority of one's own and a server's certificate that it signed.
struct Certificates {
    _folder: tempfile::TempDir,
    authority: PathBuf,
    server: PathBuf,
    key: PathBuf,
}

fn certificates() -> Certificates {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = write("ca.pem", &params.self_signed(&key).unwrap().pem());
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let (server, key) = (write("server.pem", &server.pem()), write("server.key", &key.serialize_pem()));
    Certificates { _folder: folder, authority, server, key }
}

#[test]
fn a_private_authority_is_trusted_where_it_is_named_and_only_there() {
    if !live() {
        return;
    }
    let (files, others) = (certificates(), certificates());
    let asterisk = Asterisk::secure(&files.server, &files.key);
    let user = [("ARI_USERNAME", USER.0), ("ARI_PASSWORD", USER.1), ("ARI_APP_NAME", "callcenter-app")];
    let [authority, other] = [&files.authority, &others.authority].map(|path| path.display().to_string());
    let _callee = asterisk.answerer(121, 100, 3_600_000);
    for scheme in ["https", "wss"] {
        let url = asterisk.tls_url(scheme);
        let named = [("ARI_URL", url.as_str()), ("ARI_CA_FILE", &authority)];
        let mut service = Service::with("", &[&user[..], &named].concat());
        asterisk.caller("uac", 120, &["to=121", "talk=300"]).succeed(s(30));
        crate::live::answered(&service, "caller_number = '120'");
        service.sigterm();
    }
    // Without the authority, and with one that signed nothing here: refused, and said why.
    let url = asterisk.tls_url("https");
    for more in [vec![], vec![("ARI_CA_FILE", other.as_str())]] {
        let environment = [&user[..], &[("ARI_URL", url.as_str())], &more].concat();
        let mut service = Service::launched("", &environment);
        let line = service.says("asterisk.ca_file", s(20));
        assert!(line.contains("TLS with") && line.contains("private authority"), "{line}");
        let body = service.unready(s(5)).to_string();
        assert!(body.contains("asterisk.ca_file"), "{body}");
        assert!(!body.contains(USER.1) && !line.contains(USER.1), "{body} {line}");
        service.sigterm();
    }
    let found = Doctor::at(&url).run(&["--json"]);
    found.problems(&["ari"]);
    assert!(found.step("ari", "problem").contains("name its PEM file as asterisk.ca_file"));
    let found = Doctor::at(&url).env("ARI_CA_FILE", &authority).run(&["--json", "--wait", "1"]);
    found.problems(&["test_call"]);
}
