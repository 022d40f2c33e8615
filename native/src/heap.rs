//! How much memory the engines hold: all that Rust code of this binary allocates, and no C library's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicIsize, Ordering};

/// To count each small piece would cost half as much as to allocate it. So one of this many counts for all of them: which
/// one, its address tells, and so each that was counted when it came is counted when it goes.
const SAMPLE: usize = 16;
/// From this size on each is counted.
const LARGE: usize = 1024;
/// Spreads what lies side by side.
const SPREAD: usize = 0x9E37_79B9;

/// Threads that count in one place wait for each other; so there are several places, each in a cache line of its own.
const PLACES: usize = 16;
/// Stacks of threads are this far apart, at least.
const STACK_BITS: usize = 20;

#[repr(align(128))]
struct Place(AtomicIsize);

static HELD: [Place; PLACES] = [const { Place(AtomicIsize::new(0)) }; PLACES];

#[global_allocator]
static HEAP: Counted = Counted;

/// The system's allocator, counted.
struct Counted;

/// Bytes that are held now.
#[must_use]
pub fn held() -> usize {
    let sum: isize = HELD.iter().map(|place| place.0.load(Ordering::Relaxed)).sum();
    usize::try_from(sum).unwrap_or(0)
}

/// A thread may count in two places, and free what another has counted: only the sum has a meaning.
#[inline]
fn count(bytes: isize) {
    if bytes == 0 {
        return;
    }
    let here = 0_u8;
    let place = (ptr::from_ref(&here).addr() >> STACK_BITS) % PLACES;
    if let Some(place) = HELD.get(place) {
        place.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What a piece counts for.
#[inline]
fn weight(memory: *const u8, size: usize) -> isize {
    if size >= LARGE {
        return size.cast_signed();
    }
    let is_counted = ((memory.addr() >> 4).wrapping_mul(SPREAD) >> 16).is_multiple_of(SAMPLE);
    if is_counted { (size * SAMPLE).cast_signed() } else { 0 }
}

// SAFETY: each call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let memory = unsafe { System.alloc(layout) };
        if !memory.is_null() {
            count(weight(memory, layout.size()));
        }
        memory
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let memory = unsafe { System.alloc_zeroed(layout) };
        if !memory.is_null() {
            count(weight(memory, layout.size()));
        }
        memory
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let before = weight(memory, layout.size());
        // SAFETY: the caller's promise.
        let moved = unsafe { System.realloc(memory, layout, size) };
        if !moved.is_null() {
            count(weight(moved, size) - before);
        }
        moved
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) };
        count(-weight(memory, layout.size()));
    }
}

/// Gives memory back that nobody holds. The system's allocator keeps what was freed, for each of many threads apart: what one
/// took for a moment would stay with it, and then with the next one.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn trim() {
    unsafe extern "C" {
        fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    // SAFETY: any thread may call it at any time.
    unsafe { malloc_trim(0) };
}

/// Allocators of other systems give it back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn trim() {}

/// Gives a vector room for so many in all, on large pages where the system has any. Who walks through much memory, or jumps
/// about in it, waits less often for the processor to learn where it is.
pub fn grow<T: Copy>(vector: &mut Vec<T>, capacity: usize) {
    if capacity <= vector.capacity() {
        return;
    }
    // The pages are chosen when they are written first.
    let mut larger = Vec::with_capacity(capacity);
    on_large_pages(larger.spare_capacity_mut());
    larger.extend_from_slice(vector);
    *vector = larger;
}

#[cfg(target_os = "linux")]
fn on_large_pages<T>(room: &mut [std::mem::MaybeUninit<T>]) {
    const LARGE: usize = 2 << 20;
    let (begin, end) = (room.as_ptr().addr().next_multiple_of(LARGE), room.as_ptr_range().end.addr());
    let length = end.saturating_sub(begin) / LARGE * LARGE;
    if length > 0 {
        let begin = room.as_mut_ptr().with_addr(begin).cast();
        // SAFETY: the range lies within memory that is ours, and its contents stay. A refusal changes nothing.
        let _ = unsafe { rustix::mm::madvise(begin, length, rustix::mm::Advice::LinuxHugepage) };
    }
}

#[cfg(not(target_os = "linux"))]
fn on_large_pages<T>(_room: &mut [std::mem::MaybeUninit<T>]) {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;
    /// Other tests allocate meanwhile, but not so much.
    const HUGE: usize = 512 * MB;
    const NEAR: usize = 128 * MB;

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn what_nobody_holds_is_given_back() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            kilobytes.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
        };
        let mut pieces: Vec<Vec<u8>> = (0..NEAR / 1024).map(|_| vec![1; 1024]).collect();
        // What is behind it stays, so that the allocator gives nothing back by itself.
        let last = pieces.pop();
        drop(pieces);
        let kept = resident();
        trim();
        assert!(resident() + NEAR / 2 < kept, "{kept} then {}", resident());
        drop(last);
    }

    #[test]
    fn what_comes_and_goes_is_counted() {
        let before = held();
        let mut zeroed = vec![0_u8; HUGE];
        assert!(held().abs_diff(before + HUGE) < NEAR, "{before} then {}", held());
        zeroed.truncate(MB);
        zeroed.shrink_to_fit();
        assert!(held().abs_diff(before) < NEAR, "{before} then {}", held());
        let plain: Vec<u8> = Vec::with_capacity(HUGE);
        // Another thread frees it.
        assert!(std::thread::spawn(move || drop(plain)).join().is_ok());
        assert!(held().abs_diff(before) < NEAR, "{before} then {}", held());
    }

    #[test]
    fn what_grows_keeps_what_it_has() {
        let mut vector: Vec<u32> = (0..1000).collect();
        for capacity in [0, 10, 5_000_000, 100] {
            grow(&mut vector, capacity);
            assert!(vector.capacity() >= capacity);
            assert!(vector.iter().copied().eq(0..1000));
        }
        vector.resize(5_000_000, 7);
        assert_eq!(vector.last(), Some(&7));
    }

    #[test]
    fn of_small_pieces_some_count_for_all() {
        let pieces: Vec<Box<[u8; 100]>> = (0..100_000).map(|_| Box::new([1; 100])).collect();
        let sum: isize = pieces.iter().map(|piece| weight(piece.as_ptr(), 100)).sum();
        assert!((8_000_000..12_000_000).contains(&sum), "{sum}");
        assert_eq!(weight(ptr::null(), LARGE), LARGE.cast_signed());
    }
}
