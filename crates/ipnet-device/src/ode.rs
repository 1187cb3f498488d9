//! Dormand-Prince 5(4): an adaptive Runge-Kutta pair of order 5, the judge of every exact or fixed step of this crate.
//!
//! Source: Dormand and Prince, J. Comp. Appl. Math. 6 (1980) 19. The step is accepted when the difference of the two orders, scaled by
//! `tolerance (1 + |y|)` per component, is at most 1.

const NODES: [f64; 7] = [0.0, 0.2, 0.3, 0.8, 8.0 / 9.0, 1.0, 1.0];
const STAGES: [[f64; 6]; 7] = [
    [0.0; 6],
    [0.2, 0.0, 0.0, 0.0, 0.0, 0.0],
    [3.0 / 40.0, 9.0 / 40.0, 0.0, 0.0, 0.0, 0.0],
    [44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0, 0.0, 0.0, 0.0],
    [19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0, 0.0, 0.0],
    [9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0, 0.0],
    [35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
];
/// Fifth less fourth order.
const ERROR: [f64; 7] =
    [71.0 / 57600.0, 0.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339200.0, 22.0 / 525.0, -1.0 / 40.0];

/// Integrates `dy/dt = f(t, y)` from `t0` to `t1` in place and returns the number of accepted steps.
///
/// `f(t, y, dy)` writes the derivative. Components should be of order one, or `tolerance` scaled to them. A step that would fall below
/// `1e-14` of the interval is taken as it is, so that the integration always ends.
pub fn dormand_prince<const N: usize>(
    mut f: impl FnMut(f64, &[f64; N], &mut [f64; N]),
    y: &mut [f64; N],
    t0: f64,
    t1: f64,
    tolerance: f64,
) -> usize {
    let span = t1 - t0;
    let (mut t, mut h, mut accepted) = (t0, 1e-3 * span, 0);
    let mut k = [[0.0; N]; 7];
    while t < t1 {
        h = h.min(t1 - t);
        let mut trial = *y;
        for stage in 0..7 {
            trial = *y;
            for (weight, slope) in STAGES[stage].iter().zip(&k).take(stage) {
                for (value, slope) in trial.iter_mut().zip(slope) {
                    *value += h * weight * slope;
                }
            }
            f(t + NODES[stage] * h, &trial, &mut k[stage]);
        }
        let mut scaled = 0.0_f64;
        for i in 0..N {
            let gap: f64 = ERROR.iter().zip(&k).map(|(weight, slope)| weight * slope[i]).sum();
            scaled = scaled.max((h * gap).abs() / (tolerance * (1.0 + y[i].abs())));
        }
        if scaled <= 1.0 || h <= 1e-14 * span {
            // The last stage of this pair is its fifth-order result.
            *y = trial;
            t = if t1 - t <= h { t1 } else { t + h };
            accepted += 1;
        }
        h *= (0.9 * scaled.max(1e-10).powf(-0.2)).clamp(0.2, 5.0);
    }
    accepted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// y'' = -y from (1, 0) over ten periods: the end is the start, and a tolerance 10^5 times finer gives an error at least 10^4
    /// times finer.
    #[test]
    fn the_harmonic_oscillator_comes_back() {
        let error = |tolerance: f64| {
            let mut y = [1.0, 0.0];
            let end = 20.0 * std::f64::consts::PI;
            dormand_prince(|_, y, dy| *dy = [y[1], -y[0]], &mut y, 0.0, end, tolerance);
            (y[0] - 1.0).hypot(y[1])
        };
        let (coarse, fine) = (error(1e-6), error(1e-11));
        assert!(fine < 1e-8 && fine < 1e-4 * coarse, "{coarse:e} {fine:e}");
    }
}
