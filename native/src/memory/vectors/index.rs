//! The index itself, for one thread: vectors by id, searched one by one or through the graph.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use super::beam::{Beam, MOST_SLOTS};
use super::codes::{BLOCK, Codes};
use super::graph::{Graph, Plan, Visited};
use super::kernels::Kernels;
use super::options::{Metric, Options};
use super::rows::{Rows, Storage};
use super::{Filter, Found, Hit, Search, Stats, VectorError, Way};

/// From so many vectors on their scale is known well enough.
pub(super) const FIT_FROM: usize = 256;
/// A sample of so many rows tells the scale.
const FIT_ROWS: usize = 2_048;
/// A scale that is off by less stays.
const FIT_TOLERANCE: f32 = 0.1;
/// No slot has this id.
pub(super) const NO_ID: u32 = u32::MAX;
/// Beyond it, squares and sums would leave the range of `f32`.
const LONGEST: f64 = 1e15;
const LONGEST_F16: f64 = 65_504.0;
/// Comparing one of the graph's takes as long as comparing so many in a row.
const LEAP: usize = 50;
/// Rows that lie apart are asked for so many before their turn.
const AHEAD: usize = 4;
/// Memory for more slots is taken when less than one of so many is removed.
const FREE_AT: usize = 16;

pub struct Index {
    pub(super) options: Options,
    /// The number of the last change, in the numbering of who keeps the vectors.
    pub(super) seq: u64,
    ids: HashMap<u32, u32, BuildHasher>,
    /// By slot.
    pub(super) slot_ids: Vec<u32>,
    free: Vec<u32>,
    /// So many slots have room.
    reserved: usize,
    pub(super) rows: Rows,
    /// None before there are enough vectors to fit a scale.
    pub(super) codes: Option<Codes>,
    /// The count of vectors at which the scale is looked at again.
    pub(super) refit_at: usize,
    pub(super) graph: Graph,
    /// Slots in use that the graph has not got.
    pending: BTreeSet<u32>,
    visited: Mutex<Vec<Visited>>,
    kernels: Kernels,
}

/// Ids are numbers that somebody counts up: multiplying spreads them well enough.
type BuildHasher = std::hash::BuildHasherDefault<IdHasher>;

#[derive(Default)]
pub struct IdHasher(u64);

impl std::hash::Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64(bytes);
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

/// What is left of a set after filtering.
enum Candidates {
    All,
    Slots(Vec<u32>),
}

impl Index {
    pub fn new(options: Options) -> Self {
        Index {
            seq: 0,
            ids: HashMap::default(),
            slot_ids: Vec::new(),
            free: Vec::new(),
            reserved: 0,
            rows: Rows::new(options.storage),
            codes: None,
            refit_at: FIT_FROM,
            graph: Graph::default(),
            pending: BTreeSet::new(),
            visited: Mutex::default(),
            kernels: Kernels::best(),
            options,
        }
    }

    /// An index from a cache's parts.
    pub(super) fn restored(mut self) -> Self {
        for (slot, &id) in self.slot_ids.iter().enumerate() {
            let slot = slot as u32;
            if id == NO_ID {
                match self.graph.is_linked(slot) {
                    true => self.graph.remove(slot),
                    false => self.free.push(slot),
                }
            } else {
                self.ids.insert(id, slot);
                if !self.graph.is_linked(slot) {
                    self.pending.insert(slot);
                }
            }
        }
        self
    }

    /// What a vector is multiplied with to be kept, or what is wrong with it.
    pub fn check(&self, vector: &[f32]) -> Result<f32, VectorError> {
        let Options { dimensions, metric, storage, .. } = self.options;
        if vector.len() != dimensions {
            return Err(VectorError::Dimensions { given: vector.len(), wanted: dimensions });
        }
        if let Some(place) = vector.iter().position(|component| !component.is_finite()) {
            return Err(VectorError::NotFinite { place, value: vector[place] });
        }
        let length = vector.iter().map(|&component| f64::from(component).powi(2)).sum::<f64>().sqrt();
        if length == 0.0 && metric != Metric::L2 {
            return Err(VectorError::Zero { metric });
        }
        let longest = if storage == Storage::F16 && metric != Metric::Cosine { LONGEST_F16 } else { LONGEST };
        if length > longest || (length < 1.0 / LONGEST && metric == Metric::Cosine) {
            return Err(VectorError::Length { length, longest });
        }
        Ok(if metric == Metric::Cosine { (1.0 / length) as f32 } else { 1.0 })
    }

