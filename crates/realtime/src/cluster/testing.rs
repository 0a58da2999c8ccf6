//! What the tests of this folder share.

use std::sync::Arc;

use kith_domain::{
    ConversationId, UserId,
    conversation::{Seq, Version},
    event::{Audience, Event},
    message::Message,
};
use kith_ports::live::Dispatch;
use kith_testkit::build::{self, conversation_id, user_id};

use super::parcel::{Parcel, pack};
use crate::shard::Delivery;

pub(super) fn group() -> ConversationId {
    conversation_id(1)
}

/// A message with this number, whose change has this version.
pub(super) fn message(seq: Seq, version: Version) -> Arc<Message> {
    Arc::new(Message { version, ..build::message(group(), seq, user_id(1)) })
}

pub(super) fn sent(version: Version) -> Dispatch {
    told(Event::MessageSent(message(version, version)))
}

pub(super) fn told(event: Event) -> Dispatch {
    Dispatch::Event { event, audience: Audience::Members(group()), origin: None }
}

/// A message of the group, stored by a transaction of its own. Its number is its version.
pub(super) fn parcel(version: Version) -> Parcel {
    pack(vec![sent(version)]).remove(0)
}

/// What is said to the sockets: types of frames with their versions, changes of topics, answers.
pub(super) fn said(deliveries: &[Delivery]) -> Vec<String> {
    deliveries
        .iter()
        .map(|delivery| match delivery {
            Delivery::Event { news, audience } => {
                let json: serde_json::Value = serde_json::from_str(&news.frame).unwrap();
                let version = json["version"]
                    .as_i64()
                    .or(json["message"]["version"].as_i64())
                    .or(json["conversation"]["version"].as_i64());
                let version = version.map(|it| format!(" {it}")).unwrap_or_default();
                let whom = match audience {
                    Audience::Users(users) => format!(" to {}", numbers(users)),
                    _ => String::new(),
                };
                format!("{}{version}{whom}", json["type"].as_str().unwrap())
            }
            Delivery::Reply(..) => "answer".to_owned(),
            Delivery::Topic { change, .. } => match change {
                kith_ports::live::TopicChange::Join(users) => format!("join {}", numbers(users)),
                kith_ports::live::TopicChange::Leave(users) => format!("leave {}", numbers(users)),
                other => format!("{other:?}").to_lowercase(),
            },
            Delivery::Close { .. } => "close".to_owned(),
            Delivery::LetGo => "let go".to_owned(),
        })
        .collect()
}

fn numbers(users: &[UserId]) -> String {
    let known: Vec<String> = users
        .iter()
        .map(|user| (1..99).find(|n| user_id(*n) == *user).unwrap_or_default().to_string())
        .collect();
    known.join(" ")
}
