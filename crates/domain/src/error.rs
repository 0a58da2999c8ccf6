//! Why something is refused, in terms a client can act on.

use std::{borrow::Cow, fmt};

/// A stable code. Clients may compare it; it never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// One or more fields do not have the right form; see the fields.
    ValidationFailed,
    /// A text holds what no text may hold.
    InvalidText,
    /// A text is missing or blank where one is needed.
    Required,
    /// A text or list is shorter than it must be.
    TooShort,
    /// A text or list is longer than it may be.
    TooLong,
    /// Not the form of an e-mail address.
    InvalidEmail,
    /// The password is among those that are tried first.
    CommonPassword,
    /// A value is not one of those that are possible here.
    InvalidValue,
    /// No account has this id.
    UnknownUser,
    /// What one may do to others, one may not do to oneself here.
    OneSelf,
    /// Another account has this e-mail address.
    EmailTaken,
    /// Another account has this user name.
    UsernameTaken,
    /// The account is unknown, or the password is wrong.
    InvalidCredentials,
    /// No valid access token was given.
    Unauthenticated,
    /// The refresh token is not valid.
    InvalidRefreshToken,
    /// The refresh token was used before: its session has been ended.
    RefreshReused,
    /// A cursor or sync token that this server did not make for this list and person.
    InvalidCursor,
    /// It does not exist, or is none of the caller's business.
    NotFound,
    /// The caller is a member, but his role does not allow it.
    Forbidden,
    /// The caller is not in the conversation he wants to write to.
    NotAMember,
    /// The other account of this direct chat is gone.
    PeerDeleted,
    /// One of the two has blocked the other.
    Blocked,
    /// A message may be edited for fifteen minutes only.
    EditWindow,
    /// The message was deleted.
    MessageDeleted,
    /// The conversation would be left without an owner.
    LastOwner,
    /// The conversation is of a kind for which this makes no sense.
    WrongKind,
    /// The conversation has as many members as it may have.
    TooManyMembers,
    /// The message has as many different reactions as it may have.
    TooManyReactions,
    /// The same `client_message_id` came before with other content.
    ClientMessageIdReused,
    /// It was changed by others again and again while this was tried.
    Conflict,
}

impl Code {
    /// The code as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ValidationFailed => "validation_failed",
            Self::InvalidText => "invalid_text",
            Self::Required => "required",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::InvalidEmail => "invalid_email",
            Self::CommonPassword => "common_password",
            Self::InvalidValue => "invalid_value",
            Self::UnknownUser => "unknown_user",
            Self::OneSelf => "self",
            Self::EmailTaken => "email_taken",
            Self::UsernameTaken => "username_taken",
            Self::InvalidCredentials => "invalid_credentials",
            Self::Unauthenticated => "unauthenticated",
            Self::InvalidRefreshToken => "invalid_refresh_token",
            Self::RefreshReused => "refresh_reused",
            Self::InvalidCursor => "invalid_cursor",
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::NotAMember => "not_a_member",
            Self::PeerDeleted => "peer_deleted",
            Self::Blocked => "blocked",
            Self::EditWindow => "edit_window",
            Self::MessageDeleted => "message_deleted",
            Self::LastOwner => "last_owner",
            Self::WrongKind => "wrong_kind",
            Self::TooManyMembers => "too_many_members",
            Self::TooManyReactions => "too_many_reactions",
            Self::ClientMessageIdReused => "client_message_id_reused",
            Self::Conflict => "conflict",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field, as the client wrote it: `password`, `members[3]`.
    pub field: Cow<'static, str>,
    /// What is wrong with it.
    pub code: Code,
    /// The same for a person, with the form that would be right.
    pub message: Cow<'static, str>,
}

/// A refusal: the request was understood, and the answer is no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// For a person: what was wrong, and what would be right.
    pub detail: Cow<'static, str>,
    /// The fields at fault, where fields are at fault.
    pub fields: Vec<FieldError>,
}

impl Refusal {
    /// A refusal that no single field explains.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), fields: Vec::new() }
    }

    /// A refusal that one field explains. `code` stands for the whole and for the field.
    pub fn field(
        field: impl Into<Cow<'static, str>>,
        code: Code,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let message = message.into();
        Self {
            code,
            detail: message.clone(),
            fields: vec![FieldError { field: field.into(), code, message }],
        }
    }

    /// The refusal of a request because one field does not hold what it must.
    pub fn wrong_field(
        field: impl Into<Cow<'static, str>>,
        code: Code,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::invalid(vec![FieldError { field: field.into(), code, message: message.into() }])
    }

    /// The refusal of a request whose fields break their form.
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        let detail = match fields.as_slice() {
            [one] => Cow::Owned(format!("{}: {}", one.field, one.message)),
            _ => Cow::Borrowed("several fields do not have the right form"),
        };
        Self { code: Code::ValidationFailed, detail, fields }
    }

    /// What one may not see and what does not exist answer alike.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is no such thing here, or it is not for you to see")
    }

    /// A member whose role is not enough.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Forbidden, detail)
    }

    /// What reaches a person whom one has blocked, or who has blocked one. Which of the two it is, is
    /// not told.
    pub fn blocked() -> Self {
        Self::new(Code::Blocked, "one of you two has blocked the other")
    }

    /// A send to a conversation one is not in, existing or not.
    pub fn not_a_member() -> Self {
        Self::new(Code::NotAMember, "you are not a member of this conversation")
    }
}
