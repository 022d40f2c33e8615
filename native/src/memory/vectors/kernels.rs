//! The inner loops, in the widest form that this machine has; the plain form says what all must give.

use std::sync::OnceLock;

/// The loops of one instruction set. Slices of a call are equally long; those of `dot_i8` a multiple of 64.
#[derive(Clone, Copy)]
pub struct Kernels {
    /// The instruction set.
    pub name: &'static str,
    dot_i8: unsafe fn(&[i8], &[i8]) -> i32,
    dots_i8: unsafe fn(&[i8], &[i8], &mut [i32]),
    dot_f32: unsafe fn(&[f32], &[f32]) -> f32,
    l2_f32: unsafe fn(&[f32], &[f32]) -> f32,
}

impl Kernels {
    /// The best that this machine can run.
    pub fn best() -> Self {
        static BEST: OnceLock<Kernels> = OnceLock::new();
        *BEST.get_or_init(|| Kernels::all().pop().unwrap_or(PLAIN))
    }

    /// All that this machine can run, the best one last.
    pub fn all() -> Vec<Self> {
        let mut found = vec![PLAIN];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(x86::AVX2);
            }
            let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
            if wide && is_x86_feature_detected!("avx512vnni") {
                found.push(x86::AVX512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        found.push(arm::NEON);
        found
    }

    /// The inner product of two rows of codes.
    #[inline]
    pub fn dot_i8(&self, a: &[i8], b: &[i8]) -> i32 {
        assert!(a.len() == b.len() && a.len().is_multiple_of(64));
        // SAFETY: `all` offers only what this machine has; the lengths were looked at.
        unsafe { (self.dot_i8)(a, b) }
    }

    /// The inner products of a row and of rows that lie one after the other.
    #[inline]
    pub fn dots_i8(&self, row: &[i8], rows: &[i8], dots: &mut [i32]) {
        assert!(row.len().is_multiple_of(64) && rows.len() == row.len() * dots.len());
        // SAFETY: as above.
        unsafe { (self.dots_i8)(row, rows, dots) }
    }

    /// The inner product.
    #[inline]
    pub fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        // SAFETY: as above.
        unsafe { (self.dot_f32)(a, b) }
    }

    /// The square of the distance.
    #[inline]
    pub fn l2(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        // SAFETY: as above.
        unsafe { (self.l2_f32)(a, b) }
    }
}

