//! 3x3 convolution with stride 1 by minimal filtering F(4x4, 3x3) for AVX2 + FMA: 36 products where the direct sum
//! needs 144.
//!
//! The output is cut in tiles of 4x4 pixels, each from 6x6 pixels `d` of the padded input. With
//! ```text
//! V = B^T d B,  U = G w G^T,  M[k] = sum_i U[k, o, i] V[k, i]  (k = 0..36),  y = A^T M A
//! ```
//! the sums over input channels are 36 matrix products. `B^T`, `G` and `A^T` are in [`points`]. `dx` is the same function
//! of `dy` with the weight transposed and turned round, padding `2 - p`. The weight's gradient is in
//! [`weight_gradient`]. Source: Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.
//!
//! Design decision: vectors lie over channels, so that planes of any width fill them and only the last tile of a row is
//! in part empty. Tiles run through in bands, so that the transformed band stays in the second-level cache. An infinity
//! makes NaN of its whole tile. Parts and sums are as in `direct`.

mod over_time;
mod points;
mod product;
mod transform;
mod weight_gradient;

use super::Geometry;
use super::direct;
use super::scratch::with_scratch;
pub(crate) use over_time::{Frames, OverTime};
use product::product;
use transform::{pixels, store, transform_input, transform_output};
pub(crate) use weight_gradient::{finish_backward_w, sample_backward_w, sums_len};

/// f32 lanes of a vector.
pub(super) const LANES: usize = 8;
/// Pixels along a side of a tile.
const TILE: usize = 4;
/// Input pixels along a side of a tile, and frequencies in one direction.
const SIDE: usize = TILE + 2;
/// Products per tile, input channel and output channel.
const FREQUENCIES: usize = SIDE * SIDE;
/// Tiles of a band, about.
const BAND_TILES: usize = 32;

/// Whether this module handles `g` on this machine, and faster than the direct sum: channels enough to pay for the
/// transforms, planes that fill a third of their tiles.
pub(crate) fn applies(g: &Geometry) -> bool {
    let fills = |h: usize, w: usize| h.next_multiple_of(TILE) * w.next_multiple_of(TILE) <= 3 * h * w;
    direct::applies(g)
        && g.c_in >= LANES
        && g.c_out >= LANES
        && fills(g.h_out, g.w_out)
        && fills(g.h_in, g.w_in)
}

/// How a plane of `h x w` outputs is cut in tiles.
#[derive(Clone, Copy)]
struct Tiling {
    /// Rows of tiles.
    rows: usize,
    /// Tiles of a row.
    columns: usize,
    /// Rows of tiles per band.
    band: usize,
}

impl Tiling {
    fn new(h: usize, w: usize) -> Self {
        let (rows, columns) = (h.div_ceil(TILE), w.div_ceil(TILE));
        Self { rows, columns, band: (BAND_TILES / columns).clamp(1, rows) }
    }

    /// First row and rows of tiles of each band.
    fn bands(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.rows).step_by(self.band).map(move |first| (first, self.band.min(self.rows - first)))
    }

    /// Input pixels of a row of tiles.
    fn line(&self) -> usize {
        self.columns * TILE + 2
    }

    /// Elements of the input pixels of a band and of one row of tiles half transformed, of eight channels.
    fn pixels_len(&self) -> usize {
        ((self.band * TILE + 2) + SIDE) * self.line() * LANES
    }
}

/// Channels of tiles transformed, `[frequencies][ceil(C / 8)][tiles][8]`, missing channels zero.
#[derive(Clone, Copy)]
struct Spectrum {
    /// Vectors of channels.
    blocks: usize,
    tiles: usize,
}

impl Spectrum {
    fn new(channels: usize, tiles: usize) -> Self {
        Self { blocks: channels.div_ceil(LANES), tiles }
    }

    /// Elements from one block of channels to the next.
    fn block(&self) -> usize {
        self.tiles * LANES
    }

    /// Elements from one frequency to the next: one cache line more than there are, for powers of two would share
    /// their places in the cache.
    fn stride(&self) -> usize {
        self.blocks * self.block() + 2 * LANES
    }

    fn len(&self, frequencies: usize) -> usize {
        frequencies * self.stride()
    }
}

/// Place of `(k, o, i)` in a weight transformed, `[frequencies][ceil(O / 8)][I, padded to whole vectors][8]`.
fn weight_at([c_out, c_in]: [usize; 2], k: usize, o: usize, i: usize) -> usize {
    let (blocks, inputs) = (c_out.div_ceil(LANES), c_in.next_multiple_of(LANES));
    ((k * blocks + o / LANES) * inputs + i) * LANES + o % LANES
}

/// Elements of one frequency of a weight transformed.
fn weight_stride(channels: [usize; 2]) -> usize {
    channels.map(|count| count.next_multiple_of(LANES)).iter().product()
}

/// The weight `U` of `w[o, i, tap] = at(o, i, tap)`, in the order of [`weight_at`], missing channels zero.
pub(crate) fn pack(c_out: usize, c_in: usize, at: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
    let channels = [c_out, c_in];
    let mut packed = vec![0.0; FREQUENCIES * weight_stride(channels)];
    // SAFETY: `applies` found AVX2 and FMA before this module was entered.
    unsafe { transform_weight(channels, at, &mut packed) };
    packed
}

