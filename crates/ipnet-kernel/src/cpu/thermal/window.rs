//! A block of neurons during some steps: what the jobs of a backward pass share.

use super::backward_block::Backward;
use super::forward::NeuronRows;
use super::slopes::KEPT;
use super::spread::SpreadRows;
use crate::cpu::block::row_ahead;
use crate::cpu::vector::{Real, Simd};
use std::ops::Range;

/// Columns and steps of a backward pass.
#[derive(Clone)]
pub(crate) struct Window<'a, 'b, E> {
    pub pass: &'a Backward<'b, E>,
    pub columns: Range<usize>,
    pub steps: Range<usize>,
}

impl<'a, E: Real> Window<'a, '_, E> {
    /// Neurons in the block.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The block's part of step `t` of a `[T, N]` matrix.
    #[inline(always)]
    pub(crate) fn row<'m>(&self, matrix: &'m [E], t: usize) -> &'m [E] {
        let start = t * self.pass.scan.shape().neurons();
        &matrix[start + self.columns.start..start + self.columns.end]
    }

    /// What is kept of neurons `range` at step `t`: [`KEPT`] vectors for each vector of neurons, and x where it is wanted.
    #[inline(always)]
    pub(crate) fn kept<'k>(&self, kept: &'k [E], t: usize, range: &Range<usize>) -> (&'k [E], &'k [E]) {
        let [slopes, x] = self.kept_places(t, range);
        (&kept[slopes], &kept[x])
    }

    /// [`Window::kept`], to be written.
    #[inline(always)]
    pub(crate) fn kept_mut<'k>(
        &self,
        kept: &'k mut [E],
        t: usize,
        range: &Range<usize>,
    ) -> (&'k mut [E], &'k mut [E]) {
        let [slopes, x] = self.kept_places(t, range);
        let (before, after) = kept.split_at_mut(x.start);
        (&mut before[slopes], &mut after[..x.len()])
    }

    #[inline(always)]
    fn kept_places(&self, t: usize, range: &Range<usize>) -> [Range<usize>; 2] {
        let width = self.width();
        let values = KEPT + usize::from(self.pass.params);
        let start = (t - self.steps.start) * values * width;
        let x = start + KEPT * width;
        let x = if self.pass.params { x + range.start..x + range.end } else { x..x };
        [start + KEPT * range.start..start + KEPT * range.end, x]
    }

    /// What the next block reads of x at step `t`.
    pub(crate) fn ahead(&self, t: usize) -> &'a [E] {
        let start = t * self.pass.scan.shape().neurons() + self.columns.end;
        row_ahead(self.pass.x, start, self.width())
    }
}

/// What is a neuron's own in a block: its synapse, and its device where devices differ.
pub(crate) struct BlockNeurons<'s, E> {
    pub gain: &'s [E],
    pub bias: &'s [E],
    pub spread: Option<SpreadRows<'s, E>>,
}

impl<E: Real> BlockNeurons<'_, E> {
    /// The rows as they are between steps: all but the noise from pulse to pulse.
    pub(crate) fn rows(&self) -> NeuronRows<'_, E> {
        match &self.spread {
            Some(spread) => spread.neurons(self.gain, self.bias),
            None => {
                NeuronRows { gain: self.gain, bias: self.bias, sensitivity: &[], heating: &[], barrier: &[] }
            }
        }
    }

    /// Makes the rows those of step `t`, for neurons `range` of the block.
    pub(crate) fn set_step<S: Simd<E = E>>(&mut self, simd: S, t: usize, range: &Range<usize>) {
        if let Some(spread) = &mut self.spread {
            spread.set_step(simd, t, range);
        }
    }
}
