//! A test message through each channel of alarms, without a service.

use actix::prelude::*;

use crate::actors::alarm::channel::{Channel, Message, SendError};
use crate::actors::alarm::event::{Event, Notification};
use crate::actors::messages::wall_clock;
use crate::config::Config;

/// Sends it once through each configured channel, side by side; what came back, by channel.
pub fn alarms_test(config: &Config) -> Vec<(&'static str, Result<String, SendError>)> {
    let now = wall_clock();
    let notification = Notification { id: format!("{:.0}", now * 1_000.0), at: now, events: vec![Event::Test] };
    let message = Message::new(&notification, config);
    System::new().block_on(async {
        let channels = Channel::all(&config.alarms);
        let sending = channels.iter().map(|channel| channel.send(&message));
        let answers = futures_util::future::join_all(sending).await;
        channels.iter().map(|channel| channel.name).zip(answers).collect()
    })
}
