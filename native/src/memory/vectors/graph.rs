//! A hierarchical graph of near neighbours (HNSW) over slots, which it compares by their codes.
//!
//! A change is planned on what stands, and then applied: planning is the long part and only reads, so
//! that searches go on meanwhile. Between the two nothing else may change the graph.
//!
//! A slot that is removed is still walked through. Once there are many they leave together: every row that links
//! to one of them is mended, and only then, when no link leads there, may the slots have other vectors.

use super::beam::Beam;
use super::codes::{Codes, Query};
use crate::heap::grow;

/// Neighbours a slot, on all levels but the lowest, which has twice as many.
const NEIGHBOURS: usize = 16;
const NEIGHBOURS_BELOW: usize = 2 * NEIGHBOURS;
/// So many candidates are looked at when a slot is linked.
const BUILD_WIDTH: usize = 128;
const MOST_LEVELS: u8 = 16;
/// Removed slots leave when there is one for so many others.
const MEND_AT: usize = 8;

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
    mend: Option<u32>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// No link leads there.
    Out,
    Linked,
    /// Links lead there, and none is added.
    Removed,
}

#[derive(Default)]
pub struct Graph {
    /// By slot: its highest level.
    levels: Vec<u8>,
    states: Vec<State>,
    /// By slot, `NEIGHBOURS_BELOW + 1` numbers: a count and slots.
    lowest: Vec<u32>,
    /// By slot: the levels above, `NEIGHBOURS + 1` numbers each.
    upper: Vec<Box<[u32]>>,
    entry: Option<u32>,
    /// So many are linked.
    live: usize,
    removed: Vec<u32>,
    /// Removed ones that the rows from `next` on may still link to, sorted; the rows before do not.
    leaving: Vec<u32>,
    next: u32,
}

impl Graph {
    /// A slot takes about so many.
    pub const BYTES: usize = (NEIGHBOURS_BELOW + 1) * 4 + 32;

    /// Makes room for a slot. Its level is drawn by its number: the same vectors give the same graph.
    pub fn grow(&mut self, slots: usize) {
        for slot in self.levels.len()..slots {
            let level = draw_level(slot as u64);
            self.levels.push(level);
            self.states.push(State::Out);
            self.upper.push(vec![0; level as usize * (NEIGHBOURS + 1)].into());
        }
        self.lowest.resize(slots * (NEIGHBOURS_BELOW + 1), 0);
    }

    /// Makes room for so many slots in all.
    pub fn reserve(&mut self, slots: usize) {
        let more = slots.saturating_sub(self.levels.len());
        self.levels.reserve_exact(more);
        self.states.reserve_exact(more);
        self.upper.reserve_exact(more);
        grow(&mut self.lowest, slots * (NEIGHBOURS_BELOW + 1));
    }

    pub fn is_empty(&self) -> bool {
        self.entry.is_none()
    }

    pub fn is_linked(&self, slot: u32) -> bool {
        self.states.get(slot as usize) == Some(&State::Linked)
    }

    /// Those that left the index and not yet the graph.
    pub fn removed(&self) -> usize {
        self.removed.len() + self.leaving.len()
    }

    /// Whether slots leave, or should.
    pub fn to_mend(&self) -> bool {
        !self.leaving.is_empty() || self.has_removed(MEND_AT)
    }

    /// Whether one or more for so many others are removed and have not begun to leave.
    pub fn has_removed(&self, others: usize) -> bool {
        !self.removed.is_empty() && self.removed.len() * others >= self.live
    }

