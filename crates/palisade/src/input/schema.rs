//! JSON Schema (2020-12) of the types that come in and go out: the source of the OpenAPI document.

use serde_json::{Value, json};

/// A type that can say in JSON Schema which values it accepts or shows.
pub trait Schema {
    /// The name under which the schema is shared in the OpenAPI document; `None` writes it
    /// in place wherever it is used.
    const NAME: Option<&'static str> = None;

    /// Whether an answer shows `null` where there is no value.
    const NULLABLE: bool = false;

    /// Returns the schema itself, never a reference to it.
    fn schema() -> Value;

    /// Returns what to write where the type is used: a reference if it has a name.
    fn reference() -> Value {
        match Self::NAME {
            Some(name) => json!({ "$ref": format!("#/components/schemas/{name}") }),
            None => Self::schema(),
        }
    }

    /// Adds the named schemas that this one refers to, its own included, to `named`.
    fn collect(named: &mut serde_json::Map<String, Value>) {
        if let Some(name) = Self::NAME {
            named.entry(name).or_insert_with(Self::schema);
        }
    }
}

/// Returns the schema of a string with a length in characters and an ECMA-262 pattern.
pub fn string_schema(lengths: std::ops::RangeInclusive<usize>, pattern: &str) -> Value {
    json!({
        "type": "string",
        "minLength": lengths.start(),
        "maxLength": lengths.end(),
        "pattern": pattern,
    })
}

/// Returns `schema` with one more keyword, such as `examples`.
///
/// ```
/// use palisade::input::{string_schema, with_keyword};
///
/// let schema = with_keyword(string_schema(1..=9, "^[a-z]+$"), "examples", ["green"]);
/// assert_eq!(schema["examples"][0], "green");
/// ```
pub fn with_keyword(mut schema: Value, keyword: &str, value: impl Into<Value>) -> Value {
    if let Value::Object(parts) = &mut schema {
        parts.insert(keyword.to_owned(), value.into());
    }
    schema
}

/// Returns `schema` with a description, as a member of an object has it.
pub fn described(mut schema: Value, description: &str) -> Value {
    let description = description.trim();
    if let (Value::Object(parts), false) = (&mut schema, description.is_empty()) {
        parts.insert("description".into(), description.into());
    }
    schema
}

/// Returns what an answer's schema says of a member of type `T`.
///
/// Same as [`Schema::reference`], except that an optional value may also be `null`: an answer
/// shows every member, where a request leaves it out.
pub fn shown<T: Schema>() -> Value {
    match T::NULLABLE {
        true => json!({ "anyOf": [T::reference(), { "type": "null" }] }),
        false => T::reference(),
    }
}

impl<T: Schema> Schema for Option<T> {
    const NULLABLE: bool = true;

    fn schema() -> Value {
        T::reference()
    }

    fn collect(named: &mut serde_json::Map<String, Value>) {
        T::collect(named);
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn schema() -> Value {
        json!({ "type": "array", "items": T::reference() })
    }

    fn collect(named: &mut serde_json::Map<String, Value>) {
        T::collect(named);
    }
}

impl Schema for bool {
    fn schema() -> Value {
        json!({ "type": "boolean" })
    }
}

impl Schema for crate::clock::Timestamp {
    fn schema() -> Value {
        json!({
            "type": "string",
            "format": "date-time",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
            "examples": ["2026-01-31T09:30:00.000Z"],
        })
    }
}

impl<T> Schema for crate::id::Id<T> {
    fn schema() -> Value {
        json!({
            "type": "string",
            "minLength": 1,
            "maxLength": 40,
            "pattern": "^[A-Za-z0-9_-]+$",
            "examples": ["01kg9v3q6m5zr8w0c2e4t7yhnd"],
        })
    }
}
