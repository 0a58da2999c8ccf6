//! Conversations of all kinds: the inbox, opening, changing, hiding.

use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload};
use kith_app::conversations::{Address, NewGroup, View};
use kith_domain::{
    ConversationId, Timestamp, UserId,
    conversation::{ConversationPatch, Kind, SettingsPatch},
    text::{Description, Name},
};
use kith_ports::{ConversationCard, InboxFilter};
use kith_protocol::{Time, rest};
use serde::Deserialize;

use super::{
    channels,
    paging::{self, Paging},
    render,
};
use crate::{
    context::Services,
    extract::{App, Body, Caller, Form, Id, NoQuery, Query, UserPath, path_id},
    problem::Problem,
};

/// Under such a scope only conversations of one kind exist.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow(pub(crate) Kind);

/// The conversation in the path, as of the kind that the path means.
pub(crate) struct At(pub(crate) Address);

impl FromRequest for At {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let kind = request.app_data::<Narrow>().map(|narrow| narrow.0);
        let id = path_id::<ConversationId>(request, "id");
        std::future::ready(id.map(|id| Self(Address { id, kind })))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InboxQuery {
    archived: Option<bool>,
    kind: Option<rest::Kind>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// My conversations, pinned first, then newest activity. `/v1/chats` is the same.
#[utoipa::path(
    get, path = "/v1/conversations", tag = "conversations", operation_id = "inbox",
    params(
        ("archived" = Option<bool>, Query), ("kind" = Option<rest::Kind>, Query),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
    ),
    security(("bearer" = [])),
    responses((status = 200, description = "The inbox", body = rest::Items<rest::Conversation>))
)]
pub(crate) async fn inbox(
    app: App,
    caller: Caller,
    request: HttpRequest,
    Query(query): Query<InboxQuery>,
) -> Result<HttpResponse, Problem> {
    let InboxQuery { archived, kind, limit, cursor } = query;
    let filter = InboxFilter { archived, kind: kind.map(Into::into) };
    inbox_page(&app, &caller, &request, filter, Paging { limit, cursor }).await
}

/// A page of the inbox.
pub(super) async fn inbox_page(
    app: &App,
    caller: &Caller,
    request: &HttpRequest,
    filter: InboxFilter,
    asked: Paging,
) -> Result<HttpResponse, Problem> {
    let viewer = caller.principal.user_id;
    let (limit, after) = paging::asked(app, caller, asked)?;
    let context = app.0.clone();
    let (items, next) = app
        .0
        .run(async move {
            let services = &context.services;
            let page = services.conversations.inbox(viewer, filter, after, limit).await?;
            let items = render::conversations(&services.people, viewer, page.items).await?;
            Ok((items, page.next))
        })
        .await?;
    Ok(paging::page(app, caller, request, items, next.as_ref()))
}

/// Opens a direct chat (or finds the one that is there), or makes a group or a channel.
#[utoipa::path(
    post, path = "/v1/conversations", tag = "conversations", operation_id = "create_conversation",
    request_body = rest::NewConversation, security(("bearer" = [])),
    responses(
        (status = 201, description = "Made", body = rest::Conversation),
        (status = 200, description = "The direct chat that was there", body = rest::Conversation),
        (status = 400, description = "`self`, `validation_failed`: a field's form, an unknown person", body = rest::Problem),
        (status = 403, description = "`blocked`, also naming the field: one of the two has blocked the other; `peer_deleted`", body = rest::Problem),
        (status = 409, description = "`too_many_members`", body = rest::Problem),
    )
)]
pub(crate) async fn create(
    app: App,
    caller: Caller,
    Body(body): Body<rest::NewConversation>,
) -> Result<HttpResponse, Problem> {
    match body {
        rest::NewConversation::Direct { user_id } => {
            open_direct(&app, &caller, UserId::from_uuid(user_id)).await
        }
        rest::NewConversation::Group { name, description, member_ids } => {
            let group = rest::NewGroup { name, description, members: member_ids };
            create_group(&app, &caller, &group, "member_ids").await
        }
        rest::NewConversation::Channel { name, description, posting } => {
            let channel = rest::NewChannel { name, description, posting };
            channels::create_channel(&app, &caller, &channel).await
        }
    }
}

async fn open_direct(app: &App, caller: &Caller, peer: UserId) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let context = app.0.clone();
    let (conversation, made) = app
        .0
        .run(async move {
            let services = &context.services;
            let (card, made) = services.conversations.open_direct(me, peer).await?;
            Ok((render::one_conversation(&services.people, me, card).await?, made))
        })
        .await?;
    let mut response = if made { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(conversation))
}

/// Makes a group and answers with its members.
pub(super) async fn create_group(
    app: &App,
    caller: &Caller,
    body: &rest::NewGroup,
    members_field: &'static str,
) -> Result<HttpResponse, Problem> {
    let mut form = Form::default();
    let name = form.take("name", Name::parse(&body.name));
    let description = body.description.as_deref().filter(|text| !text.is_empty());
    let description = form.maybe("description", description, Description::parse);
    let Some(name) = name else { return Err(form.into_problem()) };
    form.check()?;
    let me = caller.principal.user_id;
    let members = body.members.iter().copied().map(UserId::from_uuid).collect();
    let new = NewGroup { name, description, members, members_field };
    let context = app.0.clone();
    let group = app
        .0
        .run(async move {
            let services = &context.services;
            let card = services.conversations.create_group(me, new).await?;
            made(services, me, card).await
        })
        .await?;
    Ok(HttpResponse::Created().json(group))
}

