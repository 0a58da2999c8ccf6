use diesel::prelude::*;
use kith_domain::{
    session::{Device, Session},
    text::Name,
};
use kith_ports::{StoreError, TokenHash};

use super::{corrupt, text};
use crate::{
    schema::sessions,
    types::{Key, Moment},
};

/// A signed-in device.
#[derive(Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(
    table_name = sessions,
    check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite),
    treat_none_as_null = true
)]
pub(crate) struct SessionRow {
    pub(crate) id: Key,
    pub(crate) user_id: Key,
    pub(crate) device_name: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) generation: i64,
    pub(crate) token_hash: Vec<u8>,
    pub(crate) created_at: Moment,
    pub(crate) used_at: Moment,
    pub(crate) expires_at: Moment,
    pub(crate) revoked_at: Option<Moment>,
}

impl SessionRow {
    pub(crate) fn new(session: Session, token_hash: TokenHash) -> Self {
        Self {
            id: session.id.into(),
            user_id: session.user_id.into(),
            device_name: session.device.name.map(|name| name.as_str().to_owned()),
            address: session.device.address,
            user_agent: session.device.user_agent,
            generation: session.generation.into(),
            token_hash: token_hash.0.to_vec(),
            created_at: session.created_at.into(),
            used_at: session.last_used_at.into(),
            expires_at: session.expires_at.into(),
            revoked_at: session.revoked_at.map(Into::into),
        }
    }

    /// The hash of the living refresh token.
    pub(crate) fn token_hash(&self) -> Result<TokenHash, StoreError> {
        <[u8; 32]>::try_from(self.token_hash.as_slice())
            .map(TokenHash)
            .map_err(|error| corrupt("sessions", self.id.0, "token_hash", error))
    }
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let id = row.id.0;
        Ok(Self {
            id: row.id.into(),
            user_id: row.user_id.into(),
            device: Device {
                name: text(row.device_name.as_deref(), Name::parse, |error| {
                    corrupt("sessions", id, "device_name", error)
                })?,
                address: row.address,
                user_agent: row.user_agent,
            },
            generation: u32::try_from(row.generation)
                .map_err(|error| corrupt("sessions", id, "generation", error))?,
            created_at: row.created_at.into(),
            last_used_at: row.used_at.into(),
            expires_at: row.expires_at.into(),
            revoked_at: row.revoked_at.map(Into::into),
        })
    }
}
