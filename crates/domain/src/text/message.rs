//! What belongs to messages and invites.

use std::{borrow::Cow, fmt};

use unicode_properties::UnicodeEmoji as _;
use unicode_segmentation::UnicodeSegmentation as _;

use super::{TextError, Username, compose, composed_within, no_control, parse_lines, text};

text! {
    /// The text of a message: 1 to 4,000 characters and at most 16 KiB.
    Content, |raw| parse_lines(raw, 4_000, 16 * 1024)
}
text! {
    /// The client's own id of a message, 1 to 64 characters: what makes a retry harmless.
    ClientMessageId, |raw| {
        no_control(raw, "give 1 to 64 printable characters")?;
        let text = composed_within(raw, 64, 256)?;
        if text.is_empty() { Err(TextError::Empty) } else { Ok(text) }
    }
}

text! {
    /// A reaction: one emoji, that is one cluster of at most 64 bytes that holds an emoji character.
    Emoji, parse_emoji
}
text! {
    /// What an invite is redeemed by: 16 to 64 letters, digits, `-` and `_`, not to be guessed.
    InviteCode, parse_code
}
text! {
    /// The beginning of a message's text, on one line, as it is shown above an answer to it.
    Excerpt, |raw| Ok(Cow::Borrowed(raw))
}

impl Excerpt {
    /// The most characters in it.
    pub const MAX: usize = 100;

    /// The excerpt of a message.
    pub fn of(content: &Content) -> Self {
        let mut text = String::new();
        for cluster in content.0.graphemes(true).take(Self::MAX) {
            if text.len() + cluster.len() > 4 * Self::MAX {
                break;
            }
            text.push_str(if cluster.contains(['\n', '\r']) { " " } else { cluster });
        }
        Self(text.into())
    }
}

impl Content {
    /// The most names looked for in one message.
    pub const MOST_MENTIONS: usize = 50;

    /// The keys of the user names that the text may mention: each `@name` that does not stand within
    /// a word, so that an e-mail address mentions nobody. A point or dash at the end may belong to
    /// the sentence, so the name without it counts too.
    pub fn mentioned(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        let mut before = ' ';
        for (at, c) in self.0.char_indices() {
            if c == '@' && !before.is_alphanumeric() && !matches!(before, '_' | '.' | '-') {
                let rest = &self.0[at + 1..];
                let end = rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')))
                    .unwrap_or(rest.len());
                let name = &rest[..end];
                for name in [name, name.trim_end_matches(['.', '-'])] {
                    if let Ok(name) = Username::parse(name)
                        && !keys.contains(&name.key())
                    {
                        keys.push(name.key());
                    }
                }
                if keys.len() >= Self::MOST_MENTIONS {
                    keys.truncate(Self::MOST_MENTIONS);
                    break;
                }
            }
            before = c;
        }
        keys
    }
}

fn parse_emoji(raw: &str) -> Result<Cow<'_, str>, TextError> {
    const ALLOWED: &str = "give one emoji";
    let emoji = compose(raw);
    if emoji.is_empty() {
        return Err(TextError::Empty);
    }
    if emoji.len() > 64 {
        return Err(TextError::TooManyBytes { max: 64 });
    }
    if emoji.graphemes(true).nth(1).is_some() {
        return Err(TextError::TooLong { max: 1 });
    }
    if is_emoji(&emoji) {
        return Ok(emoji);
    }
    Err(TextError::Forbidden { found: emoji.chars().next().unwrap_or_default(), allowed: ALLOWED })
}

