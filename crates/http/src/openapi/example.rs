//! An example of each call: what is sent, and what is answered.

use kith_protocol::{example, rest};
use serde::Serialize;
use serde_json::Value;
use utoipa::{
    Modify,
    openapi::{Content, OpenApi, RefOr},
};

use super::operations;

/// Puts the examples into the document.
pub(super) struct Examples;

impl Modify for Examples {
    fn modify(&self, document: &mut OpenApi) {
        for operation in operations(document) {
            let Example { request, answer } =
                operation.operation_id.as_deref().map(example).unwrap_or_default();
            if let (Some(RefOr::T(body)), Some(request)) = (&mut operation.request_body, request) {
                body.content.values_mut().for_each(|content| show(content, &request));
            }
            let Some(answer) = answer else { continue };
            for (status, response) in &mut operation.responses.responses {
                if let (true, RefOr::T(response)) = (status.starts_with('2'), response) {
                    response.content.values_mut().for_each(|content| show(content, &answer));
                }
            }
        }
    }
}

fn show(content: &mut RefOr<Content>, value: &Value) {
    if let RefOr::T(content) = content {
        content.example = Some(value.clone());
    }
}

#[derive(Default)]
struct Example {
    request: Option<Value>,
    answer: Option<Value>,
}

fn asks(request: impl Serialize, answer: impl Serialize) -> Example {
    Example { request: json(request), ..answers(answer) }
}

fn answers(answer: impl Serialize) -> Example {
    Example { request: None, answer: json(answer) }
}

fn tells(request: impl Serialize) -> Example {
    Example { request: json(request), answer: None }
}

fn json(value: impl Serialize) -> Option<Value> {
    serde_json::to_value(value).ok()
}

/// The example of an operation. One that takes and gives nothing needs none.
#[expect(clippy::too_many_lines, reason = "a list of all calls")]
fn example(operation: &str) -> Example {
    match operation {
        "register" => asks(
            rest::Register {
                username: "ann".to_owned(),
                email: "ann@example.org".to_owned(),
                password: "correct horse battery".to_owned(),
                display_name: Some("Ann".to_owned()),
                device_name: Some("Laptop".to_owned()),
            },
            example::login(),
        ),
        "login" => asks(
            rest::Login {
                username: Some("ann".to_owned()),
                password: "correct horse battery".to_owned(),
                ..rest::Login::default()
            },
            example::login(),
        ),
        "refresh" => {
            asks(rest::Refresh { refresh_token: example::login().refresh_token }, example::login())
        }
        "change_password" => tells(rest::PasswordChange {
            current_password: "correct horse battery".to_owned(),
            new_password: "another staple of hay".to_owned(),
        }),
        "sessions" => answers(example::page(example::session())),
        "ws_ticket" => answers(example::ticket()),
        "me" => answers(example::me()),
        "update_me" => asks(
            rest::MePatch {
                about: Some(Some("Gone fishing".to_owned())),
                last_seen_visibility: Some(rest::Visibility::Contacts),
                ..rest::MePatch::default()
            },
            example::me(),
        ),
        "erase_me" => tells(rest::Erase { password: Some("correct horse battery".to_owned()) }),
        "search_users" | "blocks" => answers(example::page(example::profile())),
        "user" | "block_user" => answers(example::profile()),
        "inbox" | "groups" => answers(example::page(example::group())),
        "create_conversation" => {
            asks(rest::NewConversation::Direct { user_id: example::BOB }, example::direct())
        }
        "conversation" | "join_by_invite" => answers(example::group()),
        "update_conversation" => asks(
            rest::ConversationPatch {
                name: Some("Family".to_owned()),
                ..rest::ConversationPatch::default()
            },
            example::group(),
        ),
        "update_settings" => asks(
            rest::SettingsPatch { pinned: Some(true), ..rest::SettingsPatch::default() },
            example::group(),
        ),
        "create_group" => asks(
            rest::NewGroup {
                name: "Family".to_owned(),
                description: None,
                members: vec![example::BOB],
            },
            example::new_group(),
        ),
        "channel" => answers(example::channel()),
        "channels" => answers(example::page(example::channel())),
        "create_channel" => asks(
            rest::NewChannel {
                name: "Announcements".to_owned(),
                description: Some("What is new, from those who know".to_owned()),
                posting: Some(rest::Posting::Admins),
            },
            example::new_channel(),
        ),
        "join_channel" => answers(example::joined_channel()),
        "members" => answers(example::page(example::member())),
        "add_members" => asks(
            rest::AddMembers { user_id: Some(example::ANN), user_ids: None },
            example::page(example::member()),
        ),
        "change_role" => asks(rest::RoleChange { role: rest::Role::Admin }, example::member()),
        "create_invite" => asks(
            rest::NewInvite { expires_in: Some(86_400), max_uses: Some(10) },
            example::invite(),
        ),
        "invites" => answers(example::page(example::invite())),
        "history" | "messages" => answers(example::history()),
        "send_message" => asks(
            rest::SendMessage {
                content: example::message().content.unwrap_or_default(),
                client_message_id: Some(example::message().client_message_id),
                message_type: None,
                reply_to: example::message().reply_to.map(|reply| reply.id),
            },
            example::own_message(),
        ),
        "message" | "pin_message" | "add_reaction" => answers(example::own_message()),
        "edit_message" => asks(
            rest::Edit { content: example::message().content.unwrap_or_default() },
            example::own_message(),
        ),
        "read_up_to" | "delivered_up_to" => asks(rest::UpTo { seq: 41 }, example::my()),
        "read_message" => answers(example::message_read()),
        "receipts" => answers(example::page(example::receipt())),
        "changes" => answers(example::changes()),
        "sync" => answers(example::sync()),
        "root" => answers(rest::Welcome {
            name: "Kith".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            docs: "/docs".to_owned(),
        }),
        "health" | "live" | "ready" => answers(rest::Health {
            status: "ok".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }),
        _ => Example::default(),
    }
}