    /// Whether so many more fit. Slots that leave the graph have room for others, in the end.
    pub fn room(&self, more: usize) -> Result<(), VectorError> {
        if !self.fits(self.slot_ids.len().max(self.ids.len() + more)) {
            return Err(VectorError::Full { vectors: self.ids.len(), more, max_bytes: self.options.max_bytes });
        }
        Ok(())
    }

    fn fits(&self, slots: usize) -> bool {
        let row = self.options.dimensions * if self.rows.is_none() { 0 } else { 4 } / if self.halves() { 2 } else { 1 };
        let code = self.options.dimensions.next_multiple_of(64) + 4;
        let bytes = slots as u64 * (row + code + Graph::BYTES + 24) as u64;
        bytes <= self.options.max_bytes && slots < MOST_SLOTS
    }

    /// Whether removed slots should leave the graph before so many slots are taken: memory for more is not to be had,
    /// or would not be taken without them.
    pub fn needs_free(&self, more: usize) -> bool {
        let slots = self.slots_with(more);
        let removed = self.graph.removed();
        let many = removed * FREE_AT >= self.ids.len();
        removed > 0 && slots > self.slot_ids.len() && (!self.fits(slots) || (many && slots > self.reserved))
    }

    fn slots_with(&self, more: usize) -> usize {
        self.slot_ids.len() + more.saturating_sub(self.free.len())
    }

    /// Makes room for so many more, without the spare half that growing by itself would take.
    pub fn reserve(&mut self, more: usize) {
        let slots = self.slots_with(more);
        if slots > self.reserved {
            self.reserved = slots.max(self.reserved + self.reserved / 4);
            self.rows.reserve(self.reserved * self.options.dimensions);
            self.graph.reserve(self.reserved);
            if let Some(codes) = &mut self.codes {
                codes.reserve(self.reserved);
            }
        }
    }

    fn halves(&self) -> bool {
        matches!(self.rows, Rows::F16(_))
    }

    pub fn contains(&self, id: u32) -> bool {
        self.ids.contains_key(&id)
    }

    /// A vector as it is kept: of length 1 for `cosine`.
    pub fn get(&self, id: u32) -> Option<Vec<f32>> {
        let slot = *self.ids.get(&id)? as usize;
        let mut space = Vec::new();
        let row = self.rows.get(slot, self.options.dimensions, &mut space);
        row.map(<[f32]>::to_vec).or_else(|| Some(self.codes.as_ref()?.decoded(slot, self.options.dimensions)))
    }

    /// Takes a checked vector, multiplied; what the id had is forgotten.
    pub fn set(&mut self, id: u32, vector: &[f32], factor: f32) {
        self.forget(id);
        let slot = self.free.pop().unwrap_or(self.slot_ids.len() as u32);
        if slot as usize == self.slot_ids.len() {
            self.slot_ids.push(NO_ID);
            self.graph.grow(self.slot_ids.len());
        }
        self.slot_ids[slot as usize] = id;
        self.ids.insert(id, slot);
        self.pending.insert(slot);
        self.rows.set(slot as usize, vector, factor);
        if let Some(codes) = &mut self.codes {
            codes.set(slot as usize, vector, factor);
        }
        if self.ids.len() >= self.refit_at {
            self.fit();
        }
    }

