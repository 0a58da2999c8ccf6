//! What a name, an address, a password, a message's text may be.
//!
//! Each type is made by its `parse`, is valid from then on, and is kept in Unicode's composed form
//! (NFC). Lengths are counted in grapheme clusters, what a person calls a character, and bounded
//! in bytes too, since a cluster has no bound of its own.

mod message;
mod password;

use std::{borrow::Cow, fmt};

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use unicode_segmentation::UnicodeSegmentation;

pub use self::{
    message::{ClientMessageId, Content, Emoji, Excerpt, InviteCode},
    password::Password,
};
use crate::error::{Code, FieldError};

/// Why a text is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing, or nothing visible.
    #[error("must not be empty")]
    Empty,
    /// Fewer characters than it must have.
    #[error("must have at least {min} characters")]
    TooShort {
        /// The least number.
        min: usize,
    },
    /// More characters than it may have.
    #[error("must have at most {max} characters")]
    TooLong {
        /// The greatest number.
        max: usize,
    },
    /// More bytes than it may have.
    #[error("must have at most {max} bytes in UTF-8")]
    TooManyBytes {
        /// The greatest number.
        max: usize,
    },
    /// A character that may not stand here.
    #[error("must not contain U+{:04X}; {allowed}", *.found as u32)]
    Forbidden {
        /// The first such character.
        found: char,
        /// What may stand here.
        allowed: &'static str,
    },
    /// Not `name@example.org`.
    #[error("must have the form name@example.org")]
    NotAnEmail,
    /// One of the passwords that are tried first.
    #[error("is one of the most common passwords: choose another")]
    CommonPassword,
}

impl TextError {
    /// The stable code of this error.
    pub const fn code(&self) -> Code {
        match self {
            Self::Empty => Code::Required,
            Self::TooShort { .. } => Code::TooShort,
            Self::TooLong { .. } | Self::TooManyBytes { .. } => Code::TooLong,
            Self::Forbidden { .. } => Code::InvalidText,
            Self::NotAnEmail => Code::InvalidEmail,
            Self::CommonPassword => Code::CommonPassword,
        }
    }

    /// The error of the field that held the text.
    pub fn on(&self, field: impl Into<Cow<'static, str>>) -> FieldError {
        FieldError { field: field.into(), code: self.code(), message: self.to_string().into() }
    }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks `raw` and brings it into composed form.
            pub fn parse(raw: &str) -> Result<Self, TextError> {
                let parse: fn(&str) -> Result<Cow<'_, str>, TextError> = $parse;
                parse(raw).map(|text| Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

use text;

text! {
    /// A user name: 3 to 32 of ASCII letters, digits, `_ . -`; unique without regard to case.
    Username, parse_username
}
text! {
    /// An e-mail address of at most 254 bytes; one account per mailbox without regard to case.
    Email, parse_email
}
text! {
    /// What people see as the name of a person, a group, a channel or a device: 1 to 64 characters.
    Name, |raw| parse_line(raw, 64, 256)
}
text! {
    /// What a group or a person says of itself: up to 512 characters, lines allowed.
    Description, |raw| parse_lines(raw, 512, 2 * 1024)
}
impl Username {
    /// What makes two user names the same: the name without case.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl Email {
    /// What makes two addresses the same mailbox: compatibility form, without case.
    pub fn key(&self) -> String {
        self.0.nfkc().collect::<String>().to_lowercase()
    }
}

fn parse_username(raw: &str) -> Result<Cow<'_, str>, TextError> {
    const ALLOWED: &str = "use ASCII letters, digits, '_', '.' and '-'";
    if let Some(found) =
        raw.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')))
    {
        return Err(TextError::Forbidden { found, allowed: ALLOWED });
    }
    match raw.len() {
        0 => Err(TextError::Empty),
        1..=2 => Err(TextError::TooShort { min: 3 }),
        3..=32 => Ok(Cow::Borrowed(raw)),
        _ => Err(TextError::TooLong { max: 32 }),
    }
}

fn parse_email(raw: &str) -> Result<Cow<'_, str>, TextError> {
    let raw = raw.trim();
    if raw.is_empty() {
        return Err(TextError::Empty);
    }
    no_control(raw, "give an address of the form name@example.org")?;
    let email = compose(raw);
    if email.len() > 254 {
        return Err(TextError::TooManyBytes { max: 254 });
    }
    let (local, domain) = email.rsplit_once('@').ok_or(TextError::NotAnEmail)?;
    let part = |c: char| {
        !c.is_whitespace()
            && !matches!(c, '@' | '<' | '>' | '(' | ')' | ',' | ';' | ':' | '"' | '\\' | '[' | ']')
    };
    let local_is_right = (1..=64).contains(&local.len())
        && local.chars().all(part)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    let label_is_right = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let domain_is_right = domain.contains('.') && domain.split('.').all(label_is_right);
    if local_is_right && domain_is_right { Ok(email) } else { Err(TextError::NotAnEmail) }
}

/// One line that people read as a name.
fn parse_line(raw: &str, max: usize, max_bytes: usize) -> Result<Cow<'_, str>, TextError> {
    let raw = raw.trim();
    no_control(raw, "names are one line of visible characters")?;
    if let Some(found) = raw.chars().find(|&c| is_bidi_control(c)) {
        return Err(TextError::Forbidden { found, allowed: "names hold no direction marks" });
    }
    visible(raw)?;
    composed_within(raw, max, max_bytes)
}

