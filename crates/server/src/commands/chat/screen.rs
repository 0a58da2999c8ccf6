//! Where lines are written, and the prompt below them.

use std::io;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Goes to the start of the line and clears it.
const CLEAR: &str = "\r\u{1b}[K";

/// What the two ends are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    /// Somebody types: questions are asked, and asked again.
    pub(super) typed: bool,
    /// Somebody looks: the prompt makes room for what comes in.
    pub(super) looked_at: bool,
}

/// Writes lines.
#[derive(Debug)]
pub(super) struct Screen<W> {
    out: W,
    ends: Ends,
    /// A prompt stands in the last line.
    prompted: bool,
}

impl<W: AsyncWrite + Unpin> Screen<W> {
    pub(super) fn new(out: W, ends: Ends) -> Self {
        Self { out, ends, prompted: false }
    }

    pub(super) const fn ends(&self) -> Ends {
        self.ends
    }

    /// Writes a line above the prompt. What others wrote must have been made harmless before.
    pub(super) async fn line(&mut self, text: &str) -> io::Result<()> {
        let before = match (std::mem::take(&mut self.prompted), self.ends.looked_at) {
            (true, true) => CLEAR,
            (true, false) => "\n",
            (false, _) => "",
        };
        self.out.write_all(format!("{before}{text}\n").as_bytes()).await
    }

    /// Asks for a line, if there is somebody to ask. Nothing happens if the prompt stands there.
    pub(super) async fn prompt(&mut self, text: &str) -> io::Result<()> {
        if self.ends.typed && !std::mem::replace(&mut self.prompted, true) {
            self.out.write_all(text.as_bytes()).await?;
        }
        self.out.flush().await
    }

    /// A line was typed: the cursor is below the prompt.
    pub(super) fn answered(&mut self) {
        self.prompted = false;
    }

    /// Ends the line of a prompt that got no answer.
    pub(super) async fn leave(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.prompted) {
            self.out.write_all(b"\n").await?;
        }
        self.out.flush().await
    }
}

/// What is typed on this process's terminal is not shown as long as this lives.
pub(super) struct Hidden(Termios);

impl Hidden {
    /// `None` if the terminal does not allow it.
    pub(super) fn begin() -> Option<Self> {
        let before = tcgetattr(rustix::stdio::stdin()).ok()?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &hidden).ok()?;
        Some(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone needs no mending.
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn written(ends: Ends) -> String {
        let mut screen = Screen::new(Vec::new(), ends);
        screen.line("one").await.unwrap();
        screen.prompt("> ").await.unwrap();
        screen.prompt("> ").await.unwrap();
        screen.line("two").await.unwrap();
        screen.prompt("> ").await.unwrap();
        screen.answered();
        screen.line("three").await.unwrap();
        String::from_utf8(screen.out).unwrap()
    }

    #[tokio::test]
    async fn lines_stand_above_the_prompt() {
        let both = Ends { typed: true, looked_at: true };
        assert_eq!(written(both).await, "one\n> \r\u{1b}[Ktwo\n> three\n");
    }

    #[tokio::test]
    async fn a_pipe_gets_lines_alone() {
        assert_eq!(written(Ends::default()).await, "one\ntwo\nthree\n");
        let logged = Ends { typed: true, looked_at: false };
        assert_eq!(written(logged).await, "one\n> \ntwo\n> three\n");
    }
}
