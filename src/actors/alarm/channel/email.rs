//! E-mail by SMTP.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::{Message, SendError};
use crate::config::{Alarms, SmtpSecurity};

pub(super) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Email {
    pub(super) fn new(alarms: &Alarms) -> Result<Self, String> {
        let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|e| format!("'{text}' is no mail address: {e}"));
        let tls = match alarms.smtp_security {
            SmtpSecurity::Starttls => Tls::Required(parameters(alarms)?),
            SmtpSecurity::Tls => Tls::Wrapper(parameters(alarms)?),
            SmtpSecurity::None => Tls::None,
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(alarms.smtp_host.as_str())
            .port(alarms.smtp_port)
            .tls(tls)
            .timeout(Some(Duration::from_millis(alarms.send_timeout_ms)));
        let builder = if alarms.smtp_username.is_empty() {
            builder
        } else {
            let password = alarms.smtp_password.expose().to_owned();
            builder.credentials(Credentials::new(alarms.smtp_username.clone(), password))
        };
        Ok(Self {
            transport: builder.build(),
            from: mailbox(&alarms.smtp_from)?,
            to: alarms.smtp_to.iter().map(mailbox).collect::<Result<_, _>>()?,
        })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<String, SendError> {
        let mail = lettre::Message::builder().from(self.from.clone()).subject(message.text.subject.clone());
        let mail = self.to.iter().fold(mail, |mail, to| mail.to(to.clone())).header(ContentType::TEXT_PLAIN);
        let mail = mail.body(message.text.body.clone()).map_err(|error| SendError::new(error.to_string()))?;
        match self.transport.send(mail).await {
            Ok(reply) => Ok(format!("SMTP {} {}", reply.code(), reply.message().collect::<Vec<_>>().join(" "))),
            Err(error) => Err(SendError::new(failure(&error))),
        }
    }
}

fn parameters(alarms: &Alarms) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(alarms.smtp_host.clone());
    if let Some(file) = alarms.ca_file() {
        let pem = std::fs::read(file).map_err(|error| format!("alarms.ca_file can't be read: {error}"))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| format!("alarms.ca_file is damaged: {error}"))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|error| format!("TLS with the mail server can't be set up: {error}"))
}

/// The library's words with their causes: what the server said is one of them.
fn failure(error: &lettre::transport::smtp::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = inner.source();
    }
    let hint =
        if error.is_permanent() { "; check alarms.smtp_username, smtp_password, smtp_from and smtp_to" } else { "" };
    format!("{words}{hint}")
}