/// Asks for a row before it is needed.
#[inline]
pub fn prefetch(row: &[i8]) {
    #[cfg(target_arch = "x86_64")]
    for line in row.chunks(64) {
        // SAFETY: any address may be asked for.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.as_ptr()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

const PLAIN: Kernels =
    Kernels { name: "plain", dot_i8: plain_i8, dots_i8: plain_dots, dot_f32: plain_dot, l2_f32: plain_l2 };

fn plain_i8(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

fn plain_dots(row: &[i8], rows: &[i8], dots: &mut [i32]) {
    for (other, dot) in rows.chunks_exact(row.len()).zip(dots) {
        *dot = plain_i8(row, other);
    }
}

fn plain_dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn plain_l2(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Kernels, plain_dot, plain_l2};

    pub const AVX2: Kernels =
        Kernels { name: "avx2", dot_i8: avx2_i8, dots_i8: avx2_dots, dot_f32: avx2_dot, l2_f32: avx2_l2 };
    pub const AVX512: Kernels =
        Kernels { name: "avx512", dot_i8: avx512_i8, dots_i8: avx512_dots, dot_f32: avx512_dot, l2_f32: avx512_l2 };

    #[target_feature(enable = "avx2")]
    fn avx2_i8(a: &[i8], b: &[i8]) -> i32 {
        let mut sums = [_mm256_setzero_si256(); 2];
        for at in (0..a.len()).step_by(32) {
            for (half, sum) in sums.iter_mut().enumerate() {
                let at = at + 16 * half;
                // SAFETY: lengths are equal and multiples of 64.
                let (a, b) = unsafe { (load_16(a.as_ptr().add(at)), load_16(b.as_ptr().add(at))) };
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(a, b));
            }
        }
        let sum = _mm256_add_epi32(sums[0], sums[1]);
        let sum = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b_00_00_11_10>(sum));
        _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32::<0b_01>(sum)))
    }

    #[target_feature(enable = "avx2")]
    fn avx2_dots(row: &[i8], rows: &[i8], dots: &mut [i32]) {
        for (other, dot) in rows.chunks_exact(row.len()).zip(dots) {
            *dot = avx2_i8(row, other);
        }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn load_16(from: *const i8) -> __m256i {
        // SAFETY: the caller has 16 bytes there.
        _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(from.cast()) })
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2_dot(a: &[f32], b: &[f32]) -> f32 {
        let whole = a.len() / 16 * 16;
        let mut sums = [_mm256_setzero_ps(); 2];
        for at in (0..whole).step_by(16) {
            for (half, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 16 more are there in both.
                let (a, b) = unsafe { load_8(a, b, at + 8 * half) };
                *sum = _mm256_fmadd_ps(a, b, *sum);
            }
        }
        add_8(_mm256_add_ps(sums[0], sums[1])) + plain_dot(&a[whole..], &b[whole..])
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2_l2(a: &[f32], b: &[f32]) -> f32 {
        let whole = a.len() / 16 * 16;
        let mut sums = [_mm256_setzero_ps(); 2];
        for at in (0..whole).step_by(16) {
            for (half, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 16 more are there in both.
                let (a, b) = unsafe { load_8(a, b, at + 8 * half) };
                let apart = _mm256_sub_ps(a, b);
                *sum = _mm256_fmadd_ps(apart, apart, *sum);
            }
        }
        add_8(_mm256_add_ps(sums[0], sums[1])) + plain_l2(&a[whole..], &b[whole..])
    }

    #[target_feature(enable = "avx2")]
    unsafe fn load_8(a: &[f32], b: &[f32], at: usize) -> (__m256, __m256) {
        // SAFETY: the caller has 8 floats there in both.
        unsafe { (_mm256_loadu_ps(a.as_ptr().add(at)), _mm256_loadu_ps(b.as_ptr().add(at))) }
    }

    #[target_feature(enable = "avx2")]
    fn add_8(sum: __m256) -> f32 {
        let sum = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
        _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)))
    }

    /// The instruction wants one side without a sign: 128 is added to it, and 128 times the other side taken off.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn avx512_i8(a: &[i8], b: &[i8]) -> i32 {
        let sign = _mm512_set1_epi8(i8::MIN);
        let (mut sum, mut excess) = (_mm512_setzero_si512(), _mm512_setzero_si512());
        for at in (0..a.len()).step_by(64) {
            // SAFETY: lengths are equal and multiples of 64.
            let (a, b) = unsafe {
                (_mm512_loadu_si512(a.as_ptr().add(at).cast()), _mm512_loadu_si512(b.as_ptr().add(at).cast()))
            };
            sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(a, sign), b);
            excess = _mm512_dpbusd_epi32(excess, sign, b);
        }
        _mm512_reduce_add_epi32(_mm512_sub_epi32(sum, excess))
    }

    /// What is to be taken off is the same for all: as above, the row without a sign is the other one.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn avx512_dots(row: &[i8], rows: &[i8], dots: &mut [i32]) {
        let sign = _mm512_set1_epi8(i8::MIN);
        // SAFETY: it is called with places below a length that is a multiple of 64.
        let load = |from: &[i8], at: usize| unsafe { _mm512_loadu_si512(from.as_ptr().add(at).cast()) };
        let mut excess = _mm512_setzero_si512();
        for at in (0..row.len()).step_by(64) {
            excess = _mm512_dpbusd_epi32(excess, sign, load(row, at));
        }
        let excess = _mm512_reduce_add_epi32(excess);
        for (other, dot) in rows.chunks_exact(row.len()).zip(dots) {
            let mut sum = _mm512_setzero_si512();
            for at in (0..row.len()).step_by(64) {
                sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(load(other, at), sign), load(row, at));
            }
            *dot = _mm512_reduce_add_epi32(sum) - excess;
        }
    }

    #[target_feature(enable = "avx512f")]
    fn avx512_dot(a: &[f32], b: &[f32]) -> f32 {
        let whole = a.len() / 32 * 32;
        let mut sums = [_mm512_setzero_ps(); 2];
        for at in (0..whole).step_by(32) {
            for (half, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 32 more are there in both.
                let (a, b) = unsafe { load_f16x(a, b, at + 16 * half) };
                *sum = _mm512_fmadd_ps(a, b, *sum);
            }
        }
        _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1])) + plain_dot(&a[whole..], &b[whole..])
    }

    #[target_feature(enable = "avx512f")]
    fn avx512_l2(a: &[f32], b: &[f32]) -> f32 {
        let whole = a.len() / 32 * 32;
        let mut sums = [_mm512_setzero_ps(); 2];
        for at in (0..whole).step_by(32) {
            for (half, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 32 more are there in both.
                let (a, b) = unsafe { load_f16x(a, b, at + 16 * half) };
                let apart = _mm512_sub_ps(a, b);
                *sum = _mm512_fmadd_ps(apart, apart, *sum);
            }
        }
        _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1])) + plain_l2(&a[whole..], &b[whole..])
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn load_f16x(a: &[f32], b: &[f32], at: usize) -> (__m512, __m512) {
        // SAFETY: the caller has 16 floats there in both.
        unsafe { (_mm512_loadu_ps(a.as_ptr().add(at)), _mm512_loadu_ps(b.as_ptr().add(at))) }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::{Kernels, plain_dot, plain_l2};

    // The compiler makes good use of NEON for floats; for bytes it does not find the widening product.
    pub const NEON: Kernels =
        Kernels { name: "neon", dot_i8: neon_i8, dots_i8: neon_dots, dot_f32: plain_dot, l2_f32: plain_l2 };

    #[target_feature(enable = "neon")]
    fn neon_dots(row: &[i8], rows: &[i8], dots: &mut [i32]) {
        for (other, dot) in rows.chunks_exact(row.len()).zip(dots) {
            *dot = neon_i8(row, other);
        }
    }

    #[target_feature(enable = "neon")]
    fn neon_i8(a: &[i8], b: &[i8]) -> i32 {
        let mut sum = vdupq_n_s32(0);
        for at in (0..a.len()).step_by(16) {
            // SAFETY: lengths are equal and multiples of 64.
            let (a, b) = unsafe { (vld1q_s8(a.as_ptr().add(at)), vld1q_s8(b.as_ptr().add(at))) };
            sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
            sum = vpadalq_s16(sum, vmull_high_s8(a, b));
        }
        vaddvq_s32(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_gives_what_the_plain_one_gives() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as i32
        };
        for round in 0..200 {
            let codes = 64 * (1 + round % 13);
            let mut code = |_| (random() % 256 - 128) as i8;
            let (a, b): (Vec<i8>, Vec<i8>) = ((0..codes).map(&mut code).collect(), (0..codes).map(code).collect());
            let floats = 1 + round;
            let mut float = |_| random() as f32 / (1 << 23) as f32 - 1.0;
            let (x, y): (Vec<f32>, Vec<f32>) =
                ((0..floats).map(&mut float).collect(), (0..floats).map(float).collect());
            for kernels in Kernels::all() {
                let name = kernels.name;
                assert_eq!(kernels.dot_i8(&a, &b), PLAIN.dot_i8(&a, &b), "{name}, {codes} codes");
                let (mut dots, rows) = ([0; 2], [&b[..], &a[..]].concat());
                kernels.dots_i8(&a, &rows, &mut dots);
                assert_eq!(dots, [PLAIN.dot_i8(&a, &b), PLAIN.dot_i8(&a, &a)], "{name}, {codes} codes");
                assert!((kernels.dot(&x, &y) - PLAIN.dot(&x, &y)).abs() < 1e-4, "{name}, {floats} floats");
                assert!((kernels.l2(&x, &y) - PLAIN.l2(&x, &y)).abs() < 1e-3, "{name}, {floats} floats");
            }
        }
        // The ends of the range, in the longest sum.
        let (low, high) = (vec![i8::MIN; 4096], vec![i8::MAX; 4096]);
        for kernels in Kernels::all() {
            assert_eq!(kernels.dot_i8(&low, &low), 128 * 128 * 4096, "{}", kernels.name);
            assert_eq!(kernels.dot_i8(&low, &high), -128 * 127 * 4096, "{}", kernels.name);
            let mut dots = [0; 2];
            kernels.dots_i8(&low, &[&low[..], &high].concat(), &mut dots);
            assert_eq!(dots, [128 * 128 * 4096, -128 * 127 * 4096], "{}", kernels.name);
        }
    }
}
