//! What stands on the screen. What others wrote is shown, never obeyed: no character of theirs
//! moves the cursor, changes colours, or begins a line.

use kith_client::Error;
use kith_protocol::{Time, rest::MessageType};
use time::UtcOffset;

/// What stands before the further lines of a message, so that none of them looks like a message.
const MORE: &str = "\n      | ";
/// How much of a message stands where only a reminder of it is wanted.
const EXCERPT: usize = 40;

/// A message, as far as a line needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// `12:34`
    pub(super) clock: &'a str,
    /// The conversation, if it is another one than the current.
    pub(super) place: Option<&'a str>,
    /// Who wrote it.
    pub(super) from: &'a str,
    /// What was written.
    pub(super) content: &'a str,
    /// Whether it was changed later.
    pub(super) edited: bool,
}

/// `12:34 [Family] ann: hi`
pub(super) fn message(line: &Line<'_>) -> String {
    let Line { clock, place, from, content, edited } = line;
    let place = place.map(|place| format!("[{}] ", one_line(place))).unwrap_or_default();
    let edited = if *edited { " (edited)" } else { "" };
    format!("{clock} {place}{}: {}{edited}", one_line(from), many_lines(content))
}

/// What a message without text stands for.
pub(super) const fn stand_in(kind: MessageType) -> &'static str {
    match kind {
        MessageType::Image => "(a picture)",
        MessageType::File => "(a file)",
        MessageType::Text | MessageType::System => "(deleted)",
    }
}

/// The time of day where the reader is.
pub(super) fn clock(time: Time, offset: UtcOffset) -> String {
    let local = time.as_date_time().to_offset(offset);
    format!("{:02}:{:02}", local.hour(), local.minute())
}

/// The beginning of a text, on one line.
pub(super) fn excerpt(text: &str) -> String {
    let mut chars = text.chars();
    let head: String = chars.by_ref().take(EXCERPT).collect();
    let rest = if chars.next().is_some() { "…" } else { "" };
    format!("{}{rest}", one_line(&head))
}

/// A text on one line: what is no visible character is written out.
pub(super) fn one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push(' '),
            c => push(&mut shown, c),
        }
    }
    shown
}

/// A text whose further lines are marked as belonging to it.
fn many_lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let text = text.strip_suffix('\n').unwrap_or(text);
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\n' => shown.push_str(MORE),
            c => push(&mut shown, c),
        }
    }
    shown
}

fn push(shown: &mut String, c: char) {
    match c {
        '\t' => shown.push_str("    "),
        c if c.is_control() || reorders(c) => shown.extend(c.escape_unicode()),
        c => shown.push(c),
    }
}

/// Whether it changes the order in which the rest of the line is shown, or ends the line.
const fn reorders(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Why something did not work, and what to do.
pub(super) fn explain(error: &Error) -> String {
    let advice = match error {
        Error::Transport(_) | Error::TimedOut(_) | Error::Interrupted => {
            return "the server does not answer; try again in a moment".to_owned();
        }
        Error::Ended | Error::SignedOut => {
            return "this session is over; start `kith chat` again".to_owned();
        }
        Error::Problem(_) | Error::Refused(_) | Error::Upgrade { .. } => match error.code() {
            Some("not_a_member") => "you are not in this conversation; /inbox lists yours",
            Some("rate_limited") => "too much at once; wait a moment and try again",
            Some("overloaded" | "unavailable" | "outcome_unknown") => {
                "the server is busy; try again in a moment"
            }
            Some("last_owner") => {
                "you are its last owner: others could not manage it without you; name another first"
            }
            Some("peer_deleted") => "this account is gone",
            Some("username_taken") => "this user name is taken",
            Some("email_taken") => "this e-mail address has an account; sign in with its user name",
            _ => "",
        },
        _ => "",
    };
    if !advice.is_empty() {
        return advice.to_owned();
    }
    let fields: Vec<String> =
        error.fields().iter().map(|it| format!("{}: {}", it.field, it.message)).collect();
    let detail = match error {
        _ if !fields.is_empty() => fields.join("; "),
        Error::Problem(problem) => problem.detail.clone(),
        Error::Refused(refused) => refused.message.clone(),
        other => other.to_string(),
    };
    one_line(&detail)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const PLAIN: Line<'_> =
        Line { clock: "12:34", place: None, from: "ann", content: "hi", edited: false };

    #[rstest]
    #[case(PLAIN, "12:34 ann: hi")]
    #[case(Line { place: Some("Family"), ..PLAIN }, "12:34 [Family] ann: hi")]
    #[case(Line { edited: true, ..PLAIN }, "12:34 ann: hi (edited)")]
    fn a_message_is_one_line(#[case] line: Line<'_>, #[case] shown: &str) {
        assert_eq!(message(&line), shown);
    }

    #[rstest]
    #[case("\u{1b}[2Jgone", r"12:34 ann: \u{1b}[2Jgone")]
    #[case("a\rb\u{7}\u{7f}\u{9b}31m", r"12:34 ann: a\u{d}b\u{7}\u{7f}\u{9b}31m")]
    #[case("x\u{202e}y\u{2028}z", r"12:34 ann: x\u{202e}y\u{2028}z")]
    #[case("one\r\ntwo\n12:35 bob: lie\n", "12:34 ann: one\n      | two\n      | 12:35 bob: lie")]
    #[case("👩‍👩‍👧 שלום\tñ", "12:34 ann: 👩‍👩‍👧 שלום    ñ")]
    fn no_character_controls_the_terminal(#[case] content: &str, #[case] shown: &str) {
        assert_eq!(message(&Line { content, ..PLAIN }), shown);
    }

    #[test]
    fn names_are_kept_on_their_line() {
        let line = Line { place: Some("a\n\u{1b}]0;b"), from: "c\nd", ..PLAIN };
        assert_eq!(message(&line), r"12:34 [a \u{1b}]0;b] c d: hi");
    }

    #[test]
    fn the_clock_is_the_readers() {
        let time = Time::from_micros(1_790_000_000_000_000);
        assert_eq!(clock(time, UtcOffset::UTC), "14:13");
        assert_eq!(clock(time, UtcOffset::from_hms(5, 30, 0).unwrap()), "19:43");
    }

    #[test]
    fn a_reminder_is_short() {
        assert_eq!(excerpt("hi\nyou"), "hi you");
        assert_eq!(excerpt(&"é".repeat(50)), format!("{}…", "é".repeat(40)));
    }

    #[test]
    fn a_failure_says_what_to_do() {
        assert!(explain(&Error::Interrupted).contains("try again"));
        let refused = |code: &str, message: &str| {
            Error::Refused(Box::new(kith_client::FrameError {
                code: code.into(),
                message: message.into(),
                errors: Vec::new(),
                retry_after: None,
            }))
        };
        assert!(explain(&refused("not_a_member", "")).contains("/inbox"));
        assert_eq!(explain(&refused("new", "an \u{1b} end")), r"an \u{1b} end");
    }
}
