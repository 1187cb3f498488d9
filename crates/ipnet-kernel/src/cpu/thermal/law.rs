//! The step law packed for lanes, and the exponent `w` with its slopes.
//!
//! With `E = Delta(theta) f^b`, `f = max(0, 1 - u / V_c(theta))`, `Delta = A / D`, `D = 1 + theta / T_amb`:
//! ```text
//! q         = ln(t_p / tau_0) - E,   w = log2(e) q + log2(log2(e)),   p = 1 - exp(-exp(q)) = 1 - 2^-(2^w)
//! b = 1:   k = 1 / (D V_c),  m = max(0, V_c - u),  E = A m k                          one division
//!          dE/du = -A k [m > 0],  dE/dtheta = k (A' m + A V_c' [m > 0]) - E k (D' V_c + D V_c')
//!          with A constant, V_c linear and no self-heating:  k = A / (D V_c),  E = m k,  dE/dtheta = k V_c' [m > 0] - E (D V_c)' / (D V_c)
//! else:    k = 1 / (D V_c),  E = (A k V_c) f^b,  f = m k D
//!          dE/df = b (A / D) f^(b-1),  df/du = -1 / V_c [m > 0],  df/dtheta = u V_c' / V_c^2 [m > 0]
//! ```
//! The packed constants are those of `w`: `ln(t_p / tau_0)` and A carry the factor log2(e).
//! `u` is the amplitude as the junction feels it: divided by its own relative critical voltage. At the edge
//! `u = V_c` the slope is that of the flat side, as `max` has it.

use crate::cpu::vector::{Real, Simd, Vector};
use crate::scan::SPREAD_LIMIT;
use ipnet_device::{MAX_POLES, StepLaw, SwitchingTable};
use std::f64::consts::LOG2_E;

/// `2^w` stays a normal number and `2^-(2^w)` too; beyond, `p` is 0 or 1 to the last bit of `f32`.
pub(crate) const W_RANGE: [f64; 2] = [-125.0, 6.87];

/// How a pulse switches, as constants of one type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Formula<X> {
    pub log_attempts: X,
    pub barrier: [X; 3],
    pub v_critical: [X; 3],
    pub inv_t_amb: X,
    pub exponent: X,
}

/// A measured table in the element type of the scan.
#[derive(Debug, Clone)]
pub(crate) struct Table<E> {
    first: [E; 2],
    nodes_per_unit: [E; 2],
    last_cell: [usize; 2],
    columns: usize,
    p: Vec<E>,
}

/// Which switching formula a kernel is compiled for.
#[derive(Debug, Clone)]
pub(crate) enum Kind<E> {
    Plain(Formula<E>),
    Linear(Formula<E>),
    Square(Formula<E>),
    Power(Formula<E>),
    Table(Table<E>),
}

/// A [`StepLaw`] in the element type of the scan.
#[derive(Debug, Clone)]
pub(crate) struct Packed<E> {
    pub poles: usize,
    pub decay: [E; MAX_POLES],
    pub heat: [E; MAX_POLES],
    pub reset: [E; MAX_POLES],
    pub self_heat: E,
    pub v_max: E,
    pub kind: Kind<E>,
}

impl<E: Real> Packed<E> {
    /// Packs a law that was validated.
    pub(crate) fn new(law: &StepLaw) -> Self {
        let pole = |value: fn(&ipnet_device::HeatPole) -> f64| {
            std::array::from_fn(|i| law.poles.get(i).map_or(E::default(), |pole| E::from_f64(value(pole))))
        };
        Self {
            poles: law.poles.len(),
            decay: pole(|p| p.decay),
            heat: pole(|p| p.heat_k_per_v2),
            reset: pole(|p| p.reset_k),
            self_heat: E::from_f64(law.self_heat_k_per_v2),
            v_max: E::from_f64(law.v_max_v),
            kind: Kind::new(law),
        }
    }

