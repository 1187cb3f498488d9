//! Blocks of zeros that cost nothing until they are written to.
//!
//! Design decision: candle's autograd adds every gradient to a tensor of zeros it makes for that, which nobody writes to.
//! Cleared and read from memory, those zeros are half the bytes of that addition. Linux can back what is only read by one
//! page of 2 MiB of zeros, which stays in the cache: here, a large zeroed block is a range of addresses of its own whose
//! pages go back to the system when it is freed. Whoever does write to one gets fresh pages, which is slower than to clear a block
//! that is kept: results that are written as a whole ask for memory that is not zeroed (`parallel::written_by_parts`).

use std::alloc::Layout;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Blocks below this size are cleared: two huge pages.
const FROM_BYTES: usize = 4 << 20;
const HUGE_PAGE: usize = 2 << 20;
const SLOTS: usize = 64;

/// Ranges of addresses for zeroed blocks.
#[derive(Debug)]
pub(super) struct ZeroPages {
    ranges: Mutex<[Range; SLOTS]>,
    /// Whether the system has a huge page of zeros: [`UNKNOWN`] until asked.
    supported: AtomicU8,
}

const UNKNOWN: u8 = 0;
const SUPPORTED: u8 = 1;
const UNSUPPORTED: u8 = 2;

/// `size` 0 is an empty slot.
#[derive(Debug, Clone, Copy)]
struct Range {
    address: usize,
    size: usize,
    used: bool,
}

impl ZeroPages {
    pub(super) const fn new() -> Self {
        let none = Range { address: 0, size: 0, used: false };
        Self { ranges: Mutex::new([none; SLOTS]), supported: AtomicU8::new(UNKNOWN) }
    }

    /// A block of zeros of the size of `class`, where it is large and the system has such.
    pub(super) fn take(&self, class: Layout) -> Option<*mut u8> {
        let size = class.size().checked_next_multiple_of(HUGE_PAGE)?;
        if class.size() < FROM_BYTES || !self.supported() {
            return None;
        }
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        let free = |range: &Range| !range.used && range.size == size;
        let slot = match ranges.iter().position(free) {
            Some(slot) => slot,
            None => {
                let slot = ranges.iter().position(|range| range.size == 0);
                let slot = slot.or_else(|| ranges.iter().position(|range| !range.used))?;
                system::unmap(std::mem::replace(
                    &mut ranges[slot],
                    Range { address: 0, size: 0, used: false },
                ));
                ranges[slot] = Range { address: system::map(size)?, size, used: false };
                slot
            }
        };
        ranges[slot].used = true;
        Some(std::ptr::with_exposed_provenance_mut(ranges[slot].address))
    }

    /// Takes a block back, if it came from here.
    pub(super) fn give_back(&self, block: *mut u8, class: Layout) -> bool {
        if class.size() < FROM_BYTES {
            return false;
        }
        let address = block.addr();
        let found = {
            let ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
            ranges
                .iter()
                .position(|range| range.used && range.address == address)
                .map(|slot| (slot, ranges[slot]))
        };
        let Some((slot, range)) = found else { return false };
        // In use until its pages are gone; a slot in use stays where it is.
        let cleared = system::clear(range);
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        ranges[slot].used = false;
        if !cleared {
            system::unmap(range);
            ranges[slot].size = 0;
        }
        true
    }

