//! Conditions on values, as JSON: `{"path": {"op": value}}`, `{"path": value}` for equality, and
//! `{"and": […]}`, `{"or": […]}`, `{"not": {…}}`. Paths have dots; numbers in them are places in arrays.

use std::cmp::Ordering;

use regex::Regex;
use serde_json::{Map, Value};

use super::{MemoryError, Result};

/// A condition.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All of them.
    And(Vec<Filter>),
    /// One of them at least.
    Or(Vec<Filter>),
    /// Not that.
    Not(Box<Filter>),
    /// What stands at a path.
    Field(Path, Test),
}

/// What is wanted of a value at a path.
#[derive(Clone, Debug)]
pub enum Test {
    /// Equal; `null` also where there is nothing.
    Eq(Value),
    /// Not equal.
    Ne(Value),
    /// In an order: numbers with numbers, texts with texts.
    Order(Bound, Value),
    /// One of them.
    In(Vec<Value>),
    /// A text with that in it, an array with that item, an object with that field.
    Contains(Value),
    /// Whether there is anything.
    Exists(bool),
    /// A text that fits.
    Regex(Box<Regex>),
}

/// A side of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Above.
    Gt,
    /// Not below.
    Gte,
    /// Below.
    Lt,
    /// Not above.
    Lte,
}

/// A dot path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(pub String);

impl Path {
    /// What stands there.
    pub fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        if self.0.is_empty() {
            return Some(value);
        }
        self.0.split('.').try_fold(value, |value, part| match value {
            Value::Object(fields) => fields.get(part),
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

/// A deeper one is a mistake, or an attack on the stack.
const DEPTH_MAX: usize = 64;

impl Filter {
    /// Reads a filter.
    pub fn read(json: &Value) -> Result<Filter> {
        read(json, "filter", 0)
    }

    /// Whether a value is so.
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Filter::And(filters) => filters.iter().all(|filter| filter.holds(value)),
            Filter::Or(filters) => filters.iter().any(|filter| filter.holds(value)),
            Filter::Not(filter) => !filter.holds(value),
            Filter::Field(path, test) => test.holds(path.of(value)),
        }
    }

    /// The conditions that all must hold.
    pub(super) fn required(&self) -> Vec<(&Path, &Test)> {
        match self {
            Filter::And(filters) => filters.iter().flat_map(Filter::required).collect(),
            Filter::Field(path, test) => vec![(path, test)],
            Filter::Or(_) | Filter::Not(_) => Vec::new(),
        }
    }
}

fn read(json: &Value, at: &str, depth: usize) -> Result<Filter> {
    let Value::Object(fields) = json else {
        return Err(MemoryError::input(at, "a filter is an object of paths and conditions"));
    };
    if depth > DEPTH_MAX {
        return Err(MemoryError::input(at, "it is nested too deep"));
    }
    let mut all = Vec::new();
    for (name, wanted) in fields {
        let at = format!("{at}.{name}");
        let list = || match wanted {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(place, item)| read(item, &format!("{at}.{place}"), depth + 1))
                .collect::<Result<Vec<_>>>(),
            _ => Err(MemoryError::input(&at, "it wants an array of filters")),
        };
        match name.as_str() {
            "and" => all.extend(list()?),
            "or" => all.push(Filter::Or(list()?)),
            "not" => all.push(Filter::Not(Box::new(read(wanted, &at, depth + 1)?))),
            _ => tests(name, wanted, &at, &mut all)?,
        }
    }
    Ok(if all.len() == 1 { all.remove(0) } else { Filter::And(all) })
}

fn tests(path: &str, wanted: &Value, at: &str, all: &mut Vec<Filter>) -> Result<()> {
    let path = Path(path.into());
    let Value::Object(conditions) = wanted else {
        all.push(Filter::Field(path, Test::Eq(wanted.clone())));
        return Ok(());
    };
    if conditions.is_empty() {
        return Err(MemoryError::input(at, "there is no condition; for an empty object give {\"eq\": {}}"));
    }
    for (name, value) in conditions {
        all.push(Filter::Field(path.clone(), test(name, value, &format!("{at}.{name}"))?));
    }
    Ok(())
}

