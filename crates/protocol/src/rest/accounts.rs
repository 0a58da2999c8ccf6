use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{given, present};
use crate::Time;

/// A new account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Register {
    /// 3 to 32 of ASCII letters, digits, `_ . -`; unique without regard to case.
    #[cfg_attr(feature = "openapi", schema(example = "ann"))]
    pub username: String,
    /// One account per mailbox.
    #[cfg_attr(feature = "openapi", schema(example = "ann@example.org"))]
    pub email: String,
    /// 8 to 128 characters, not a common one.
    #[cfg_attr(feature = "openapi", schema(example = "correct horse battery"))]
    pub password: String,
    /// What people see; the user name if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What the list of devices calls this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
}

/// A login by e-mail or user name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Login {
    /// The e-mail address; or give `username`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "ann@example.org"))]
    pub email: Option<String>,
    /// The user name; or give `email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password.
    #[cfg_attr(feature = "openapi", schema(example = "correct horse battery"))]
    pub password: String,
    /// What the list of devices calls this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
}

/// What a login gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginAnswer {
    /// The access token: `Authorization: Bearer <token>`.
    pub token: String,
    /// Always `Bearer`.
    #[cfg_attr(feature = "openapi", schema(example = "Bearer"))]
    pub token_type: String,
    /// Seconds until the access token ends.
    #[cfg_attr(feature = "openapi", schema(example = 900))]
    pub expires_in: u64,
    /// Good once, for the next pair.
    pub refresh_token: String,
    /// The account.
    pub user: Me,
}

/// Asks for a new pair of tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Refresh {
    /// The refresh token of the last pair.
    pub refresh_token: String,
}

/// A change of password.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasswordChange {
    /// The password until now.
    pub current_password: String,
    /// The password from now on.
    pub new_password: String,
}

/// A single-use credential for opening a WebSocket from a browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ticket {
    /// `GET /ws?ticket=<ticket>`, once.
    pub ticket: String,
    /// Seconds until it ends.
    #[cfg_attr(feature = "openapi", schema(example = 30))]
    pub expires_in: u64,
}

/// A signed-in device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionInfo {
    /// Its id.
    pub id: Uuid,
    /// The name its owner gave it.
    pub device_name: Option<String>,
    /// The address it signed in from.
    pub address: Option<String>,
    /// The program it signed in with.
    pub user_agent: Option<String>,
    /// When it signed in.
    pub created_at: Time,
    /// When it last renewed its tokens.
    pub last_used_at: Time,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// Who sees online state and last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Visibility {
    /// Everyone with an account.
    Everyone,
    /// Those the person has written to in a direct chat.
    Contacts,
    /// Nobody.
    Nobody,
}

/// One's own account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Me {
    /// Its id.
    pub id: Uuid,
    /// The unique name.
    pub username: String,
    /// The address.
    pub email: String,
    /// What people see.
    pub display_name: String,
    /// What one says of oneself.
    pub about: Option<String>,
    /// The picture, once there are pictures.
    pub avatar_url: Option<String>,
    /// Who sees online state and last seen.
    pub last_seen_visibility: Visibility,
    /// Whether others are told what one has read.
    pub read_receipts: bool,
    /// When the account was made.
    pub created_at: Time,
}

/// A change of one's own profile and privacy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MePatch {
    /// What people see.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What one says of oneself; `null` removes it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub about: Option<Option<String>>,
    /// Who sees online state and last seen.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub last_seen_visibility: Option<Visibility>,
    /// Whether others are told what one has read.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub read_receipts: Option<bool>,
}

/// Proof that it is the owner who erases the account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Erase {
    /// The password; not needed within five minutes of a login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// What others see of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Profile {
    /// Its id.
    pub id: Uuid,
    /// The unique name; `null` once the account is erased.
    pub username: Option<String>,
    /// What people see.
    pub display_name: String,
    /// What it says of itself.
    pub about: Option<String>,
    /// The picture, once there are pictures.
    pub avatar_url: Option<String>,
    /// Whether a device is connected; `null` where that is hidden.
    pub online: Option<bool>,
    /// When the last device went; `null` where that is hidden, or there never was one.
    pub last_seen: Option<Time>,
    /// When the account was made.
    pub created_at: Time,
    /// Whether the account was erased.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}
