//! `GET /health/live` and `/health/ready`.

use actix_web::{HttpResponse, get, web};
use serde_json::json;

use super::State;
use crate::actors::supervisor::Readiness;

/// Whether the process answers at all.
#[get("/health/live")]
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

/// Whether calls are being recorded: 200, or 503 with the reasons why not.
#[get("/health/ready")]
pub(super) async fn ready(state: web::Data<State>) -> HttpResponse {
    let reasons = match state.supervisor.send(Readiness).await {
        Ok(reasons) => reasons,
        Err(error) => vec![format!("the supervisor doesn't answer: {error}")],
    };
    if reasons.is_empty() {
        HttpResponse::Ok().json(json!({ "status": "ready" }))
    } else {
        HttpResponse::ServiceUnavailable().json(json!({ "status": "not_ready", "reasons": reasons }))
    }
}
