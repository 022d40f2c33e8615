//! A hierarchical graph of near neighbours (HNSW) over slots, which it compares by their codes.
//!
//! A change is planned on what stands, and then applied: planning is the long part and only reads, so
//! that searches go on meanwhile. Between the two nothing else may change the graph.

use super::beam::Beam;
use super::codes::{Codes, Query};

/// Neighbours a slot, on all levels but the lowest, which has twice as many.
const NEIGHBOURS: usize = 16;
const NEIGHBOURS_BELOW: usize = 2 * NEIGHBOURS;
/// So many candidates are looked at when a slot is linked.
const BUILD_WIDTH: usize = 128;
const MOST_LEVELS: u8 = 16;

const _: () = assert!(NEIGHBOURS_BELOW < u8::MAX as usize);

/// Which slots a walk has seen. Kept between walks: clearing costs more than marking.
#[derive(Default)]
pub struct Visited {
    marks: Vec<u8>,
    round: u8,
}

impl Visited {
    fn begin(&mut self, slots: usize) {
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.marks.fill(0);
            self.round = 1;
        }
        if self.marks.len() < slots {
            self.marks.resize(slots, 0);
        }
    }

    #[inline]
    fn is_new(&mut self, slot: u32) -> bool {
        let mark = &mut self.marks[slot as usize];
        std::mem::replace(mark, self.round) != self.round
    }
}

impl Plan {
    /// The slot that it links.
    pub fn linked(&self) -> Option<u32> {
        self.link
    }
}

/// A slot's neighbours on one level, to be written.
struct List {
    slot: u32,
    level: u8,
    neighbours: Vec<u32>,
}

/// A change that was thought through.
#[derive(Default)]
pub struct Plan {
    lists: Vec<List>,
    link: Option<u32>,
    unlink: Option<u32>,
}

#[derive(Default)]
pub struct Graph {
    /// By slot: its highest level. It stays with the slot for good, since stale links may lead there.
    levels: Vec<u8>,
    linked: Vec<bool>,
    /// By slot, `NEIGHBOURS_BELOW + 1` numbers: a count and slots.
    lowest: Vec<u32>,
    /// By slot: the levels above, `NEIGHBOURS + 1` numbers each.
    upper: Vec<Box<[u32]>>,
    entry: Option<u32>,
}

impl Graph {
    /// A slot takes about so many.
    pub const BYTES: usize = (NEIGHBOURS_BELOW + 1) * 4 + 32;

    /// Makes room for a slot. Its level is drawn by its number: the same vectors give the same graph.
    pub fn grow(&mut self, slots: usize) {
        for slot in self.levels.len()..slots {
            let level = draw_level(slot as u64);
            self.levels.push(level);
            self.linked.push(false);
            self.upper.push(vec![0; level as usize * (NEIGHBOURS + 1)].into());
        }
        self.lowest.resize(slots * (NEIGHBOURS_BELOW + 1), 0);
    }

    /// Makes room for so many slots in all.
    pub fn reserve(&mut self, slots: usize) {
        let more = slots.saturating_sub(self.levels.len());
        self.levels.reserve_exact(more);
        self.linked.reserve_exact(more);
        self.upper.reserve_exact(more);
        self.lowest.reserve_exact(more * (NEIGHBOURS_BELOW + 1));
    }

    pub fn is_empty(&self) -> bool {
        self.entry.is_none()
    }

    pub fn is_linked(&self, slot: u32) -> bool {
        self.linked.get(slot as usize).copied().unwrap_or(false)
    }

    #[inline]
    fn list(&self, slot: u32, level: u8) -> &[u32] {
        let slot = slot as usize;
        let row = match level {
            0 => &self.lowest[slot * (NEIGHBOURS_BELOW + 1)..][..NEIGHBOURS_BELOW + 1],
            // A stale link may lead to a slot that does not reach so high.
            _ if level > self.levels[slot] => return &[],
            _ => &self.upper[slot][(level as usize - 1) * (NEIGHBOURS + 1)..][..NEIGHBOURS + 1],
        };
        &row[1..=row[0] as usize]
    }

