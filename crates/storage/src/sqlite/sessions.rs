//! Signed-in devices.

use async_trait::async_trait;
use diesel::{prelude::*, sqlite::SqliteConnection};
use kith_domain::{SessionId, Timestamp, UserId, session::Session};
use kith_ports::{SessionStore, StoreError, StoreResult, TokenHash};

use super::{Sqlite, error::Work};
use crate::{
    rows::SessionRow,
    schema::{sessions, users},
    types::{Key, Moment},
};

#[async_trait]
impl SessionStore for Sqlite {
    async fn create(
        &self,
        session: Session,
        token_hash: TokenHash,
        verified: String,
    ) -> StoreResult<()> {
        self.write(move |connection| {
            let account = users::table
                .filter(users::id.eq(Key::from(session.user_id)))
                .filter(users::deleted_at.is_null())
                .filter(users::password_hash.eq(verified))
                .select(users::id);
            if account.get_result::<Key>(connection).optional()?.is_none() {
                return Err(StoreError::Stale.into());
            }
            diesel::insert_into(sessions::table)
                .values(SessionRow::new(session, token_hash))
                .execute(connection)?;
            Ok(())
        })
        .await
    }

    async fn find(&self, id: SessionId) -> StoreResult<Option<(Session, TokenHash)>> {
        self.read(move |connection| {
            let row: Option<SessionRow> = sessions::table
                .filter(sessions::id.eq(Key::from(id)))
                .select(SessionRow::as_select())
                .get_result(connection)
                .optional()?;
            let Some(row) = row else { return Ok(None) };
            let token_hash = row.token_hash()?;
            Ok(Some((row.try_into()?, token_hash)))
        })
        .await
    }

    async fn renew(&self, from: u32, renewed: Session, token_hash: TokenHash) -> StoreResult<()> {
        self.write(move |connection| {
            let row = SessionRow::new(renewed, token_hash);
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
                .execute(connection)?;
            if changed == 0 { Err(StoreError::Stale.into()) } else { Ok(()) }
        })
        .await
    }

    async fn list(&self, user: UserId, now: Timestamp) -> StoreResult<Vec<Session>> {
        self.read(move |connection| {
            let rows: Vec<SessionRow> = sessions::table
                .filter(sessions::user_id.eq(Key::from(user)))
                .filter(sessions::revoked_at.is_null())
                .filter(sessions::expires_at.gt(Moment::from(now)))
                .order((sessions::used_at.desc(), sessions::id.desc()))
                .select(SessionRow::as_select())
                .load(connection)?;
            Ok(rows.into_iter().map(TryInto::try_into).collect::<Result<_, StoreError>>()?)
        })
        .await
    }

    async fn revoke(&self, user: UserId, id: SessionId, now: Timestamp) -> StoreResult<bool> {
        self.write(move |connection| {
            let living = sessions::table
                .filter(sessions::id.eq(Key::from(id)))
                .filter(sessions::user_id.eq(Key::from(user)))
                .filter(sessions::revoked_at.is_null())
                .filter(sessions::expires_at.gt(Moment::from(now)));
            let ended = diesel::update(living)
                .set(sessions::revoked_at.eq(Moment::from(now)))
                .execute(connection)?;
            Ok(ended > 0)
        })
        .await
    }

    async fn revoke_others(
        &self,
        user: UserId,
        keep: SessionId,
        now: Timestamp,
    ) -> StoreResult<Vec<SessionId>> {
        self.write(move |connection| end_all(connection, user, Some(keep), now)).await
    }
}

/// Ends the living sessions of an account, but `keep`, and returns them.
pub(super) fn end_all(
    connection: &mut SqliteConnection,
    user: UserId,
    keep: Option<SessionId>,
    now: Timestamp,
) -> Work<Vec<SessionId>> {
    let living: Vec<Key> = sessions::table
        .filter(sessions::user_id.eq(Key::from(user)))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(Moment::from(now)))
        .select(sessions::id)
        .load(connection)?;
    let keep = keep.map(Key::from);
    let ended: Vec<Key> = living.into_iter().filter(|id| Some(*id) != keep).collect();
    diesel::update(sessions::table.filter(sessions::id.eq_any(&ended)))
        .set(sessions::revoked_at.eq(Moment::from(now)))
        .execute(connection)?;
    Ok(ended.into_iter().map(Into::into).collect())
}

/// Removes what tells where an account was used from.
pub(super) fn forget_devices(connection: &mut SqliteConnection, user: UserId) -> Work<()> {
    let none = None::<&str>;
    diesel::update(sessions::table.filter(sessions::user_id.eq(Key::from(user))))
        .set((
            sessions::device_name.eq(none),
            sessions::address.eq(none),
            sessions::user_agent.eq(none),
        ))
        .execute(connection)?;
    Ok(())
}
