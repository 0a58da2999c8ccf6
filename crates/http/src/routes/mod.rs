//! The route table, mounted twice: under `/v1` and, as "the current version", without it.

pub(crate) mod accounts;
pub(crate) mod blocks;
pub(crate) mod channels;
pub(crate) mod client;
pub(crate) mod conversations;
pub(crate) mod devices;
pub(crate) mod groups;
pub(crate) mod history;
pub(crate) mod invites;
pub(crate) mod members;
pub(crate) mod messages;
mod paging;
pub(crate) mod reactions;
pub(crate) mod receipts;
pub(crate) mod render;
pub(crate) mod sync;
pub(crate) mod system;
mod table;
pub(crate) mod users;

use actix_web::web::{self, ServiceConfig};
use kith_domain::conversation::Kind;

pub use self::table::Call;
use self::{
    conversations::Narrow,
    table::{Entry, Section, Table, at, section},
};
use crate::ws;

/// Puts all routes into an application.
pub fn configure(config: &mut ServiceConfig) {
    config.service(web::scope("/v1").configure(|config| table().mount(config)));
    table().mount(config);
    system::configure(config);
    client::configure(config);
}

/// Every call that is answered: those of the interface under `/v1`, then those of the server itself.
/// Several names of the same call are all in it.
pub fn calls() -> Vec<Call> {
    let versioned =
        table().calls().into_iter().map(|(method, path)| (method, format!("/v1{path}")));
    versioned.chain(system::table().calls()).collect()
}

/// Whether a path begins as one of the interface does: whoever asks there is no person.
fn is_beside_calls(path: &str) -> bool {
    fn first(path: &str) -> Option<&str> {
        path.split('/').nth(1)
    }
    let mut known = calls().into_iter().chain(table().calls());
    known.any(|(_, call)| first(&call) == first(path))
}

fn table() -> Table {
    Table::default()
        .section(
            section("/auth")
                .with(at("/register").post(accounts::register))
                .with(at("/login").post(accounts::log_in))
                .with(at("/refresh").post(devices::refresh))
                .with(at("/logout").post(devices::log_out))
                .with(at("/sessions").get(devices::list).delete(devices::end_others))
                .with(at("/sessions/{id}").delete(devices::end))
                .with(at("/password").put(accounts::change_password))
                .with(at("/ws-ticket").post(devices::ticket)),
        )
        .section(
            section("/users")
                .with(at("").get(users::search))
                .with(at("/register").post(accounts::register))
                .with(at("/login").post(accounts::log_in))
                .with(
                    at("/me")
                        .get(accounts::me)
                        .patch(accounts::update_me)
                        .delete(accounts::erase_me),
                )
                .with(at("/me/blocks").get(blocks::list))
                .with(at("/{id}").get(users::profile))
                .with(at("/{id}/block").put(blocks::block).delete(blocks::unblock)),
        )
        .section(any_conversations("/conversations"))
        .section(any_conversations("/chats"))
        .section(
            conversations("/groups", at("/{id}").delete(groups::delete))
                .narrow(Narrow(Kind::Group))
                .with(at("").get(groups::list).post(groups::create)),
        )
        .section(
            conversations("/channels", at("/{id}").delete(groups::delete))
                .narrow(Narrow(Kind::Channel))
                .with(at("").get(channels::directory).post(channels::create)),
        )
        .section(section("/invites").with(at("/{code}/join").post(invites::join)))
        .section(
            section("/messages")
                .with(at("").get(history::page))
                .with(at("/{id}").get(messages::one).patch(messages::edit).delete(messages::delete))
                .with(at("/{id}/read").post(receipts::read_message))
                .with(at("/{id}/receipts").get(receipts::list))
                .with(at("/{id}/reactions/{emoji}").put(reactions::add).delete(reactions::remove))
                .with(at("/{id}/pin").put(messages::pin).delete(messages::unpin)),
        )
        .with(at("/sync").get(sync::sync))
        .with(at("/ws").get(ws::connect))
        .with(at("/ws/{id}").get(ws::connect_to_one))
}

fn any_conversations(base: &'static str) -> Section {
    conversations(base, at("/{id}").delete(conversations::hide))
        .with(at("").get(conversations::inbox).post(conversations::create))
        .with(at("/dm/{user_id}").delete(conversations::hide_direct))
        .with(at("/group/{id}").delete(conversations::hide_group))
}

/// What every kind of conversation has under its id. What deleting means is already in `one`.
fn conversations(base: &'static str, one: Entry) -> Section {
    section(base)
        .with(one.get(conversations::one).patch(conversations::update))
        .with(at("/{id}/settings").patch(conversations::settings))
        .with(at("/{id}/messages").get(history::history).post(messages::send))
        .with(at("/{id}/changes").get(history::changes))
        .with(at("/{id}/read").put(receipts::read))
        .with(at("/{id}/delivered").put(receipts::delivered))
        .with(at("/{id}/members").get(members::list).post(members::add))
        .with(at("/{id}/members/{user_id}").patch(members::change_role).delete(members::remove))
        .with(at("/{id}/join").post(channels::join))
        .with(at("/{id}/leave").post(groups::leave).delete(groups::leave))
        .with(at("/{id}/invites").get(invites::list).post(invites::create))
        .with(at("/{id}/invites/{code}").delete(invites::revoke))
}
