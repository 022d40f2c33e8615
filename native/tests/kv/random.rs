//! Random commits beside a plain map: what is read, from both ends and as of an earlier moment, is what the map has,
//! wherever it stands: in memory, on its way to the disk, on the disk, or in the log of a store that was not closed.

use std::collections::BTreeMap;
use std::ops::Bound;

use millrace::kv::{Bytes, Kv, KvError, Options, Rows, Snapshot, Space, Sync};

use crate::Folder;

/// xorshift: the same everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn key(&mut self) -> Vec<u8> {
        let number = self.below(300);
        // Some are longer than what a key has without memory of its own.
        if number.is_multiple_of(3) {
            format!("a-rather-long-key-{number:04}").into()
        } else {
            format!("k{number:03}").into()
        }
    }
}

type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn pairs(rows: impl Iterator<Item = Result<(Bytes, Bytes), KvError>>) -> Vec<(Vec<u8>, Vec<u8>)> {
    rows.map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap()).collect()
}

fn check(chance: &mut Chance, model: &Model, rows: &dyn Fn(Range) -> Rows) {
    let end = |chance: &mut Chance| match chance.below(3) {
        0 => Bound::Unbounded,
        1 => Bound::Included(chance.key()),
        _ => Bound::Excluded(chance.key()),
    };
    let range = (end(chance), end(chance));
    let inside = |key: &[u8]| {
        (match &range.0 {
            Bound::Unbounded => true,
            Bound::Included(from) => key >= &from[..],
            Bound::Excluded(from) => key > &from[..],
        }) && (match &range.1 {
            Bound::Unbounded => true,
            Bound::Included(to) => key <= &to[..],
            Bound::Excluded(to) => key < &to[..],
        })
    };
    let wanted: Vec<_> =
        model.iter().filter(|(key, _)| inside(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
    assert_eq!(pairs(rows(range.clone())), wanted, "{range:?}");
    let mut backward = pairs(rows(range.clone()).rev());
    backward.reverse();
    assert_eq!(backward, wanted, "{range:?} backward");
    // From both ends by turns, until they meet.
    let (mut front, mut back, mut both) = (Vec::new(), Vec::new(), rows(range.clone()));
    loop {
        let forward = chance.one_in(2);
        let Some(row) = (if forward { both.next() } else { both.next_back() }) else { break };
        let (key, value) = row.unwrap();
        if forward { &mut front } else { &mut back }.push((key.to_vec(), value.to_vec()));
    }
    front.extend(back.into_iter().rev());
    assert_eq!(front, wanted, "{range:?} from both ends");
}

#[test]
fn it_is_a_map_in_every_state() {
    let seeds = if std::env::var("MILLRACE_LONG").is_ok() { 200 } else { 3 };
    for seed in 1..=seeds {
        println!("seed {seed}");
        let folder = Folder::new(&format!("random-{seed}"));
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15 ^ seed);
        let sync = if chance.one_in(2) { Sync::Each } else { Options::default().sync };
        let options = Options { sync, write_buffer_bytes: 2_000 + 20_000 * chance.below(3), ..Options::default() };
        let mut kv = Kv::open(&folder.0, &options).unwrap();
        let names = ["a", "b", "c"];
        let mut models: [Model; 3] = Default::default();
        let open = |kv: &Kv| names.map(|name| kv.space(name).unwrap()).to_vec();
        let mut spaces: Vec<Space> = open(&kv);
        let mut before: Vec<(Snapshot, [Model; 3])> = Vec::new();
        for _ in 0..400 {
            let mut batch = kv.batch();
            for _ in 0..=chance.below(12) {
                let (place, key) = (chance.below(3) as usize, chance.key());
                let has = models[place].contains_key(&key);
                if chance.one_in(3) {
                    batch.remove(&spaces[place], key.as_slice());
                    models[place].remove(&key);
                } else {
                    let value = vec![b'v'; chance.below(200) as usize];
                    if has || chance.one_in(2) {
                        batch.put(&spaces[place], key.as_slice(), value.as_slice());
                    } else {
                        batch.put_new(&spaces[place], key.as_slice(), value.as_slice());
                    }
                    models[place].insert(key, value);
                }
            }
            batch.commit().unwrap();
            let place = chance.below(3) as usize;
            let key = chance.key();
            let value = spaces[place].get(&key).unwrap().map(|it| it.to_vec());
            assert_eq!(value.as_ref(), models[place].get(&key));
            match chance.below(40) {
                0..=5 => check(&mut chance, &models[place], &|range| spaces[place].range(range)),
                6 => before.push((kv.snapshot(), models.clone())),
                7 => spaces[place].compact().unwrap(),
                8 => {
                    // Whoever holds a part of it keeps it from the next one.
                    before.clear();
                    spaces.clear();
                    if chance.one_in(2) {
                        kv.close().unwrap()
                    } else {
                        drop(kv)
                    }
                    kv = Kv::open(&folder.0, &options).unwrap();
                    spaces = open(&kv);
                }
                9 => {
                    let prefix = if chance.one_in(2) { "a-r" } else { "k1" };
                    let wanted = models[place].iter().filter(|(key, _)| key.starts_with(prefix.as_bytes())).count();
                    assert_eq!(spaces[place].prefix(prefix.as_bytes()).count(), wanted);
                }
                10 if !before.is_empty() => {
                    let which = chance.below(before.len() as u64) as usize;
                    let (snapshot, models) = &before[which];
                    check(&mut chance, &models[place], &|range| snapshot.range(&spaces[place], range));
                    let key = chance.key();
                    let value = snapshot.get(&spaces[place], &key).unwrap().map(|it| it.to_vec());
                    assert_eq!(value.as_ref(), models[place].get(&key));
                    if chance.one_in(2) {
                        before.swap_remove(which);
                    }
                }
                _ => {}
            }
        }
    }
}
