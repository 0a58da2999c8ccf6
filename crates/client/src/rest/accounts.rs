use kith_protocol::rest::{
    Erase, Health, Items, Login, LoginAnswer, Me, MePatch, PasswordChange, Profile, Register,
    SessionInfo, Ticket,
};
use uuid::Uuid;

use super::{Client, call::Call};
use crate::{error::Result, tokens::Tokens};

/// Accounts, devices, people.
impl Client {
    /// Makes an account and signs in.
    pub async fn register(&self, account: &Register) -> Result<LoginAnswer> {
        self.sign_in(Call::post("/auth/register").json(account)?).await
    }

    /// Signs in.
    pub async fn login(&self, login: &Login) -> Result<LoginAnswer> {
        self.sign_in(Call::post("/auth/login").json(login)?).await
    }

    async fn sign_in(&self, call: Call) -> Result<LoginAnswer> {
        // Who signs in is nobody yet: an old token must not be sent, nor renewed for this.
        let answer: LoginAnswer = self.anonymous().call(call).await?;
        self.set_tokens(Some(Tokens {
            access: answer.token.clone(),
            refresh: answer.refresh_token.clone(),
        }));
        Ok(answer)
    }

    /// Renews the tokens now. Calls do it by themselves when they must.
    ///
    /// # Errors
    /// `SignedOut` if there is nothing to renew. If the server refuses the refresh token, the
    /// client is signed in as nobody from then on.
    pub async fn refresh(&self) -> Result<Tokens> {
        self.renew(None).await
    }

    /// Ends this session.
    pub async fn logout(&self) -> Result<()> {
        self.done(Call::post("/auth/logout")).await?;
        self.set_tokens(None);
        Ok(())
    }

    /// The devices that are signed in.
    pub async fn sessions(&self) -> Result<Items<SessionInfo>> {
        self.call(Call::get("/auth/sessions")).await
    }

    /// Ends one session.
    pub async fn end_session(&self, id: Uuid) -> Result<()> {
        self.done(Call::delete(format!("/auth/sessions/{id}"))).await
    }

    /// Ends all sessions but this.
    pub async fn end_other_sessions(&self) -> Result<()> {
        self.done(Call::delete("/auth/sessions")).await
    }

    /// Sets another password; the other sessions end.
    pub async fn change_password(&self, change: &PasswordChange) -> Result<()> {
        self.done(Call::put("/auth/password").json(change)?).await
    }

    /// A credential that opens one socket.
    pub async fn ws_ticket(&self) -> Result<Ticket> {
        self.call(Call::post("/auth/ws-ticket")).await
    }

    /// One's own account.
    pub async fn me(&self) -> Result<Me> {
        self.call(Call::get("/users/me")).await
    }

    /// Changes one's own profile and privacy.
    pub async fn update_me(&self, patch: &MePatch) -> Result<Me> {
        self.call(Call::patch("/users/me").json(patch)?).await
    }

    /// Erases one's own account.
    pub async fn erase_me(&self, proof: &Erase) -> Result<()> {
        self.done(Call::delete("/users/me").json(proof)?).await?;
        self.set_tokens(None);
        Ok(())
    }

    /// People whose names begin with `q`.
    pub async fn users(
        &self,
        q: &str,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Items<Profile>> {
        let call = Call::get("/users").query("q", Some(q));
        self.call(call.query("cursor", cursor).query("limit", limit)).await
    }

    /// Somebody's profile.
    pub async fn user(&self, id: Uuid) -> Result<Profile> {
        self.call(Call::get(format!("/users/{id}"))).await
    }

    /// Blocks somebody. Gives his profile.
    pub async fn block(&self, id: Uuid) -> Result<Profile> {
        self.call(Call::put(format!("/users/{id}/block"))).await
    }

    /// Takes a block back.
    pub async fn unblock(&self, id: Uuid) -> Result<()> {
        self.done(Call::delete(format!("/users/{id}/block"))).await
    }

    /// The people one has blocked.
    pub async fn blocks(&self, cursor: Option<&str>, limit: Option<u32>) -> Result<Items<Profile>> {
        let call = Call::get("/users/me/blocks");
        self.call(call.query("cursor", cursor).query("limit", limit)).await
    }

    /// That the server is there.
    pub async fn health(&self) -> Result<Health> {
        self.call(Call::outside("/health")).await
    }

    /// That the server takes requests: its database answers, and it is not being stopped.
    pub async fn ready(&self) -> Result<Health> {
        self.call(Call::outside("/health/ready")).await
    }
}
