//! One Heun step of L independent spins side by side.
//!
//! ```text
//! m~   = m + h f(m, B)            predictor
//! m'   = m + h/2 [ f(m, B) + f(m~, B) ],   m' / |m'|      the same thermal field B in both
//! ```
//! Heun with the noise held over the step converges to the Stratonovich solution (Garcia-Palacios and Lazaro 1998). The strong order is
//! measured in the tests. Design decision: spins lie as `[[f64; L]; 3]`, so that plain arithmetic over lanes becomes SIMD, and no operation is
//! fused: every instruction set gives the same bits.

use super::Macrospin;

/// L spins: x, y, z of every lane.
pub(super) type Lanes<const L: usize> = [[f64; L]; 3];

#[inline(always)]
fn zip<const L: usize>(a: &[f64; L], b: &[f64; L], f: impl Fn(f64, f64) -> f64) -> [f64; L] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

#[inline(always)]
fn cross<const L: usize>(a: &Lanes<L>, b: &Lanes<L>) -> Lanes<L> {
    let part = |i: usize, j: usize| -> [f64; L] {
        std::array::from_fn(|lane| a[i][lane] * b[j][lane] - a[j][lane] * b[i][lane])
    };
    [part(1, 2), part(2, 0), part(0, 1)]
}

/// `dm/dt` [1/s] of every lane under the thermal field `noise_t` \[T\].
#[inline(always)]
pub(super) fn rate<const L: usize>(spin: &Macrospin, m: &Lanes<L>, noise_t: &Lanes<L>) -> Lanes<L> {
    let (a, p) = (spin.damping_like_t, &spin.polariser);
    // m x p, with p the same for every lane.
    let pull: Lanes<L> = [
        std::array::from_fn(|i| m[1][i] * p[2] - m[2][i] * p[1]),
        std::array::from_fn(|i| m[2][i] * p[0] - m[0][i] * p[2]),
        std::array::from_fn(|i| m[0][i] * p[1] - m[1][i] * p[0]),
    ];
    let w: Lanes<L> = std::array::from_fn(|axis| {
        let constant = spin.field_t[axis] + spin.field_like_t * p[axis];
        let stiffness = spin.stiffness_t[axis];
        std::array::from_fn(|i| constant + stiffness * m[axis][i] + a * pull[axis][i] + noise_t[axis][i])
    });
    let m_w = cross(m, &w);
    let m_m_w = cross(m, &m_w);
    let (g, alpha) = (-spin.gamma_ll(), spin.damping);
    std::array::from_fn(|axis| zip(&m_w[axis], &m_m_w[axis], |turn, damp| g * (turn + alpha * damp)))
}

/// One step of every lane.
#[inline(always)]
pub(super) fn step<const L: usize>(spin: &Macrospin, m: &mut Lanes<L>, dt_s: f64, noise_t: &Lanes<L>) {
    let first = rate(spin, m, noise_t);
    let trial: Lanes<L> = std::array::from_fn(|axis| zip(&m[axis], &first[axis], |m, f| m + dt_s * f));
    let second = rate(spin, &trial, noise_t);
    let half = 0.5 * dt_s;
    let next: Lanes<L> = std::array::from_fn(|axis| {
        std::array::from_fn(|i| m[axis][i] + half * (first[axis][i] + second[axis][i]))
    });
    let scale: [f64; L] = std::array::from_fn(|i| {
        1.0 / (next[0][i] * next[0][i] + next[1][i] * next[1][i] + next[2][i] * next[2][i]).sqrt()
    });
    *m = std::array::from_fn(|axis| zip(&next[axis], &scale, |m, s| m * s));
}

/// One Heun step of one spin under a given thermal field \[T\]: for tests of the order, where two step widths share one Brownian path.
pub fn heun_step(spin: &Macrospin, m: &mut [f64; 3], dt_s: f64, noise_t: [f64; 3]) {
    let mut lanes = m.map(|value| [value]);
    step(spin, &mut lanes, dt_s, &noise_t.map(|value| [value]));
    *m = lanes.map(|[value]| value);
}