    #[inline]
    fn list(&self, slot: u32, level: u8) -> &[u32] {
        let slot = slot as usize;
        let row = match level {
            0 => &self.lowest[slot * (NEIGHBOURS_BELOW + 1)..][..NEIGHBOURS_BELOW + 1],
            // A link from a file may lead to a slot that does not reach so high.
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

    /// The nearest of the graph, about, best first: so many, and as many removed ones as are likely among them.
    pub fn search(&self, codes: &Codes, query: &Query, width: usize, visited: &mut Visited) -> Beam {
        let Some(entry) = self.entry else { return Beam::default() };
        let mut from = vec![(codes.near(query, entry), entry)];
        for level in (1..=self.levels[entry as usize]).rev() {
            from = self.walk(codes, query, from, 1, level, visited).iter().collect();
        }
        let removed = (width * self.removed()).div_ceil(self.live.max(1));
        self.walk(codes, query, from, width + removed.min(width), 0, visited)
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
            let mut width = if level > own { 1 } else { BUILD_WIDTH };
            let mut beam = self.walk(codes, &query, from, width, level, visited);
            if level > own {
                from = beam.iter().collect();
                continue;
            }
            let live = |beam: &Beam| -> Vec<_> {
                beam.iter().filter(|&(_, other)| other != slot && self.is_linked(other)).collect()
            };
            let mut candidates = live(&beam);
            // Where all around were removed it takes a longer walk to get out.
            while candidates.len() < NEIGHBOURS && beam.len() == width {
                width *= 2;
                beam = self.walk(codes, &query, beam.iter().collect(), width, level, visited);
                candidates = live(&beam);
            }
            from = beam.iter().collect();
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

    /// Takes a linked slot out of what is found.
    pub fn remove(&mut self, slot: u32) {
        self.states[slot as usize] = State::Removed;
        self.live -= 1;
        self.removed.push(slot);
    }

    /// The next row that links to removed slots gets others for them; none when no row is left, and `turn` is next.
    pub fn plan_mend(&self, codes: &Codes, visited: &mut Visited) -> Option<Plan> {
        if self.leaving.is_empty() || self.live == 0 {
            return None;
        }
        let lost = |&&other: &&u32| !self.is_linked(other);
        let levels = |slot: u32| 0..=self.levels[slot as usize];
        let has_lost = |slot: u32, level| self.list(slot, level).iter().any(|other| lost(&other));
        let slots = self.next..self.states.len() as u32;
        let slot =
            slots.into_iter().find(|&slot| self.stays(slot) && levels(slot).any(|level| has_lost(slot, level)))?;
        let lost_most = |level| {
            let list = self.list(slot, level);
            list.iter().filter(lost).count() * 2 > list.len()
        };
        if self.is_linked(slot) && levels(slot).any(lost_most) {
            return Some(Plan { mend: Some(slot), ..self.plan_link(codes, slot, visited) });
        }
        let mut plan = Plan { mend: Some(slot), ..Plan::default() };
        for level in levels(slot).filter(|&level| has_lost(slot, level)) {
            visited.begin(self.levels.len());
            visited.is_new(slot);
            let list = self.list(slot, level);
            // Those it has, and those that the removed ones lead to.
            let beyond = list.iter().filter(lost).flat_map(|&other| self.list(other, level));
            let others = list.iter().chain(beyond).copied();
            let others = others.filter(|&other| self.is_linked(other) && visited.is_new(other)).collect();
            let neighbours = self.best(codes, slot, others, capacity(level));
            plan.lists.push(List { slot, level, neighbours });
        }
        Some(plan)
    }

    /// Whether a row has to be good after those that leave are gone.
    fn stays(&self, slot: u32) -> bool {
        match self.states[slot as usize] {
            State::Out => false,
            State::Linked => true,
            State::Removed => self.leaving.binary_search(&slot).is_err(),
        }
    }

    /// When all rows are mended: frees the slots that leave, which it returns. The next ones begin to leave if they are
    /// many, or `all` should.
    pub fn turn(&mut self, all: bool) -> Vec<u32> {
        let mut freed = std::mem::take(&mut self.leaving);
        if self.live == 0 {
            freed.append(&mut self.removed);
        }
        for &slot in &freed {
            self.states[slot as usize] = State::Out;
            for level in 0..=self.levels[slot as usize] {
                self.write(&List { slot, level, neighbours: Vec::new() });
            }
        }
        if self.entry.is_some_and(|entry| self.states[entry as usize] == State::Out) {
            self.entry = self.highest();
        }
        if all || self.has_removed(MEND_AT) {
            self.leaving = std::mem::take(&mut self.removed);
            self.leaving.sort_unstable();
            self.next = 0;
        }
        freed
    }

    pub fn apply(&mut self, plan: &Plan) {
        for list in &plan.lists {
            self.write(list);
        }
        if let Some(slot) = plan.link {
            self.live += usize::from(!self.is_linked(slot));
            self.states[slot as usize] = State::Linked;
            let level = |slot: u32| self.levels[slot as usize];
            if self.entry.is_none_or(|entry| level(slot) > level(entry)) {
                self.entry = Some(slot);
            }
        }
        if let Some(slot) = plan.mend {
            self.next = slot + 1;
        }
    }

    pub fn bytes(&self) -> usize {
        let above: usize = self.levels.iter().map(|&level| level as usize * (NEIGHBOURS + 1) * 4).sum();
        let removed = (self.removed.capacity() + self.leaving.capacity()) * 4;
        self.levels.capacity() * 2 + self.lowest.capacity() * 4 + self.upper.capacity() * 16 + above + removed
    }

    /// Which slots have a place in it, removed ones too, and the links: what a cache has to keep.
    pub fn parts(&self) -> (impl Iterator<Item = bool>, impl Iterator<Item = &[u32]>) {
        let linked = self.states.iter().map(|&state| state != State::Out);
        (linked, std::iter::once(&self.lowest[..]).chain(self.upper.iter().map(|lists| &lists[..])))
    }

    /// A graph from the parts of another, removed ones linked as if they were not; none where a link leads nowhere.
    pub fn from_parts<E>(
        linked: Vec<bool>,
        mut read: impl FnMut(&mut [u32]) -> Result<(), E>,
    ) -> Result<Option<Self>, E> {
        let mut graph = Graph::default();
        graph.grow(linked.len());
        graph.live = linked.iter().filter(|&&linked| linked).count();
        graph.states = linked.into_iter().map(|linked| if linked { State::Linked } else { State::Out }).collect();
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
        let linked = (0..self.levels.len()).filter(|&slot| self.states[slot] != State::Out);
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
