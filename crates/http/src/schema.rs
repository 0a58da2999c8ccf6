//! Whether examples have the form that their schemas say, for the tests of the documents.

use serde_json::{Map, Value};

/// That a value has the fields of a schema of `document`, and no others, all the way down.
pub(crate) fn agrees(document: &Value, schema: &Value, value: &Value) -> bool {
    let schema = resolved(document, schema);
    if let Some(any) = schema["oneOf"].as_array() {
        return any.iter().any(|schema| agrees(document, schema, value));
    }
    match value {
        Value::Object(fields) => {
            let mut object = Object::default();
            object.take(document, schema);
            object.required.iter().all(|name| fields.contains_key(name))
                && fields.iter().all(|(name, value)| {
                    let property = object.properties.get(name);
                    property.is_some_and(|schema| agrees(document, schema, value))
                })
        }
        Value::Array(items) => items.iter().all(|item| agrees(document, &schema["items"], item)),
        value => is_of(&schema["type"], value),
    }
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(place) => document.pointer(place.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// What an object has, of all the parts of its schema.
#[derive(Default)]
struct Object {
    properties: Map<String, Value>,
    required: Vec<String>,
}

impl Object {
    fn take(&mut self, document: &Value, schema: &Value) {
        let schema = resolved(document, schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.take(document, part);
        }
        self.properties.extend(schema["properties"].as_object().cloned().unwrap_or_default());
        let required = schema["required"].as_array().into_iter().flatten();
        self.required.extend(required.map(|name| name.as_str().unwrap().to_owned()));
    }
}

fn is_of(kind: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" | "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    };
    match kind {
        // Anything.
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(is),
        kind => is(kind),
    }
}