/// `G w G^T` in 64 bits.
///
/// # Safety
/// AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn transform_weight(
    channels: [usize; 2],
    at: impl Fn(usize, usize, usize) -> f32,
    packed: &mut [f32],
) {
    for (first, i) in lanes_of(channels) {
        let taps = gather::<9>(channels, (first, i), &at);
        let columns = [0, 1, 2].map(|v| points::of_weight([taps[v], taps[3 + v], taps[6 + v]]));
        for row in 0..SIDE {
            let across = points::of_weight(columns.map(|column| column[row]));
            for (column, u) in across.into_iter().enumerate() {
                put(u, &mut packed[weight_at(channels, row * SIDE + column, first, i)..]);
            }
        }
    }
}

/// First output channel of each vector, with each input channel.
fn lanes_of([c_out, c_in]: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
    (0..c_out).step_by(LANES).flat_map(move |first| (0..c_in).map(move |i| (first, i)))
}

/// The taps of the eight output channels from `first` on with input channel `i`; missing channels zero.
#[inline(always)]
fn gather<const N: usize>(
    [c_out, _]: [usize; 2],
    (first, i): (usize, usize),
    at: &impl Fn(usize, usize, usize) -> f32,
) -> [points::Lanes; N] {
    let mut taps = [[0.0; LANES]; N];
    for (lane, o) in (first..c_out.min(first + LANES)).enumerate() {
        for (tap, taps) in taps.iter_mut().enumerate() {
            taps[lane] = f64::from(at(o, i, tap));
        }
    }
    taps
}

/// Eight output channels of one frequency and input channel.
#[inline(always)]
fn put(u: points::Lanes, packed: &mut [f32]) {
    for (packed, u) in packed[..LANES].iter_mut().zip(u) {
        *packed = u as f32;
    }
}

/// The way back of [`gather`], to kernels `dw [O, I]`.
#[inline(always)]
fn scatter<const N: usize>(
    [c_out, c_in]: [usize; 2],
    (first, i): (usize, usize),
    taps: &[[f32; LANES]; N],
    dw: &mut [[f32; N]],
) {
    for (lane, o) in (first..c_out.min(first + LANES)).enumerate() {
        dw[o * c_in + i] = std::array::from_fn(|tap| taps[tap][lane]);
    }
}

/// One sample: `y [O, h, w]` from `x [I, ..]` padded by `padding` and the packed weight.
pub(crate) fn correlate(
    y: &mut [f32],
    [c_out, h, w]: [usize; 3],
    x: &[f32],
    extent: [usize; 3],
    padding: usize,
    packed: &[f32],
    bias: Option<&[f32]>,
) {
    let c_in = extent[0];
    let tiling = Tiling::new(h, w);
    let largest = tiling.band * tiling.columns;
    let [v_len, m_len] = [c_in, c_out].map(|channels| Spectrum::new(channels, largest).len(FREQUENCIES));
    with_scratch(tiling.pixels_len() + v_len + m_len, |scratch| {
        let (lines, rest) = scratch.split_at_mut(tiling.pixels_len());
        let (v, m) = rest.split_at_mut(v_len);
        for (first, rows) in tiling.bands() {
            let [of_v, of_m] = [c_in, c_out].map(|channels| Spectrum::new(channels, rows * tiling.columns));
            spectrum_of_input(&tiling, (first, rows), x, extent, padding, lines, v);
            for (k, weights) in packed.chunks_exact(weight_stride([c_out, c_in])).enumerate() {
                let (v, m) = (&v[k * of_v.stride()..], &mut m[k * of_m.stride()..]);
                // SAFETY: `applies` found AVX2 and FMA before this module was entered.
                unsafe { product(weights, v, of_v, m, of_m) };
            }
            for block in 0..of_m.blocks {
                let channels = LANES.min(c_out - block * LANES);
                let start = start_of(bias, block);
                let planes = &mut y[block * LANES * h * w..];
                for r in 0..rows {
                    let row = TILE * (first + r);
                    let at = block * of_m.block() + r * tiling.columns * LANES;
                    // SAFETY: as above.
                    unsafe { transform_output(&m[at..], of_m.stride(), tiling.columns, lines, &start) };
                    store(lines, tiling.columns * TILE, planes, [channels, h, w], row);
                }
            }
        }
    });
}

/// The bias of the `block`-th eight channels.
fn start_of(bias: Option<&[f32]>, block: usize) -> [f32; LANES] {
    std::array::from_fn(|lane| bias.and_then(|bias| bias.get(block * LANES + lane)).copied().unwrap_or(0.0))
}

/// `V` of rows `first..first + rows` of tiles.
fn spectrum_of_input(
    tiling: &Tiling,
    (first, rows): (usize, usize),
    x: &[f32],
    extent: [usize; 3],
    padding: usize,
    lines: &mut [f32],
    v: &mut [f32],
) {
    let spectrum = Spectrum::new(extent[0], rows * tiling.columns);
    let count = rows * TILE + 2;
    let (lines, half_done) = lines.split_at_mut((tiling.band * TILE + 2) * tiling.line() * LANES);
    for block in 0..spectrum.blocks {
        pixels(
            x,
            extent,
            block,
            (first * TILE, padding),
            &mut lines[..count * tiling.line() * LANES],
            tiling.line(),
        );
        for r in 0..rows {
            let lines = &lines[r * TILE * tiling.line() * LANES..];
            let at = block * spectrum.block() + r * tiling.columns * LANES;
            // SAFETY: `applies` found AVX2 and FMA.
            unsafe { transform_input(lines, tiling.columns, half_done, &mut v[at..], spectrum.stride()) };
        }
    }
}
