//! Who somebody is: a name and a password, and for somebody new an e-mail address.
//!
//! The server does not say whether an account exists, so a new name is only known as one when its
//! owner says so.

use kith_client::{Client, Error};
use kith_protocol::rest::{Login, Me, Register};
use tokio::io::{AsyncBufRead, AsyncWrite};

use super::{desk::Desk, text};
use crate::Failure;

/// What the list of devices calls this one.
const DEVICE: &str = "kith chat";

/// Signs in, or signs up, whichever it turns out to be.
///
/// A person is asked again after a mistake; a pipe is not.
pub(super) async fn sign_in<R, W>(
    desk: &mut Desk<R, W>,
    client: &Client,
    mut name: Option<String>,
) -> Result<Me, Failure>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let typed = desk.screen.ends().typed;
    // Known once the person has said that he is new.
    let mut email: Option<String> = None;
    loop {
        let username = match name.clone() {
            Some(name) => name,
            None => desk.ask("User name (a new one if you are new here): ").await?,
        };
        name = Some(username.clone());
        if username.is_empty() {
            name = None;
            continue;
        }
        let password = desk.ask_secret(&format!("Password for {username}: ")).await?;
        if email.is_none() {
            let login = Login {
                username: Some(username.clone()),
                password: password.clone(),
                device_name: Some(DEVICE.to_owned()),
                ..Login::default()
            };
            match client.login(&login).await {
                Ok(answer) => return Ok(answer.user),
                Err(error) if error.code() == Some("invalid_credentials") => {}
                Err(error) => {
                    refused(desk, &error, typed).await?;
                    if error.fields().iter().any(|it| it.field == "username") {
                        name = None;
                    }
                    continue;
                }
            }
            if typed {
                desk.say("No account has this name and password.").await?;
            }
            let question = "New here? Your e-mail address signs you up (Enter: try again): ";
            let address = desk.ask(question).await?;
            if address.is_empty() {
                name = None;
                if !typed {
                    return Err(Failure::Command("the password is wrong".to_owned()));
                }
                continue;
            }
            email = Some(address);
        }
        let Some(address) = email.clone() else { continue };
        if typed && desk.ask_secret("The same password once more: ").await? != password {
            desk.say("These were two different passwords; once again.").await?;
            continue;
        }
        let account = Register {
            username,
            email: address,
            password,
            display_name: None,
            device_name: Some(DEVICE.to_owned()),
        };
        let error = match client.register(&account).await {
            Ok(answer) => return Ok(answer.user),
            Err(error) => error,
        };
        refused(desk, &error, typed).await?;
        let is_wrong = |field: &str| error.fields().iter().any(|it| it.field == field);
        match error.code() {
            Some("email_taken") => (name, email) = (None, None),
            Some("username_taken") => {
                desk.say("If it is yours, the password was wrong.").await?;
                (name, email) = (None, None);
            }
            _ => {
                name = name.filter(|_| !is_wrong("username"));
                email = email.filter(|_| !is_wrong("email"));
            }
        }
    }
}

/// Says why not. What a pipe says once, it would say again.
async fn refused<R, W>(desk: &mut Desk<R, W>, error: &Error, typed: bool) -> Result<(), Failure>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let reason = text::explain(error);
    if !typed {
        return Err(Failure::Command(format!("not signed in: {reason}")));
    }
    Ok(desk.say(&format!("! {reason}")).await?)
}