    fn write(&mut self, List { slot, level, neighbours }: &List) {
        let slot = *slot as usize;
        let row = match level {
            0 => &mut self.lowest[slot * (NEIGHBOURS_BELOW + 1)..][..NEIGHBOURS_BELOW + 1],
            _ => &mut self.upper[slot][(*level as usize - 1) * (NEIGHBOURS + 1)..][..NEIGHBOURS + 1],
        };
        row[0] = neighbours.len() as u32;
        row[1..=neighbours.len()].copy_from_slice(neighbours);
    }

    /// The nearest of the graph, about, best first. Some may have left it.
    pub fn search(&self, codes: &Codes, query: &Query, width: usize, visited: &mut Visited) -> Beam {
        let Some(entry) = self.entry else { return Beam::default() };
        let mut from = vec![(codes.near(query, entry), entry)];
        for level in (1..=self.levels[entry as usize]).rev() {
            from = self.walk(codes, query, from, 1, level, visited).iter().collect();
        }
        self.walk(codes, query, from, width, 0, visited)
    }

    fn walk(
        &self,
        codes: &Codes,
        query: &Query,
        from: Vec<(f32, u32)>,
        width: usize,
        level: u8,
        visited: &mut Visited,
    ) -> Beam {
        visited.begin(self.levels.len());
        let mut beam = Beam::new(width);
        for (near, slot) in from {
            visited.is_new(slot);
            beam.push(near, slot);
        }
        let mut fresh = [0; NEIGHBOURS_BELOW];
        while let Some(slot) = beam.expand() {
            let mut count = 0;
            for &neighbour in self.list(slot, level) {
                if visited.is_new(neighbour) {
                    codes.prefetch(neighbour);
                    fresh[count] = neighbour;
                    count += 1;
                }
            }
            for &neighbour in &fresh[..count] {
                beam.push(codes.near(query, neighbour), neighbour);
            }
        }
        beam
    }

    /// How a slot is linked.
    pub fn plan_link(&self, codes: &Codes, slot: u32, visited: &mut Visited) -> Plan {
        let mut plan = Plan { link: Some(slot), ..Plan::default() };
        let Some(entry) = self.entry else { return plan };
        let query = codes.query_of(slot as usize);
        let (own, top) = (self.levels[slot as usize], self.levels[entry as usize]);
        let mut from = vec![(codes.near(&query, entry), entry)];
        for level in (0..=top).rev() {
            let width = if level > own { 1 } else { BUILD_WIDTH };
            let beam = self.walk(codes, &query, from, width, level, visited);
            from = beam.iter().collect();
            if level > own {
                continue;
            }
            let candidates: Vec<_> =
                from.iter().copied().filter(|&(_, other)| other != slot && self.linked[other as usize]).collect();
            let neighbours = choose(codes, &candidates, NEIGHBOURS);
            for &neighbour in &neighbours {
                plan.lists.extend(self.plan_back(codes, neighbour, level, slot));
            }
            plan.lists.push(List { slot, level, neighbours });
        }
        plan
    }

    /// A neighbour's list with the new slot in it.
    fn plan_back(&self, codes: &Codes, slot: u32, level: u8, new: u32) -> Option<List> {
        let list = self.list(slot, level);
        if list.contains(&new) {
            return None;
        }
        let mut neighbours = list.to_vec();
        neighbours.push(new);
        if neighbours.len() > capacity(level) {
            neighbours = self.best(codes, slot, neighbours, capacity(level));
        }
        Some(List { slot, level, neighbours })
    }

    fn best(&self, codes: &Codes, slot: u32, others: Vec<u32>, most: usize) -> Vec<u32> {
        let mut candidates: Vec<_> = others.into_iter().map(|other| (codes.between(slot, other), other)).collect();
        candidates.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        choose(codes, &candidates, most)
    }

