use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, Split};

use super::screen::{Hidden, Screen};
use crate::Failure;

/// Where a person types and reads.
#[derive(Debug)]
pub(super) struct Desk<R, W> {
    pub(super) input: Split<R>,
    pub(super) screen: Screen<W>,
}

impl<R: AsyncBufRead + Unpin, W: AsyncWrite + Unpin> Desk<R, W> {
    pub(super) fn new(input: R, screen: Screen<W>) -> Self {
        Self { input: input.split(b'\n'), screen }
    }

    /// Asks a question and reads the answer.
    ///
    /// # Errors
    /// `Command` if the input ends instead.
    pub(super) async fn ask(&mut self, question: &str) -> Result<String, Failure> {
        loop {
            self.screen.prompt(question).await?;
            let Some(bytes) = self.input.next_segment().await? else {
                self.screen.leave().await?;
                return Err(Failure::Command(format!(
                    "the input ended before an answer to {:?}",
                    question.trim()
                )));
            };
            self.screen.answered();
            match text(bytes) {
                Ok(text) => return Ok(text.trim().to_owned()),
                Err(advice) => self.screen.line(advice).await?,
            }
        }
    }

    /// Asks for something that nobody else is to see.
    pub(super) async fn ask_secret(&mut self, question: &str) -> Result<String, Failure> {
        let _hidden = self.screen.ends().typed.then(Hidden::begin).flatten();
        self.ask(question).await
    }

    pub(super) async fn say(&mut self, line: &str) -> io::Result<()> {
        self.screen.line(line).await
    }
}

/// A typed line as text.
pub(super) fn text(bytes: Vec<u8>) -> Result<String, &'static str> {
    let mut line = String::from_utf8(bytes)
        .map_err(|_| "! this line is not UTF-8 and was passed over; set the terminal to UTF-8")?;
    if line.ends_with('\r') {
        line.pop();
    }
    Ok(line)
}
