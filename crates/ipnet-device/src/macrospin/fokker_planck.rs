//! Fokker-Planck equation of an axially symmetric macrospin: the density of `u = m_z`, without sampling noise.
//!
//! ```text
//! d rho / dt = - d/du { (1 - u^2) [ A(u) rho - D d rho / du ] }
//! A(u) = gamma' (alpha (K u + B_z) + a p_z),   D = gamma' alpha k_B T / (Ms V),   gamma' = gamma / (1 + alpha^2)
//! ```
//! Source: Brown 1963. Finite volumes in u with exponentially fitted fluxes (Scharfetter and Gummel), which keep the density positive and have Boltzmann's
//! distribution as their exact rest state in the limit; Crank-Nicolson in time; every step is one tridiagonal solve and conserves probability.

use super::{Macrospin, Segment};
use crate::constants::K_B;

/// A density over `u = m_z` in `-1..=1`, on cells of equal width.
#[derive(Debug, Clone)]
pub struct Density {
    /// Probability per unit of u, from -1 upwards.
    rho: Vec<f64>,
}

/// `x / (exp(x) - 1)`.
fn bernoulli(x: f64) -> f64 {
    if x.abs() < 1e-8 { 1.0 - 0.5 * x } else { x / x.exp_m1() }
}

impl Density {
    /// The equilibrium of `spin` on `cells` cells, restricted to `m_z > 0` if `upper_well`.
    pub fn equilibrium(spin: &Macrospin, cells: usize, upper_well: bool) -> Self {
        let mut density = Self { rho: vec![0.0; cells] };
        let beta = spin.moment_a_m2 / (K_B * spin.temperature_k);
        let stiffness_t = spin.stiffness_t[2] - spin.stiffness_t[0];
        let top = beta * (0.5 * stiffness_t.max(0.0) + spin.field_t[2].abs());
        for i in 0..cells {
            let u = density.centre(i);
            if !upper_well || u > 0.0 {
                density.rho[i] = (beta * u * (0.5 * stiffness_t * u + spin.field_t[2]) - top).exp();
            }
        }
        let mass = density.mass();
        density.rho.iter_mut().for_each(|rho| *rho /= mass);
        density
    }

    /// Width of a cell.
    fn width(&self) -> f64 {
        2.0 / self.rho.len() as f64
    }

    fn centre(&self, i: usize) -> f64 {
        -1.0 + (i as f64 + 0.5) * self.width()
    }

    /// Total probability: 1.
    pub fn mass(&self) -> f64 {
        self.rho.iter().sum::<f64>() * self.width()
    }

    /// Probability of `m_z < 0`.
    pub fn below_equator(&self) -> f64 {
        let half = self.rho.len() / 2;
        let middle = if self.rho.len() % 2 == 1 { 0.5 * self.rho[half] } else { 0.0 };
        (self.rho[..half].iter().sum::<f64>() + middle) * self.width()
    }

    /// Probability of each of `bins` equal bins of u.
    pub fn binned(&self, bins: usize) -> Vec<f64> {
        let mut out = vec![0.0; bins];
        for (i, rho) in self.rho.iter().enumerate() {
            out[i * bins / self.rho.len()] += rho * self.width();
        }
        out
    }

    /// Advances by `duration_s` in `steps` steps under `spin`, whose field, easy axis and polariser must lie along z.
    pub fn advance(&mut self, spin: &Macrospin, duration_s: f64, steps: usize) {
        let n = self.rho.len();
        let width = self.width();
        let gamma = spin.gamma_ll();
        let diffusion = gamma * spin.damping * K_B * spin.temperature_k / spin.moment_a_m2;
        let stiffness_t = spin.stiffness_t[2] - spin.stiffness_t[0];
        // Flux through the face between cells j and j + 1 is out[j] rho[j] - back[j] rho[j + 1]; none through the poles.
        let faces: Vec<[f64; 2]> = (0..n - 1)
            .map(|j| {
                let u = -1.0 + (j as f64 + 1.0) * width;
                let drift = gamma
                    * (spin.damping * (stiffness_t * u + spin.field_t[2])
                        + spin.damping_like_t * spin.polariser[2]);
                let w = drift * width / diffusion;
                let scale = (1.0 - u * u) * diffusion / width;
                [scale * bernoulli(-w), scale * bernoulli(w)]
            })
            .collect();
        let half = 0.5 * duration_s / steps.max(1) as f64 / width;
        let mut solver = Tridiagonal::new(n, &faces, half);
        (0..steps.max(1)).for_each(|_| solver.step(&mut self.rho, &faces, half));
    }

