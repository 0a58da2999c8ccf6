//! What a typed line means.

/// How a line begins that is no message.
const MARK: char = '/';
/// How much history is shown if no number is given.
const SOME: u32 = 20;
/// The most history that one line asks for: a page of the server.
const MOST: u32 = 100;

/// What `/help` says.
pub(super) const HELP: &str = "\
Commands:
  /to NAME            talk to a person (ann, @ann) or in a group (Family, #Family)
  /people PREFIX      find people whose names begin so
  /groups             your groups
  /inbox              all your conversations, with what is unread
  /new NAME @a @b     make a group with a and b
  /add NAME           add a person to this group
  /leave              leave this group
  /history [N]        the last N messages here (20)
  /quit               end (so does Ctrl-D)
Anything else is sent to the conversation you are in; //x sends \"/x\".
✓ says that the server keeps your message. Ctrl-R shows again what you were typing.";

/// A typed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Nothing,
    Say(String),
    Help,
    People(String),
    To(String),
    Groups,
    Inbox,
    New { name: String, members: Vec<String> },
    Add(String),
    Leave,
    History(u32),
    Quit,
}

impl Command {
    /// Reads a line.
    ///
    /// # Errors
    /// What would have been right.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        if line.trim().is_empty() {
            return Ok(Self::Nothing);
        }
        let Some(command) = line.strip_prefix(MARK) else { return Ok(Self::Say(line.to_owned())) };
        if command.starts_with(MARK) {
            return Ok(Self::Say(command.to_owned()));
        }
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        match (word, rest) {
            ("help" | "h" | "?", "") => Ok(Self::Help),
            ("groups", "") => Ok(Self::Groups),
            ("inbox", "") => Ok(Self::Inbox),
            ("leave", "") => Ok(Self::Leave),
            ("quit" | "q" | "exit", "") => Ok(Self::Quit),
            ("history", "") => Ok(Self::History(SOME)),
            ("history", number) => match number.parse() {
                Ok(number) if (1..=MOST).contains(&number) => Ok(Self::History(number)),
                _ => Err(format!("/history takes a number from 1 to {MOST}")),
            },
            ("people", "") => Err("/people takes the beginning of a name: /people an".to_owned()),
            ("people", prefix) => Ok(Self::People(bare(prefix).to_owned())),
            ("to", "") => Err("/to takes a user name or a group: /to ann".to_owned()),
            ("to", name) => Ok(Self::To(name.to_owned())),
            ("add", "") => Err("/add takes a user name: /add cat".to_owned()),
            ("add", name) => Ok(Self::Add(bare(name).to_owned())),
            ("new", rest) => group(rest),
            ("help" | "h" | "?" | "groups" | "inbox" | "leave" | "quit" | "q" | "exit", _) => {
                Err(format!("/{word} takes nothing after it"))
            }
            _ => Err(format!(
                "there is no /{word}: /help lists what there is; to send it, write //{word}"
            )),
        }
    }
}

/// A user name without the `@` that may stand before it.
pub(super) fn bare(name: &str) -> &str {
    name.strip_prefix('@').unwrap_or(name)
}

/// `Our Family @ann @bob`: the words up to the first `@` are the name.
fn group(rest: &str) -> Result<Command, String> {
    const USAGE: &str = "/new takes a name, then the members: /new Family @ann @bob";
    let mut words = rest.split_whitespace().peekable();
    let mut name = Vec::new();
    while let Some(word) = words.next_if(|word| !word.starts_with('@')) {
        name.push(word);
    }
    let members: Option<Vec<String>> = words
        .map(|word| word.strip_prefix('@').filter(|it| !it.is_empty()).map(str::to_owned))
        .collect();
    match members {
        Some(members) if !name.is_empty() => Ok(Command::New { name: name.join(" "), members }),
        _ => Err(USAGE.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("hi there", Command::Say("hi there".into()))]
    #[case("  indented", Command::Say("  indented".into()))]
    #[case("//shrug", Command::Say("/shrug".into()))]
    #[case(" \t", Command::Nothing)]
    #[case("/help", Command::Help)]
    #[case("/to  @ann ", Command::To("@ann".into()))]
    #[case("/to Our Family", Command::To("Our Family".into()))]
    #[case("/people @an", Command::People("an".into()))]
    #[case("/add @cat", Command::Add("cat".into()))]
    #[case("/history", Command::History(20))]
    #[case("/history 7", Command::History(7))]
    #[case("/quit", Command::Quit)]
    fn a_line_is_understood(#[case] line: &str, #[case] command: Command) {
        assert_eq!(Command::parse(line), Ok(command));
    }

    #[test]
    fn a_group_has_a_name_of_several_words() {
        let members = vec!["ann".to_owned(), "bob".to_owned()];
        let new = Command::New { name: "Our Family".into(), members };
        assert_eq!(Command::parse("/new Our  Family @ann @bob"), Ok(new));
        let alone = Command::New { name: "Notes".into(), members: Vec::new() };
        assert_eq!(Command::parse("/new Notes"), Ok(alone));
    }

    #[rstest]
    #[case("/new @ann", "/new takes a name")]
    #[case("/new Family @ann bob", "/new takes a name")]
    #[case("/new Family @", "/new takes a name")]
    #[case("/new", "/new takes a name")]
    #[case("/history 0", "from 1 to 100")]
    #[case("/history all", "from 1 to 100")]
    #[case("/to", "/to takes")]
    #[case("/leave now", "takes nothing")]
    #[case("/etc/passwd", "there is no /etc/passwd")]
    fn what_is_wrong_is_said(#[case] line: &str, #[case] advice: &str) {
        let said = Command::parse(line).unwrap_err();
        assert!(said.contains(advice), "{said}");
    }
}