    /// Whether a firing heats the junction: only then does the heat depend on what was fired.
    pub(crate) fn has_reset(&self) -> bool {
        self.reset.iter().any(|r| *r != E::default())
    }
}

impl<E: Real> Kind<E> {
    fn new(law: &StepLaw) -> Self {
        let e = E::from_f64;
        match &law.switching {
            ipnet_device::Switching::Table(table) => Self::Table(Table::new(table)),
            ipnet_device::Switching::Arrhenius(a) => {
                let formula = Formula {
                    log_attempts: e(a.log_attempts * LOG2_E + LOG2_E.log2()),
                    barrier: a.barrier.map(|k| e(k * LOG2_E)),
                    v_critical: a.v_critical.map(e),
                    inv_t_amb: e(1.0 / law.t_amb_k),
                    exponent: e(a.exponent),
                };
                match a.exponent {
                    _ if is_plain(law, a) => Self::Plain(formula),
                    1.0 => Self::Linear(formula),
                    2.0 => Self::Square(formula),
                    _ => Self::Power(formula),
                }
            }
        }
    }
}

/// Whether [`Plain`] is the law: constant barrier, linear critical voltage, no self-heating, and `w`, which lies between
/// those of no barrier and of the highest, within [`W_RANGE`].
pub(crate) fn is_plain(law: &StepLaw, a: &ipnet_device::Arrhenius) -> bool {
    let attempts = a.log_attempts * LOG2_E + LOG2_E.log2();
    let highest = a.barrier[0] * LOG2_E * (1.0 + SPREAD_LIMIT * law.spread.barrier_d2d);
    a.exponent == 1.0
        && a.barrier[1..] == [0.0, 0.0]
        && a.v_critical[2] == 0.0
        && law.self_heat_k_per_v2 == 0.0
        && a.barrier[0] > 0.0
        && attempts < W_RANGE[1]
        && attempts - highest > W_RANGE[0]
}

impl<E: Real> Table<E> {
    fn new(table: &SwitchingTable) -> Self {
        let rows = table.p.len() / table.columns;
        let per_unit = |[a, b]: [f64; 2], nodes: usize| E::from_f64((nodes - 1) as f64 / (b - a));
        Self {
            first: [E::from_f64(table.u_range_v[0]), E::from_f64(table.rise_range_k[0])],
            nodes_per_unit: [per_unit(table.u_range_v, table.columns), per_unit(table.rise_range_k, rows)],
            last_cell: [table.columns - 2, rows - 2],
            columns: table.columns,
            p: table.p.iter().map(|p| E::from_f64(*p)).collect(),
        }
    }

    /// `(p, dp/du, dp/dtheta)`: bilinear inside, constant outside (slope 0 there).
    #[inline(always)]
    fn look_up(&self, u: E, rise: E) -> [E; 3] {
        let place = |axis: usize, value: E| {
            let place = ((value - self.first[axis]) * self.nodes_per_unit[axis]).to_f64();
            let inside = place.clamp(0.0, (self.last_cell[axis] + 1) as f64);
            let index = (inside as usize).min(self.last_cell[axis]);
            let slope = if place == inside { self.nodes_per_unit[axis] } else { E::default() };
            (index, E::from_f64(inside - index as f64), slope)
        };
        let (column, fc, du) = place(0, u);
        let (row, fr, dr) = place(1, rise);
        let corner = row * self.columns + column;
        let [a, b] = [self.p[corner], self.p[corner + 1]];
        let [c, d] = [self.p[corner + self.columns], self.p[corner + self.columns + 1]];
        let low = a + fc * (b - a);
        let high = c + fc * (d - c);
        let across = (b - a) + fr * ((d - c) - (b - a));
        [low + fr * (high - low), across * du, (high - low) * dr]
    }
}

