//! The `AsyncAPI` document: the frames of the WebSocket, from the code.
//!
//! A frame's schema is that of its variant in [`ClientFrame`] or [`ServerFrame`], so that none can be
//! missing; its example is one of [`example`].

use std::collections::BTreeMap;

use kith_protocol::{
    example,
    frame::{ClientFrame, SUBPROTOCOL, ServerFrame, close},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

/// The document, in the form of `AsyncAPI` 3.0.
pub fn document() -> Value {
    let (mut messages, mut schemas) = (Map::new(), BTreeMap::new());
    let client =
        describe::<ClientFrame>("client", &values(&example::client_frames()), &mut schemas);
    let server =
        describe::<ServerFrame>("server", &values(&example::server_frames()), &mut schemas);
    let names = |frames: &Map<String, Value>| frames.keys().cloned().collect::<Vec<_>>();
    let (said, heard) = (names(&client), names(&server));
    messages.extend(client);
    messages.extend(server);
    let schemas = needed(&messages, &schemas);
    let all: Map<String, Value> = messages
        .keys()
        .map(|name| (name.clone(), json!({"$ref": format!("#/components/messages/{name}")})))
        .collect();
    let credentials = ["bearer", "ticket", "token"]
        .map(|scheme| json!({"$ref": format!("#/components/securitySchemes/{scheme}")}));
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Kith",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The frames of the WebSocket: text, one flat JSON object each, tagged by `type`. The calls are in `/openapi.json`.",
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"here": {
            "host": "127.0.0.1:8080",
            "protocol": "ws",
            "description": "A server on this machine; `wss` behind a proxy that speaks TLS.",
            "security": credentials,
        }},
        "channels": {
            "socket": channel(
                "/v1/ws",
                "A socket that carries all that concerns its person.",
                &all,
            ),
            "conversation": with_parameter(channel(
                "/v1/ws/{id}",
                "A socket that carries one conversation. What names no target is about it; what names another is answered with the error `other_conversation`.",
                &all,
            )),
        },
        "operations": operations(&said, &heard),
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": format!("An access token in `Authorization`, or in `Sec-WebSocket-Protocol: {SUBPROTOCOL}, bearer.<token>`."),
                },
                "ticket": {
                    "type": "httpApiKey",
                    "name": "ticket",
                    "in": "query",
                    "description": "A ticket from `POST /v1/auth/ws-ticket`, good once.",
                },
                "token": {
                    "type": "httpApiKey",
                    "name": "token",
                    "in": "query",
                    "description": "An access token, for simple clients.",
                },
            },
        },
    })
}

fn values(frames: &[impl Serialize]) -> Vec<Value> {
    frames.iter().filter_map(|frame| serde_json::to_value(frame).ok()).collect()
}

/// The frames of one side, by name, with an example each. What they refer to goes into `schemas`.
fn describe<T: ToSchema>(
    side: &str,
    examples: &[Value],
    schemas: &mut BTreeMap<String, Value>,
) -> Map<String, Value> {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    schemas.extend(
        parts.into_iter().filter_map(|(name, part)| Some((name, serde_json::to_value(part).ok()?))),
    );
    let whole = serde_json::to_value(<T as PartialSchema>::schema()).unwrap_or_default();
    let variants = whole["oneOf"].as_array().cloned().unwrap_or_default();
    let frames = variants.iter().filter_map(|variant| {
        let mut payload = Flat::default();
        payload.take(variant, schemas);
        let kind = payload.properties.get("type")?["enum"][0].as_str()?.to_owned();
        let examples: Vec<Value> = examples
            .iter()
            .filter(|example| example["type"] == kind)
            .map(|example| json!({"payload": example}))
            .collect();
        let message = json!({
            "name": kind,
            "summary": payload.description,
            "payload": payload.into_schema(),
            "examples": examples,
        });
        Some((format!("{side}.{kind}"), message))
    });
    frames.collect()
}

/// A frame's schema: one flat object, as the frame is, of whatever parts it is made.
#[derive(Default)]
struct Flat {
    description: Option<Value>,
    properties: Map<String, Value>,
    required: Vec<Value>,
    closed: bool,
}

impl Flat {
    fn take(&mut self, schema: &Value, schemas: &BTreeMap<String, Value>) {
        let described = schema.get("description").cloned();
        self.description = self.description.take().or(described);
        let name = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next());
        if let Some(part) = name.and_then(|name| schemas.get(name)) {
            self.take(part, schemas);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.take(part, schemas);
        }
        let properties = schema["properties"].as_object().into_iter().flatten();
        self.properties.extend(properties.map(|(name, of)| (name.clone(), of.clone())));
        self.required.extend(schema["required"].as_array().into_iter().flatten().cloned());
        self.closed |= schema["additionalProperties"] == false;
    }

    fn into_schema(self) -> Value {
        let Self { properties, required, closed, .. } = self;
        let mut schema = json!({"type": "object", "properties": properties, "required": required});
        if closed {
            schema["additionalProperties"] = Value::Bool(false);
        }
        schema
    }
}

