//! The file that distilling makes: `magic | pieces u32 | dimensions u32 | bytes of names u32`, the names, one a
//! line, then a scale (f16) a piece, then the codes (i8), a row a piece; little-endian. `native/embedding` makes it.

use half::f16;

use super::EmbedError;
use super::tokenizer::Vocabulary;

const MAGIC: [u8; 8] = *b"mrembed\x01";
const HEAD: usize = MAGIC.len() + 12;

/// A vector a piece.
pub struct Table {
    pub vocabulary: Vocabulary,
    pub dimensions: usize,
    scales: Vec<f32>,
    codes: Vec<i8>,
}

impl Table {
    pub fn read(bytes: &[u8]) -> Result<Self, EmbedError> {
        let broken = || EmbedError::Damaged { length: bytes.len() };
        let number = |place: usize| {
            let at = MAGIC.len() + 4 * place;
            bytes.get(at..at + 4).map(|bytes| bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
        };
        let (Some(pieces), Some(dimensions), Some(names)) = (number(0), number(1), number(2)) else {
            return Err(broken());
        };
        let length = HEAD as u128 + names as u128 + pieces as u128 * (2 + dimensions as u128);
        if !bytes.starts_with(&MAGIC) || length != bytes.len() as u128 || dimensions == 0 {
            return Err(broken());
        }
        let (names, rest) = bytes[HEAD..].split_at(names);
        let (scales, codes) = rest.split_at(2 * pieces);
        let names = std::str::from_utf8(names).map_err(|_| broken())?;
        if names.split('\n').count() != pieces {
            return Err(broken());
        }
        Ok(Table {
            vocabulary: Vocabulary::new(names.split('\n')),
            dimensions,
            scales: scales.chunks_exact(2).map(|pair| f16::from_le_bytes([pair[0], pair[1]]).to_f32()).collect(),
            codes: codes.iter().map(|&code| code as i8).collect(),
        })
    }

    /// Adds a piece's vector.
    #[inline]
    pub fn add(&self, piece: u32, sum: &mut [f32]) {
        let piece = piece as usize;
        let scale = self.scales[piece];
        let row = &self.codes[piece * self.dimensions..(piece + 1) * self.dimensions];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has it.
            return unsafe { add_wide(scale, row, sum) };
        }
        add_row(scale, row, sum);
    }
}

#[inline(always)]
fn add_row(scale: f32, row: &[i8], sum: &mut [f32]) {
    sum.iter_mut().zip(row).for_each(|(sum, &code)| *sum += scale * f32::from(code));
}

/// The same, with wider instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_wide(scale: f32, row: &[i8], sum: &mut [f32]) {
    add_row(scale, row, sum);
}