/// A group or channel that was just made, with its members.
pub(super) async fn made(
    services: &Services,
    me: UserId,
    card: ConversationCard,
) -> kith_app::Result<rest::Conversation> {
    let address = card.conversation.id.into();
    let (mut members, mut after) = (Vec::new(), None);
    loop {
        let page = services.conversations.members(me, address, after, 100).await?;
        members.extend(page.items.iter().map(render::member));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut made = render::one_conversation(&services.people, me, card).await?;
    made.members = Some(members);
    Ok(made)
}

/// One conversation, as I see it. A channel shows its name and what it says of itself to anyone:
/// `my` is `null` for one who is not in it.
#[utoipa::path(
    get, path = "/v1/conversations/{id}", tag = "conversations", operation_id = "conversation",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "The conversation", body = rest::Conversation),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn one(
    app: App,
    caller: Caller,
    _: NoQuery,
    At(address): At,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let context = app.0.clone();
    let conversation = app
        .0
        .run(async move {
            match context.services.conversations.view(me, address).await? {
                View::Member(card) => {
                    render::one_conversation(&context.services.people, me, *card).await
                }
                View::Visitor(listing) => Ok(render::listing(&listing)),
            }
        })
        .await?;
    Ok(HttpResponse::Ok().json(conversation))
}

/// Changes the name, description, posting of a group or channel.
#[utoipa::path(
    patch, path = "/v1/conversations/{id}", tag = "conversations",
    operation_id = "update_conversation", request_body = rest::ConversationPatch,
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "The conversation", body = rest::Conversation),
        (status = 403, description = "`forbidden`", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`wrong_kind`: a direct chat has no name; `conflict`", body = rest::Problem),
    )
)]
pub(crate) async fn update(
    app: App,
    caller: Caller,
    At(address): At,
    Body(body): Body<rest::ConversationPatch>,
) -> Result<HttpResponse, Problem> {
    let mut form = Form::default();
    let name = form.maybe("name", body.name.as_deref(), Name::parse);
    let description = match &body.description {
        None => None,
        Some(None) => Some(None),
        // As in a new group, no text is no description.
        Some(Some(text)) if text.is_empty() => Some(None),
        Some(Some(text)) => Some(form.take("description", Description::parse(text))),
    };
    form.check()?;
    let patch = ConversationPatch { name, description, posting: body.posting.map(Into::into) };
    let me = caller.principal.user_id;
    let context = app.0.clone();
    let conversation = app
        .0
        .run(async move {
            let card = context.services.conversations.update(me, address, patch).await?;
            render::one_conversation(&context.services.people, me, card).await
        })
        .await?;
    Ok(HttpResponse::Ok().json(conversation))
}

/// Changes my own settings of a conversation. Nobody else sees them.
#[utoipa::path(
    patch, path = "/v1/conversations/{id}/settings", tag = "conversations",
    operation_id = "update_settings", request_body = rest::SettingsPatch,
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "The conversation", body = rest::Conversation),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn settings(
    app: App,
    caller: Caller,
    At(address): At,
    Body(body): Body<rest::SettingsPatch>,
) -> Result<HttpResponse, Problem> {
    let time = |time: Time| Timestamp::from_micros(time.as_micros());
    let patch = SettingsPatch {
        muted_until: body.muted_until.map(|until| until.map(time)),
        pinned: body.pinned,
        archived: body.archived,
    };
    let me = caller.principal.user_id;
    let context = app.0.clone();
    let conversation = app
        .0
        .run(async move {
            let card = context.services.conversations.settings(me, address, patch).await?;
            render::one_conversation(&context.services.people, me, card).await
        })
        .await?;
    Ok(HttpResponse::Ok().json(conversation))
}

/// Hides a conversation for me, with what it holds so far. Nothing is deleted for others, and it
/// comes back with the next message.
#[utoipa::path(
    delete, path = "/v1/conversations/{id}", tag = "conversations",
    operation_id = "hide_conversation",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 204, description = "Hidden"),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn hide(
    app: App,
    caller: Caller,
    _: NoQuery,
    At(address): At,
) -> Result<HttpResponse, Problem> {
    hide_for(&app, &caller, address).await
}

/// Hides a group for me, as `/v1/conversations/{id}` does; a conversation of another kind is not found
/// here.
#[utoipa::path(
    delete, path = "/v1/conversations/group/{id}", tag = "conversations",
    operation_id = "hide_group",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 204, description = "Hidden"),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn hide_group(
    app: App,
    caller: Caller,
    _: NoQuery,
    Id(id): Id<ConversationId>,
) -> Result<HttpResponse, Problem> {
    hide_for(&app, &caller, Address { id, kind: Some(Kind::Group) }).await
}

/// Hides the direct chat with a person for me.
#[utoipa::path(
    delete, path = "/v1/conversations/dm/{user_id}", tag = "conversations",
    operation_id = "hide_direct",
    params(("user_id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 204, description = "Hidden"),
        (status = 404, description = "`not_found`: there is none", body = rest::Problem),
    )
)]
pub(crate) async fn hide_direct(
    app: App,
    caller: Caller,
    _: NoQuery,
    UserPath(peer): UserPath<UserId>,
) -> Result<HttpResponse, Problem> {
    let id = ConversationId::direct(caller.principal.user_id, peer);
    hide_for(&app, &caller, id.into()).await
}

async fn hide_for(app: &App, caller: &Caller, address: Address) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let context = app.0.clone();
    app.0.run(async move { context.services.conversations.hide(me, address).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}