fn test(name: &str, value: &Value, at: &str) -> Result<Test> {
    let order = |bound| match value {
        Value::Number(_) | Value::String(_) => Ok(Test::Order(bound, value.clone())),
        _ => Err(MemoryError::input(at, "it wants a number or a text")),
    };
    match (name, value) {
        ("eq", _) => Ok(Test::Eq(value.clone())),
        ("ne", _) => Ok(Test::Ne(value.clone())),
        ("gt", _) => order(Bound::Gt),
        ("gte", _) => order(Bound::Gte),
        ("lt", _) => order(Bound::Lt),
        ("lte", _) => order(Bound::Lte),
        ("in", Value::Array(items)) => Ok(Test::In(items.clone())),
        ("in", _) => Err(MemoryError::input(at, "it wants an array")),
        ("contains", _) => Ok(Test::Contains(value.clone())),
        ("exists", Value::Bool(wanted)) => Ok(Test::Exists(*wanted)),
        ("exists", _) => Err(MemoryError::input(at, "it wants true or false")),
        ("regex", Value::String(pattern)) => {
            let built = regex::RegexBuilder::new(pattern).size_limit(1 << 20).build();
            built.map(|regex| Test::Regex(Box::new(regex))).map_err(|error| MemoryError::input(at, error.to_string()))
        }
        ("regex", _) => Err(MemoryError::input(at, "it wants a text")),
        _ => Err(MemoryError::input(
            at,
            "it is no condition; there are eq, ne, gt, gte, lt, lte, in, contains, exists, regex",
        )),
    }
}

impl Test {
    fn holds(&self, found: Option<&Value>) -> bool {
        match self {
            Test::Eq(wanted) => equal(found.unwrap_or(&Value::Null), wanted),
            Test::Ne(wanted) => !equal(found.unwrap_or(&Value::Null), wanted),
            Test::Order(bound, wanted) => {
                found.and_then(|found| in_order(found, wanted)).is_some_and(|order| match bound {
                    Bound::Gt => order == Ordering::Greater,
                    Bound::Gte => order != Ordering::Less,
                    Bound::Lt => order == Ordering::Less,
                    Bound::Lte => order != Ordering::Greater,
                })
            }
            Test::In(wanted) => wanted.iter().any(|wanted| equal(found.unwrap_or(&Value::Null), wanted)),
            Test::Contains(wanted) => match (found, wanted) {
                (Some(Value::String(text)), Value::String(part)) => text.contains(part.as_str()),
                (Some(Value::Array(items)), _) => items.iter().any(|item| equal(item, wanted)),
                (Some(Value::Object(fields)), Value::String(name)) => has(fields, name),
                _ => false,
            },
            Test::Exists(wanted) => found.is_some() == *wanted,
            Test::Regex(regex) => matches!(found, Some(Value::String(text)) if regex.is_match(text)),
        }
    }
}

fn has(fields: &Map<String, Value>, name: &str) -> bool {
    fields.contains_key(name)
}

/// 1 is 1.0, also within arrays and objects.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => in_order(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| equal(value, other)))
        }
        _ => a == b,
    }
}