/// Those of `schemas` that `messages` refer to, and what those refer to.
fn needed(
    messages: &Map<String, Value>,
    schemas: &BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut open: Vec<&Value> = messages.values().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                open.extend(fields.values());
                let place = fields.get("$ref").and_then(Value::as_str);
                let name = place.and_then(|place| place.rsplit('/').next());
                let part = name.and_then(|name| schemas.get_key_value(name));
                if let Some((name, part)) = part
                    && found.insert(name.clone(), part.clone()).is_none()
                {
                    open.push(part);
                }
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    found
}

fn channel(address: &str, description: &str, messages: &Map<String, Value>) -> Value {
    let credential = |description| json!({"type": "string", "description": description});
    json!({
        "address": address,
        "description": format!("{description}\n\n{}", closing()),
        "messages": messages,
        "bindings": {"ws": {
            "method": "GET",
            "query": {
                "type": "object",
                "properties": {
                    "ticket": credential("a ticket, good once"),
                    "token": credential("an access token"),
                },
            },
            "bindingVersion": "0.1.0",
        }},
    })
}

fn with_parameter(mut channel: Value) -> Value {
    channel["parameters"] = json!({"id": {"description": "A conversation one is in; else 404."}});
    channel
}

/// Why a socket is closed.
fn closing() -> String {
    let codes = [
        (
            close::RESTART,
            "the server restarts, or may have missed events; the reason says `retry_after_ms=N`",
        ),
        (close::OVERLOADED, "the server has more than it can take"),
        (close::BAD_FRAMES, "a binary frame, or ten unreadable frames in a row"),
        (close::SIGNED_OUT, "signed out, or the token ended"),
        (close::RIGHT_LOST, "not in the one conversation that the socket carries any more"),
        (close::NO_HEARTBEAT, "two heartbeats went unanswered"),
        (close::TOO_SLOW, "the reader could not keep up: connect again, then `sync`"),
        (close::RATE_LIMITED, "ten times more than the limits allow"),
    ];
    let lines = codes.map(|(code, why)| format!("- {code}: {why}"));
    format!("Beside those of RFC 6455 it is closed with:\n\n{}", lines.join("\n"))
}

/// What is said and heard on each channel.
fn operations(said: &[String], heard: &[String]) -> Value {
    let mut operations = Map::new();
    for channel in ["socket", "conversation"] {
        let of = |names: &[String]| {
            let place =
                |name: &String| json!({"$ref": format!("#/channels/{channel}/messages/{name}")});
            names.iter().map(place).collect::<Vec<_>>()
        };
        let operation = |action: &str, summary: &str, names| {
            json!({
                "action": action,
                "channel": {"$ref": format!("#/channels/{channel}")},
                "summary": summary,
                "messages": of(names),
            })
        };
        let commands = operation("receive", "What a client says.", said);
        let events = operation("send", "What the server says.", heard);
        operations.insert(format!("{channel}.commands"), commands);
        operations.insert(format!("{channel}.events"), events);
    }
    Value::Object(operations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::agrees;

    /// Every `$ref` in a document.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value.as_str()) {
                        ("$ref", Some(place)) => found.push(place.to_owned()),
                        _ => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    fn types(side: &str) -> Vec<String> {
        let document = document();
        let messages = document["components"]["messages"].as_object().unwrap();
        let names = messages.keys().filter_map(|name| name.strip_prefix(side));
        names.map(str::to_owned).collect()
    }

    /// The names on the wire of the variants of an enumeration, as its reader knows them.
    fn variants<T: serde::de::DeserializeOwned>() -> Vec<String> {
        let error = serde_json::from_value::<T>(json!({"type": ""})).err().unwrap().to_string();
        let (_, known) = error.split_once("expected one of ").unwrap();
        known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn every_frame_of_the_server_is_in_the_document() {
        let mut expected = variants::<ServerFrame>();
        assert!(expected.len() > 20, "{expected:?}");
        expected.sort();
        let mut listed = types("server.");
        listed.sort();
        assert_eq!(listed, expected);
    }

    #[test]
    fn every_frame_of_a_client_is_in_the_document() {
        let mut sent: Vec<String> = values(&example::client_frames())
            .iter()
            .map(|frame| frame["type"].as_str().unwrap().to_owned())
            .collect();
        sent.sort();
        let mut listed = types("client.");
        listed.sort();
        assert_eq!(listed, sent);
    }

    #[test]
    fn every_frame_has_an_example_of_its_form() {
        let document = document();
        for (name, message) in document["components"]["messages"].as_object().unwrap() {
            let kind = &message["name"];
            assert_eq!(&message["examples"][0]["payload"]["type"], kind, "{name}");
            assert!(message["summary"].is_string(), "{name} is not explained");
            let example = &message["examples"][0]["payload"];
            assert!(agrees(&document, &message["payload"], example), "{name}: {example:#}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100);
        for place in found {
            let pointer = place.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{place}");
        }
    }
}
