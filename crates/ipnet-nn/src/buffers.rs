//! Large working memory that is kept between calls.
//!
//! Design decision: a training step needs the same buffers again and again. Given back to the allocator, a large one
//! comes back as fresh pages, which cost more than what is computed in them; so what a stage works in, and what it keeps
//! for its backward pass, returns to a short list here. Tensors themselves are candle's and not in it.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use crate::parallel;

/// Buffers kept at most; the one kept longest goes first.
const MOST_KEPT: usize = 12;

static KEPT: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// `len` numbers that hold whatever was there before.
#[derive(Debug)]
pub(crate) struct Buffer {
    data: Vec<f32>,
    len: usize,
}

impl Buffer {
    pub(crate) fn new(len: usize) -> Self {
        let fits = |data: &Vec<f32>| (len..=2 * len).contains(&data.len());
        let kept = {
            let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
            let best = (0..kept.len()).filter(|&i| fits(&kept[i])).min_by_key(|&i| kept[i].len());
            best.map(|i| kept.remove(i))
        };
        Self { data: kept.unwrap_or_else(|| parallel::zeros(len)), len }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == MOST_KEPT {
            kept.remove(0);
        }
        kept.push(std::mem::take(&mut self.data));
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.data[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[..self.len]
    }
}
