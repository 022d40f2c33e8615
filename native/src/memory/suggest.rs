//! "Did you mean": names near one that is not there.
//!
//! A small namespace is looked through. Of a large one the names lie in memory as an automaton, which is made
//! in the background by the first question; until it is there, the neighbours in the order of names answer.
//! Every search has an end that does not depend on how many names there are.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fst::raw::Fst;

use super::database::{Database, Store};
use super::{Result, names};

/// A name that may be meant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Suggestion {
    /// Its namespace.
    pub namespace: String,
    /// Its key.
    pub key: String,
}

const SUGGESTIONS: usize = 3;
/// A namespace of so many keys is looked through.
const SMALL: u64 = 500;
/// So many neighbours are looked at on each side.
const NEIGHBOURS: usize = 64;
/// So many nodes of an automaton are visited for each distance.
const VISITS: usize = 6_000;
/// So many hits of a distance are enough to choose from.
const HITS: usize = 64;
/// So many names may have changed since an automaton was made.
const CHANGES: usize = 4_000;
/// Where many change all the time, an automaton is made again so often at most.
const REST: Duration = Duration::from_secs(30);
/// So many automata are kept, of so many names each.
const AUTOMATA: usize = 8;
const NAMES_MAX: u64 = 5_000_000;
const DISTANCE: usize = 2;

/// Names by namespace.
#[derive(Default)]
pub(super) struct Suggest(Mutex<Known>);

#[derive(Default)]
struct Known {
    names: HashMap<String, Arc<Names>>,
    building: HashSet<String>,
}

struct Names {
    fst: Fst<Vec<u8>>,
    /// Where the log stood.
    place: u64,
    made: Instant,
}

impl Database {
    /// Up to three names near this one, the nearest first.
    pub fn suggestions(self: &Arc<Self>, namespace: &str, key: &str) -> Result<Vec<Suggestion>> {
        names::document(namespace, key)?;
        let store = self.store()?;
        let mut found = self.near(&store, namespace, key)?;
        if found.len() < SUGGESTIONS {
            found.extend(self.elsewhere(&store, namespace, key)?);
        }
        found.truncate(SUGGESTIONS);
        Ok(found)
    }

    fn near(self: &Arc<Self>, store: &Store, namespace: &str, key: &str) -> Result<Vec<Suggestion>> {
        let count = self.counts(namespace).keys;
        let pattern = Pattern::new(key);
        let mut ranked = BTreeSet::new();
        let mut rank = |name: &str| {
            if let Some(distance) = pattern.rank(name) {
                ranked.insert((distance, name.len().abs_diff(key.len()), name.to_owned()));
            }
        };
        if count <= SMALL {
            let base = names::all(namespace)?;
            for row in store.documents.prefix(&base).take(4 * SMALL as usize) {
                names::of_document(&row?.0).into_iter().for_each(|(_, name)| rank(name));
            }
        } else {
            for name in self.neighbours(store, namespace, key)? {
                rank(&name);
            }
            if let Some(known) = self.names(store, namespace, count)? {
                let (mut place, mut changed) = (known.place, 0);
                pattern.search(&known.fst, &mut rank);
                let base = names::all(namespace)?;
                self.follow(store, &mut place, CHANGES, |_, document| {
                    if let Some(name) =
                        document.strip_prefix(base.as_slice()).and_then(|it| std::str::from_utf8(it).ok())
                    {
                        rank(name);
                    }
                    changed += 1;
                    Ok(changed < CHANGES)
                })?;
            }
        }
        let mut found = Vec::new();
        for (_, _, name) in ranked {
            // It may be gone since.
            if name != key && self.find(store, &names::document(namespace, &name)?, None)?.is_some() {
                found.push(Suggestion { namespace: namespace.into(), key: name });
            }
            if found.len() == SUGGESTIONS {
                break;
            }
        }
        Ok(found)
    }

