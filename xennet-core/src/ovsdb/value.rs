//! The database's own notation: sets, maps and UUIDs as arrays with a word in front.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The elements of a column's value: a set of one is its element itself.
pub(super) fn elements(value: &Value) -> &[Value] {
    match value.as_array().map(Vec::as_slice) {
        Some([word, Value::Array(elements)]) if word == "set" => elements,
        _ => std::slice::from_ref(value),
    }
}

/// The value of an optional column; none for the empty set.
pub(super) fn optional(value: &Value) -> Option<&Value> {
    elements(value).first().filter(|value| !value.is_null())
}

/// A map of texts.
pub(super) fn texts(value: &Value) -> BTreeMap<String, String> {
    let pair = |pair: &Value| match pair.as_array()?.as_slice() {
        [Value::String(key), Value::String(value)] => Some((key.clone(), value.clone())),
        _ => None,
    };
    match value.as_array().map(Vec::as_slice) {
        Some([word, Value::Array(pairs)]) if word == "map" => {
            pairs.iter().filter_map(pair).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// A set as the database takes it.
pub(super) fn set(elements: impl IntoIterator<Item = impl Into<Value>>) -> Value {
    json!(["set", elements.into_iter().map(Into::into).collect::<Vec<Value>>()])
}

/// A map of texts as the database takes it.
pub(super) fn map<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Value {
    let pairs: Vec<Value> = pairs.into_iter().map(|(key, value)| json!([key, value])).collect();
    json!(["map", pairs])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_one_is_its_element() {
        assert_eq!(elements(&json!(7)), [json!(7)]);
        assert_eq!(elements(&json!(["set", [1, 2]])), [json!(1), json!(2)]);
        assert_eq!(elements(&json!(["uuid", "x"])), [json!(["uuid", "x"])]);
        assert_eq!(optional(&json!(["set", []])), None);
        assert_eq!(optional(&Value::Null), None);
        assert_eq!(optional(&json!("x")), Some(&json!("x")));
        let ids = BTreeMap::from([("a b".to_owned(), "\"'\n".to_owned())]);
        assert_eq!(texts(&map(&ids)), ids);
        assert_eq!(texts(&json!("x")), BTreeMap::new());
    }
}
