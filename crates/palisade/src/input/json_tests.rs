//! The reader against examples, and against `serde_json` as a second opinion.

use std::collections::HashSet;
use std::fmt;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::*;

fn refused(document: &str) -> JsonError {
    match Json::parse(document.as_bytes()) {
        Ok(value) => panic!("{document} was read as {value:?}"),
        Err(error) => error,
    }
}

#[test]
fn every_kind_of_value_is_read() {
    let document = r#" { "a" : [ null , true , false , -1.5e+3 , "x" ] , "" : {} } "#;

    let value = Json::parse(document.as_bytes());

    let elements = vec![
        Json::Null,
        Json::Bool(true),
        Json::Bool(false),
        Json::Number(Number::from_checked("-1.5e+3")),
        Json::String("x".into()),
    ];
    let members =
        vec![("a".into(), Json::Array(elements)), ("".into(), Json::Object(Vec::default()))];
    assert_eq!(value, Ok(Json::Object(members)));
}

#[test]
fn a_string_is_borrowed_unless_it_holds_an_escape() {
    let plain = Json::parse("\"grün €\"".as_bytes());
    assert!(matches!(plain, Ok(Json::String(Cow::Borrowed("grün €")))));

    let escaped = Json::parse(br#""\"\\\/\b\f\n\r\t\u0041\u00fC\uD83d\ude00 end""#);
    let expected = "\"\\/\u{8}\u{c}\n\r\tAü😀 end";
    assert_eq!(escaped, Ok(Json::String(expected.into())));
}

#[test]
fn a_value_is_as_small_as_the_module_says() {
    assert!(size_of::<Json<'_>>() <= 32);
}

#[test]
fn text_that_only_looks_like_json_is_refused() {
    for (document, offset, reason) in [
        ("", 0, CUT_OFF),
        (" ", 1, CUT_OFF),
        ("\u{feff}1", 0, NO_VALUE),
        ("\u{a0}1", 0, NO_VALUE),
        ("nul", 0, NO_VALUE),
        ("NaN", 0, NO_VALUE),
        ("Infinity", 0, NO_VALUE),
        ("+1", 0, NO_VALUE),
        (".5", 0, NO_VALUE),
        ("01", 1, NO_NUMBER),
        ("-01", 2, NO_NUMBER),
        ("1.", 2, CUT_OFF),
        ("1.e1", 2, NO_NUMBER),
        ("1e", 2, CUT_OFF),
        ("1e+ ", 3, NO_NUMBER),
        ("-", 1, CUT_OFF),
        ("--1", 1, NO_NUMBER),
        ("0x1", 1, NO_NUMBER),
        ("1_000", 1, NO_NUMBER),
        ("1 2", 2, TRAILING_TEXT),
        ("1\0", 1, TRAILING_TEXT),
        ("{}x", 2, TRAILING_TEXT),
        ("[1,]", 3, NO_VALUE),
        ("[,1]", 1, NO_VALUE),
        ("[1 2]", 3, NO_COMMA),
        ("[1}", 2, NO_COMMA),
        ("[", 1, CUT_OFF),
        ("[1", 2, CUT_OFF),
        (r#"{"a":1,}"#, 7, NO_NAME),
        ("{a:1}", 1, NO_NAME),
        ("{'a':1}", 1, NO_NAME),
        (r#"{"a" 1}"#, 5, NO_COLON),
        (r#"{"a"=1}"#, 4, NO_COLON),
        (r#"{"a":1 "b":2}"#, 7, NO_COMMA),
        (r#"{"a":}"#, 5, NO_VALUE),
        ("/* no */ 1", 0, NO_VALUE),
        ("1 // no", 2, TRAILING_TEXT),
        ("\"a\nb\"", 2, CONTROL),
        ("\"\u{0}\"", 1, CONTROL),
        ("\"\u{1f}\"", 1, CONTROL),
        ("\"a", 2, CUT_OFF),
        ("\"a\\\"", 4, CUT_OFF),
        (r#""\x41""#, 2, NO_ESCAPE),
        (r#""\u12g4""#, 5, NO_ESCAPE),
        (r#""\u+123""#, 3, NO_ESCAPE),
        (r#""\u12"#, 5, CUT_OFF),
        (r#""\ud800""#, 2, LONE_SURROGATE),
        (r#""\udc00\ud800""#, 2, LONE_SURROGATE),
        (r#""\ud800\u0041""#, 2, LONE_SURROGATE),
        (r#""\ud800x""#, 2, LONE_SURROGATE),
    ] {
        let error = refused(document);
        assert_eq!((error.offset(), error.reason()), (offset, reason), "{document}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_where_they_stand() {
    for bytes in [b"\"\xff\"", b"\"\xc0\"", b"\"\xed\""] {
        let error = Json::parse(bytes).unwrap_err();
        assert_eq!((error.offset(), error.reason()), (1, NOT_UTF8));
    }
}

#[test]
fn the_33rd_level_is_refused_and_the_32nd_is_read() {
    let nested = |open: &str, close: &str, depth| open.repeat(depth) + "1" + &close.repeat(depth);
    for (open, close, width) in [("[", "]", 1), (r#"{"a":"#, "}", 5)] {
        assert!(Json::parse(nested(open, close, 32).as_bytes()).is_ok());
        let error = refused(&nested(open, close, 33));
        assert_eq!((error.offset(), error.reason()), (32 * width, TOO_DEEP));
    }
    assert_eq!(refused(&"[".repeat(1_000_000)).reason(), TOO_DEEP);
    let siblings = format!("[{}1]", "[],".repeat(100));
    assert!(Json::parse(siblings.as_bytes()).is_ok());
}

#[test]
fn a_name_that_appears_twice_is_refused_after_its_escapes_are_resolved() {
    assert_eq!(refused(r#"{"role":1,"\u0072ole":2}"#).reason(), DUPLICATE);
    assert!(
        Json::parse("{\"\u{e9}\":1,\"e\u{301}\":2}".as_bytes()).is_ok(),
        "NFC and NFD are two names"
    );
    assert!(Json::parse(br#"{"a":{"a":{"a":1}},"b":{"a":2}}"#).is_ok());
    for count in [2, FEW_MEMBERS - 1, FEW_MEMBERS, FEW_MEMBERS + 1, 100] {
        for again in 0..count {
            let mut names: Vec<_> = (0..count).map(|name| format!(r#""{name}":0"#)).collect();
            assert!(Json::parse(format!("{{{}}}", names.join(",")).as_bytes()).is_ok());
            names.push(format!(r#""{again}":1"#));
            assert_eq!(refused(&format!("{{{}}}", names.join(","))).reason(), DUPLICATE);
        }
    }
}

/// A value as `serde_json` reads it, with duplicate names refused.
struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, _)) = members.next_entry::<String, Self>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("twice"));
            }
        }
        Ok(self)
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn agree(ours: &Json<'_>, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(ours), Value::Bool(theirs)) => ours == theirs,
        (Json::String(ours), Value::String(theirs)) => ours == theirs,
        (Json::Number(ours), Value::Number(theirs)) => {
            if let Some(theirs) = theirs.as_i64() {
                return ours.as_integer() == Some(theirs);
            }
            // Theirs may be one unit in the last place away: it trades that for speed.
            let (ours, theirs) = (ours.as_str().parse::<f64>().unwrap(), theirs.as_f64().unwrap());
            (ours - theirs).abs() <= ours.abs() * 1e-14 + f64::MIN_POSITIVE
        }
        (Json::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(o, t)| agree(o, t))
        }
        (Json::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(name, value)| {
                    theirs.get(name.as_ref()).is_some_and(|theirs| agree(value, theirs))
                })
        }
        _ => false,
    }
}

fn compare(document: &[u8]) -> Result<(), TestCaseError> {
    let theirs = serde_json::from_slice::<Value>(document);
    match (Json::parse(document), theirs) {
        (Ok(ours), Ok(theirs)) => prop_assert!(agree(&ours, &theirs), "{ours:?} {theirs:?}"),
        // Ours keeps the text of a number that theirs cannot hold.
        (Ok(_), Err(error)) => prop_assert!(error.to_string().contains("out of range"), "{error}"),
        (Err(error), Ok(theirs)) => prop_assert!(
            depth(&theirs) > DEEPEST || serde_json::from_slice::<Unambiguous>(document).is_err(),
            "{error} {theirs:?}"
        ),
        (Err(_), Err(_)) => {}
    }
    Ok(())
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..24)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_json_writes_is_read_as_the_same_value(value in any_value(), pretty: bool) {
        let document =
            if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        let document = document.unwrap();
        let ours = Json::parse(&document);
        prop_assert!(ours.is_ok_and(|ours| agree(&ours, &value)));
    }

    #[test]
    fn both_readers_agree_on_damaged_documents(
        value in any_value(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4), 1..4),
    ) {
        let mut document = serde_json::to_vec(&value).unwrap();
        let common = br#"{}[]",:\u0dD8-+.eE19 tn"#;
        for (place, byte, kind) in damage {
            let place = place.index(document.len().max(1));
            let likely = common[usize::from(byte) % common.len()];
            match kind {
                0 if place < document.len() => { document.remove(place); }
                1 if place < document.len() => document[place] = byte,
                2 => document.insert(place.min(document.len()), byte),
                _ => document.insert(place.min(document.len()), likely),
            }
        }
        compare(&document)?;
    }

    #[test]
    fn both_readers_agree_on_words_thrown_together(
        words in vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"\\u0061\"", "\"b\"", "null", "true", "0", "-1",
            "1e3", "0.10", "\\ud83d", "\\ude00", "\"", " ", "\n", "\\n", "é", "\u{1}",
        ]), 0..16),
    ) {
        compare(words.concat().as_bytes())?;
    }

    #[test]
    fn both_readers_agree_on_what_nearly_is_a_number(text in "-?[0-9]{0,3}\\.?[0-9]{0,3}([eE][-+]?[0-9]{0,3})?") {
        compare(text.as_bytes())?;
    }
}
