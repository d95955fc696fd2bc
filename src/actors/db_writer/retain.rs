//! Retention: what is old goes while nothing waits to be written.

use std::time::{Duration, Instant};

use actix::prelude::*;
use tracing::warn;

use super::DbWriter;
use crate::actors::messages::wall_clock;
use crate::db::retention::{Keep, step};
use crate::model::Timestamp;

/// How long it rests after a whole sweep.
const REST: Duration = Duration::from_secs(3_600);
/// How long after a step that failed.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(60);
/// Between two steps it rests so many times as long as the last one took: a sweep takes a fifth of the writer's time.
const REST_TIMES: u32 = 4;
/// And at least so long.
const REST_LEAST: Duration = Duration::from_millis(5);

impl DbWriter {
    /// One small step, if nothing waits to be written; the next one follows soon. While much is written it is left
    /// to the idle moments that the writer looks for.
    pub(super) fn retain(&mut self, ctx: &mut Context<Self>) {
        let busy = !self.queue.is_empty() || self.prepared.is_some();
        if busy || self.step_due || Instant::now() < self.rest_until {
            return;
        }
        let keep =
            Keep { events_days: self.config.events_retention_days, calls_days: self.config.calls_retention_days };
        let now = Timestamp::from_secs_f64(wall_clock());
        let begun = Instant::now();
        match self.inside(|writer| step(&mut writer.connection, keep, now, &mut writer.sweep)) {
            Ok(done) if done.more => {
                let took = begun.elapsed();
                self.view.retired_rows += done.rows();
                self.view.longest_step_ms = self.view.longest_step_ms.max(took.as_secs_f64() * 1_000.0);
                self.step_due = true;
                ctx.run_later((took * REST_TIMES).max(REST_LEAST), |writer, ctx| {
                    writer.step_due = false;
                    writer.retain(ctx);
                });
            }
            Ok(done) => {
                self.view.retired_rows += done.rows();
                self.rest_until = Instant::now() + REST;
            }
            Err(error) => {
                warn!(%error, "retention could not delete; it tries again later");
                self.rest_until = Instant::now() + REST_AFTER_FAILURE;
            }
        }
    }
}
