//! ARI over HTTP: authentication, paths and headers; `rest` has the answers, `socket` the WebSocket.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, SERVER, UPGRADE, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use base64::Engine;
use tokio::sync::Notify;

use super::clock::now_ms;
use super::rest::{self, Answer};
use super::socket;
use super::world::World;

/// The largest request body that is read, bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// What the server, the player and the handle share.
pub(super) struct Shared {
    world: Mutex<World>,
    /// Wakes the player when something may be due earlier than it thinks.
    pub wake: Notify,
}

impl Shared {
    pub(super) fn new(world: World) -> Arc<Self> {
        Arc::new(Self { world: Mutex::new(world), wake: Notify::new() })
    }

    /// The state. Nothing waits while it is held.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a user may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    None,
    Read,
    Write,
}

/// Answers every request.
pub(super) async fn handle(request: HttpRequest, payload: web::Payload, shared: web::Data<Shared>) -> HttpResponse {
    let (prefix, delay) = {
        let world = shared.world();
        (format!("{}/ari/", world.config.prefix), world.rest_delay)
    };
    let Some(path) = request.path().strip_prefix(&prefix).map(str::to_owned) else {
        return html(StatusCode::NOT_FOUND, "Not Found", "The requested URL was not found on this server.");
    };
    let query = query_of(request.query_string());
    let access = access(&shared, &request, &query);
    if access == Access::None {
        let body = r#"{"message":"Authentication required"}"#;
        return builder(StatusCode::UNAUTHORIZED)
            .insert_header((WWW_AUTHENTICATE, r#"Basic realm="Asterisk REST Interface""#))
            .content_type("application/json")
            .body(body);
    }
    if path == "events" && request.method() == "GET" {
        if let Some(answer) = shared.world().overridden("GET", &path) {
            return response(&answer);
        }
        return events(&request, payload, shared, &query, access == Access::Write);
    }
    let Ok(Ok(body)) = payload.to_bytes_limited(BODY_LIMIT).await else {
        return response(&Answer::message(413, "Request body too large"));
    };
    if !delay.is_zero() {
        actix_web::rt::time::sleep(delay).await;
    }
    let request = rest::Request { method: request.method().to_string(), path, query, body: body.to_vec() };
    response(&answer(&shared, &request, access == Access::Write))
}

/// Answers a request, from HTTP or from the WebSocket.
pub(super) fn answer(shared: &Shared, request: &rest::Request, may_write: bool) -> Answer {
    let now = now_ms();
    let mut world = shared.world();
    if let Some(answer) = world.overridden(&request.method, &request.path) {
        return answer;
    }
    if !may_write && request.method != "GET" {
        return Answer::message(403, "Write access denied");
    }
    // What is due already has happened, also if the player has not come to it yet.
    world.advance(now);
    let answer = rest::answer(&mut world, request, now);
    drop(world);
    shared.wake.notify_one();
    answer
}

fn query_of(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn access(shared: &Shared, request: &HttpRequest, query: &[(String, String)]) -> Access {
    let header = request.headers().get(AUTHORIZATION).and_then(|h| h.to_str().ok());
    let basic = header
        .and_then(|h| h.strip_prefix("Basic "))
        .and_then(|text| String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?).ok());
    let key = || query.iter().find(|(name, _)| name == "api_key").map(|(_, value)| value.clone());
    let given = basic.or_else(key).unwrap_or_default();
    let Some((user, password)) = given.split_once(':') else { return Access::None };
    let world = shared.world();
    if password != world.config.password.expose() {
        Access::None
    } else if user == world.config.username {
        Access::Write
    } else if world.config.read_only_username.as_deref() == Some(user) {
        Access::Read
    } else {
        Access::None
    }
}

/// `GET /events`: the WebSocket.
fn events(
    request: &HttpRequest,
    payload: web::Payload,
    shared: web::Data<Shared>,
    query: &[(String, String)],
    may_write: bool,
) -> HttpResponse {
    if !request.headers().contains_key(UPGRADE) {
        return html(StatusCode::UPGRADE_REQUIRED, "Upgrade Required", "");
    }
    let value = |name: &str| query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let apps: Vec<String> = value("app").split(',').filter(|a| !a.is_empty()).map(str::to_owned).collect();
    if apps.is_empty() {
        return html(StatusCode::BAD_REQUEST, "Bad Request", "HTTP request is missing param: [app]");
    }
    match actix_ws::handle_with_protocols(request, payload, &["ari"]) {
        Ok((response, session, stream)) => {
            let all = value("subscribeAll").eq_ignore_ascii_case("true");
            let (client, frames) = shared.world().connect(&apps, all, now_ms());
            let asker = socket::Asker { client, app: apps.join(","), may_write };
            actix_web::rt::spawn(socket::run(session, stream, frames, shared.into_inner(), asker));
            response
        }
        Err(error) => actix_web::error::ErrorBadRequest(error).into(),
    }
}

fn builder(status: StatusCode) -> HttpResponseBuilder {
    let mut builder = HttpResponse::build(status);
    builder.insert_header((SERVER, "Asterisk")).insert_header((CACHE_CONTROL, "no-cache, no-store"));
    builder
}

fn response(answer: &Answer) -> HttpResponse {
    let mut builder = builder(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    if let Some(allow) = answer.allow {
        builder.insert_header((ALLOW, allow));
    }
    match &answer.body {
        Some(body) => builder.content_type("application/json").body(body.clone()),
        None => builder.finish(),
    }
}

/// Errors of Asterisk's HTTP server itself are pages.
fn html(status: StatusCode, title: &str, text: &str) -> HttpResponse {
    let page = format!(
        "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\r\n<html><head>\r\n<title>{} {title}</title>\r\n\
         </head><body>\r\n<h1>{title}</h1>\r\n<p>{text}</p>\r\n<hr />\r\n<address>Asterisk</address>\r\n\
         </body></html>\r\n",
        status.as_u16()
    );
    builder(status).content_type("text/html").body(page)
}
