//! The route table, mounted twice: under `/v1` and, as "the current version", without it.

pub(crate) mod accounts;
pub(crate) mod conversations;
pub(crate) mod devices;
pub(crate) mod groups;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod render;
pub(crate) mod sync;
pub(crate) mod system;
pub(crate) mod users;

use actix_web::{
    Resource, Scope,
    http::{StatusCode, header},
    web::{self, ServiceConfig},
};
use kith_domain::conversation::Kind;

use self::conversations::Narrow;
use crate::{problem::Problem, ws};

/// Puts all routes into an application.
pub fn configure(config: &mut ServiceConfig) {
    config.service(web::scope("/v1").configure(table));
    table(config);
    system::configure(config);
}

fn table(config: &mut ServiceConfig) {
    config
        .service(
            web::scope("/auth")
                .service(at("/register", "POST").post(accounts::register))
                .service(at("/login", "POST").post(accounts::log_in))
                .service(at("/refresh", "POST").post(devices::refresh))
                .service(at("/logout", "POST").post(devices::log_out))
                .service(
                    at("/sessions", "GET, DELETE").get(devices::list).delete(devices::end_others),
                )
                .service(at("/sessions/{id}", "DELETE").delete(devices::end))
                .service(at("/password", "PUT").put(accounts::change_password))
                .service(at("/ws-ticket", "POST").post(devices::ticket)),
        )
        .service(
            web::scope("/users")
                .service(at("", "GET").get(users::search))
                .service(at("/register", "POST").post(accounts::register))
                .service(at("/login", "POST").post(accounts::log_in))
                .service(
                    at("/me", "GET, PATCH, DELETE")
                        .get(accounts::me)
                        .patch(accounts::update_me)
                        .delete(accounts::erase_me),
                )
                .service(at("/{id}", "GET").get(users::profile)),
        )
        .service(conversation_scope("/conversations"))
        .service(conversation_scope("/chats"))
        .service(
            conversation_paths(
                web::scope("/groups"),
                at("/{id}", "GET, PATCH, DELETE").delete(groups::delete),
            )
            .app_data(Narrow(Kind::Group))
            .service(at("", "GET, POST").get(groups::list).post(groups::create))
            .service(at("/{id}/leave", "POST, DELETE").post(groups::leave).delete(groups::leave)),
        )
        .service(
            web::scope("/messages").service(at("", "GET").get(messages::page)).service(
                at("/{id}", "GET, PATCH, DELETE")
                    .get(messages::one)
                    .patch(messages::edit)
                    .delete(messages::delete),
            ),
        )
        .service(at("/sync", "GET").get(sync::sync))
        .service(at("/ws", "GET").get(ws::connect));
}

fn conversation_scope(base: &str) -> Scope {
    conversation_paths(
        web::scope(base),
        at("/{id}", "GET, PATCH, DELETE").delete(conversations::hide),
    )
    .service(at("", "GET, POST").get(conversations::inbox).post(conversations::create))
    .service(at("/dm/{user_id}", "DELETE").delete(conversations::hide_direct))
    .service(at("/group/{id}", "DELETE").delete(conversations::hide))
}

/// What every kind of conversation has under its id. What deleting means is already in `one`.
fn conversation_paths(scope: Scope, one: Resource) -> Scope {
    scope
        .service(one.get(conversations::one).patch(conversations::update))
        .service(at("/{id}/messages", "GET, POST").get(messages::history).post(messages::send))
        .service(at("/{id}/changes", "GET").get(messages::changes))
        .service(at("/{id}/members", "GET, POST").get(members::list).post(members::add))
        .service(
            at("/{id}/members/{user_id}", "PATCH, DELETE")
                .patch(members::change_role)
                .delete(members::remove),
        )
}

/// A path that answers other methods than those of `allow` with 405.
fn at(path: &str, allow: &'static str) -> Resource {
    web::resource(path.to_owned()).default_service(web::to(move || async move {
        let mut refused = actix_web::ResponseError::error_response(&Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            format!("this path answers {allow}"),
        ));
        refused.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allow));
        refused
    }))
}