    /// The names before and behind, in the order of names.
    fn neighbours(&self, store: &Store, namespace: &str, key: &str) -> Result<Vec<String>> {
        let (base, document) = (names::all(namespace)?, names::document(namespace, key)?);
        let before = store.documents.range(base.clone()..document.clone()).rev().take(NEIGHBOURS);
        let end = names::behind(&base).map_or(Bound::Unbounded, Bound::Excluded);
        let behind = store.documents.range((Bound::Excluded(document), end)).take(NEIGHBOURS);
        let mut found = Vec::new();
        for row in before.chain(behind) {
            found.extend(names::of_document(&row?.0).map(|(_, key)| key.to_owned()));
        }
        Ok(found)
    }

    /// That key in other namespaces, those of similar names first.
    fn elsewhere(&self, store: &Store, namespace: &str, key: &str) -> Result<Vec<Suggestion>> {
        let pattern = Pattern::new(namespace);
        let spaces = self.spaces.read().unwrap_or_else(PoisonError::into_inner);
        let others = spaces.iter().filter(|(name, counts)| *name != namespace && counts.keys > 0).take(1000);
        let mut near: Vec<_> =
            others.filter_map(|(name, _)| pattern.distance(name).map(|distance| (distance, name.clone()))).collect();
        drop(spaces);
        near.sort();
        let mut found = Vec::new();
        for (_, namespace) in near.into_iter().take(8) {
            if self.find(store, &names::document(&namespace, key)?, None)?.is_some() {
                found.push(Suggestion { namespace, key: key.into() });
            }
        }
        Ok(found)
    }

    /// The automaton of a namespace; none while it is made.
    fn names(self: &Arc<Self>, store: &Store, namespace: &str, count: u64) -> Result<Option<Arc<Names>>> {
        let mut known = self.suggest.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = known.names.get(namespace).cloned();
        let stale = match &names {
            Some(names) => {
                let (mut place, mut changed) = (names.place, 0);
                let rest = names.made.elapsed() < REST;
                !rest
                    && self.follow(store, &mut place, CHANGES, |_, _| {
                        changed += 1;
                        Ok(changed < CHANGES)
                    })?
            }
            None => true,
        };
        if stale && count <= NAMES_MAX && known.building.insert(namespace.into()) {
            if known.names.len() >= AUTOMATA {
                known.names.clear();
            }
            let (database, namespace) = (Arc::downgrade(self), namespace.to_owned());
            std::thread::spawn(move || {
                if let Some(database) = database.upgrade() {
                    let built = database.build_names(&namespace);
                    let mut known = database.suggest.0.lock().unwrap_or_else(PoisonError::into_inner);
                    known.building.remove(&namespace);
                    if let Ok(built) = built {
                        known.names.insert(namespace, Arc::new(built));
                    }
                }
            });
        }
        Ok(names)
    }

    fn build_names(&self, namespace: &str) -> Result<Names> {
        let store = self.store()?;
        let place = self.published();
        let base = names::all(namespace)?;
        let mut builder = fst::raw::Builder::memory();
        for row in store.documents.prefix(&base) {
            // They come in their order, as it wants them.
            let _ = builder.add(&row?.0[base.len()..]);
        }
        let bytes = builder.into_inner().unwrap_or_default();
        let fst = Fst::new(bytes).map_err(|error| super::MemoryError::input("names", error.to_string()))?;
        Ok(Names { fst, place, made: Instant::now() })
    }

    /// Whether an automaton of a namespace is ready.
    pub fn suggestions_ready(&self, namespace: &str) -> bool {
        self.suggest.0.lock().unwrap_or_else(PoisonError::into_inner).names.contains_key(namespace)
    }
}

/// A name that is looked for: small and capital letters are the same, and so are bytes for letters.
struct Pattern {
    name: Vec<u8>,
    /// For each byte the places where it stands; names beyond 63 bytes have none.
    places: Option<Box<[u64; 256]>>,
}

/// For each distance the places that can be reached: a row of a matrix in bits.
type Reached = [u64; DISTANCE + 1];

impl Pattern {
    fn new(name: &str) -> Pattern {
        let name: Vec<u8> = name.bytes().map(|byte| byte.to_ascii_lowercase()).collect();
        let places = (name.len() < 64).then(|| {
            let mut places = Box::new([0_u64; 256]);
            for (at, byte) in name.iter().enumerate() {
                places[*byte as usize] |= 1 << at;
                places[byte.to_ascii_uppercase() as usize] |= 1 << at;
            }
            places
        });
        Pattern { name, places }
    }