    /// Forgets a vector. A slot that the graph has got is free when it has left there.
    pub fn forget(&mut self, id: u32) -> bool {
        let Some(slot) = self.ids.remove(&id) else { return false };
        self.slot_ids[slot as usize] = NO_ID;
        if self.graph.is_linked(slot) {
            self.graph.remove(slot);
        } else {
            self.pending.remove(&slot);
            self.free.push(slot);
        }
        true
    }

    /// Finds the scale, and codes all vectors again if it changed.
    fn fit(&mut self) {
        self.refit_at = self.ids.len() * 2;
        let Options { dimensions, metric, storage, .. } = self.options;
        let live = || (0..self.slot_ids.len()).filter(|&slot| self.slot_ids[slot] != NO_ID);
        let mut space = Vec::new();
        let mut sizes = Vec::new();
        for slot in live().step_by(self.ids.len().div_ceil(FIT_ROWS)) {
            let row = self.rows.get(slot, dimensions, &mut space);
            sizes.extend(row.unwrap_or_default().iter().map(|component| component.abs()));
        }
        let scale = Codes::fit(sizes);
        let mut longest = 0_f32;
        if metric == Metric::Dot {
            for slot in live() {
                let row = self.rows.get(slot, dimensions, &mut space).unwrap_or_default();
                longest = longest.max(self.kernels.dot(row, row) * scale * scale);
            }
        }
        let stays = |new: f32, old: f32| (new - old).abs() <= FIT_TOLERANCE * old;
        if self.codes.as_ref().is_some_and(|codes| stays(scale, codes.scale()) && stays(longest, codes.longest())) {
            return;
        }
        let mut codes = Codes::new(metric, dimensions, scale, longest);
        codes.reserve(self.reserved);
        for slot in 0..self.slot_ids.len() {
            codes.set(slot, self.rows.get(slot, dimensions, &mut space).unwrap_or_default(), 1.0);
        }
        self.codes = Some(codes);
        if storage == Storage::I8 {
            self.rows = Rows::None;
            self.refit_at = usize::MAX;
        }
    }

    /// A slot that the graph should get next.
    pub fn to_link(&self) -> Option<u32> {
        // Once there is a graph it is kept, though its set shrinks.
        let wanted = self.ids.len() > self.options.exact_up_to || !self.graph.is_empty();
        self.pending.first().copied().filter(|_| wanted && self.codes.is_some())
    }

    pub fn plan_link(&self, slot: u32) -> Plan {
        let Some(codes) = &self.codes else { return Plan::default() };
        self.with_visited(|visited| self.graph.plan_link(codes, slot, visited))
    }

    /// Whether there is something to do for the graph.
    pub fn has_work(&self) -> bool {
        self.to_link().is_some() || self.graph.to_mend()
    }

    /// What to mend next so that removed slots can leave; with none, it is `turn`.
    pub fn plan_mend(&self) -> Option<Plan> {
        let codes = self.codes.as_ref()?;
        self.with_visited(|visited| self.graph.plan_mend(codes, visited))
    }

    /// Removed slots become free, and the next ones, or `all`, begin to leave; tells whether there were any.
    pub fn turn(&mut self, all: bool) -> bool {
        let freed = self.graph.turn(all);
        self.free.extend(&freed);
        !freed.is_empty() || self.graph.to_mend()
    }

    pub fn apply(&mut self, plan: &Plan) {
        self.graph.apply(plan);
        if let Some(slot) = plan.linked() {
            self.pending.remove(&slot);
        }
    }

    fn with_visited<T>(&self, walk: impl FnOnce(&mut Visited) -> T) -> T {
        let kept = || self.visited.lock().unwrap_or_else(PoisonError::into_inner);
        let mut visited = kept().pop().unwrap_or_default();
        let out = walk(&mut visited);
        kept().push(visited);
        out
    }

