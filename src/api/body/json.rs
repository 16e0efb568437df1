//! `application/json`.
//!
//! Values that no endpoint takes are skipped without recursion, so depth costs nothing.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Body, Error, Fields, Value};
use crate::secret::Secret;

/// Beyond this a 64-bit float no longer has every digit of the integer that was sent.
const LAST_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

pub(super) fn parse(bytes: &[u8]) -> Result<Body, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| broken("not UTF-8."))?;
    // The parser's own words may quote what was sent: only the place is told.
    serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            broken("too many members.")
        } else {
            broken(&format!("line {} column {}.", error.line(), error.column()))
        }
    })
}

fn broken(what: &str) -> Error {
    Error::bad_request(format!("JSON parse error - {what}"))
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Document;

        impl<'de> Visitor<'de> for Document {
            type Value = Body;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Body, A::Error> {
                let mut fields = Fields::default();
                while let Some((name, value)) = members.next_entry()? {
                    fields.insert(name, value).map_err(|_| A::Error::custom("too many"))?;
                }
                Ok(Body::Fields(fields))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Body, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Body::NotAnObject("list"))
            }

            fn visit_str<E>(self, _: &str) -> Result<Body, E> {
                Ok(Body::NotAnObject("str"))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Body, E> {
                Ok(Body::NotAnObject("bool"))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Body, E> {
                Ok(Body::NotAnObject("int"))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Body, E> {
                Ok(Body::NotAnObject("int"))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Body, E> {
                Ok(Body::NotAnObject("float"))
            }

            fn visit_unit<E>(self) -> Result<Body, E> {
                Ok(Body::NotAnObject("NoneType"))
            }
        }

        deserializer.deserialize_any(Document)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Member;

        impl<'de> Visitor<'de> for Member {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.into()))
            }

            fn visit_string<E>(self, text: String) -> Result<Value, E> {
                Ok(Value::Text(Secret::new(text)))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
                Ok(Value::Text(Secret::new(number.to_string())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
                Ok(Value::Text(Secret::new(number.to_string())))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
                if number.abs() >= LAST_EXACT_INTEGER {
                    return Ok(Value::NotText);
                }
                Ok(serde_json::Number::from_f64(number)
                    .map_or(Value::NotText, |number| Value::Text(Secret::new(number.to_string()))))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
                Ok(Value::NotText)
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value::NotText)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value::NotText)
            }
        }

        deserializer.deserialize_any(Member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        match parse(text.as_bytes()) {
            Ok(Body::Fields(fields)) => fields,
            _ => panic!("{text} is no object"),
        }
    }

    #[test]
    fn numbers_are_text_and_other_kinds_are_told_apart() {
        let mut fields = fields(
            r#"{"n":12345678,"neg":-1,"f":1.5,"one":1.0,"big":18446744073709551615,"huge":123456789012345678901234567890,
                "t":true,"l":["x"],"o":{"a":{"b":[]}},"z":null}"#,
        );
        for (name, text) in
            [("n", "12345678"), ("neg", "-1"), ("f", "1.5"), ("one", "1.0"), ("big", "18446744073709551615")]
        {
            assert_eq!(fields.required(name).unwrap().expose(), text);
        }
        for name in ["huge", "t", "l", "o"] {
            assert_eq!(fields.required(name).err(), Some("Not a valid string."), "{name}");
        }
        assert_eq!(fields.required("z").err(), Some("This field may not be null."));
    }

    #[test]
    fn a_document_that_is_no_object_is_named() {
        for (text, expected) in [
            ("[]", "list"),
            (r#"[{"a":1},2]"#, "list"),
            (r#""text""#, "str"),
            ("1", "int"),
            ("-1", "int"),
            ("1.5", "float"),
            ("false", "bool"),
            ("null", "NoneType"),
        ] {
            let Ok(Body::NotAnObject(kind)) = parse(text.as_bytes()) else { panic!("{text}") };
            assert_eq!(kind, expected);
        }
    }

    #[test]
    fn broken_json_is_told_by_its_place_and_never_quoted() {
        for text in
            ["{", r#"{"password":"hunter2"#, r#"{"password":hunter2}"#, "{} {}", "hunter2", " ", r#"{"a":"\ud800"}"#]
        {
            let Err(Error::Detail(status, detail)) = parse(text.as_bytes()) else { panic!("{text}") };
            assert_eq!(status, 400);
            assert!(detail.starts_with("JSON parse error - line 1 column "), "{detail}");
            assert!(!detail.contains("hunter2"));
        }
        assert!(parse(b"{\"a\":\"\xFF\"}").is_err());
    }

    #[test]
    fn depth_is_no_weapon() {
        let deep = |open: &str, close: &str| open.repeat(15_000) + "1" + &close.repeat(15_000);
        assert!(matches!(parse(deep("[", "]").as_bytes()), Ok(Body::NotAnObject("list"))));
        let member = format!(r#"{{"a":{},"b":"ok"}}"#, deep(r#"{"x":"#, "}"));
        assert_eq!(fields(&member).required("b").unwrap().expose(), "ok");
    }
}
