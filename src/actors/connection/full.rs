//! A journal that takes nothing: no socket is opened for frames that it would refuse, and nobody waits for a service that
//! could not hear them come.

use std::time::Duration;

use super::control::{release, release_until_none_waits, within_limit};
use super::life::Life;
use crate::actors::audit::deliver;
use crate::actors::messages::AppendFrames;

/// How long the last entries may take into the journal.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

impl Life {
    /// Before each connect.
    ///
    /// # Errors
    /// Why there is no use in it: with the application registered callers would enter it.
    pub(super) async fn may_connect(&mut self) -> Result<(), String> {
        match deliver(&self.journal, AppendFrames(Vec::new())).await {
            Ok(Err(full)) => {
                // No snapshot will tell the registry who waits.
                if self.stranded {
                    self.let_go().await;
                    self.forget_refusals().await;
                }
                Err(full.to_string())
            }
            // A journal that is not there: what comes then is refused, and says so.
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Nobody holds the application for callers who are in it: they would wait for nobody.
    pub(super) async fn let_go(&mut self) {
        let whose = (&self.node, &*self.client, self.http.app());
        let released = within_limit(release(whose, &self.ids, |entry| self.outbox.entry(entry))).await;
        // Whoever could not be sent on is looked for again.
        self.stranded = !released.all;
    }

    /// The same until it is known that none waits; then never returns.
    pub(super) async fn let_all_go(&mut self) -> std::convert::Infallible {
        if self.stranded {
            let whose = (&self.node, &*self.client, self.http.app());
            release_until_none_waits(whose, &self.ids, |entry| self.outbox.entry(entry)).await;
            self.stranded = false;
        }
        std::future::pending().await
    }

    /// With nobody connected only records of [`Self::let_go`] can have been refused. Nothing that was heard is lost with
    /// them, so they must not end the next session.
    pub(super) async fn forget_refusals(&self) {
        self.outbox.drained(DRAIN_LIMIT).await;
        self.outbox.take_failure();
    }
}