/// One way of switching, compiled into a kernel.
pub(crate) trait Switch<E: Real>: Copy {
    /// Whether it gives p itself.
    const MEASURED: bool = false;
    /// Whether a pulse may heat itself.
    const SELF_HEAT: bool = true;
    /// Whether w may leave [`W_RANGE`].
    const UNBOUNDED: bool = true;
    /// Its constants as vectors.
    type Ready<S: Simd<E = E>>: Copy;
    /// Spreads the constants over lanes, once per row.
    fn ready<S: Simd<E = E>>(self, simd: S) -> Self::Ready<S>;
    /// w (formula) or p (table) at amplitude `u` and rise `rise`, barrier times `scale`.
    fn value<S: Simd<E = E>>(simd: S, law: Self::Ready<S>, u: S::V, rise: S::V, scale: S::V) -> S::V;
    /// The same with its slopes: `[value, d/du, d/drise]`.
    fn slopes<S: Simd<E = E>>(simd: S, law: Self::Ready<S>, u: S::V, rise: S::V, scale: S::V) -> [S::V; 3];
}

/// `b = 1`, a constant barrier, a linear critical voltage, no self-heating: the law of the textbooks, for half of the
/// multiplications.
#[derive(Clone, Copy)]
pub(crate) struct Plain<'a, E>(pub &'a Formula<E>);
/// `b = 1`.
#[derive(Clone, Copy)]
pub(crate) struct Linear<'a, E>(pub &'a Formula<E>);
/// `b = 2`.
#[derive(Clone, Copy)]
pub(crate) struct Square<'a, E>(pub &'a Formula<E>);
/// Any `b`.
#[derive(Clone, Copy)]
pub(crate) struct Power<'a, E>(pub &'a Formula<E>);
/// Measured.
#[derive(Clone, Copy)]
pub(crate) struct Measured<'a, E>(pub &'a Table<E>);

impl<E: Real> Formula<E> {
    #[inline(always)]
    fn spread<S: Simd<E = E>>(&self, simd: S) -> Formula<S::V> {
        let v = |value| simd.splat(value);
        Formula {
            log_attempts: v(self.log_attempts),
            barrier: self.barrier.map(v),
            v_critical: self.v_critical.map(v),
            inv_t_amb: v(self.inv_t_amb),
            exponent: v(self.exponent),
        }
    }
}

/// What all formulas share at one rise: `A`, `V_c`, `D`, `m = max(0, V_c - u)`, `k = 1 / (D V_c)`.
struct Barrier<V> {
    a: V,
    v: V,
    d: V,
    m: V,
    k: V,
}

#[inline(always)]
fn barrier<S: Simd>(simd: S, law: &Formula<S::V>, u: S::V, rise: S::V, scale: S::V) -> Barrier<S::V> {
    let one = simd.splat(S::E::from_f64(1.0));
    let zero = simd.splat(S::E::from_f64(0.0));
    let quadratic = |k: &[S::V; 3]| k[2].mul_add(rise, k[1]).mul_add(rise, k[0]);
    let a = quadratic(&law.barrier) * scale;
    let v = quadratic(&law.v_critical);
    let d = rise.mul_add(law.inv_t_amb, one);
    Barrier { a, v, d, m: zero.max_with(v - u), k: one / (d * v) }
}

/// Slopes of the three polynomials: `A'`, `V_c'`, `D'`.
#[inline(always)]
fn barrier_slopes<V: Vector>(law: &Formula<V>, rise: V, scale: V) -> [V; 3] {
    let slope = |k: &[V; 3]| (k[2] + k[2]).mul_add(rise, k[1]);
    [slope(&law.barrier) * scale, slope(&law.v_critical), law.inv_t_amb]
}

