//! How large an answer can become, by the schema of its type.
//!
//! Memory is asked for before an answer is made, when nobody knows yet how long it will be. Its
//! schema does: it says how many things a list has and how long a text is. What it does not bound
//! counts as large.

use serde_json::{Map, Value};

/// Longest answer that counts as ordinary, in bytes: a thing with a hundred parts fits, a page of
/// such things does not. All requests of an HTTP/2 connection together can hold a hundred of them.
const ORDINARY: usize = 128 * 1024;
/// Bytes of a character as JSON writes it: `\u001f`.
const CHARACTER: usize = 6;
/// Digits, sign, point and exponent of any number that serde writes.
const NUMBER: usize = 48;
/// Characters of an instant with an offset and nanoseconds (RFC 3339).
const INSTANT: usize = 36;
/// How deep types may hold each other. One that holds itself has no bound.
const DEPTH: usize = 32;

/// Tells whether JSON of `schema` can be longer than an ordinary answer; `named` are the schemas
/// that it refers to.
pub(super) fn can_be_large(schema: &Value, named: &Map<String, Value>) -> bool {
    most_bytes(schema, named, DEPTH).is_none_or(|bytes| bytes > ORDINARY)
}

/// Returns the length in bytes of the longest JSON that fits `schema`; `None` if it is not bounded.
fn most_bytes(schema: &Value, named: &Map<String, Value>, depth: usize) -> Option<usize> {
    let depth = depth.checked_sub(1)?;
    let longest = |all: &[Value]| {
        all.iter().try_fold(0, |most, one| Some(most_bytes(one, named, depth)?.max(most)))
    };
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        return most_bytes(named.get(name.rsplit('/').next()?)?, named, depth);
    }
    if let Some(all) = ["anyOf", "oneOf"].iter().find_map(|of| schema.get(of)?.as_array()) {
        return longest(all);
    }
    if let Some(all) = schema.get("enum").and_then(Value::as_array) {
        return all.iter().map(|one| one.to_string().len()).max();
    }
    match schema.get("type")? {
        Value::Array(kinds) => kinds.iter().try_fold(0, |most, kind| {
            Some(of_kind(kind.as_str()?, schema, named, depth)?.max(most))
        }),
        kind => of_kind(kind.as_str()?, schema, named, depth),
    }
}

fn of_kind(kind: &str, schema: &Value, named: &Map<String, Value>, depth: usize) -> Option<usize> {
    match kind {
        "null" => Some("null".len()),
        "boolean" => Some("false".len()),
        "integer" | "number" => Some(NUMBER),
        "string" => of_string(schema),
        "array" => {
            let item = most_bytes(schema.get("items")?, named, depth)?;
            let items = number(schema, "maxItems")?.saturating_mul(item.saturating_add(1));
            Some(items.saturating_add(2))
        }
        "object" => of_object(schema, named, depth),
        _ => None,
    }
}

fn of_string(schema: &Value) -> Option<usize> {
    let is_instant = schema.get("format").is_some_and(|format| format == "date-time");
    let characters = if is_instant { INSTANT } else { number(schema, "maxLength")? };
    Some(characters.saturating_mul(CHARACTER).saturating_add(2))
}

/// What an object shows besides its properties is only bounded if there is nothing.
fn of_object(schema: &Value, named: &Map<String, Value>, depth: usize) -> Option<usize> {
    let is_open =
        schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    let properties = schema.get("properties")?.as_object().filter(|_| !is_open)?;
    properties.iter().try_fold(2_usize, |sum, (name, value)| {
        // Quotes, a colon and a comma.
        let value = most_bytes(value, named, depth)?.saturating_add(name.len() + 4);
        Some(sum.saturating_add(value))
    })
}

fn number(schema: &Value, keyword: &str) -> Option<usize> {
    usize::try_from(schema.get(keyword)?.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn most(schema: &Value) -> Option<usize> {
        let named = json!({
            "Name": {"type": "string", "maxLength": 3},
            "Tree": {"type": "object", "properties": {
                "of": {"type": "array", "maxItems": 2, "items": {"$ref": "#/components/schemas/Tree"}},
            }},
        });
        most_bytes(schema, named.as_object().unwrap(), DEPTH)
    }

    #[test]
    fn a_bound_holds_for_the_longest_json_that_fits() {
        let name = json!({"$ref": "#/components/schemas/Name"});
        let list = json!({"type": "array", "maxItems": 2, "items": name});
        let longest = "\u{1}\u{1}\u{1}";
        let cases = [
            (name.clone(), json!(longest)),
            (json!({"type": ["string", "null"], "maxLength": 0}), json!(null)),
            (json!({"enum": ["a", "abc"]}), json!("abc")),
            (json!({"type": "integer"}), json!(i64::MIN)),
            (json!({"type": "number"}), json!(-2.225_073_858_507_201_4e-308)),
            (json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]}), json!(false)),
            (list.clone(), json!([longest, longest])),
            (
                json!({"type": "string", "format": "date-time"}),
                json!("2026-11-23T00:00:00.000000001+00:00"),
            ),
            (
                json!({"type": "object", "properties": {"a": list, "b": name}}),
                json!({"a": [longest, longest], "b": longest}),
            ),
        ];

        for (schema, value) in cases {
            let most = most(&schema).unwrap();
            assert!(most >= value.to_string().len(), "{most} for {value} of {schema}");
            assert!(most <= value.to_string().len() * 10, "{most} for {value} of {schema}");
        }
    }

    #[test]
    fn what_does_not_say_where_it_ends_has_no_bound() {
        for schema in [
            json!({}),
            json!({"type": "object"}),
            json!({"type": "object", "properties": {}, "additionalProperties": true}),
            json!({"type": "string"}),
            json!({"type": "string", "format": "uri"}),
            json!({"type": "array", "items": {"type": "null"}}),
            json!({"type": "array", "maxItems": 3}),
            json!({"type": "array", "maxItems": 3, "items": {"type": "string"}}),
            json!({"$ref": "#/components/schemas/Tree"}),
            json!({"$ref": "#/components/schemas/Unknown"}),
            json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
            json!({"allOf": [{"type": "null"}]}),
        ] {
            assert_eq!(most(&schema), None, "{schema}");
            assert!(can_be_large(&schema, &Map::new()), "{schema}");
        }
    }

    #[test]
    fn large_is_what_a_hundred_of_would_be_too_much() {
        let texts = |items: usize| {
            json!({
                "type": "array", "maxItems": items, "items": {"type": "string", "maxLength": 100},
            })
        };

        assert!(!can_be_large(&texts(200), &Map::new()));
        assert!(can_be_large(&texts(300), &Map::new()));
        let text = json!({"type": "string", "maxLength": u64::MAX});
        let list = json!({"type": "array", "maxItems": u64::MAX, "items": text});
        let both = json!({"type": "object", "properties": {"a": list, "b": list}});
        for beyond in [text, list, both] {
            assert!(can_be_large(&beyond, &Map::new()), "{beyond}");
        }
    }
}
