//! Working memory of one thread, kept from sample to sample.
//!
//! Design decision: a stack with one entry for each level of nesting, and an entry is taken out for the call rather than
//! borrowed: work that comes back here on the same thread, because it is nested or because rayon runs another part
//! meanwhile, gets memory of its own.

use std::cell::RefCell;

thread_local! {
    static KEPT: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` on `len` elements of this thread's memory, whose content is whatever was there.
pub(crate) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut scratch = KEPT.with_borrow_mut(Vec::pop).unwrap_or_default();
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    let result = f(&mut scratch[..len]);
    KEPT.with_borrow_mut(|kept| kept.push(scratch));
    result
}

#[cfg(test)]
mod tests {
    use super::with_scratch;

    #[test]
    fn nested_calls_have_memory_of_their_own() {
        with_scratch(8, |outer| {
            outer.fill(1.0);
            with_scratch(16, |inner| inner.fill(2.0));
            assert!(outer.iter().all(|value| *value == 1.0));
        });
        let lengths = with_scratch(3, |a| with_scratch(5, |b| [a.len(), b.len()]));
        assert_eq!(lengths, [3, 5]);
    }
}
