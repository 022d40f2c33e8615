//! What differs between two JSON values, by structure: adding, removing, replacing at JSON pointers.

use serde::Serialize;
use serde_json::Value;

/// One difference. Done in their order, they make the second value of the first.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Difference {
    /// Something more; in an array what stands there moves on.
    Add {
        /// A JSON pointer.
        path: String,
        /// What is there now.
        value: Value,
    },
    /// Something less; in an array what stands behind it moves up.
    Remove {
        /// A JSON pointer.
        path: String,
        /// What was there.
        from: Value,
    },
    /// Something else.
    Replace {
        /// A JSON pointer.
        path: String,
        /// What was there.
        from: Value,
        /// What is there now.
        value: Value,
    },
}

/// The differences, in the order of the values.
pub fn diff(from: &Value, to: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(String::new(), from, to, &mut found);
    found
}

fn compare(path: String, from: &Value, to: &Value, found: &mut Vec<Difference>) {
    match (from, to) {
        _ if from == to => {}
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in old {
                let path = format!("{path}/{}", escaped(name));
                match new.get(name) {
                    Some(now) => compare(path, value, now, found),
                    None => found.push(Difference::Remove { path, from: value.clone() }),
                }
            }
            for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                found.push(Difference::Add { path: format!("{path}/{}", escaped(name)), value: value.clone() });
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            let shorter = old.len().min(new.len());
            let head = old.iter().zip(new).take_while(|(old, new)| old == new).count();
            let tail = old.iter().rev().zip(new.iter().rev()).take(shorter - head);
            let tail = tail.take_while(|(old, new)| old == new).count();
            let (old_middle, new_middle) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
            let both = old_middle.len().min(new_middle.len());
            for (at, (old, new)) in old_middle.iter().zip(new_middle).enumerate() {
                compare(format!("{path}/{}", head + at), old, new, found);
            }
            for value in &old_middle[both..] {
                found.push(Difference::Remove { path: format!("{path}/{}", head + both), from: value.clone() });
            }
            for (at, value) in new_middle[both..].iter().enumerate() {
                found.push(Difference::Add { path: format!("{path}/{}", head + both + at), value: value.clone() });
            }
        }
        _ => found.push(Difference::Replace { path, from: from.clone(), value: to.clone() }),
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn apply(value: &mut Value, differences: &[Difference]) {
        for difference in differences {
            let (path, new) = match difference {
                Difference::Add { path, value } | Difference::Replace { path, value, .. } => (path, Some(value)),
                Difference::Remove { path, .. } => (path, None),
            };
            let Some((parent, name)) = path.rsplit_once('/') else {
                *value = new.unwrap().clone();
                continue;
            };
            match value.pointer_mut(parent).unwrap() {
                Value::Object(fields) => {
                    let name = name.replace("~1", "/").replace("~0", "~");
                    match new {
                        Some(new) => fields.insert(name, new.clone()),
                        None => fields.remove(&name),
                    };
                }
                Value::Array(items) => {
                    let at: usize = name.parse().unwrap();
                    match difference {
                        Difference::Add { value, .. } => items.insert(at, value.clone()),
                        Difference::Replace { value, .. } => items[at] = value.clone(),
                        Difference::Remove { .. } => drop(items.remove(at)),
                    }
                }
                other => panic!("{other} has no parts"),
            }
        }
    }

    #[test]
    fn differences_make_one_value_of_the_other() {
        let values = [
            json!(null),
            json!({}),
            json!({"a": 1, "b": {"c/d": [1, 2, 3], "~": "x"}}),
            json!({"a": "1", "b": {"c/d": [1, 3], "~": "y"}}),
            json!({"b": {"c/d": [0, 1, 2, 3, 4]}, "e": null}),
            json!([1, {"a": [2]}, 3]),
            json!([{"a": [2, 2]}, 3, 3]),
            json!([]),
            json!([3, 3, 3, 3]),
        ];
        for from in &values {
            for to in &values {
                let mut made = from.clone();
                apply(&mut made, &diff(from, to));
                assert_eq!(&made, to, "from {from}");
            }
            assert!(diff(from, from).is_empty());
        }
        let found = diff(&values[2], &values[3]);
        assert_eq!(
            serde_json::to_value(&found).unwrap()[0],
            json!({"op": "replace", "path": "/a", "from": 1, "value": "1"})
        );
        assert_eq!(found[1], Difference::Remove { path: "/b/c~1d/1".into(), from: json!(2) });
    }
}
