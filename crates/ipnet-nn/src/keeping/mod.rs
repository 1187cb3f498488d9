//! An allocator that keeps large blocks: freed tensors come back without fresh pages.
//!
//! Design decision: a training step frees and allocates the same few hundred tensors and partial sums. An allocator that
//! gives them back to the system gets zeroed pages instead (2 MiB for a block of any size, with huge pages), which took a
//! fifth of a step's processor time here. Only blocks from 32 KiB on are kept, in size classes an eighth of a power of two apart, at most [`SLOTS`] and [`MOST_BYTES`]; all
//! other requests, and all there is no kept block for, go to the allocator inside. Large zeroed blocks are [`zero_pages`].

mod zero_pages;

use std::alloc::{GlobalAlloc, Layout};
use std::sync::{Mutex, PoisonError};

use zero_pages::ZeroPages;

/// Blocks below this size are the inner allocator's business.
const FROM_BYTES: usize = 1 << 15;
const SLOTS: usize = 512;
const MOST_BYTES: usize = 1 << 30;
/// Kept blocks begin on a page.
const ALIGN: usize = 4096;

/// The allocator `A`, large freed blocks kept for the next request of their size. For `#[global_allocator]`.
#[derive(Debug)]
pub struct Keeping<A> {
    inner: A,
    kept: Mutex<Kept>,
    zeros: ZeroPages,
}

#[derive(Debug)]
struct Kept {
    /// Address and size; 0 is an empty slot.
    blocks: [(usize, usize); SLOTS],
    bytes: usize,
}

impl<A> Keeping<A> {
    /// Keeps blocks of `inner`.
    pub const fn new(inner: A) -> Self {
        let kept = Kept { blocks: [(0, 0); SLOTS], bytes: 0 };
        Self { inner, kept: Mutex::new(kept), zeros: ZeroPages::new() }
    }

    /// A kept block of exactly `size`.
    fn take(&self, size: usize) -> Option<*mut u8> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = kept.blocks.iter().position(|block| block.1 == size)?;
        let (address, size) = std::mem::take(&mut kept.blocks[slot]);
        kept.bytes -= size;
        Some(std::ptr::with_exposed_provenance_mut(address))
    }

    /// Whether the block was taken in.
    fn keep(&self, block: *mut u8, size: usize) -> bool {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = kept.blocks.iter().position(|block| block.1 == 0);
        let Some(slot) = slot.filter(|_| kept.bytes + size <= MOST_BYTES) else { return false };
        kept.blocks[slot] = (block.expose_provenance(), size);
        kept.bytes += size;
        true
    }
}

/// The layout of the block that serves `layout`: its size class, from the request alone; none for a small request.
fn class(layout: Layout) -> Option<Layout> {
    let size = layout.size();
    if size < FROM_BYTES || layout.align() > ALIGN {
        return None;
    }
    let grain = 1 << (size.ilog2() - 3);
    Layout::from_size_align(size.checked_next_multiple_of(grain)?, ALIGN).ok()
}

