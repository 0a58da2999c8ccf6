//! Asking the server what the state wants to know.

use crate::{
    rest::{Client, Selector},
    state::{Fetch, Fetched},
};

/// How much is asked at once.
const PAGE: u32 = 100;

/// Asks. `token` is the access token that a newer one is wanted for.
pub(super) async fn ask(client: &Client, fetch: &Fetch, token: Option<String>) -> Fetched {
    let fetched = match fetch {
        Fetch::Sync { since } => client
            .sync(since.as_deref(), Some(PAGE))
            .await
            .map(|sync| Fetched::Sync(Box::new(sync))),
        Fetch::Conversation { id } => {
            client.conversation(*id).await.map(|found| Fetched::Conversation(Box::new(found)))
        }
        Fetch::History { id, after } => {
            client.history(*id, Selector::After(*after), Some(PAGE)).await.map(Fetched::History)
        }
        Fetch::Changes { id, since } => client
            .changes(*id, *since, Some(PAGE))
            .await
            .map(|changes| Fetched::Changes(Box::new(changes))),
        Fetch::Token => client.renew(token).await.map(|tokens| Fetched::Token(tokens.access)),
    };
    fetched.unwrap_or_else(|error| {
        tracing::debug!(?fetch, %error, "a fetch failed");
        match (error.status(), error.code()) {
            (Some(403 | 404), _) if !matches!(fetch, Fetch::Sync { .. }) => Fetched::Gone,
            (_, Some("invalid_cursor")) => Fetched::Outdated,
            _ => Fetched::Failed,
        }
    })
}