    /// The nearest `k`, as many as there are.
    pub fn search(&self, vector: &[f32], search: &Search) -> Result<Found, VectorError> {
        let factor = self.check(vector)?;
        let vector: Vec<f32> = vector.iter().map(|component| component * factor).collect();
        let candidates = self.candidates(&search.filter);
        let count = match &candidates {
            Candidates::All => self.ids.len(),
            Candidates::Slots(slots) => slots.len(),
        };
        let k = search.k.min(count);
        let mut way = Way::Exact;
        let slots = match &self.codes {
            None => self.scan_rows(&vector, &candidates, k),
            Some(codes) => {
                // Codes are near enough to tell the nearest but for the order at the end.
                let keep = if self.rows.is_none() { k } else { 2 * k + 10 };
                let width = self.options.width.max(keep);
                let through =
                    self.graph_pays(count, width).then(|| self.walk(codes, &vector, &candidates, width, keep));
                match through.filter(|beam| beam.len() >= k) {
                    Some(beam) => {
                        way = Way::Graph;
                        self.ranked(&vector, codes, &beam)
                    }
                    None => self.ranked(&vector, codes, &self.scan_codes(codes, &vector, &candidates, keep)),
                }
            }
        };
        let good = |score: f32| match (search.threshold, self.options.metric) {
            (None, _) => true,
            (Some(threshold), Metric::L2) => score <= threshold,
            (Some(threshold), _) => score >= threshold,
        };
        let hits = slots.into_iter().take(k).filter(|&(score, _)| good(score));
        let hits = hits.map(|(score, slot)| Hit { id: self.slot_ids[slot as usize], score }).collect();
        Ok(Found { hits, way })
    }

    fn candidates(&self, filter: &Filter) -> Candidates {
        let live = || self.slot_ids.iter().enumerate().filter(|&(_, &id)| id != NO_ID);
        match filter {
            Filter::All => Candidates::All,
            Filter::Ids(ids) => {
                // Who counts ids up and removes none has them in the slots of their numbers.
                let at_home = |id: &u32| *id != NO_ID && self.slot_ids.get(*id as usize) == Some(id);
                let slot = |id: &u32| if at_home(id) { Some(*id) } else { self.ids.get(id).copied() };
                let mut slots: Vec<u32> = ids.iter().filter_map(slot).collect();
                slots.sort_unstable();
                slots.dedup();
                Candidates::Slots(slots)
            }
            Filter::Test(test) => {
                Candidates::Slots(live().filter(|&(_, &id)| test(id)).map(|(slot, _)| slot as u32).collect())
            }
        }
    }

    /// Whether a walk costs less than comparing all candidates: filters and many results make walks longer.
    fn graph_pays(&self, count: usize, width: usize) -> bool {
        let all = self.ids.len();
        let linked = all - self.pending.len();
        let usual = count == all && width == self.options.width;
        let pays = || (count as u128).pow(2) > (LEAP * width * all) as u128;
        count > self.options.exact_up_to && linked > all / 2 && (usual || pays())
    }

    fn scan_rows(&self, vector: &[f32], candidates: &Candidates, k: usize) -> Vec<(f32, u32)> {
        let mut beam = Beam::new(k);
        let mut space = Vec::new();
        self.each(candidates, |slot| {
            if let Some(row) = self.rows.get(slot as usize, self.options.dimensions, &mut space) {
                beam.push(-self.far(self.score(vector, row)), slot);
            }
        });
        beam.iter().map(|(near, slot)| (self.far(-near), slot)).collect()
    }

    fn scan_codes(&self, codes: &Codes, vector: &[f32], candidates: &Candidates, keep: usize) -> Beam {
        let mut beam = Beam::new(keep);
        let query = codes.query(vector);
        match candidates {
            Candidates::All => {
                let mut space = [0.0; BLOCK];
                for (block, ids) in self.slot_ids.chunks(BLOCK).enumerate() {
                    let (first, near) = (block * BLOCK, &mut space[..ids.len()]);
                    codes.near_rows(&query, first, near);
                    for (place, _) in ids.iter().enumerate().filter(|&(_, &id)| id != NO_ID) {
                        beam.push(near[place], (first + place) as u32);
                    }
                }
            }
            Candidates::Slots(slots) => {
                for (place, &slot) in slots.iter().enumerate() {
                    slots.get(place + AHEAD).iter().for_each(|&&next| codes.prefetch(next));
                    beam.push(codes.near(&query, slot), slot);
                }
            }
        }
        beam
    }

