//! Numbers for keys, as indexes want them, and what is kept of each.

use std::collections::HashMap;

use serde_json::Value;

/// Keys by number and numbers by key. One that was given up is given again.
#[derive(Default)]
pub(super) struct Rows {
    ids: HashMap<String, u32>,
    /// By id; none where one was given up.
    rows: Vec<Option<Row>>,
    free: Vec<u32>,
}

pub(super) struct Row {
    pub key: String,
    pub metadata: Value,
}

impl Rows {
    /// The id that a key has, or gets when it is put next.
    pub fn place(&self, key: &str) -> u32 {
        let known = self.ids.get(key).or_else(|| self.free.last());
        known.copied().unwrap_or(self.rows.len() as u32)
    }

    pub fn put(&mut self, key: &str, metadata: Value) -> u32 {
        let id = self.place(key);
        if self.ids.insert(key.to_owned(), id).is_none() && self.free.pop().is_none() {
            self.rows.push(None);
        }
        self.rows[id as usize] = Some(Row { key: key.to_owned(), metadata });
        id
    }

    /// The id that it had.
    pub fn remove(&mut self, key: &str) -> Option<u32> {
        let id = self.ids.remove(key)?;
        self.rows[id as usize] = None;
        self.free.push(id);
        Some(id)
    }

    pub fn get(&self, id: u32) -> Option<&Row> {
        self.rows.get(id as usize)?.as_ref()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &Row)> {
        self.rows.iter().enumerate().filter_map(|(id, row)| Some((id as u32, row.as_ref()?)))
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_was_given_up_is_given_again() {
        let mut rows = Rows::default();
        assert_eq!((rows.put("a", 1.into()), rows.put("b", 2.into()), rows.put("a", 3.into())), (0, 1, 0));
        assert_eq!((rows.remove("a"), rows.remove("a"), rows.len()), (Some(0), None, 1));
        assert!(rows.get(0).is_none() && rows.get(7).is_none());
        assert_eq!((rows.place("b"), rows.place("c")), (1, 0));
        assert_eq!((rows.put("c", 4.into()), rows.put("d", 5.into())), (0, 2));
        let told: Vec<_> = rows.iter().map(|(id, row)| (id, row.key.as_str(), row.metadata.as_i64())).collect();
        assert_eq!(told, [(0, "c", Some(4)), (1, "b", Some(2)), (2, "d", Some(5))]);
    }
}