    /// Advances through a schedule of segments, with `steps_per_segment` time steps each.
    pub fn follow(&mut self, schedule: &[Segment], steps_per_segment: usize) {
        for segment in schedule {
            self.advance(&segment.spin, segment.dt_s * segment.steps as f64, steps_per_segment);
        }
    }
}

/// `(1 - half L)` factored once, for Crank-Nicolson steps with the same faces.
struct Tridiagonal {
    below: Vec<f64>,
    pivot: Vec<f64>,
    above: Vec<f64>,
    right: Vec<f64>,
}

impl Tridiagonal {
    fn new(n: usize, faces: &[[f64; 2]], half: f64) -> Self {
        let out = |j: usize| faces.get(j).map_or(0.0, |f| f[0]);
        let back = |j: usize| if j == 0 { 0.0 } else { faces[j - 1][1] };
        let below: Vec<f64> = (0..n).map(|i| if i == 0 { 0.0 } else { -half * faces[i - 1][0] }).collect();
        let above: Vec<f64> = (0..n).map(|i| faces.get(i).map_or(0.0, |f| -half * f[1])).collect();
        let mut pivot: Vec<f64> = (0..n).map(|i| 1.0 + half * (out(i) + back(i))).collect();
        for i in 1..n {
            pivot[i] -= below[i] * above[i - 1] / pivot[i - 1];
        }
        Self { below, pivot, above, right: vec![0.0; n] }
    }

    fn step(&mut self, rho: &mut [f64], faces: &[[f64; 2]], half: f64) {
        self.right.copy_from_slice(rho);
        for (j, [out, back]) in faces.iter().enumerate() {
            let flux = half * (out * rho[j] - back * rho[j + 1]);
            self.right[j] -= flux;
            self.right[j + 1] += flux;
        }
        let n = rho.len();
        for i in 1..n {
            self.right[i] -= self.below[i] / self.pivot[i - 1] * self.right[i - 1];
        }
        rho[n - 1] = self.right[n - 1] / self.pivot[n - 1];
        for i in (0..n - 1).rev() {
            rho[i] = (self.right[i] - self.above[i] * rho[i + 1]) / self.pivot[i];
        }
    }
}

/// Mean time \[s\] in which a spin in equilibrium at the bottom of the upper well first reaches the equator: exact for the Fokker-Planck equation,
/// by quadrature of `integral du / ((1 - u^2) D) exp(phi(u)) integral_u^1 exp(-phi(v)) dv` with `phi = E / (k_B T)`.
///
/// In the limit of high barriers the escape rate to the other side is half of its inverse, which is Brown's
/// `alpha gamma' K sqrt(Delta / pi) exp(-Delta)`.
pub fn mean_time_to_equator_s(spin: &Macrospin) -> f64 {
    const NODES: usize = 20_000;
    let delta = spin.stability();
    let diffusion = spin.gamma_ll() * spin.damping * K_B * spin.temperature_k / spin.moment_a_m2;
    let width = 1.0 / NODES as f64;
    let (mut inner, mut total) = (0.0, 0.0);
    for i in (0..NODES).rev() {
        let u = (i as f64 + 0.5) * width;
        // Weights relative to the equator, where phi = 0: exp(-phi) = exp(Delta u^2).
        let weight = (delta * u * u).exp() * width;
        total += (inner + 0.5 * weight) / ((1.0 - u * u) * diffusion) * (-delta * u * u).exp() * width;
        inner += weight;
    }
    total
}
