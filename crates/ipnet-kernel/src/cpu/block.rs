//! Cutting `[T, N]` into blocks of neurons, and the memory a block works in.
//!
//! A block is a range of columns that goes through all of time before the next one starts, so that its state
//! stays in cache. The width depends on the shape only: neither the thread count nor the instruction set
//! changes which numbers are added to which.

use super::vector::Real;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

/// `P` rows of `width` elements that lie one after the other.
#[inline(always)]
pub(crate) fn rows<E, const P: usize>(elements: &[E], width: usize) -> [&[E]; P] {
    std::array::from_fn(|i| &elements[i * width..(i + 1) * width])
}

/// `P` rows of `width` elements that lie one after the other.
#[inline(always)]
pub(crate) fn rows_mut<E, const P: usize>(elements: &mut [E], width: usize) -> [&mut [E]; P] {
    let mut rest = elements;
    std::array::from_fn(|_| {
        let (row, next) = std::mem::take(&mut rest).split_at_mut(width);
        rest = next;
        row
    })
}

/// `width` elements of `matrix` from `start` on, which are read soon; none where it ends before.
pub(crate) fn row_ahead<E>(matrix: &[E], start: usize, width: usize) -> &[E] {
    matrix.get(start..start + width).unwrap_or(&[])
}

/// A `[rows, stride]` matrix that blocks write at the same time, each its own columns.
pub(crate) struct SharedRows<'a, E> {
    elements: *mut E,
    len: usize,
    stride: usize,
    lifetime: PhantomData<&'a mut [E]>,
}

// SAFETY: it is a `&mut [E]` cut in disjoint parts (`row` demands that), and `E: Send`.
unsafe impl<E: Send> Send for SharedRows<'_, E> {}
// SAFETY: as above; a shared reference gives nothing but those parts.
unsafe impl<E: Send> Sync for SharedRows<'_, E> {}

impl<'a, E> SharedRows<'a, E> {
    /// Shares `elements`, rows of `stride`.
    pub(crate) fn new(elements: &'a mut [E], stride: usize) -> Self {
        Self { elements: elements.as_mut_ptr(), len: elements.len(), stride, lifetime: PhantomData }
    }

    /// Columns `columns` of row `row`.
    ///
    /// # Safety
    /// While the result lives, nobody else asks for a column of it.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn row(&self, row: usize, columns: &Range<usize>) -> &mut [E] {
        let start = row * self.stride + columns.start;
        assert!(columns.end <= self.stride && start + columns.len() <= self.len, "a row outside its matrix");
        // SAFETY: the range lies inside the slice this was made from, and the caller owns its columns.
        unsafe { std::slice::from_raw_parts_mut(self.elements.add(start), columns.len()) }
    }
}

/// A slice as memory that may be written without being read first.
pub(crate) fn as_new<E>(elements: &mut [E]) -> &mut [MaybeUninit<E>] {
    // SAFETY: the layouts are equal, and the kernels only ever write whole elements through it.
    unsafe { std::slice::from_raw_parts_mut(elements.as_mut_ptr().cast(), elements.len()) }
}

/// A row the kernel has just written, as elements.
///
/// # Safety
/// Every element was written.
pub(crate) unsafe fn as_written<E>(elements: &[MaybeUninit<E>]) -> &[E] {
    // SAFETY: the layouts are equal and the caller vouches for the contents.
    unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), elements.len()) }
}

/// A cache line: scratch memory starts on one.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

thread_local! {
    /// Kept between calls: fresh pages cost more than the arithmetic. One entry for each level of nesting.
    static SCRATCH: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` with `len` elements of this thread's scratch memory; what they hold is left over from before.
pub(crate) fn with_scratch<E: Real, R>(len: usize, work: impl FnOnce(&mut [E]) -> R) -> R {
    // Taken out, not borrowed: work that comes back here on this thread gets memory of its own.
    let mut lines = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    let needed = (len * size_of::<E>()).div_ceil(size_of::<Line>());
    if lines.len() < needed {
        lines.resize(needed, Line([0; 64]));
    }
    // SAFETY: the lines are initialised and hold `len` elements; every bit pattern of `f32` and `f64`, the only
    // types with `Real`, is a value.
    let elements = unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast::<E>(), len) };
    let result = work(elements);
    SCRATCH.with_borrow_mut(|kept| kept.push(lines));
    result
}

/// Cuts scratch memory into named rows, one after the other.
pub(crate) struct Cutter<'a, E>(pub &'a mut [E]);

impl<'a, E> Cutter<'a, E> {
    /// The next `len` elements.
    pub(crate) fn take(&mut self, len: usize) -> &'a mut [E] {
        let (taken, rest) = std::mem::take(&mut self.0).split_at_mut(len);
        self.0 = rest;
        taken
    }
}

/// Fills a row with the value of each neuron's channel: neuron `n` is of channel `n / inner % channels`.
pub(crate) fn fill_per_channel<E: Copy>(row: &mut [E], first_neuron: usize, inner: usize, values: &[E]) {
    let mut done = 0;
    while done < row.len() {
        let neuron = first_neuron + done;
        let run = (inner - neuron % inner).min(row.len() - done);
        row[done..done + run].fill(values[neuron / inner % values.len()]);
        done += run;
    }
}

/// Adds a row of per-neuron sums to the sums of the neurons' channels, in `f64` and in order.
pub(crate) fn add_per_channel<E: Real>(row: &[E], first_neuron: usize, inner: usize, sums: &mut [f64]) {
    let mut done = 0;
    while done < row.len() {
        let neuron = first_neuron + done;
        let run = (inner - neuron % inner).min(row.len() - done);
        let channel = neuron / inner % sums.len();
        sums[channel] += row[done..done + run].iter().map(|value| value.to_f64()).sum::<f64>();
        done += run;
    }
}