/// Whether a cluster is an emoji and nothing else (Unicode TS 51): characters that have the property,
/// joined and qualified as emoji are.
fn is_emoji(cluster: &str) -> bool {
    const JOINER: char = '\u{200D}';
    let is_flag = |c: char| matches!(c, '\u{1F1E6}'..='\u{1F1FF}');
    let (Some(first), Some(last)) = (cluster.chars().next(), cluster.chars().next_back()) else {
        return false;
    };
    if is_flag(first) {
        return cluster.chars().count() == 2 && is_flag(last);
    }
    // Digits, `#` and `*` have the property too, for the keycaps that they begin.
    if first.is_ascii() {
        let rest = &cluster[1..];
        return first.is_emoji_char() && matches!(rest, "\u{20E3}" | "\u{FE0F}\u{20E3}");
    }
    let is_tone = |c: char| matches!(c, '\u{1F3FB}'..='\u{1F3FF}');
    let is_part = |c: char| {
        matches!(c, JOINER | '\u{FE0F}' | '\u{E0020}'..='\u{E007F}')
            || (!c.is_ascii() && c.is_emoji_char())
    };
    first.is_emoji_char() && !is_tone(first) && last != JOINER && cluster.chars().all(is_part)
}

fn parse_code(raw: &str) -> Result<Cow<'_, str>, TextError> {
    let found = raw.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')));
    match (found, raw.len()) {
        (Some(found), _) => {
            Err(TextError::Forbidden { found, allowed: "use the code as it was given" })
        }
        (None, 0..16) => Err(TextError::TooShort { min: 16 }),
        (None, 16..=64) => Ok(Cow::Borrowed(raw)),
        (None, _) => Err(TextError::TooLong { max: 64 }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("👍", true)]
    #[case("❤️", true)]
    #[case("❤", true)]
    #[case("👩‍👩‍👧‍👦", true)]
    #[case("👍🏽", true)]
    #[case("🇨🇭", true)]
    #[case("1️⃣", true)]
    #[case("1", false)]
    #[case("#", false)]
    #[case("a", false)]
    #[case("é", false)]
    #[case("", false)]
    #[case("👍👍", false)]
    #[case("\0", false)]
    #[case("\u{200D}", false)]
    #[case("👍\u{200D}", false)]
    #[case("👍\u{0301}", false)]
    #[case("👍\u{FE0E}", false)]
    #[case("🇨", false)]
    #[case("🏽", false)]
    #[case("🏴󠁧󠁢󠁥󠁮󠁧󠁿", true)]
    fn a_reaction_is_one_emoji(#[case] raw: &str, #[case] good: bool) {
        assert_eq!(Emoji::parse(raw).is_ok(), good, "{raw:?}");
    }

    #[test]
    fn an_emoji_has_an_end() {
        let endless = format!("👍{}", "\u{0301}".repeat(100));
        assert_eq!(Emoji::parse(&endless), Err(TextError::TooManyBytes { max: 64 }));
    }

    #[rstest]
    #[case("hi @Ann and @bob_2!", &["ann", "bob_2"])]
    #[case("@ann.", &["ann.", "ann"])]
    #[case("ann@example.org", &[])]
    #[case("(@ann)", &["ann"])]
    #[case("@@ann @", &["ann"])]
    #[case("@ann @ANN", &["ann"])]
    #[case("@an", &[])]
    #[case("für@ann", &[])]
    fn mentions(#[case] text: &str, #[case] keys: &[&str]) {
        assert_eq!(Content::parse(text).unwrap().mentioned(), keys);
    }

    #[test]
    fn mentions_are_bounded() {
        let many = (0..200).map(|n| format!("@user{n}")).collect::<Vec<_>>().join(" ");
        assert_eq!(Content::parse(&many).unwrap().mentioned().len(), Content::MOST_MENTIONS);
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        let content = Content::parse(&format!("one\r\ntwo\n{}", "é".repeat(200))).unwrap();
        let excerpt = Excerpt::of(&content);
        assert!(excerpt.as_str().starts_with("one two éé"), "{excerpt}");
        assert_eq!(excerpt.as_str().graphemes(true).count(), Excerpt::MAX);
        let heavy = Content::parse(&format!("a{}b", "\u{0301}".repeat(900))).unwrap();
        assert!(Excerpt::of(&heavy).as_str().len() <= 4 * Excerpt::MAX);
    }
}
