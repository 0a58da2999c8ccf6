//! How a call is made: credentials, renewal, patience, and what an answer means.

use std::time::{Duration, Instant};

use kith_protocol::rest::{Problem, Refresh};
use reqwest::{
    Method, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::Client;
use crate::{
    error::{Error, Result},
    tokens::Tokens,
};

/// How often a renewal whose answer was lost is asked for again. The server gives the same pair
/// for ten seconds.
const RENEWALS: u32 = 3;

/// Any answer of the server, as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, if it is JSON; `null` otherwise.
    pub json: Value,
    /// The body as text.
    pub text: String,
}

/// A call that is being put together.
pub(super) struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Call {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: format!("/v1{}", path.into()), query: Vec::new(), body: None }
    }

    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A call that stands outside of `/v1`.
    pub(super) fn outside(path: &str) -> Self {
        let mut call = Self::get("");
        path.clone_into(&mut call.path);
        call
    }

    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    pub(super) fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path)
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Adds a query parameter, if there is a value.
    pub(super) fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    pub(super) fn json(mut self, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_value(body)
            .map_err(|error| Error::unexpected(format!("the body cannot be written: {error}")))?;
        self.body = Some(body);
        Ok(self)
    }
}

/// A pair of tokens, however much stands beside it.
#[derive(Deserialize)]
struct Pair {
    token: String,
    refresh_token: String,
}

impl Client {
    /// Makes one request and gives the answer as it came, whatever the status. The path stands as
    /// it is (`/v1/users/me?x=1`); the access token is sent if there is one, and never renewed.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let body = body.map(Value::to_string);
        let headers: &[(&str, &str)] = match body {
            Some(_) => &[("content-type", "application/json")],
            None => &[],
        };
        self.request_raw(method, path, headers, body.unwrap_or_default()).await
    }

    /// Like [`request`](Self::request), with any headers and any bytes. An `authorization` among
    /// the headers takes the place of the client's own.
    pub async fn request_raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Result<Answer> {
        let mut request = self.shared.http.request(method, self.url(path)?);
        let own = !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        if let Some(tokens) = self.tokens().filter(|_| own) {
            request = request.bearer_auth(tokens.access);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.into();
        if !body.is_empty() {
            request = request.body(body);
        }
        let response = request.send().await.map_err(Error::transport)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.map_err(Error::transport)?;
        let json = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answer { status, headers, json, text })
    }

    /// Makes a call and reads its answer.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        let answer = self.run(call).await?;
        serde_json::from_str(&answer.text).map_err(|error| {
            Error::unexpected(format!("{error} in {} {}", answer.status, excerpt(&answer.text)))
        })
    }

    /// Makes a call whose answer says nothing more than that it is done.
    pub(super) async fn done(&self, call: Call) -> Result<()> {
        self.run(call).await.map(drop)
    }

    async fn run(&self, call: Call) -> Result<Answer> {
        let began = Instant::now();
        let mut renewed = false;
        loop {
            let token = self.tokens().map(|tokens| tokens.access);
            let answer = self.attempt(&call, token.as_deref()).await?;
            if (200..300).contains(&answer.status) {
                return Ok(answer);
            }
            let error = refusal(&answer);
            match (answer.status, token) {
                (401, Some(stale)) if !renewed && error.code() == Some("unauthenticated") => {
                    renewed = true;
                    match self.renew(Some(stale)).await {
                        Ok(_) => continue,
                        // The session is over: the first refusal says so best.
                        Err(Error::SignedOut | Error::Problem(_)) => return Err(error),
                        Err(other) => return Err(other),
                    }
                }
                // Whether it was done is unknown: only the caller knows if it may be repeated.
                (429 | 503, _) if error.code() != Some("outcome_unknown") => {
                    let wait = retry_after(&answer.headers).unwrap_or(Duration::from_secs(1));
                    if began.elapsed() + wait <= self.patience {
                        tokio::time::sleep(wait).await;
                        continue;
                    }
                }
                _ => {}
            }
            return Err(error);
        }
    }

    async fn attempt(&self, call: &Call, token: Option<&str>) -> Result<Answer> {
        let mut url = self.url(&call.path)?;
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = self.shared.http.request(call.method.clone(), url);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let response = request.send().await.map_err(Error::transport)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.map_err(Error::transport)?;
        Ok(Answer { status, headers, json: Value::Null, text })
    }

    fn url(&self, path: &str) -> Result<Url> {
        let address = format!("{}{path}", self.shared.base);
        Url::parse(&address).map_err(|error| Error::Url(format!("{address}: {error}")))
    }

    /// Renews the tokens, unless somebody did since `stale` was read.
    ///
    /// The work goes on if the caller stops waiting: a pair that was made but not kept would be
    /// lost, and with it the session.
    pub(crate) async fn renew(&self, stale: Option<String>) -> Result<Tokens> {
        let client = self.clone();
        tokio::spawn(async move { client.renew_now(stale).await })
            .await
            .map_err(Error::transport)?
    }

    async fn renew_now(&self, stale: Option<String>) -> Result<Tokens> {
        let _only = self.shared.renewing.lock().await;
        let current = self.tokens().ok_or(Error::SignedOut)?;
        if stale.is_some_and(|stale| stale != current.access) {
            return Ok(current);
        }
        let call = Call::post("/auth/refresh")
            .json(&Refresh { refresh_token: current.refresh.clone() })?;
        let mut attempt = 1;
        let answer = loop {
            match self.attempt(&call, None).await {
                Err(Error::Transport(error)) if attempt < RENEWALS => {
                    tracing::debug!(%error, attempt, "renewing the tokens failed, again");
                    tokio::time::sleep(Duration::from_millis(200) * attempt).await;
                    attempt += 1;
                }
                answered => break answered?,
            }
        };
        if answer.status == StatusCode::OK {
            let pair: Pair = serde_json::from_str(&answer.text)
                .map_err(|error| Error::unexpected(format!("no pair of tokens: {error}")))?;
            let tokens = Tokens { access: pair.token, refresh: pair.refresh_token };
            self.keep(&current, Some(tokens.clone()));
            return Ok(tokens);
        }
        if answer.status == StatusCode::UNAUTHORIZED {
            // It will never be good again; those who wait need not ask.
            self.keep(&current, None);
        }
        Err(refusal(&answer))
    }

    /// Keeps what a renewal of `before` gave, unless somebody signed in or out meanwhile.
    fn keep(&self, before: &Tokens, after: Option<Tokens>) {
        if self.tokens().as_ref() == Some(before) {
            self.set_tokens(after);
        }
    }
}

fn refusal(answer: &Answer) -> Error {
    match serde_json::from_str::<Problem>(&answer.text) {
        Ok(problem) => Error::Problem(Box::new(problem)),
        Err(_) => Error::unexpected(format!("{} {}", answer.status, excerpt(&answer.text))),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

fn excerpt(text: &str) -> String {
    text.chars().take(200).collect()
}
