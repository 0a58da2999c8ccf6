//! `sync` over a socket: pages that fit into a frame.
//!
//! A page is made when it is asked for, and the next one is asked for with the token of the last: so
//! that no more than one waits to be read.

use bytestring::ByteString;
use kith_domain::UserId;
use kith_ports::SyncFrom;
use kith_protocol::{frame::ServerFrame, rest};
use serde_json::Value;

use super::commands::encode;
use crate::{context::Services, routes};

/// The longest `sync` frame, in bytes.
const FRAME: usize = 32 * 1024;
/// How many conversations a page begins with: as many as fit when they are as most are, of some
/// 1,500 bytes each.
const CONVERSATIONS: usize = 16;

/// The next page after `from`, as a frame.
pub(super) async fn frame(
    services: &Services,
    user: UserId,
    id: Option<String>,
    from: Option<SyncFrom>,
) -> kith_app::Result<ByteString> {
    let mut limit = CONVERSATIONS;
    loop {
        let body = routes::sync::body(services, user, from.clone(), limit).await?;
        match fit(id.clone(), body, limit) {
            Ok(frame) => return Ok(frame),
            Err(smaller) => limit = smaller,
        }
    }
}

/// The frame of a page of at most `limit` conversations, or how many would do.
///
/// One that is too long by itself comes without `last_message`: that is left out, where `null` would
/// say that there is none. What is left always fits.
fn fit(id: Option<String>, body: rest::Sync, limit: usize) -> Result<ByteString, usize> {
    let whole = ServerFrame::Sync { id, body };
    let frame = encode(&whole);
    if frame.len() <= FRAME {
        return Ok(frame);
    }
    if limit > 1 {
        let fitting = limit * FRAME / frame.len();
        return Err(fitting.min(limit / 2).max(1));
    }
    Ok(without_last_messages(&whole))
}

fn without_last_messages(frame: &ServerFrame) -> ByteString {
    // As sure as in `encode`.
    let mut frame = serde_json::to_value(frame).unwrap_or_default();
    let conversations = frame.get_mut("conversations").and_then(Value::as_array_mut);
    for conversation in conversations.into_iter().flatten() {
        if let Some(fields) = conversation.as_object_mut() {
            fields.remove("last_message");
        }
    }
    frame.to_string().into()
}

#[cfg(test)]
mod tests {
    use kith_protocol::example;

    use super::*;

    fn page(conversations: usize, content: usize, members: u128) -> rest::Sync {
        let marks = |n| rest::MemberMarks {
            user_id: uuid::Uuid::from_u128(n),
            delivered_seq: 999_999_999,
            read_seq: 999_999_999,
        };
        let conversation = rest::Conversation {
            last_message: Some(rest::Message {
                content: Some("x".repeat(content)),
                ..example::message()
            }),
            receipts: Some((0..members).map(marks).collect()),
            ..example::group()
        };
        rest::Sync {
            has_more: true,
            conversations: vec![conversation; conversations],
            ..example::sync()
        }
    }

    fn read(frame: &ByteString) -> Value {
        assert!(frame.len() <= FRAME, "{}", frame.len());
        serde_json::from_str(frame).unwrap()
    }

    #[test]
    fn a_page_that_fits_is_whole() {
        let page = page(CONVERSATIONS, 100, 5);
        let frame = read(&fit(Some("7".to_owned()), page, CONVERSATIONS).unwrap());
        assert_eq!(frame["conversations"].as_array().unwrap().len(), CONVERSATIONS);
        assert_eq!((&frame["type"], &frame["id"]), (&"sync".into(), &"7".into()));
    }

    #[test]
    fn a_page_that_does_not_fit_is_made_smaller_until_it_does() {
        let (mut limit, mut rounds) = (CONVERSATIONS, 0);
        let frame = loop {
            match fit(None, page(limit, 4_000, 10), limit) {
                Ok(frame) => break frame,
                Err(smaller) => {
                    assert!(smaller <= limit / 2 && smaller >= 1);
                    limit = smaller;
                }
            }
            rounds += 1;
        };
        let frame = read(&frame);
        assert_eq!(frame["conversations"].as_array().unwrap().len(), limit);
        assert!(limit > 1 && rounds <= 2, "{limit} after {rounds}");
    }

    #[test]
    fn a_conversation_that_does_not_fit_alone_comes_without_its_last_message() {
        let frame = read(&fit(None, page(1, 32 * 1024, 10), 1).unwrap());
        let conversation = frame["conversations"][0].as_object().unwrap();
        // `null` would say that nothing was ever said there.
        assert!(!conversation.contains_key("last_message"));
        assert_eq!(conversation["last_seq"], example::group().last_seq);
        assert_eq!(conversation["receipts"].as_array().unwrap().len(), 10);
        assert_eq!(frame["has_more"], true);
    }

    #[test]
    fn the_marks_of_as_many_members_as_have_any_fit() {
        let frame = read(&fit(None, page(1, 32 * 1024, 255), 1).unwrap());
        assert_eq!(frame["conversations"][0]["receipts"].as_array().unwrap().len(), 255);
    }
}
