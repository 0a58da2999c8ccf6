//! The OpenAPI document, from the code.

mod example;
mod refusals;

use kith_protocol::rest;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, PathItem, Ref, RefOr,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use self::{example::Examples, refusals::Refusals};
use crate::{routes, ws};

/// The document of the calls under `/v1`.
pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kith",
        description = "A chat server. The same calls answer without `/v1`. `/v1/chats` is another name of `/v1/conversations`; under `/v1/groups` and `/v1/channels` stands all that stands under it, for that kind alone. Errors are problem documents (RFC 9457) with a stable `code`. The frames of the WebSocket are in `/asyncapi.json`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        routes::accounts::register,
        routes::accounts::log_in,
        routes::accounts::change_password,
        routes::accounts::me,
        routes::accounts::update_me,
        routes::accounts::erase_me,
        routes::devices::refresh,
        routes::devices::log_out,
        routes::devices::list,
        routes::devices::end,
        routes::devices::end_others,
        routes::devices::ticket,
        routes::users::search,
        routes::users::profile,
        routes::blocks::block,
        routes::blocks::unblock,
        routes::blocks::list,
        routes::conversations::inbox,
        routes::conversations::create,
        routes::conversations::one,
        routes::conversations::update,
        routes::conversations::settings,
        routes::conversations::hide,
        routes::conversations::hide_direct,
        routes::conversations::hide_group,
        routes::groups::list,
        routes::groups::create,
        routes::groups::delete,
        routes::groups::leave,
        routes::channels::directory,
        routes::channels::create,
        routes::channels::join,
        routes::members::list,
        routes::members::add,
        routes::members::change_role,
        routes::members::remove,
        routes::invites::create,
        routes::invites::list,
        routes::invites::revoke,
        routes::invites::join,
        routes::history::history,
        routes::history::page,
        routes::messages::send,
        routes::messages::one,
        routes::messages::edit,
        routes::messages::delete,
        routes::messages::pin,
        routes::messages::unpin,
        routes::reactions::add,
        routes::reactions::remove,
        routes::receipts::read,
        routes::receipts::delivered,
        routes::receipts::read_message,
        routes::receipts::list,
        routes::history::changes,
        routes::sync::sync,
        routes::system::root,
        routes::system::health,
        routes::system::live,
        routes::system::ready,
        ws::connect,
        ws::connect_to_one,
    ),
    components(schemas(rest::Problem)),
    modifiers(&Bearer, &Namesakes, &Refusals, &Problems, &Examples),
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        document
            .components
            .get_or_insert_with(Default::default)
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// A call that is another one under another name: the same method or another, in another place.
struct Namesake {
    of: (&'static str, Method),
    path: &'static str,
    method: Method,
    id: &'static str,
    tag: &'static str,
}

#[derive(Clone, Copy)]
enum Method {
    Get,
    Post,
    Delete,
}

const NAMESAKES: [Namesake; 4] = [
    Namesake {
        of: ("/v1/groups/{id}/leave", Method::Post),
        path: "/v1/groups/{id}/leave",
        method: Method::Delete,
        id: "leave_group_by_delete",
        tag: "groups",
    },
    Namesake {
        of: ("/v1/groups/{id}/leave", Method::Post),
        path: "/v1/channels/{id}/leave",
        method: Method::Post,
        id: "leave_channel",
        tag: "channels",
    },
    Namesake {
        of: ("/v1/conversations/{id}", Method::Get),
        path: "/v1/channels/{id}",
        method: Method::Get,
        id: "channel",
        tag: "channels",
    },
    Namesake {
        of: ("/v1/groups/{id}", Method::Delete),
        path: "/v1/channels/{id}",
        method: Method::Delete,
        id: "delete_channel",
        tag: "channels",
    },
];

/// Lists calls under all the names that people look for.
struct Namesakes;

impl Modify for Namesakes {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let paths = &mut document.paths.paths;
        for Namesake { of: (place, as_method), path, method, id, tag } in NAMESAKES {
            let original = paths.get_mut(place).and_then(|item| call(item, as_method).clone());
            let Some(mut also) = original else { continue };
            also.operation_id = Some(id.to_owned());
            also.tags = Some(vec![tag.to_owned()]);
            *call(paths.entry(path.to_owned()).or_default(), method) = Some(also);
        }
    }
}

fn call(item: &mut PathItem, method: Method) -> &mut Option<Operation> {
    match method {
        Method::Get => &mut item.get,
        Method::Post => &mut item.post,
        Method::Delete => &mut item.delete,
    }
}

/// Gives problem documents their own media type.
struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let problem = Ref::from_schema_name("Problem").ref_location;
        for response in operations(document).flat_map(|it| it.responses.responses.values_mut()) {
            let RefOr::T(response) = response else { continue };
            response.content = std::mem::take(&mut response.content)
                .into_iter()
                .map(|(kind, content)| match &content {
                    RefOr::T(told) if matches!(&told.schema, Some(RefOr::Ref(it)) if it.ref_location == problem) => {
                        ("application/problem+json".to_owned(), content)
                    }
                    _ => (kind, content),
                })
                .collect();
        }
    }
}

/// Every call of the document.
fn operations(document: &mut openapi::OpenApi) -> impl Iterator<Item = &mut Operation> {
    document.paths.paths.values_mut().flat_map(operations_of)
}

/// Every call of one path.
fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete]
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests;
