//! Events as a struct of arrays.
//!
//! Conventions of the whole workspace: `t` in microseconds, `x` to the right and `y` down from the upper left
//! pixel, `polarity` true for ON (brighter). Readers of formats with another origin convert on the way in.

/// A run of events, one entry per event in each array; times never decrease unless a reader says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events {
    /// Time \[us\].
    pub t: Vec<u64>,
    /// Column, 0 at the left.
    pub x: Vec<u16>,
    /// Row, 0 at the top.
    pub y: Vec<u16>,
    /// True for ON: the pixel became brighter.
    pub polarity: Vec<bool>,
}

impl Events {
    /// An empty run with room for `capacity` events.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            t: Vec::with_capacity(capacity),
            x: Vec::with_capacity(capacity),
            y: Vec::with_capacity(capacity),
            polarity: Vec::with_capacity(capacity),
        }
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.t.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.t.is_empty()
    }

    /// Appends one event.
    pub fn push(&mut self, t: u64, x: u16, y: u16, polarity: bool) {
        self.t.push(t);
        self.x.push(x);
        self.y.push(y);
        self.polarity.push(polarity);
    }

    /// Removes all events and keeps the room.
    pub fn clear(&mut self) {
        self.t.clear();
        self.x.clear();
        self.y.clear();
        self.polarity.clear();
    }

    /// Makes room for `additional` more events.
    pub fn reserve(&mut self, additional: usize) {
        self.t.reserve(additional);
        self.x.reserve(additional);
        self.y.reserve(additional);
        self.polarity.reserve(additional);
    }

    /// Keeps the first `len` events.
    pub fn truncate(&mut self, len: usize) {
        self.t.truncate(len);
        self.x.truncate(len);
        self.y.truncate(len);
        self.polarity.truncate(len);
    }

    /// Appends the events `range` of `other`.
    pub fn extend_from(&mut self, other: &Self, range: std::ops::Range<usize>) {
        self.t.extend_from_slice(&other.t[range.clone()]);
        self.x.extend_from_slice(&other.x[range.clone()]);
        self.y.extend_from_slice(&other.y[range.clone()]);
        self.polarity.extend_from_slice(&other.polarity[range]);
    }
}
