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
    Scope,
    web::{self, ServiceConfig, delete, get, patch, post, put},
};
use kith_domain::conversation::Kind;

use self::conversations::Narrow;
use crate::ws;

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
                .route("/register", post().to(accounts::register))
                .route("/login", post().to(accounts::log_in))
                .route("/refresh", post().to(devices::refresh))
                .route("/logout", post().to(devices::log_out))
                .route("/sessions", get().to(devices::list))
                .route("/sessions", delete().to(devices::end_others))
                .route("/sessions/{id}", delete().to(devices::end))
                .route("/password", put().to(accounts::change_password))
                .route("/ws-ticket", post().to(devices::ticket)),
        )
        .service(
            web::scope("/users")
                .route("/register", post().to(accounts::register))
                .route("/login", post().to(accounts::log_in))
                .route("/me", get().to(accounts::me))
                .route("/me", patch().to(accounts::update_me))
                .route("/me", delete().to(accounts::erase_me))
                .route("", get().to(users::search))
                .route("/{id}", get().to(users::profile)),
        )
        .service(conversation_scope("/conversations"))
        .service(conversation_scope("/chats"))
        .service(
            conversation_paths(web::scope("/groups"))
                .app_data(Narrow(Kind::Group))
                .route("", get().to(groups::list))
                .route("", post().to(groups::create))
                .route("/{id}", delete().to(groups::delete))
                .route("/{id}/leave", post().to(groups::leave))
                .route("/{id}/leave", delete().to(groups::leave)),
        )
        .service(
            web::scope("/messages")
                .route("", get().to(messages::page))
                .route("/{id}", get().to(messages::one))
                .route("/{id}", patch().to(messages::edit))
                .route("/{id}", delete().to(messages::delete)),
        )
        .route("/sync", get().to(sync::sync))
        .route("/ws", get().to(ws::connect));
}

fn conversation_scope(base: &str) -> Scope {
    conversation_paths(web::scope(base))
        .route("", get().to(conversations::inbox))
        .route("", post().to(conversations::create))
        .route("/{id}", delete().to(conversations::hide))
        .route("/dm/{user_id}", delete().to(conversations::hide_direct))
        .route("/group/{id}", delete().to(conversations::hide))
}

/// What every kind of conversation has under its id.
fn conversation_paths(scope: Scope) -> Scope {
    scope
        .route("/{id}", get().to(conversations::one))
        .route("/{id}", patch().to(conversations::update))
        .route("/{id}/messages", get().to(messages::history))
        .route("/{id}/messages", post().to(messages::send))
        .route("/{id}/changes", get().to(messages::changes))
        .route("/{id}/members", get().to(members::list))
        .route("/{id}/members", post().to(members::add))
        .route("/{id}/members/{user_id}", patch().to(members::change_role))
        .route("/{id}/members/{user_id}", delete().to(members::remove))
}