    /// How a slot leaves: its neighbours become each other's.
    pub fn plan_unlink(&self, codes: &Codes, slot: u32) -> Plan {
        let mut plan = Plan { unlink: Some(slot), ..Plan::default() };
        for level in 0..=self.levels[slot as usize] {
            let around = self.list(slot, level);
            for &neighbour in around {
                let list = self.list(neighbour, level);
                if !list.contains(&slot) {
                    continue;
                }
                let mut others: Vec<u32> = list.iter().copied().filter(|&other| other != slot).collect();
                let known = |other: u32, others: &[u32]| other == neighbour || others.contains(&other);
                for &other in around {
                    if self.linked[other as usize] && !known(other, &others) {
                        others.push(other);
                    }
                }
                let neighbours = self.best(codes, neighbour, others, capacity(level));
                plan.lists.push(List { slot: neighbour, level, neighbours });
            }
            plan.lists.push(List { slot, level, neighbours: Vec::new() });
        }
        plan
    }

    pub fn apply(&mut self, plan: &Plan) {
        for list in &plan.lists {
            self.write(list);
        }
        if let Some(slot) = plan.link {
            self.linked[slot as usize] = true;
            let level = |slot: u32| self.levels[slot as usize];
            if self.entry.is_none_or(|entry| level(slot) > level(entry)) {
                self.entry = Some(slot);
            }
        }
        if let Some(slot) = plan.unlink {
            self.linked[slot as usize] = false;
            if self.entry == Some(slot) {
                self.entry = self.highest();
            }
        }
    }

    pub fn bytes(&self) -> usize {
        let above: usize = self.levels.iter().map(|&level| level as usize * (NEIGHBOURS + 1) * 4).sum();
        self.levels.capacity() * 2 + self.lowest.capacity() * 4 + self.upper.capacity() * 16 + above
    }

    /// Which slots are linked, and the links: what a cache has to keep.
    pub fn parts(&self) -> (&[bool], impl Iterator<Item = &[u32]>) {
        (&self.linked, std::iter::once(&self.lowest[..]).chain(self.upper.iter().map(|lists| &lists[..])))
    }

    /// A graph from the parts of another; none where a link leads nowhere.
    pub fn from_parts<E>(
        linked: Vec<bool>,
        mut read: impl FnMut(&mut [u32]) -> Result<(), E>,
    ) -> Result<Option<Self>, E> {
        let mut graph = Graph::default();
        graph.grow(linked.len());
        graph.linked = linked;
        read(&mut graph.lowest)?;
        for lists in &mut graph.upper {
            read(lists)?;
        }
        graph.entry = graph.highest();
        let rows = graph.lowest.chunks(NEIGHBOURS_BELOW + 1);
        let above = graph.upper.iter().flat_map(|lists| lists.chunks(NEIGHBOURS + 1));
        let slots = graph.levels.len();
        let whole = rows.chain(above).all(|row| {
            let count = row[0] as usize;
            count < row.len() && row[1..=count].iter().all(|&slot| (slot as usize) < slots)
        });
        Ok(whole.then_some(graph))
    }

    fn highest(&self) -> Option<u32> {
        let linked = (0..self.levels.len()).filter(|&slot| self.linked[slot]);
        linked.max_by_key(|&slot| self.levels[slot]).map(|slot| slot as u32)
    }
}

fn capacity(level: u8) -> usize {
    if level == 0 { NEIGHBOURS_BELOW } else { NEIGHBOURS }
}

/// Of candidates, best first, those that are nearer to the slot than to any that was chosen before: links
/// in all directions instead of many into one crowd.
fn choose(codes: &Codes, candidates: &[(f32, u32)], most: usize) -> Vec<u32> {
    let mut chosen: Vec<u32> = Vec::with_capacity(most);
    for &(near, candidate) in candidates {
        if chosen.len() == most {
            break;
        }
        if chosen.iter().all(|&other| codes.between(candidate, other) < near) {
            chosen.push(candidate);
        }
    }
    chosen
}

/// One in `NEIGHBOURS` slots is a level higher.
fn draw_level(slot: u64) -> u8 {
    let mut bits = xxhash_rust::xxh3::xxh3_64(&slot.to_le_bytes());
    let mut level = 0;
    while bits.is_multiple_of(NEIGHBOURS as u64) && level < MOST_LEVELS {
        bits /= NEIGHBOURS as u64;
        level += 1;
    }
    level
}
