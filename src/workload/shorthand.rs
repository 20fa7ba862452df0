//! An enum that may be written by its name alone: `distribution = "zipf"` beside
//! `distribution.zipf.exponent = 0.99`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};

/// A value of the externally tagged enum `T`, written either as its serde form, a table with the variant's name as its
/// only key, or as that name in quotes, which stands for the variant with all its defaults. Every variant of `T` must
/// be a struct variant (or hold a struct) so that `{}` can stand for the defaults.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shorthand<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shorthand<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrTable<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for NameOrTable<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name, or a table with one name in it")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<T, E> {
                let defaults = std::collections::BTreeMap::<String, String>::new();
                let variant = MapDeserializer::new(std::iter::once((name.to_owned(), defaults)));
                T::deserialize(MapAccessDeserializer::new(variant))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
                let value = T::deserialize(MapAccessDeserializer::new(&mut map))?;
                match map.next_key::<String>()? {
                    Some(second) => Err(de::Error::custom(format!("a second name, `{second}`, beside the first"))),
                    None => Ok(value),
                }
            }
        }
        deserializer.deserialize_any(NameOrTable(PhantomData)).map(Self)
    }
}

impl<T: Serialize> Serialize for Shorthand<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Shorthand<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrName", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = T::json_schema(generator);
        let names: Vec<String> = table
            .get("oneOf")
            .and_then(|variants| variants.as_array())
            .into_iter()
            .flatten()
            .filter_map(|variant| variant.get("required")?.get(0)?.as_str().map(str::to_owned))
            .collect();
        schemars::json_schema!({ "anyOf": [{ "type": "string", "enum": names }, table] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize, JsonSchema)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    enum Shape {
        Round {},
        Square {
            #[serde(default)]
            side: u32,
        },
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Holder {
        shape: Shorthand<Shape>,
    }

    fn parse(text: &str) -> Result<Shape, toml::de::Error> {
        toml::from_str::<Holder>(text).map(|holder| holder.shape.0)
    }

    #[test]
    fn a_name_stands_for_its_defaults() {
        assert_eq!(parse("shape = 'round'"), Ok(Shape::Round {}));
        assert_eq!(parse("shape = 'square'"), Ok(Shape::Square { side: 0 }));
        assert_eq!(parse("shape.square.side = 3"), Ok(Shape::Square { side: 3 }));
        assert!(parse("shape = 'oval'").unwrap_err().message().contains("unknown variant `oval`"));
        assert!(parse("shape.square.size = 3").unwrap_err().message().contains("unknown field `size`"));
        assert!(parse("shape = 3").is_err());
        assert!(parse("shape = { round = {}, square = {} }").is_err());
    }

    #[test]
    fn the_schema_lists_the_names() {
        let schema = schemars::schema_for!(Shorthand<Shape>);
        assert_eq!(schema.get("anyOf").unwrap()[0]["enum"], serde_json::json!(["round", "square"]));
    }
}
