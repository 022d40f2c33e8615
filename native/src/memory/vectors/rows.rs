//! The vectors as they are kept for exact scores, a row a slot.

use half::f16;
use half::slice::HalfFloatSliceExt;
use serde::{Deserialize, Serialize};

/// How vectors are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// As they came.
    #[default]
    F32,
    /// Half the memory; scores are good to three digits.
    F16,
    /// As the codes of the search alone, the least memory: scores are good to about two digits, and near ones may change places.
    I8,
}

/// Rows of one length.
#[derive(Debug, PartialEq)]
pub enum Rows {
    F32(Vec<f32>),
    F16(Vec<f16>),
    /// The codes are all there is.
    None,
}

impl Rows {
    pub fn new(storage: Storage) -> Self {
        match storage {
            // Codes need a scale, which is not known before there are some vectors.
            Storage::F32 | Storage::I8 => Rows::F32(Vec::new()),
            Storage::F16 => Rows::F16(Vec::new()),
        }
    }

    pub fn is_none(&self) -> bool {
        matches!(self, Rows::None)
    }

    /// Makes room for so many components in all.
    pub fn reserve(&mut self, components: usize) {
        match self {
            Rows::F32(rows) => rows.reserve_exact(components.saturating_sub(rows.len())),
            Rows::F16(rows) => rows.reserve_exact(components.saturating_sub(rows.len())),
            Rows::None => {}
        }
    }

    /// Writes a row, multiplied, at the end or over another one.
    pub fn set(&mut self, slot: usize, vector: &[f32], factor: f32) {
        let at = slot * vector.len();
        match self {
            Rows::F32(rows) => {
                rows.resize(rows.len().max(at + vector.len()), 0.0);
                let row = &mut rows[at..at + vector.len()];
                row.iter_mut().zip(vector).for_each(|(kept, component)| *kept = component * factor);
            }
            Rows::F16(rows) => {
                rows.resize(rows.len().max(at + vector.len()), f16::ZERO);
                let row = &mut rows[at..at + vector.len()];
                row.iter_mut().zip(vector).for_each(|(kept, component)| *kept = f16::from_f32(component * factor));
            }
            Rows::None => {}
        }
    }

    /// A row, unpacked into `space` where it has to be; none where only codes are kept.
    #[inline]
    pub fn get<'a>(&'a self, slot: usize, dimensions: usize, space: &'a mut Vec<f32>) -> Option<&'a [f32]> {
        let range = slot * dimensions..(slot + 1) * dimensions;
        match self {
            Rows::F32(rows) => rows.get(range),
            Rows::F16(rows) => {
                space.resize(dimensions, 0.0);
                rows.get(range)?.convert_to_f32_slice(space);
                Some(space)
            }
            Rows::None => None,
        }
    }

    pub fn bytes(&self) -> usize {
        match self {
            Rows::F32(rows) => rows.capacity() * 4,
            Rows::F16(rows) => rows.capacity() * 2,
            Rows::None => 0,
        }
    }
}
