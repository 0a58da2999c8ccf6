//! The OpenAPI document, from the code.

use kith_protocol::rest;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{routes, ws};

/// The document of the calls under `/v1`.
pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kith",
        description = "A chat server. The same calls answer without `/v1`. Errors are problem documents (RFC 9457) with a stable `code`.",
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
        routes::conversations::inbox,
        routes::conversations::create,
        routes::conversations::one,
        routes::conversations::update,
        routes::conversations::hide,
        routes::conversations::hide_direct,
        routes::groups::list,
        routes::groups::create,
        routes::groups::delete,
        routes::groups::leave,
        routes::members::list,
        routes::members::add,
        routes::members::change_role,
        routes::members::remove,
        routes::messages::history,
        routes::messages::page,
        routes::messages::send,
        routes::messages::one,
        routes::messages::edit,
        routes::messages::delete,
        routes::messages::changes,
        routes::sync::sync,
        routes::system::root,
        routes::system::health,
        routes::system::live,
        routes::system::ready,
        ws::connect,
    ),
    components(schemas(rest::Problem)),
    modifiers(&Bearer),
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
