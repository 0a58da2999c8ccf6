//! REST: one method for each call.
//!
//! A client holds the tokens of one sign-in and shares them with its clones. When the access token
//! has ended, the pair is renewed once, for all who wait, and each call is made again.

mod accounts;
mod call;
mod conversations;
mod messages;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Url, redirect};
use tokio::sync::Mutex as AsyncMutex;

pub use self::{call::Answer, conversations::Inbox, messages::Selector};
use crate::{
    connect::choose_cryptography,
    error::{Error, Result},
    tokens::Tokens,
};

/// A client of one server, signed in as one session or as nobody.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    patience: Duration,
}

struct Shared {
    http: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    tokens: Mutex<Option<Tokens>>,
    /// Held by whoever renews the tokens.
    renewing: AsyncMutex<()>,
}

impl Client {
    /// A client of the server at `base_url` (`http://127.0.0.1:8080`), signed in as nobody.
    ///
    /// # Errors
    /// `Url` if that is no `http` or `https` address; `Transport` if TLS has no certificates to
    /// trust.
    pub fn new(base_url: &str) -> Result<Self> {
        let base = base_url.trim_end_matches('/');
        let url = Url::parse(base).map_err(|error| Error::Url(format!("{base_url}: {error}")))?;
        choose_cryptography();
        let builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(60))
            // What is sent here goes to this server, and nowhere it points to.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("kith-client/", env!("CARGO_PKG_VERSION")));
        let builder = match url.scheme() {
            "https" => builder,
            // No certificates are needed, and reading those of the system takes its time.
            "http" => builder.tls_certs_only([]),
            other => {
                return Err(Error::Url(format!("{base_url}: use http or https, not {other}")));
            }
        };
        let http = builder.build().map_err(Error::transport)?;
        Ok(Self::over(http, base.to_owned(), None, Duration::ZERO))
    }

    fn over(
        http: reqwest::Client,
        base: String,
        tokens: Option<Tokens>,
        patience: Duration,
    ) -> Self {
        let shared =
            Shared { http, base, tokens: Mutex::new(tokens), renewing: AsyncMutex::new(()) };
        Self { shared: Arc::new(shared), patience }
    }

    /// Another client of the same server, signed in as nobody. Connections are shared.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self::over(self.shared.http.clone(), self.shared.base.clone(), None, self.patience)
    }

    /// Another client of the same server that resumes with `tokens`. Only one client may go on with
    /// a pair: the refresh token in it is good once.
    #[must_use]
    pub fn with_tokens(&self, tokens: Tokens) -> Self {
        let http = self.shared.http.clone();
        Self::over(http, self.shared.base.clone(), Some(tokens), self.patience)
    }

    /// The same client, which waits as `Retry-After` says when the server is busy (429, 503), and
    /// tries again, as long as a call then takes no longer than `patience` in all.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The tokens, for resuming later. `None` when signed in as nobody, or not any more.
    pub fn tokens(&self) -> Option<Tokens> {
        self.shared.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The server's address, without a slash at its end.
    pub fn base_url(&self) -> &str {
        &self.shared.base
    }

    fn set_tokens(&self, tokens: Option<Tokens>) {
        *self.shared.tokens.lock().unwrap_or_else(PoisonError::into_inner) = tokens;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.shared.base).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