/// A text of one or more lines.
fn parse_lines(raw: &str, max: usize, max_bytes: usize) -> Result<Cow<'_, str>, TextError> {
    no_nul(raw)?;
    visible(raw)?;
    composed_within(raw, max, max_bytes)
}

fn compose(text: &str) -> Cow<'_, str> {
    // In ASCII there is nothing to compose, and most text that is read again and again is that.
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(text.nfc().collect()),
    }
}

fn no_nul(text: &str) -> Result<(), TextError> {
    if text.contains('\0') {
        return Err(TextError::Forbidden { found: '\0', allowed: "leave it out" });
    }
    Ok(())
}

fn no_control(text: &str, allowed: &'static str) -> Result<(), TextError> {
    match text.chars().find(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        Some(found) => Err(TextError::Forbidden { found, allowed }),
        None => Ok(()),
    }
}

fn visible(text: &str) -> Result<(), TextError> {
    if text.chars().all(|c| c.is_whitespace() || is_zero_width(c) || is_bidi_control(c)) {
        return Err(TextError::Empty);
    }
    Ok(())
}

/// Composes a text and bounds what came of it: composing may make a text longer.
fn composed_within(raw: &str, max: usize, max_bytes: usize) -> Result<Cow<'_, str>, TextError> {
    let text = compose(raw);
    within(&text, max, max_bytes)?;
    Ok(text)
}

fn within(text: &str, max: usize, max_bytes: usize) -> Result<(), TextError> {
    if text.len() > max_bytes {
        // Few, huge clusters are too many bytes; many clusters are too many characters.
        return match text.graphemes(true).nth(max) {
            Some(_) => Err(TextError::TooLong { max }),
            None => Err(TextError::TooManyBytes { max: max_bytes }),
        };
    }
    // A cluster has at least one byte: only a text of more bytes than that needs counting.
    if text.len() > max && text.graphemes(true).nth(max).is_some() {
        return Err(TextError::TooLong { max });
    }
    Ok(())
}

/// The characters that steer the direction of what surrounds them (Unicode TR 9, table of explicit marks).
const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

