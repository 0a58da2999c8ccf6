//! What people are found by.
//!
//! A key is the text in compatibility form and without case. A name is kept from the start of each
//! of its words to its end, so that "an" and "ann le" both find "Ann Lee", and each ideograph of a
//! script without spaces begins a word. Finding is a range of keys: no pattern, nothing to escape.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// A key that is longer is cut: what is typed to find somebody is short.
const LONGEST: usize = 64;

/// The key of a text. Letter by letter, so that a prefix of a text has a prefix of its key.
pub(crate) fn key(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).nfc().collect()
}

/// The keys under which an account is found.
pub(crate) fn keys_of(username: &str, display_name: &str) -> BTreeSet<String> {
    let mut keys = keys_of_name(display_name);
    keys.insert(key(username));
    keys
}

/// The keys under which something with this name is found.
pub(crate) fn keys_of_name(name: &str) -> BTreeSet<String> {
    let name = key(name);
    let after_space = name
        .char_indices()
        .zip(name.chars().skip(1))
        .filter(|((_, before), after)| before.is_whitespace() && !after.is_whitespace())
        .map(|((at, before), _)| at + before.len_utf8());
    let starts =
        std::iter::once(0).chain(after_space).chain(name.unicode_word_indices().map(|(at, _)| at));
    starts.map(|at| name[at..].chars().take(LONGEST).collect()).collect()
}

/// The form in which names are put in order.
pub(crate) fn name_key(name: &str) -> String {
    key(name).chars().take(LONGEST).collect()
}

/// The range of keys that begin with `prefix`: from the first, to before the second. `None` for
/// the second means that the range has no end.
pub(crate) fn range(prefix: &str) -> (String, Option<String>) {
    let from: String = key(prefix.trim()).chars().take(LONGEST).collect();
    let mut chars: Vec<char> = from.chars().collect();
    let mut to = None;
    while let Some(last) = chars.pop() {
        // The next character that exists; the greatest has none, and its predecessor steps up.
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            to = Some(chars.into_iter().collect());
            break;
        }
    }
    (from, to)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn finds(prefix: &str, display_name: &str) -> bool {
        let (from, to) = range(prefix);
        keys_of("user_1", display_name)
            .iter()
            .any(|key| *key >= from && to.as_ref().is_none_or(|to| key < to))
    }

    #[rstest]
    #[case("ann", "Ann Lee", true)]
    #[case("LEE", "Ann Lee", true)]
    #[case("ann le", "Ann Lee", true)]
    #[case("nn", "Ann Lee", false)]
    #[case("李小", "李小龙", true)]
    #[case("小龙", "李小龙", true)]
    #[case("ÉLO", "e\u{301}lodie", true)]
    #[case("ДМИ", "Анна Дмитриева", true)]
    #[case("ΣΑΣ", "Σασα", true)]
    #[case("🎉", "party 🎉", true)]
    #[case("%", "Ann Lee", false)]
    #[case("_", "Ann Lee", false)]
    #[case("user_", "Ann Lee", true)]
    #[case("userx", "Ann Lee", false)]
    #[case("", "Ann Lee", true)]
    #[case("\u{10FFFF}", "Ann Lee", false)]
    fn finding(#[case] prefix: &str, #[case] name: &str, #[case] found: bool) {
        assert_eq!(finds(prefix, name), found);
    }

    proptest! {
        #[test]
        fn a_range_holds_exactly_what_begins_with_its_prefix(a in "\\PC{0,6}", b in "\\PC{0,6}") {
            let (from, to) = range(&a);
            let other = key(&b);
            let inside = other >= from && to.as_ref().is_none_or(|to| other < *to);
            prop_assert_eq!(inside, other.starts_with(&from));
        }
    }
}