    fn start() -> Reached {
        std::array::from_fn(|distance| (1 << (distance + 1)) - 1)
    }

    fn step(places: &[u64; 256], reached: &Reached, byte: u8) -> Reached {
        let here = places[byte as usize];
        let mut next = [0; DISTANCE + 1];
        next[0] = (reached[0] & here) << 1;
        for distance in 1..=DISTANCE {
            let more = reached[distance - 1];
            // Same letter; one too many, another one, one too few.
            next[distance] = ((reached[distance] & here) << 1) | more | (more << 1) | (next[distance - 1] << 1);
        }
        next
    }

    /// How far a name is; none: too far.
    fn distance(&self, name: &str) -> Option<usize> {
        let places = self.places.as_ref()?;
        let reached = name.bytes().fold(Self::start(), |reached, byte| Self::step(places, &reached, byte));
        self.reaches(&reached)
    }

    fn reaches(&self, reached: &Reached) -> Option<usize> {
        reached.iter().position(|bits| bits >> self.name.len() & 1 == 1)
    }

    /// How well a name does: edits, or else that one begins with the other.
    fn rank(&self, name: &str) -> Option<usize> {
        self.distance(name).or_else(|| {
            let lower = name.to_ascii_lowercase().into_bytes();
            let shorter = lower.len().min(self.name.len());
            let common = lower.iter().zip(&self.name).take_while(|(a, b)| a == b).count();
            (shorter >= 3 && common == shorter).then_some(DISTANCE + 1)
        })
    }

    /// Goes through an automaton: first names one edit away, then two.
    fn search(&self, fst: &Fst<Vec<u8>>, found: &mut impl FnMut(&str)) {
        let Some(places) = &self.places else { return };
        for allowed in 1..=DISTANCE {
            let (mut visits, mut hits) = (0, 0);
            let mut waiting = vec![(fst.root().addr(), Self::start(), Vec::new())];
            while let Some((address, reached, name)) = waiting.pop() {
                visits += 1;
                if visits > VISITS || hits >= HITS {
                    break;
                }
                let node = fst.node(address);
                if node.is_final() && self.reaches(&reached).is_some_and(|distance| distance <= allowed) {
                    hits += 1;
                    std::str::from_utf8(&name).into_iter().for_each(&mut *found);
                }
                for transition in node.transitions() {
                    let next = Self::step(places, &reached, transition.inp);
                    if next[..=allowed].iter().any(|&bits| bits != 0) {
                        let mut longer = name.clone();
                        longer.push(transition.inp);
                        waiting.push((transition.addr, next, longer));
                    }
                }
            }
            if hits >= SUGGESTIONS {
                return;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The usual matrix, to compare with.
    fn edits(a: &str, b: &str) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.bytes().enumerate() {
            let mut corner = i;
            row[0] = i + 1;
            for (j, y) in b.bytes().enumerate() {
                let cost = if x == y { corner } else { 1 + corner.min(row[j]).min(row[j + 1]) };
                corner = std::mem::replace(&mut row[j + 1], cost);
            }
        }
        row[b.len()]
    }

    #[test]
    fn distances_are_those_of_the_matrix() {
        let mut state = 11_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..20_000 {
            let mut word = || -> String { (0..random(9)).map(|_| (b'a' + random(3) as u8) as char).collect() };
            let (a, b) = (word(), word());
            let wanted = Some(edits(&a, &b)).filter(|&distance| distance <= DISTANCE);
            assert_eq!(Pattern::new(&a).distance(&b), wanted, "{a} {b}");
        }
        assert_eq!(Pattern::new("Alice").distance("aLICE"), Some(0));
        assert_eq!(Pattern::new(&"x".repeat(64)).distance("x"), None);
        assert_eq!(Pattern::new("sensor").rank("sensor-temperature"), Some(DISTANCE + 1));
    }
}