const fn is_zero_width(c: char) -> bool {
    matches!(
        c,
        '\u{00AD}' | '\u{034F}' | '\u{115F}' | '\u{1160}' | '\u{180E}' | '\u{200B}'..='\u{200D}'
            | '\u{2060}'..='\u{2064}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
            | '\u{E0000}'..='\u{E01EF}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ann")]
    #[case("A.b_c-9")]
    #[case("12345678901234567890123456789012")]
    fn a_good_username(#[case] raw: &str) {
        assert_eq!(Username::parse(raw).unwrap().as_str(), raw);
    }

    #[rstest]
    #[case("", Code::Required)]
    #[case("ab", Code::TooShort)]
    #[case("123456789012345678901234567890123", Code::TooLong)]
    #[case("ann lee", Code::InvalidText)]
    #[case("ännchen", Code::InvalidText)]
    #[case("ann\0", Code::InvalidText)]
    fn a_bad_username(#[case] raw: &str, #[case] code: Code) {
        assert_eq!(Username::parse(raw).unwrap_err().code(), code);
    }

    #[rstest]
    #[case("ann@example.org")]
    #[case("a.b+tag@sub.example.co.uk")]
    #[case("jürgen@münchen.example")]
    fn a_good_email(#[case] raw: &str) {
        assert_eq!(Email::parse(raw).unwrap().as_str(), raw);
    }

    #[rstest]
    #[case("")]
    #[case("ann")]
    #[case("ann@")]
    #[case("@example.org")]
    #[case("ann@example")]
    #[case("ann@exa mple.org")]
    #[case("a..b@example.org")]
    #[case("ann@-example.org")]
    #[case("ann@example.org\0")]
    #[case("Ann <ann@example.org>")]
    fn a_bad_email(#[case] raw: &str) {
        assert!(Email::parse(raw).is_err());
    }

    #[test]
    fn an_email_of_255_bytes_is_too_long() {
        let raw = format!("{}@{}.org", "a".repeat(60), "b.".repeat(95));
        assert_eq!(raw.len(), 255);
        assert_eq!(Email::parse(&raw).unwrap_err().code(), Code::TooLong);
    }

    #[test]
    fn case_and_unicode_variants_of_an_email_are_one_mailbox() {
        let key = |raw| Email::parse(raw).unwrap().key();
        assert_eq!(key("Ann@Example.ORG"), key("ann@example.org"));
        assert_eq!(key("jose\u{301}@example.org"), key("jos\u{e9}@example.org"));
        assert_eq!(key("\u{ff41}nn@example.org"), key("ann@example.org"));
    }

    #[rstest]
    #[case("correct horse")]
    #[case("pässwörter-sind-gut")]
    fn a_good_password(#[case] raw: &str) {
        assert_eq!(Password::parse(raw).unwrap().expose(), raw);
    }

    #[rstest]
    #[case("", Code::Required)]
    #[case("1234567", Code::TooShort)]
    #[case("password", Code::CommonPassword)]
    #[case("PassWord1", Code::CommonPassword)]
    #[case("aaaaaaaaaa", Code::CommonPassword)]
    #[case("secret\0word", Code::InvalidText)]
    fn a_bad_password(#[case] raw: &str, #[case] code: Code) {
        assert_eq!(Password::parse(raw).unwrap_err().code(), code);
    }

    #[test]
    fn a_password_is_bounded_and_never_shown() {
        assert!(Password::parse(&"xy".repeat(64)).is_ok());
        assert_eq!(Password::parse(&"xy".repeat(65)).unwrap_err().code(), Code::TooLong);
        assert_eq!(format!("{:?}", Password::parse("correct horse").unwrap()), "Password(..)");
    }

    #[rstest]
    #[case("Ann")]
    #[case("李小龙")]
    #[case("👩‍👩‍👧 family")]
    fn a_good_name(#[case] raw: &str) {
        assert_eq!(Name::parse(raw).unwrap().as_str(), raw);
    }

    #[rstest]
    #[case("   ", Code::Required)]
    #[case("\u{200B}\u{200D}", Code::Required)]
    #[case("evil\u{202E}txt", Code::InvalidText)]
    #[case("two\nlines", Code::InvalidText)]
    #[case("bell\u{7}", Code::InvalidText)]
    fn a_bad_name(#[case] raw: &str, #[case] code: Code) {
        assert_eq!(Name::parse(raw).unwrap_err().code(), code);
    }

    #[test]
    fn a_name_is_counted_in_clusters_and_bounded_in_bytes() {
        assert!(Name::parse(&"é".repeat(64)).is_ok());
        assert_eq!(Name::parse(&"é".repeat(65)).unwrap_err(), TextError::TooLong { max: 64 });
        let one_huge_cluster = format!("a{}", "\u{301}".repeat(200));
        assert_eq!(
            Name::parse(&one_huge_cluster).unwrap_err(),
            TextError::TooManyBytes { max: 256 }
        );
    }

    #[test]
    fn content_is_bounded_both_ways() {
        assert!(Content::parse(&"x".repeat(4_000)).is_ok());
        assert_eq!(
            Content::parse(&"x".repeat(4_001)).unwrap_err(),
            TextError::TooLong { max: 4_000 }
        );
        assert_eq!(
            Content::parse(&"x".repeat(20_000)).unwrap_err(),
            TextError::TooLong { max: 4_000 }
        );
        let family = "👩‍👩‍👧";
        assert_eq!(
            Content::parse(&family.repeat(1_000)).unwrap_err(),
            TextError::TooManyBytes { max: 16 * 1024 }
        );
    }

    #[test]
    fn what_grows_when_it_is_composed_is_bounded_as_it_is_kept() {
        // U+1D160 is never composed: its canonical form has three times its bytes.
        let notes = "\u{1D160}".repeat(1_400);
        assert!(notes.len() < 16 * 1024);
        assert_eq!(Content::parse(&notes).unwrap_err(), TextError::TooManyBytes { max: 16 * 1024 });
        assert!(Name::parse(&"\u{1D160}".repeat(60)).is_err());
        assert!(ClientMessageId::parse(&"\u{1D160}".repeat(60)).is_err());
        let kept = Content::parse(&"\u{1D160}".repeat(1_000)).unwrap();
        assert_eq!(Content::parse(kept.as_str()).unwrap(), kept);
    }

    #[rstest]
    #[case("")]
    #[case(" \n ")]
    #[case("a\0b")]
    fn bad_content(#[case] raw: &str) {
        assert!(Content::parse(raw).is_err());
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent(raw in "[\\PC\u{1D160}\u{FB2C}\u{390}]{0,80}") {
            if let Ok(once) = Content::parse(&raw) {
                prop_assert_eq!(Content::parse(once.as_str()).unwrap(), once);
            }
            if let Ok(once) = Name::parse(&raw) {
                prop_assert_eq!(Name::parse(once.as_str()).unwrap(), once);
            }
        }

        #[test]
        fn nothing_valid_holds_a_nul(prefix in ".{0,20}", suffix in ".{0,20}") {
            let raw = format!("{prefix}\0{suffix}");
            prop_assert!(Content::parse(&raw).is_err());
            prop_assert!(Name::parse(&raw).is_err());
            prop_assert!(Description::parse(&raw).is_err());
            prop_assert!(ClientMessageId::parse(&raw).is_err());
        }
    }
}
