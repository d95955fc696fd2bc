//! `GET /api/v1/gaps`: spans in which something could not be seen, and what became of the calls in them.

use actix_web::{HttpResponse, get, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::State;
use crate::db::gaps::StoredGap;
use crate::db::read::gaps_after;

/// Gaps of one answer, unless asked for fewer.
const MAX_GAPS: u32 = 500;

/// Where to go on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    /// `next` of the answer before; from the first gap when it is left out.
    #[serde(default)]
    after: i64,
    /// Gaps of the answer, 1 to [`MAX_GAPS`].
    limit: Option<u32>,
}

/// Gaps in their order; `next` is the cursor of the next page, null on the last one.
#[get("/api/v1/gaps")]
pub(super) async fn gaps(state: web::Data<State>, page: web::Query<Page>) -> HttpResponse {
    let limit = page.limit.unwrap_or(MAX_GAPS).clamp(1, MAX_GAPS) as usize;
    let after = page.after;
    let read = web::block(move || state.pool.read_at_once(|conn| gaps_after(conn, after, limit as i64 + 1))).await;
    match read {
        Ok(Ok(mut found)) => {
            let more = found.len() > limit;
            found.truncate(limit);
            let next = found.last().filter(|_| more).map(|(gap, _)| gap.id);
            let gaps: Vec<Value> = found.iter().map(|(gap, reconciled)| shown(gap, *reconciled)).collect();
            HttpResponse::Ok().json(json!({ "gaps": gaps, "next": next }))
        }
        Ok(Err(error)) => unavailable(&error),
        Err(error) => unavailable(&error),
    }
}

fn shown(gap: &StoredGap, reconciled: i64) -> Value {
    let row = &gap.row;
    json!({
        "id": gap.id, "node": row.node.as_str(), "since": row.since, "until": row.until, "reason": row.reason,
        "calls_touched": row.calls_touched, "calls_reconciled": reconciled, "sample": row.sample,
    })
}

fn unavailable(error: &dyn std::fmt::Display) -> HttpResponse {
    HttpResponse::ServiceUnavailable().json(json!({ "error": error.to_string() }))
}
