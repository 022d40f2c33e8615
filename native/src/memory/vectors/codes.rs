//! Vectors as bytes, all with one scale: a fourth of the memory to walk through, and whole-number products.

use super::kernels::{Kernels, prefetch};
use super::options::Metric;
use crate::heap::grow;

/// Of the components' sizes, the share that the scale has room for; the few beyond are cut.
const ROOM: f64 = 0.9995;

/// So many rows are compared in one go.
pub const BLOCK: usize = 64;

/// A cache line: rows begin on one, so that no load touches two.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([i8; 64]);

/// Codes by slot.
pub struct Codes {
    metric: Metric,
    kernels: Kernels,
    /// Lines a row.
    stride: usize,
    lines: Vec<Line>,
    /// A component of 1 has this code.
    scale: f32,
    /// By slot. For `l2` half the square of the length, for `dot` what the length lacks of the longest; of codes.
    side: Vec<f32>,
    /// For `dot`: the square of the longest row's length, when the scale was fitted.
    longest: f32,
}

/// A vector that rows are compared with.
pub struct Query {
    code: Vec<Line>,
    side: f32,
}

impl Codes {
    pub fn new(metric: Metric, dimensions: usize, scale: f32, longest: f32) -> Self {
        let stride = dimensions.div_ceil(64);
        let kernels = Kernels::best();
        Codes { metric, kernels, stride, lines: Vec::new(), scale, side: Vec::new(), longest }
    }

    pub fn scale(&self) -> f32 {
        self.scale
    }

    pub fn longest(&self) -> f32 {
        self.longest
    }

    /// The scale that fits these components.
    pub fn fit(mut sizes: Vec<f32>) -> f32 {
        if sizes.is_empty() {
            return 1.0;
        }
        let place = ((sizes.len() - 1) as f64 * ROOM) as usize;
        let (_, &mut size, rest) = sizes.select_nth_unstable_by(place, f32::total_cmp);
        // Of sparse vectors almost all components are 0.
        let size = if size > 0.0 { size } else { rest.iter().copied().fold(0.0, f32::max) };
        if size > 0.0 { 127.0 / size } else { 1.0 }
    }

    /// Makes room for so many slots in all.
    pub fn reserve(&mut self, slots: usize) {
        grow(&mut self.lines, slots * self.stride);
        self.side.reserve_exact(slots.saturating_sub(self.side.len()));
    }

    /// Codes a vector, multiplied.
    pub fn set(&mut self, slot: usize, vector: &[f32], factor: f32) {
        let end = (slot + 1) * self.stride;
        if self.lines.len() < end {
            self.lines.resize(end, Line([0; 64]));
            self.side.resize(slot + 1, 0.0);
        }
        encode(vector, self.scale * factor, &mut self.lines[slot * self.stride..end]);
        let length = self.kernels.dot_i8(self.row(slot), self.row(slot)) as f32;
        self.side[slot] = match self.metric {
            Metric::Cosine => 0.0,
            Metric::Dot => (self.longest - length).max(0.0).sqrt(),
            Metric::L2 => length / 2.0,
        };
    }

    /// All rows and what belongs to them, for a cache.
    pub fn parts(&self) -> (&[i8], &[f32]) {
        (flat(&self.lines), &self.side)
    }

    /// Rows from a cache.
    pub fn read_parts<E>(
        &mut self,
        slots: usize,
        read: impl FnOnce(&mut [i8], &mut [f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.lines.resize(slots * self.stride, Line([0; 64]));
        self.side.resize(slots, 0.0);
        read(flat_mut(&mut self.lines), &mut self.side)
    }

    /// About the vector that was coded.
    pub fn decoded(&self, slot: usize, dimensions: usize) -> Vec<f32> {
        self.row(slot)[..dimensions].iter().map(|&code| f32::from(code) / self.scale).collect()
    }

    #[inline]
    pub fn row(&self, slot: usize) -> &[i8] {
        flat(&self.lines[slot * self.stride..(slot + 1) * self.stride])
    }

    pub fn query(&self, vector: &[f32]) -> Query {
        let mut code = vec![Line([0; 64]); self.stride];
        encode(vector, self.scale, &mut code);
        let length = self.kernels.dot_i8(flat(&code), flat(&code)) as f32;
        let side = if self.metric == Metric::L2 { length / 2.0 } else { 0.0 };
        Query { code, side }
    }

    /// A row as a query: how the graph sees its neighbours.
    pub fn query_of(&self, slot: usize) -> Query {
        let code = self.lines[slot * self.stride..(slot + 1) * self.stride].to_vec();
        Query { code, side: self.side[slot] }
    }

    /// How near, in the codes' own measure: more is nearer.
    #[inline]
    pub fn near(&self, query: &Query, slot: u32) -> f32 {
        let slot = slot as usize;
        self.nearness(query, self.kernels.dot_i8(flat(&query.code), self.row(slot)), slot)
    }

    /// The same for slots one after the other, a block at most.
    pub fn near_rows(&self, query: &Query, first: usize, near: &mut [f32]) {
        let (mut dots, count) = ([0; BLOCK], near.len());
        let (dots, rows) = (&mut dots[..count], &self.lines[first * self.stride..(first + count) * self.stride]);
        self.kernels.dots_i8(flat(&query.code), flat(rows), dots);
        for (place, (near, &dot)) in near.iter_mut().zip(&*dots).enumerate() {
            *near = self.nearness(query, dot, first + place);
        }
    }

    #[inline]
    fn nearness(&self, query: &Query, dot: i32, slot: usize) -> f32 {
        let dot = dot as f32;
        match self.metric {
            Metric::Cosine => dot,
            // Two rows are points on one sphere, with one dimension more; a query has nothing there.
            Metric::Dot => dot + query.side * self.side[slot],
            Metric::L2 => dot - query.side - self.side[slot],
        }
    }

    #[inline]
    pub fn between(&self, a: u32, b: u32) -> f32 {
        let (a, b) = (a as usize, b as usize);
        let dot = self.kernels.dot_i8(self.row(a), self.row(b)) as f32;
        match self.metric {
            Metric::Cosine => dot,
            Metric::Dot => dot + self.side[a] * self.side[b],
            Metric::L2 => dot - self.side[a] - self.side[b],
        }
    }

    #[inline]
    pub fn prefetch(&self, slot: u32) {
        prefetch(self.row(slot as usize));
    }

    /// The score that a nearness stands for, as well as codes know it.
    pub fn score(&self, near: f32) -> f32 {
        let product = near / (self.scale * self.scale);
        match self.metric {
            Metric::Cosine => product.clamp(-1.0, 1.0),
            Metric::Dot => product,
            Metric::L2 => (-2.0 * product).max(0.0).sqrt(),
        }
    }

    pub fn bytes(&self) -> usize {
        self.lines.capacity() * 64 + self.side.capacity() * 4
    }
}

fn encode(vector: &[f32], scale: f32, row: &mut [Line]) {
    let row = flat_mut(row);
    for (code, component) in row.iter_mut().zip(vector) {
        // -128 is left out: a code and its opposite are as long.
        *code = (component * scale).round_ties_even().clamp(-127.0, 127.0) as i8;
    }
    row[vector.len()..].fill(0);
}

#[inline]
fn flat(lines: &[Line]) -> &[i8] {
    // SAFETY: a line is 64 bytes and nothing else.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * 64) }
}

fn flat_mut(lines: &mut [Line]) -> &mut [i8] {
    // SAFETY: a line is 64 bytes and nothing else.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * 64) }
}
