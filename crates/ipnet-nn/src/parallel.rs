//! Work split into parts that depend on shapes alone, never on the number of threads.
//!
//! Design decision: a part is a fixed range of the output, or, where a sum runs over the batch, a fixed range of
//! the batch whose partial sum is added in the order of the ranges. So the bits of a result are the same in a
//! pool of one thread and of sixty-four; a larger pool only takes more parts at once.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

/// Elements of one part of an element-wise operation: 64 KiB of f32, a few parts in a second-level cache.
pub(crate) const PART: usize = 1 << 14;

/// Most parts that a sum over the batch is split into; each costs one partial result in memory.
pub(crate) const MOST_PARTIAL_SUMS: usize = 16;

/// Runs `f`, compiled for the widest vectors that this processor has. What `f` calls has to be inlined into it. The bits
/// stay the same: nothing is fused, no order changes.
#[inline(always)]
pub(crate) fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn wide<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: AVX2 was found.
            return unsafe { wide(f) };
        }
    }
    f()
}

/// A result's memory before it is written.
///
/// Design decision: `vec![0.0; len]` clears a large tensor on one thread and in memory, to write it once more. Here the
/// thread that writes a part has cleared it just before, in its cache, or needs no zeros.
pub(crate) struct Unwritten<T> {
    data: Vec<T>,
    len: usize,
}

impl<T> Unwritten<T> {
    pub(crate) fn new(len: usize) -> Self {
        Self { data: Vec::with_capacity(len), len }
    }

    pub(crate) fn slice(&mut self) -> &mut [MaybeUninit<T>] {
        &mut self.data.spare_capacity_mut()[..self.len]
    }

    /// The result.
    ///
    /// # Safety
    /// All of [`Self::slice`] was written.
    pub(crate) unsafe fn written(mut self) -> Vec<T> {
        // SAFETY: the capacity is at least `len`; the caller's promise.
        unsafe { self.data.set_len(self.len) };
        self.data
    }
}

/// A part of a result, cleared.
pub(crate) fn cleared<T: Copy + Default>(part: &mut [MaybeUninit<T>]) -> &mut [T] {
    part.fill(MaybeUninit::new(T::default()));
    // SAFETY: all of it was written above.
    unsafe { &mut *(std::ptr::from_mut(part) as *mut [T]) }
}

/// Numbers as memory that something else is written to.
///
/// # Safety
/// Nothing but numbers may be written to it.
pub(crate) unsafe fn as_unwritten(part: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: the same layout; it stays written by the caller's promise.
    unsafe { &mut *(std::ptr::from_mut(part) as *mut [MaybeUninit<f32>]) }
}

/// A vector of `len` elements in chunks of `chunk`, each cleared and then handed to `write` with its item of `items`, and
/// what `write` returned.
///
/// # Panics
/// If there are not as many items as chunks.
pub(crate) fn written_with<I, R: Send>(
    len: usize,
    chunk: usize,
    items: I,
    write: impl Fn(&mut [f32], I::Item) -> R + Sync,
) -> (Vec<f32>, Vec<R>)
where
    I: IntoParallelIterator<Iter: IndexedParallelIterator>,
{
    let items = items.into_par_iter();
    assert_eq!(items.len(), len.div_ceil(chunk), "one item a chunk");
    let mut result = Unwritten::new(len);
    let chunks = result.slice().par_chunks_mut(chunk).zip(items);
    let returned = chunks.map(|(part, item)| write(cleared(part), item)).collect();
    // SAFETY: there is an item for each chunk, and each chunk was cleared.
    (unsafe { result.written() }, returned)
}

/// The vector of [`written_with`].
pub(crate) fn written<I>(
    len: usize,
    chunk: usize,
    items: I,
    write: impl Fn(&mut [f32], I::Item) + Sync,
) -> Vec<f32>
where
    I: IntoParallelIterator<Iter: IndexedParallelIterator>,
{
    written_with(len, chunk, items, write).0
}

/// `len` zeros, cleared by all threads.
pub(crate) fn zeros(len: usize) -> Vec<f32> {
    written(len, PART, 0..len.div_ceil(PART), |_, _| ())
}

/// `out[i] = f(a[i])`.
pub(crate) fn map1(a: &[f32], f: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    written(a.len(), PART, a.par_chunks(PART), |out, a| {
        for (out, &a) in out.iter_mut().zip(a) {
            *out = f(a);
        }
    })
}

/// `out[i] = f(a[i], b[i])`.
pub(crate) fn map2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
    written(a.len(), PART, a.par_chunks(PART).zip(b.par_chunks(PART)), |out, (a, b)| {
        for (out, (&a, &b)) in out.iter_mut().zip(a.iter().zip(b)) {
            *out = f(a, b);
        }
    })
}

/// Sum over `items` of what `add(item, sum)` adds to a zeroed vector of `len` elements, by [`sum_of_parts`].
pub(crate) fn sum_over(items: usize, len: usize, add: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let part = |items: Range<usize>| {
        let mut sum = vec![0.0; len];
        items.for_each(|item| add(item, &mut sum));
        sum
    };
    if items == 0 { vec![0.0; len] } else { sum_of_parts(items, part) }
}

/// Sum of `part(range)` over at most [`MOST_PARTIAL_SUMS`] contiguous ranges of `items`, in order; nothing of no items.
pub(crate) fn sum_of_parts(items: usize, part: impl Fn(Range<usize>) -> Vec<f32> + Sync) -> Vec<f32> {
    let per_part = items.div_ceil(MOST_PARTIAL_SUMS).max(1);
    let parts: Vec<[Vec<f32>; 1]> = (0..items.div_ceil(per_part))
        .into_par_iter()
        .map(|index| [part(index * per_part..((index + 1) * per_part).min(items))])
        .collect();
    let [sum] = add_up(parts);
    sum
}

/// The parts' sums added in order; empty of no parts.
pub(crate) fn add_up<const N: usize>(parts: Vec<[Vec<f32>; N]>) -> [Vec<f32>; N] {
    let sum = parts.into_iter().reduce(|mut total, part| {
        for (total, part) in total.iter_mut().zip(part) {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
        total
    });
    sum.unwrap_or([const { Vec::new() }; N])
}

/// Sum of a slice: sixteen running sums in f32 over blocks of 1024 elements, blocks added in f64.
pub(crate) fn sum(a: &[f32]) -> f64 {
    sum_by(a, a, |a, _| a)
}

/// Sum of `f(a[i], b[i])`, as [`sum`].
pub(crate) fn sum_by(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    vectorized(|| sum_in_lanes(a, b, f))
}

#[inline(always)]
fn sum_in_lanes(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    const LANES: usize = 16;
    let mut total = 0.0_f64;
    for (a, b) in a.chunks(1024).zip(b.chunks(1024)) {
        let mut lanes = [0.0_f32; LANES];
        let (whole_a, rest_a) = a.as_chunks::<LANES>();
        let (whole_b, rest_b) = b.as_chunks::<LANES>();
        for (a, b) in whole_a.iter().zip(whole_b) {
            for lane in 0..LANES {
                lanes[lane] += f(a[lane], b[lane]);
            }
        }
        let rest: f32 = rest_a.iter().zip(rest_b).map(|(&a, &b)| f(a, b)).sum();
        total += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>() + f64::from(rest);
    }
    total
}