// SAFETY: a block is a range of zero pages, found again by its address when it is freed, or the inner allocator's, of the
// layout that `class` gives for the request when it is allocated, kept and freed alike; a kept block is in one slot and
// leaves it under the lock before anyone gets it. Nothing here allocates or panics.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Keeping<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(layout) else {
            // SAFETY: the caller's promises are those of the inner allocator.
            return unsafe { self.inner.alloc(layout) };
        };
        // SAFETY: the class is not empty.
        self.take(class.size()).unwrap_or_else(|| unsafe { self.inner.alloc(class) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(layout) else {
            // SAFETY: as in `alloc`.
            return unsafe { self.inner.alloc_zeroed(layout) };
        };
        if let Some(block) = self.zeros.take(class) {
            return block;
        }
        let Some(block) = self.take(class.size()) else {
            // SAFETY: the class is not empty.
            return unsafe { self.inner.alloc_zeroed(class) };
        };
        // SAFETY: the block is at least as large as the request.
        unsafe { block.write_bytes(0, layout.size()) };
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `new_size` makes a layout.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        match (class(layout), class(new)) {
            // SAFETY: both before and after, the block is the inner allocator's, of the layout asked for.
            (None, None) => unsafe { self.inner.realloc(block, layout, new_size) },
            // The block has the size of its class.
            (Some(old), Some(new)) if old == new => block,
            _ => {
                // SAFETY: the caller's promises; the blocks do not overlap, and both have the bytes that are copied.
                unsafe {
                    let moved = self.alloc(new);
                    if !moved.is_null() {
                        std::ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class(layout) {
            // SAFETY: the block came from the inner allocator with this layout.
            None => unsafe { self.inner.dealloc(block, layout) },
            Some(class) => {
                if !self.zeros.give_back(block, class) && !self.keep(block, class.size()) {
                    // SAFETY: as above.
                    unsafe { self.inner.dealloc(block, class) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::System;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[test]
    fn a_large_block_comes_back_and_is_zeroed_on_request() {
        let keeping = Keeping::new(System);
        let layout = |len| Layout::from_size_align(len, 4).unwrap();
        // SAFETY: every block is used within its layout and freed once with it.
        unsafe {
            let a = keeping.alloc(layout(3 << 20));
            a.write_bytes(7, 3 << 20);
            keeping.dealloc(a, layout(3 << 20));
            let b = keeping.alloc_zeroed(layout((3 << 20) - 5));
            assert_eq!(a, b, "the same size class");
            let bytes = std::slice::from_raw_parts(b, (3 << 20) - 5);
            assert!(bytes.iter().all(|byte| *byte == 0));
            let c = keeping.alloc(layout(3 << 20));
            assert_ne!(b, c);
            let d = keeping.realloc(b, layout((3 << 20) - 5), 5 << 20);
            assert!(std::slice::from_raw_parts(d, (3 << 20) - 5).iter().all(|byte| *byte == 0));
            keeping.dealloc(c, layout(3 << 20));
            keeping.dealloc(d, layout(5 << 20));
            let small = keeping.alloc(layout(64));
            keeping.dealloc(small, layout(64));
        }
        assert_eq!(keeping.kept.lock().unwrap().bytes, (6 << 20) + (5 << 20));
    }

    /// The system's allocator, counting.
    #[derive(Default)]
    struct Counting {
        allocations: AtomicUsize,
        reallocations: AtomicUsize,
    }

    // SAFETY: the system's allocator.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            self.allocations.fetch_add(1, Relaxed);
            // SAFETY: the caller's promises.
            unsafe { System.alloc(layout) }
        }
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the caller's promises.
            unsafe { System.dealloc(block, layout) }
        }
        unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            self.reallocations.fetch_add(1, Relaxed);
            // SAFETY: the caller's promises.
            unsafe { System.realloc(block, layout, new_size) }
        }
    }

    /// Small blocks are the inner allocator's to resize, within a class a block stays where it is, and into or out of a class
    /// it moves; what it holds stays.
    #[test]
    fn a_block_is_resized_without_a_copy_where_it_can_be() {
        let keeping = Keeping::new(Counting::default());
        let counts =
            || [&keeping.inner.allocations, &keeping.inner.reallocations].map(|count| count.load(Relaxed));
        let layout = |len| Layout::from_size_align(len, 8).unwrap();
        // SAFETY: every block is used within its layout and freed once with it.
        unsafe {
            let block = keeping.alloc(layout(64));
            (0..64).for_each(|i| block.add(i).write(i as u8));
            let block = keeping.realloc(block, layout(64), 1000);
            assert_eq!(counts(), [1, 1], "small to small");
            let block = keeping.realloc(block, layout(1000), FROM_BYTES + 1);
            assert_eq!(counts(), [2, 1], "small to large");
            let same = keeping.realloc(block, layout(FROM_BYTES + 1), FROM_BYTES + (FROM_BYTES >> 3));
            assert_eq!((same, counts()), (block, [2, 1]), "within a class");
            let block = keeping.realloc(same, layout(FROM_BYTES + (FROM_BYTES >> 3)), 2 * FROM_BYTES);
            assert_eq!(counts(), [3, 1], "to another class");
            let block = keeping.realloc(block, layout(2 * FROM_BYTES), 64);
            assert_eq!(counts(), [4, 1], "large to small");
            assert!((0..64).all(|i| block.add(i).read() == i as u8));
            keeping.dealloc(block, layout(64));
        }
        let bytes = keeping.kept.lock().unwrap().bytes;
        assert_eq!(bytes, FROM_BYTES + (FROM_BYTES >> 3) + 2 * FROM_BYTES, "both large blocks are kept");
    }

    #[test]
    fn no_more_is_kept_than_the_bound() {
        let keeping = Keeping::new(System);
        let layout = Layout::from_size_align(1 << 20, 4).unwrap();
        // SAFETY: every block is freed once with its layout.
        unsafe {
            let blocks: Vec<*mut u8> = (0..SLOTS + 3).map(|_| keeping.alloc(layout)).collect();
            blocks.into_iter().for_each(|block| keeping.dealloc(block, layout));
        }
        assert_eq!(keeping.kept.lock().unwrap().bytes, SLOTS << 20);
    }
}
