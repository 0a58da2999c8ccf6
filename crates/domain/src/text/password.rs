use std::fmt;

use unicode_segmentation::UnicodeSegmentation as _;

use super::{TextError, composed_within, no_nul};

/// A password as it was typed, 8 to 128 characters, composed, never truncated.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<str>);

impl Password {
    /// Checks a password that is being chosen.
    pub fn parse(raw: &str) -> Result<Self, TextError> {
        let password = Self::presented(raw)?;
        let length = password.0.graphemes(true).count();
        if length < Self::MIN {
            return Err(TextError::TooShort { min: Self::MIN });
        }
        if is_common(&password.0) {
            return Err(TextError::CommonPassword);
        }
        Ok(password)
    }

    /// Takes a password that is being presented, without judging its strength.
    ///
    /// Its length is bounded, so that a huge one is refused before anything is computed from it.
    pub fn presented(raw: &str) -> Result<Self, TextError> {
        if raw.is_empty() {
            return Err(TextError::Empty);
        }
        no_nul(raw)?;
        Ok(Self(composed_within(raw, Self::MAX, 4 * Self::MAX)?.into()))
    }

    /// The least number of characters.
    pub const MIN: usize = 8;
    /// The greatest number of characters.
    pub const MAX: usize = 128;

    /// The password in clear, for the hash function alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Passwords of eight characters and more that head the published lists of leaked ones.
const COMMON_PASSWORDS: &str = include_str!("common_passwords.txt");

fn is_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    let mut chars = lower.chars();
    let first = chars.next();
    chars.all(|c| Some(c) == first) || COMMON_PASSWORDS.lines().any(|common| common == lower)
}