    fn supported(&self) -> bool {
        match self.supported.load(Relaxed) {
            UNKNOWN => {
                let supported = system::has_huge_zero_page();
                self.supported.store(if supported { SUPPORTED } else { UNSUPPORTED }, Relaxed);
                supported
            }
            known => known == SUPPORTED,
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use super::{HUGE_PAGE, Range};
    use std::ffi::CStr;
    use std::ptr::{null_mut, with_exposed_provenance_mut};

    /// Addresses on a huge page's boundary, nothing behind them yet.
    pub(super) fn map(size: usize) -> Option<usize> {
        let whole = size.checked_add(HUGE_PAGE)?;
        let (access, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
        );
        // SAFETY: a new range of the system's choice; what lies beside the aligned part of it is given back.
        unsafe {
            let start = libc::mmap(null_mut(), whole, access, flags, -1, 0);
            if start == libc::MAP_FAILED {
                return None;
            }
            let start = start.expose_provenance();
            let aligned = start.next_multiple_of(HUGE_PAGE);
            let behind = start + whole - (aligned + size);
            if aligned > start {
                libc::munmap(with_exposed_provenance_mut(start), aligned - start);
            }
            if behind > 0 {
                libc::munmap(with_exposed_provenance_mut(aligned + size), behind);
            }
            if libc::madvise(with_exposed_provenance_mut(aligned), size, libc::MADV_HUGEPAGE) != 0 {
                libc::munmap(with_exposed_provenance_mut(aligned), size);
                return None;
            }
            Some(aligned)
        }
    }

    /// Whether the range reads as zeros again.
    pub(super) fn clear(range: Range) -> bool {
        let start = with_exposed_provenance_mut(range.address);
        // SAFETY: the range was mapped above, and the block in it is given up.
        unsafe { libc::madvise(start, range.size, libc::MADV_DONTNEED) == 0 }
    }

    /// Gives the addresses back; nothing to do for an empty slot.
    pub(super) fn unmap(range: Range) {
        if range.size > 0 {
            // SAFETY: as for `clear`; the slot forgets the range.
            unsafe { libc::munmap(with_exposed_provenance_mut(range.address), range.size) };
        }
    }

    /// Whether huge pages can be had on request, and one of zeros for what is only read.
    pub(super) fn has_huge_zero_page() -> bool {
        let holds = |path: &CStr, expected: fn(&[u8]) -> bool| {
            let mut text = [0_u8; 64];
            // SAFETY: a path that ends with 0, and a buffer of its stated length.
            let len = unsafe {
                let file = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
                if file < 0 {
                    return false;
                }
                let len = libc::read(file, text.as_mut_ptr().cast(), text.len());
                libc::close(file);
                len
            };
            usize::try_from(len).is_ok_and(|len| expected(&text[..len]))
        };
        holds(c"/sys/kernel/mm/transparent_hugepage/use_zero_page", |text| text.starts_with(b"1"))
            && holds(c"/sys/kernel/mm/transparent_hugepage/enabled", |text| {
                !text.windows(7).any(|word| word == b"[never]")
            })
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::Range;

    pub(super) fn map(_: usize) -> Option<usize> {
        None
    }
    pub(super) fn clear(_: Range) -> bool {
        false
    }
    pub(super) fn unmap(_: Range) {}
    pub(super) fn has_huge_zero_page() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(size: usize) -> Layout {
        Layout::from_size_align(size, 4096).unwrap()
    }

    /// What was written to a block is not in the next one at its place.
    #[test]
    fn a_block_is_zero_again_after_it_was_written_to() {
        let pages = ZeroPages::new();
        let size = 5 << 20;
        let Some(block) = pages.take(class(size)) else {
            eprintln!("skipped: this system has no huge page of zeros");
            return;
        };
        // SAFETY: the block has this size until it is given back.
        unsafe {
            let bytes = std::slice::from_raw_parts_mut(block, size);
            assert!(bytes.iter().all(|byte| *byte == 0));
            bytes.fill(7);
        }
        let other = pages.take(class(size)).unwrap();
        assert_ne!(block, other, "in use");
        assert!(pages.give_back(block, class(size)));
        let again = pages.take(class(size)).unwrap();
        assert_eq!(block, again);
        // SAFETY: as above.
        assert!(unsafe { std::slice::from_raw_parts(again, size) }.iter().all(|byte| *byte == 0));
        assert!(pages.give_back(again, class(size)) && pages.give_back(other, class(size)));
    }

    #[test]
    fn other_blocks_are_not_taken_in_and_small_ones_not_given_out() {
        let pages = ZeroPages::new();
        assert!(pages.take(class(FROM_BYTES - 4096)).is_none());
        let mut mine = [0_u8; 16];
        assert!(!pages.give_back(mine.as_mut_ptr(), class(FROM_BYTES)));
        if pages.take(class(FROM_BYTES)).is_some() {
            assert!(!pages.give_back(mine.as_mut_ptr(), class(FROM_BYTES)));
        }
    }

    /// As many sizes as there are slots, in use: no more; one given back makes room for another size.
    #[test]
    fn slots_run_out_and_come_free() {
        let pages = ZeroPages::new();
        if !pages.supported() {
            eprintln!("skipped: this system has no huge page of zeros");
            return;
        }
        let size = |i: usize| class(FROM_BYTES + i * HUGE_PAGE);
        let blocks: Vec<*mut u8> = (0..SLOTS).map(|i| pages.take(size(i)).unwrap()).collect();
        assert!(pages.take(size(SLOTS)).is_none());
        assert!(pages.give_back(blocks[3], size(3)));
        let block = pages.take(size(SLOTS)).unwrap();
        assert!(pages.take(size(3)).is_none());
        assert!(pages.give_back(block, size(SLOTS)));
        for (i, block) in blocks.into_iter().enumerate().filter(|(i, _)| *i != 3) {
            assert!(pages.give_back(block, size(i)));
        }
    }
}