impl<E: Real> Switch<E> for Plain<'_, E> {
    const SELF_HEAT: bool = false;
    const UNBOUNDED: bool = false;
    type Ready<S: Simd<E = E>> = Formula<S::V>;

    #[inline(always)]
    fn ready<S: Simd<E = E>>(self, simd: S) -> Formula<S::V> {
        self.0.spread(simd)
    }
    #[inline(always)]
    fn value<S: Simd<E = E>>(simd: S, law: Formula<S::V>, u: S::V, rise: S::V, scale: S::V) -> S::V {
        let (zero, one) = (simd.splat(E::from_f64(0.0)), simd.splat(E::from_f64(1.0)));
        let v = law.v_critical[1].mul_add(rise, law.v_critical[0]);
        let d = rise.mul_add(law.inv_t_amb, one);
        let k = law.barrier[0] * scale / (d * v);
        zero.max_with(v - u).neg_mul_add(k, law.log_attempts)
    }
    #[inline(always)]
    fn slopes<S: Simd<E = E>>(simd: S, law: Formula<S::V>, u: S::V, rise: S::V, scale: S::V) -> [S::V; 3] {
        let (zero, one) = (simd.splat(E::from_f64(0.0)), simd.splat(E::from_f64(1.0)));
        let [v0, v1, _] = law.v_critical;
        let v = v1.mul_add(rise, v0);
        let d = rise.mul_add(law.inv_t_amb, one);
        let m = zero.max_with(v - u);
        let inverse = one / (d * v);
        let k = law.barrier[0] * scale * inverse;
        let open = zero.if_less(m, k, zero);
        // (D V_c)' is linear in the rise, with coefficients that do not change from row to row.
        let curvature = law.inv_t_amb * v1;
        let product_slope = (curvature + curvature).mul_add(rise, law.inv_t_amb.mul_add(v0, v1));
        let w_rise = (m * k).mul_sub(product_slope * inverse, open * v1);
        [m.neg_mul_add(k, law.log_attempts), open, w_rise]
    }
}

impl<E: Real> Switch<E> for Linear<'_, E> {
    type Ready<S: Simd<E = E>> = Formula<S::V>;

    #[inline(always)]
    fn ready<S: Simd<E = E>>(self, simd: S) -> Formula<S::V> {
        self.0.spread(simd)
    }
    #[inline(always)]
    fn value<S: Simd<E = E>>(simd: S, law: Formula<S::V>, u: S::V, rise: S::V, scale: S::V) -> S::V {
        let b = barrier(simd, &law, u, rise, scale);
        (b.a * b.m).neg_mul_add(b.k, law.log_attempts)
    }
    #[inline(always)]
    fn slopes<S: Simd<E = E>>(simd: S, law: Formula<S::V>, u: S::V, rise: S::V, scale: S::V) -> [S::V; 3] {
        let zero = simd.splat(E::from_f64(0.0));
        let b = barrier(simd, &law, u, rise, scale);
        let [a1, v1, d1] = barrier_slopes(&law, rise, scale);
        let am = b.a * b.m;
        let open = zero.if_less(b.m, b.a, zero);
        let e = am * b.k;
        let numerator = a1.mul_add(b.m, open * v1);
        let w_rise = b.k * e.mul_sub(d1.mul_add(b.v, b.d * v1), numerator);
        [am.neg_mul_add(b.k, law.log_attempts), open * b.k, w_rise]
    }
}

/// `E = (A / D) f^b` for the formulas that have `f` itself; `power(f) = (f^b, b f^(b-1))`.
#[inline(always)]
fn fraction_slopes<S: Simd>(
    simd: S,
    law: &Formula<S::V>,
    u: S::V,
    rise: S::V,
    scale: S::V,
    power: impl Fn(S::V) -> (S::V, S::V),
) -> [S::V; 3] {
    let zero = simd.splat(S::E::from_f64(0.0));
    let b = barrier(simd, law, u, rise, scale);
    let [a1, v1, d1] = barrier_slopes(law, rise, scale);
    let (inv_v, inv_d) = (b.k * b.d, b.k * b.v);
    let delta = b.a * inv_d;
    let f = b.m * inv_v;
    let (fb, fb1) = power(f);
    let e_f = zero.if_less(b.m, delta * fb1, zero);
    let delta_rise = inv_d * delta.neg_mul_add(d1, a1);
    let f_rise = (u * inv_v) * (v1 * inv_v);
    [delta.neg_mul_add(fb, law.log_attempts), e_f * inv_v, -(delta_rise.mul_add(fb, e_f * f_rise))]
}