fn in_order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// An order of all values, for sorting: nothing, null, false, true, numbers, texts, arrays, objects.
pub(super) fn sort_order(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let rank = |value: Option<&Value>| match value {
        None => 0,
        Some(Value::Null) => 1,
        Some(Value::Bool(false)) => 2,
        Some(Value::Bool(true)) => 3,
        Some(Value::Number(_)) => 4,
        Some(Value::String(_)) => 5,
        Some(Value::Array(_)) => 6,
        Some(Value::Object(_)) => 7,
    };
    match (a, b) {
        (Some(a), Some(b)) if rank(Some(a)) == rank(Some(b)) => in_order(a, b).unwrap_or(Ordering::Equal),
        _ => rank(a).cmp(&rank(b)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_condition_holds_where_it_should() {
        let value = json!({"n": 5, "t": "north", "a": [1, {"b": 2}], "o": {"x.y": 1, "z": null}, "f": 1.0, "b": true});
        for (filter, holds) in [
            (json!({}), true),
            (json!({"n": 5}), true),
            (json!({"n": 5.0}), true),
            (json!({"f": 1}), true),
            (json!({"n": "5"}), false),
            (json!({"n": {"ne": 4}}), true),
            (json!({"m": {"ne": 4}}), true),
            (json!({"n": {"gt": 4, "lt": 6}}), true),
            (json!({"n": {"gt": 5}}), false),
            (json!({"n": {"gte": 5, "lte": 5}}), true),
            (json!({"n": {"gt": "a"}}), false),
            (json!({"t": {"gt": "m"}}), true),
            (json!({"n": {"in": [1, 5]}}), true),
            (json!({"n": {"in": []}}), false),
            (json!({"t": {"contains": "ort"}}), true),
            (json!({"a": {"contains": 1}}), true),
            (json!({"a": {"contains": {"b": 2.0}}}), true),
            (json!({"o": {"contains": "z"}}), true),
            (json!({"n": {"contains": "5"}}), false),
            (json!({"a.1.b": 2}), true),
            (json!({"a.x": {"exists": true}}), false),
            (json!({"o.z": {"exists": true}}), true),
            (json!({"o.z": null}), true),
            (json!({"o.q": null}), true),
            (json!({"o.q": {"exists": false}}), true),
            (json!({"t": {"regex": "^no.*h$"}}), true),
            (json!({"n": {"regex": "5"}}), false),
            (json!({"or": [{"n": 1}, {"t": "north"}]}), true),
            (json!({"or": []}), false),
            (json!({"and": [{"n": 5}, {"t": "south"}]}), false),
            (json!({"not": {"n": 5}}), false),
            (json!({"b": true, "not": {"or": [{"n": 1}]}}), true),
        ] {
            assert_eq!(Filter::read(&filter).unwrap().holds(&value), holds, "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_is_named_by_its_place() {
        let deep = (0..80).fold(json!({}), |inner, _| json!({"not": inner}));
        for (filter, place) in [
            (json!([]), "filter"),
            (json!({"a": {"like": 1}}), "filter.a.like"),
            (json!({"a": {}}), "filter.a"),
            (json!({"or": [{"a": {"in": 1}}]}), "filter.or.0.a.in"),
            (json!({"and": {}}), "filter.and"),
            (json!({"a": {"gt": null}}), "filter.a.gt"),
            (json!({"a": {"exists": 1}}), "filter.a.exists"),
            (json!({"a": {"regex": "("}}), "filter.a.regex"),
            (json!({"a": {"regex": 1}}), "filter.a.regex"),
            (json!({"a": {"regex": "(a{1000}){1000}"}}), "filter.a.regex"),
        ] {
            match Filter::read(&filter).unwrap_err() {
                MemoryError::Input { what, .. } => assert_eq!(what, place),
                other => panic!("{other}"),
            }
        }
        assert!(Filter::read(&deep).is_err());
    }

    #[test]
    fn values_sort_by_kind_and_then_by_themselves() {
        let sorted = [json!(null), json!(false), json!(true), json!(-1), json!(2.5), json!("a"), json!("b"), json!([])];
        for pair in sorted.windows(2) {
            assert_eq!(sort_order(Some(&pair[0]), Some(&pair[1])), Ordering::Less, "{pair:?}");
        }
        assert_eq!(sort_order(None, Some(&json!(null))), Ordering::Less);
    }
}
