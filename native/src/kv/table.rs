//! What was written last, in memory and in order, with the versions that somebody still looks at.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::{Bytes, Item};

/// What an entry takes beside its key and value.
const ENTRY: usize = 128;
/// The most that a cursor takes from a table at once.
const MAX_STEP: usize = 256;

/// Who looks at what was, by the commit that was the last one then, with their number.
pub(super) type Live = BTreeMap<u64, u32>;

/// By the number of the space.
#[derive(Default)]
pub(super) struct Table {
    parts: RwLock<Parts>,
}

#[derive(Default)]
pub(super) struct Parts {
    pub maps: Vec<Map>,
    bytes: usize,
}

type Map = BTreeMap<Bytes, Entry>;

/// The newest version of a key.
pub(super) struct Entry {
    /// The commit.
    number: u64,
    /// None: removed.
    pub value: Option<Bytes>,
    /// No table that is older has a value of the key: once it is removed here, nothing has to hide one.
    is_new: bool,
    older: Option<Box<Entry>>,
}

impl Entry {
    fn seen_by(&self, number: u64) -> Option<&Entry> {
        std::iter::successors(Some(self), |entry| entry.older.as_deref()).find(|entry| entry.number <= number)
    }

    /// Forgets the versions that nobody looks at.
    fn prune(&mut self, live: &Live) {
        let mut until = self.number;
        let mut kept = Vec::new();
        let mut next = self.older.take();
        while let Some(mut entry) = next {
            next = entry.older.take();
            if live.range(entry.number..until).next().is_some() {
                until = entry.number;
                kept.push(entry);
            }
        }
        for mut entry in kept.into_iter().rev() {
            entry.older = self.older.take();
            self.older = Some(entry);
        }
    }
}

impl Table {
    pub fn read(&self) -> RwLockReadGuard<'_, Parts> {
        self.parts.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// None: it knows nothing of the key. Some none: the key was removed.
    pub fn get(&self, space: u8, key: &[u8]) -> Option<Option<Bytes>> {
        Some(self.read().maps.get(usize::from(space))?.get(key)?.value.clone())
    }

    /// As a commit left it.
    pub fn get_at(&self, space: u8, key: &[u8], number: u64) -> Option<Option<Bytes>> {
        Some(self.read().maps.get(usize::from(space))?.get(key)?.seen_by(number)?.value.clone())
    }

    pub fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// About what it takes in memory.
    pub fn bytes(&self) -> usize {
        self.read().bytes
    }

    /// Does a commit.
    pub fn apply(&self, items: Vec<Item>, number: u64, live: &Live) {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        let Parts { maps, bytes } = &mut *parts;
        for Item { space, key, value, is_new } in items {
            let space = usize::from(space);
            if maps.len() <= space {
                maps.resize_with(space + 1, Map::default);
            }
            let added = value.as_ref().map_or(0, |value| value.len());
            match maps[space].entry(key) {
                std::collections::btree_map::Entry::Vacant(place) => {
                    *bytes += ENTRY + place.key().len() + added;
                    place.insert(Entry { number, value, is_new, older: None });
                }
                std::collections::btree_map::Entry::Occupied(place)
                    if value.is_none() && place.get().is_new && live.is_empty() =>
                {
                    let (key, gone) = place.remove_entry();
                    *bytes -= ENTRY + key.len() + gone.value.map_or(0, |value| value.len());
                }
                std::collections::btree_map::Entry::Occupied(mut place) => {
                    let entry = place.get_mut();
                    // What only those see who look back is not counted: they are few, and soon gone.
                    *bytes = *bytes + added - entry.value.as_ref().map_or(0, |value| value.len());
                    let old = Entry {
                        number: entry.number,
                        value: entry.value.take(),
                        is_new: false,
                        older: entry.older.take(),
                    };
                    let is_new = entry.is_new;
                    *entry = Entry { number, value, is_new, older: (!live.is_empty()).then(|| Box::new(old)) };
                    entry.prune(live);
                }
            }
        }
    }
}

/// A row of a table; without a value it was removed.
pub(super) type Row = (Bytes, Option<Bytes>);

/// The ends of a range of keys.
pub(super) type Range = (Bound<Bytes>, Bound<Bytes>);

/// Goes through a range of a table as a commit left it, from both ends. It takes a few rows at once, so that
/// commits go on meanwhile.
pub(super) struct Cursor {
    table: Arc<Table>,
    space: u8,
    number: u64,
    /// What was not taken yet.
    rest: Range,
    front: VecDeque<Row>,
    back: VecDeque<Row>,
    step: usize,
}

impl Cursor {
    /// None: the table has nothing of the space.
    pub fn new(table: &Arc<Table>, space: u8, number: u64, rest: Range) -> Option<Cursor> {
        let known = table.read().maps.get(usize::from(space)).is_some_and(|map| !map.is_empty());
        let (front, back) = (VecDeque::new(), VecDeque::new());
        known.then(|| Cursor { table: table.clone(), space, number, rest, front, back, step: 4 })
    }

    fn take(&mut self, forward: bool) {
        while !is_empty(&self.rest) {
            let parts = self.table.read();
            let Some(map) = parts.maps.get(usize::from(self.space)) else { return };
            let ends = (self.rest.0.as_ref().map(|key| &**key), self.rest.1.as_ref().map(|key| &**key));
            let mut rows = map.range::<[u8], _>(ends);
            let mut last = None;
            for _ in 0..self.step {
                let Some((key, entry)) = (if forward { rows.next() } else { rows.next_back() }) else { break };
                last = Some(key.clone());
                if let Some(entry) = entry.seen_by(self.number) {
                    let row = (key.clone(), entry.value.clone());
                    if forward { self.front.push_back(row) } else { self.back.push_back(row) }
                }
            }
            drop(parts);
            self.step = (self.step * 4).min(MAX_STEP);
            match last {
                None => self.rest = (Bound::Excluded(Bytes::from([])), Bound::Excluded(Bytes::from([]))),
                Some(key) if forward => self.rest.0 = Bound::Excluded(key),
                Some(key) => self.rest.1 = Bound::Excluded(key),
            }
            if !(if forward { &self.front } else { &self.back }).is_empty() {
                return;
            }
        }
    }
}

impl Iterator for Cursor {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if self.front.is_empty() {
            self.take(true);
        }
        self.front.pop_front().or_else(|| self.back.pop_back())
    }
}

impl DoubleEndedIterator for Cursor {
    fn next_back(&mut self) -> Option<Row> {
        if self.back.is_empty() {
            self.take(false);
        }
        self.back.pop_front().or_else(|| self.front.pop_back())
    }
}

/// Nothing can be in it. A map would not be asked for such a range.
pub(super) fn is_empty((from, to): &Range) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => from >= to,
    }
}

/// All keys that begin so.
pub(super) fn beginning(prefix: &[u8]) -> Range {
    let kept = prefix.iter().rposition(|&byte| byte != u8::MAX);
    let behind = kept.map(|last| {
        let mut behind = prefix[..=last].to_vec();
        behind[last] += 1;
        behind
    });
    (Bound::Included(Bytes::from(prefix)), behind.map_or(Bound::Unbounded, |key| Bound::Excluded(Bytes::from(key))))
}