    /// Through the graph, and one by one what it has not got yet.
    fn walk(&self, codes: &Codes, vector: &[f32], candidates: &Candidates, width: usize, keep: usize) -> Beam {
        let query = codes.query(vector);
        let live = |slot: u32| self.slot_ids[slot as usize] != NO_ID && self.graph.is_linked(slot);
        let mut kept = Beam::new(keep);
        match candidates {
            Candidates::All => {
                let beam = self.with_visited(|visited| self.graph.search(codes, &query, width, visited));
                beam.iter().filter(|&(_, slot)| live(slot)).for_each(|(near, slot)| kept.push(near, slot));
                self.pending.iter().for_each(|&slot| kept.push(codes.near(&query, slot), slot));
            }
            Candidates::Slots(slots) => {
                let mut allowed = vec![false; self.slot_ids.len()];
                slots.iter().for_each(|&slot| allowed[slot as usize] = true);
                // So wide that enough of those that it meets are allowed.
                let width = width * self.ids.len().div_ceil(slots.len());
                let beam = self.with_visited(|visited| self.graph.search(codes, &query, width, visited));
                let near = beam.iter().filter(|&(_, slot)| allowed[slot as usize] && live(slot));
                near.for_each(|(near, slot)| kept.push(near, slot));
                let pending = self.pending.iter().filter(|&&slot| allowed[slot as usize]);
                pending.for_each(|&slot| kept.push(codes.near(&query, slot), slot));
            }
        }
        kept
    }

    #[inline]
    fn each(&self, candidates: &Candidates, mut visit: impl FnMut(u32)) {
        match candidates {
            Candidates::All => {
                for (slot, _) in self.slot_ids.iter().enumerate().filter(|&(_, &id)| id != NO_ID) {
                    visit(slot as u32);
                }
            }
            Candidates::Slots(slots) => slots.iter().for_each(|&slot| visit(slot)),
        }
    }

    /// With exact scores, as far as vectors are kept, best first.
    fn ranked(&self, vector: &[f32], codes: &Codes, beam: &Beam) -> Vec<(f32, u32)> {
        let mut space = Vec::new();
        let mut scored: Vec<_> = beam
            .iter()
            .map(|(near, slot)| {
                let row = self.rows.get(slot as usize, self.options.dimensions, &mut space);
                (row.map_or_else(|| codes.score(near), |row| self.score(vector, row)), slot)
            })
            .collect();
        scored.sort_by(|a, b| self.far(a.0).total_cmp(&self.far(b.0)));
        scored
    }

    fn score(&self, a: &[f32], b: &[f32]) -> f32 {
        match self.options.metric {
            Metric::Cosine => self.kernels.dot(a, b).clamp(-1.0, 1.0),
            Metric::Dot => self.kernels.dot(a, b),
            Metric::L2 => self.kernels.l2(a, b).sqrt(),
        }
    }

    /// Scores so that less is nearer, and back.
    fn far(&self, score: f32) -> f32 {
        if self.options.metric == Metric::L2 { score } else { -score }
    }

    pub fn stats(&self) -> Stats {
        let codes = self.codes.as_ref().map_or(0, Codes::bytes);
        let tables = self.ids.capacity() * 9 + self.slot_ids.capacity() * 4 + self.free.capacity() * 4;
        let bytes = self.rows.bytes() + codes + self.graph.bytes() + tables + self.pending.len() * 8;
        Stats {
            vectors: self.ids.len(),
            bytes: bytes as u64,
            linked: self.ids.len() - self.pending.len(),
            to_link: if self.to_link().is_some() { self.pending.len() } else { 0 },
            way: if self.graph_pays(self.ids.len(), self.options.width) { Way::Graph } else { Way::Exact },
            seq: self.seq,
        }
    }
}