/// `(f^b, b f^(b-1))` through the logarithm; 0 for `f = 0`.
#[inline(always)]
fn general_power<S: Simd>(simd: S, f: S::V, exponent: S::V) -> (S::V, S::V) {
    let tiny = simd.splat(S::E::from_f64(1e-30));
    let low = simd.splat(S::E::from_f64(-125.0));
    let log2_e = simd.splat(S::E::from_f64(LOG2_E));
    let safe = tiny.max_with(f);
    let fb = low.max_with((exponent * log2_e) * safe.ln()).exp2();
    (fb, exponent * (fb / safe))
}

impl<E: Real> Switch<E> for Square<'_, E> {
    type Ready<S: Simd<E = E>> = Formula<S::V>;

    #[inline(always)]
    fn ready<S: Simd<E = E>>(self, simd: S) -> Formula<S::V> {
        self.0.spread(simd)
    }
    #[inline(always)]
    fn value<S: Simd<E = E>>(simd: S, law: Formula<S::V>, u: S::V, rise: S::V, scale: S::V) -> S::V {
        let b = barrier(simd, &law, u, rise, scale);
        let f = b.m * (b.k * b.d);
        (b.a * (b.k * b.v)).neg_mul_add(f * f, law.log_attempts)
    }
    #[inline(always)]
    fn slopes<S: Simd<E = E>>(simd: S, law: Formula<S::V>, u: S::V, rise: S::V, scale: S::V) -> [S::V; 3] {
        fraction_slopes(simd, &law, u, rise, scale, |f| (f * f, f + f))
    }
}

impl<E: Real> Switch<E> for Power<'_, E> {
    type Ready<S: Simd<E = E>> = Formula<S::V>;

    #[inline(always)]
    fn ready<S: Simd<E = E>>(self, simd: S) -> Formula<S::V> {
        self.0.spread(simd)
    }
    #[inline(always)]
    fn value<S: Simd<E = E>>(simd: S, law: Formula<S::V>, u: S::V, rise: S::V, scale: S::V) -> S::V {
        let b = barrier(simd, &law, u, rise, scale);
        let (fb, _) = general_power(simd, b.m * (b.k * b.d), law.exponent);
        (b.a * (b.k * b.v)).neg_mul_add(fb, law.log_attempts)
    }
    #[inline(always)]
    fn slopes<S: Simd<E = E>>(simd: S, law: Formula<S::V>, u: S::V, rise: S::V, scale: S::V) -> [S::V; 3] {
        fraction_slopes(simd, &law, u, rise, scale, |f| general_power(simd, f, law.exponent))
    }
}

impl<'a, E: Real> Switch<E> for Measured<'a, E> {
    const MEASURED: bool = true;
    type Ready<S: Simd<E = E>> = &'a Table<E>;

    #[inline(always)]
    fn ready<S: Simd<E = E>>(self, _: S) -> &'a Table<E> {
        self.0
    }
    #[inline(always)]
    fn value<S: Simd<E = E>>(simd: S, table: &'a Table<E>, u: S::V, rise: S::V, _: S::V) -> S::V {
        let [p, _, _] = simd.map_lanes(u, rise, |u, rise| table.look_up(u, rise));
        p
    }
    #[inline(always)]
    fn slopes<S: Simd<E = E>>(simd: S, table: &'a Table<E>, u: S::V, rise: S::V, _: S::V) -> [S::V; 3] {
        simd.map_lanes(u, rise, |u, rise| table.look_up(u, rise))
    }
}
