//! Signed-in devices.

use async_trait::async_trait;
use diesel::prelude::*;
use kith_domain::{SessionId, Timestamp, UserId, session::Session};
use kith_ports::{SessionStore, StoreError, StoreResult, TokenHash};

use super::{Connection, RunQueryDsl, Store, either, store};
use crate::{
    failure::Work,
    queries::locked,
    rows::SessionRow,
    schema::{sessions, users},
    types::{Key, Moment},
};

#[async_trait]
impl SessionStore for Store {
    async fn create(
        &self,
        session: Session,
        token_hash: TokenHash,
        verified: String,
    ) -> StoreResult<()> {
        transact!(self, create(session, token_hash, verified))
    }

    async fn find(&self, id: SessionId) -> StoreResult<Option<(Session, TokenHash)>> {
        query!(self, find(id))
    }

    async fn find_all(&self, ids: &[SessionId]) -> StoreResult<Vec<Session>> {
        let ids: Vec<Key> = ids.iter().copied().map(Key::from).collect();
        query!(self, find_all(ids))
    }

    async fn renew(&self, from: u32, renewed: Session, token_hash: TokenHash) -> StoreResult<()> {
        transact!(self, renew(from, SessionRow::new(renewed, token_hash)))
    }

    async fn list(&self, user: UserId, now: Timestamp) -> StoreResult<Vec<Session>> {
        query!(self, list(user, now))
    }

    async fn revoke(&self, user: UserId, id: SessionId, now: Timestamp) -> StoreResult<bool> {
        transact!(self, revoke(user, id, now))
    }

    async fn revoke_others(
        &self,
        user: UserId,
        keep: SessionId,
        now: Timestamp,
    ) -> StoreResult<Vec<SessionId>> {
        transact!(self, end_all(user, Some(keep), now))
    }
}

#[either]
async fn create(
    connection: &mut Connection,
    session: Session,
    token_hash: TokenHash,
    verified: String,
) -> Work<()> {
    let account = users::table
        .filter(users::id.eq(Key::from(session.user_id)))
        .filter(users::deleted_at.is_null())
        .filter(users::password_hash.eq(verified))
        .select(users::id);
    // A new password that is being set ends the sessions there are: this one comes before or after.
    if locked(account).get_result::<Key>(connection).await.optional()?.is_none() {
        return Err(StoreError::Stale.into());
    }
    diesel::insert_into(sessions::table)
        .values(SessionRow::new(session, token_hash))
        .execute(connection)
        .await?;
    Ok(())
}

#[either]
async fn find(connection: &mut Connection, id: SessionId) -> Work<Option<(Session, TokenHash)>> {
    let row: Option<SessionRow> = sessions::table
        .filter(sessions::id.eq(Key::from(id)))
        .select(SessionRow::as_select())
        .get_result(connection)
        .await
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let token_hash = row.token_hash()?;
    Ok(Some((row.try_into()?, token_hash)))
}

#[either]
async fn find_all(connection: &mut Connection, ids: Vec<Key>) -> Work<Vec<Session>> {
    let rows: Vec<SessionRow> = sessions::table
        .filter(sessions::id.eq_any(ids))
        .select(SessionRow::as_select())
        .load(connection)
        .await?;
    Ok(rows.into_iter().map(Session::try_from).collect::<Result<_, StoreError>>()?)
}

#[either]
async fn renew(connection: &mut Connection, from: u32, row: SessionRow) -> Work<()> {
    let living = sessions::table
        .filter(sessions::id.eq(row.id))
        .filter(sessions::generation.eq(i64::from(from)))
        .filter(sessions::revoked_at.is_null());
    let changed = diesel::update(living)
        .set((
            sessions::device_name.eq(row.device_name),
            sessions::address.eq(row.address),
            sessions::user_agent.eq(row.user_agent),
            sessions::generation.eq(row.generation),
            sessions::token_hash.eq(row.token_hash),
            sessions::used_at.eq(row.used_at),
            sessions::expires_at.eq(row.expires_at),
        ))
        .execute(connection)
        .await?;
    if changed == 0 { Err(StoreError::Stale.into()) } else { Ok(()) }
}

#[either]
async fn list(connection: &mut Connection, user: UserId, now: Timestamp) -> Work<Vec<Session>> {
    let rows: Vec<SessionRow> = sessions::table
        .filter(sessions::user_id.eq(Key::from(user)))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(Moment::from(now)))
        .order((sessions::used_at.desc(), sessions::id.desc()))
        .select(SessionRow::as_select())
        .load(connection)
        .await?;
    Ok(rows.into_iter().map(TryInto::try_into).collect::<Result<_, StoreError>>()?)
}

#[either]
async fn revoke(
    connection: &mut Connection,
    user: UserId,
    id: SessionId,
    now: Timestamp,
) -> Work<bool> {
    let living = sessions::table
        .filter(sessions::id.eq(Key::from(id)))
        .filter(sessions::user_id.eq(Key::from(user)))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(Moment::from(now)));
    let ended = diesel::update(living)
        .set(sessions::revoked_at.eq(Moment::from(now)))
        .execute(connection)
        .await?
        > 0;
    if ended {
        store::record_ended(connection, user, &[id]).await?;
    }
    Ok(ended)
}

/// Ends the living sessions of an account, but `keep`, and returns them.
#[either]
pub(super) async fn end_all(
    connection: &mut Connection,
    user: UserId,
    keep: Option<SessionId>,
    now: Timestamp,
) -> Work<Vec<SessionId>> {
    let keep = Key(keep.map_or_else(uuid::Uuid::nil, |id| *id.as_uuid()));
    let living = sessions::table
        .filter(sessions::user_id.eq(Key::from(user)))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(Moment::from(now)))
        .filter(sessions::id.ne(keep));
    let ended: Vec<Key> = diesel::update(living)
        .set(sessions::revoked_at.eq(Moment::from(now)))
        .returning(sessions::id)
        .get_results(connection)
        .await?;
    let ended: Vec<SessionId> = ended.into_iter().map(Into::into).collect();
    store::record_ended(connection, user, &ended).await?;
    Ok(ended)
}

/// Removes what tells where an account was used from.
#[either]
pub(super) async fn forget_devices(connection: &mut Connection, user: UserId) -> Work<()> {
    let none = None::<&str>;
    diesel::update(sessions::table.filter(sessions::user_id.eq(Key::from(user))))
        .set((
            sessions::device_name.eq(none),
            sessions::address.eq(none),
            sessions::user_agent.eq(none),
        ))
        .execute(connection)
        .await?;
    Ok(())
}
