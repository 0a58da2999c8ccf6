//! Pages of history: chats that are full, and people who read them.

use kith_client::Client;
use kith_protocol::rest::{History, Login};
use uuid::Uuid;

use crate::{
    Result,
    load::{Cast, PASSWORD, Spans, Stage},
    pages::{self, Answered},
};

/// In how many chats the messages stand.
pub(crate) const CHATS: usize = 200;
/// How many connections ask at once.
const CONNECTIONS: usize = 32;

/// Somebody with many chats, on one server.
pub(crate) struct Reader {
    /// His chats.
    pub(crate) chats: Vec<Uuid>,
}

impl Reader {
    /// Makes him and his chats, which are empty.
    pub(crate) fn new(url: &str) -> Result<Self> {
        let cast = Cast { senders: 1, receivers: CHATS, chats_each: CHATS };
        let stage = Stage::set(url, cast)?;
        let mut chats = Vec::new();
        for receiver in &stage.receivers {
            let opening = stage.senders[0].client.open_direct(receiver.id);
            chats.push(stage.block_on(opening)?.id);
        }
        Ok(Self { chats })
    }

    /// Asks for the newest page of each chat in turn.
    pub(crate) fn read(
        &self,
        url: &str,
        spans: Spans,
        mark: impl FnMut() -> Result<()>,
    ) -> Result<Answered> {
        let token = token(url)?;
        let request =
            |chat| pages::request(url, &token, &format!("/conversations/{chat}/messages?limit=50"));
        let requests = self.chats.iter().map(request).collect::<Result<Vec<_>>>()?;
        pages::ask(url, CONNECTIONS, &requests, is_whole_page, spans, mark)
    }
}

/// Of whom the chats are: the first one that was signed up.
fn token(url: &str) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(url)?;
    let login = Login {
        username: Some("person-0".to_owned()),
        password: PASSWORD.to_owned(),
        ..Login::default()
    };
    runtime.block_on(client.login(&login))?;
    Ok(client.tokens().ok_or("nobody is signed in")?.access)
}

fn is_whole_page(body: &[u8]) -> bool {
    serde_json::from_slice::<History>(body).is_ok_and(|page| {
        page.items.len() == 50 && page.items.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq)
    })
}
