//! `GET /api/v1/system`: the actor tree and what each part says of itself.

use actix_web::{HttpResponse, get, web};
use serde_json::json;

use super::State;
use crate::actors::supervisor::SystemStatus;

/// How everything is.
#[get("/api/v1/system")]
pub(super) async fn system(state: web::Data<State>) -> HttpResponse {
    match state.supervisor.send(SystemStatus).await {
        Ok(view) => HttpResponse::Ok().json(view),
        Err(error) => HttpResponse::ServiceUnavailable().json(json!({ "error": error.to_string() })),
    }
}
