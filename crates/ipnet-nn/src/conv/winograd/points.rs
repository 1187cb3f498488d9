//! The one-dimensional F(4, 3) on the points `0, +-5/8, +-3/2` and infinity:
//! ```text
//!       | p   0    -s   0   1  0 |         | 1 / p  0    0      |        | 1  1   1   1   1   0 |
//!       | 0 -ab^2  -b^2  a  1  0 |         | e      a e  a^2 e  |  A^T = | 0  a  -a   b  -b   0 |
//! B^T = | 0  ab^2  -b^2 -a  1  0 |     G = | e     -a e  a^2 e  |        | 0  a^2 a^2 b^2 b^2 0 |
//!       | 0 -a^2b  -a^2  b  1  0 |         | f      b f  b^2 f  |        | 0  a^3 -a^3 b^3 -b^3 1 |
//!       | 0  a^2b  -a^2 -b  1  0 |         | f     -b f  b^2 f  |
//!       | 0  p    0    -s   0  1 |         | 0      0    1      |
//! ```
//! with `a = 5/8`, `b = 3/2`, `p = a^2 b^2`, `s = a^2 + b^2`, `e = 1 / (2 a^2 (a^2 - b^2))`, `f = 1 / (2 b^2 (b^2 - a^2))`.
//!
//! Design decision: on these points the error is about twice that of a direct sum, on the usual ones, `+-1, +-2`, three
//! times as large; and all entries of `A` and `B` are f32 numbers. Method: Barabasz et al., "Error analysis and improving the accuracy of Winograd
//! convolution for deep neural networks", ACM TOMS 2020.

use std::arch::x86_64::*;

use super::{LANES, SIDE, TILE};

const A: f32 = 0.625;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;
const P: f32 = A2 * B2;
const S: f32 = A2 + B2;

/// Weights of the two pairs of points in `G`.
const PAIRS: [(f64, f64); 2] = {
    let (a, b) = (A as f64, B as f64);
    [(a, 0.5 / (a * a * (a * a - b * b))), (b, 0.5 / (b * b * (b * b - a * a)))]
};

/// One number for each lane.
pub(super) type Lanes = [f64; LANES];

/// `G w`, lane by lane.
#[inline(always)]
pub(super) fn of_weight(w: [Lanes; 3]) -> [Lanes; SIDE] {
    let mut u = [[0.0; LANES]; SIDE];
    for lane in 0..LANES {
        let [w0, w1, w2] = w.map(|w| w[lane]);
        u[0][lane] = w0 / f64::from(P);
        for (pair, (x, scale)) in PAIRS.into_iter().enumerate() {
            let (even, odd) = (w0 + x * x * w2, x * w1);
            u[1 + 2 * pair][lane] = scale * (even + odd);
            u[2 + 2 * pair][lane] = scale * (even - odd);
        }
        u[5][lane] = w2;
    }
    u
}

/// `G^T u`.
#[target_feature(enable = "avx2,fma")]
#[inline]
pub(super) fn to_weight([u0, u1, u2, u3, u4, u5]: [__m256; SIDE]) -> [__m256; 3] {
    let pair = |(x, scale): (f64, f64), plus, minus| {
        let [s, xs, xxs] = [scale, x * scale, x * x * scale].map(|c| _mm256_set1_ps(c as f32));
        let (sum, difference) = (_mm256_add_ps(plus, minus), _mm256_sub_ps(plus, minus));
        [_mm256_mul_ps(s, sum), _mm256_mul_ps(xs, difference), _mm256_mul_ps(xxs, sum)]
    };
    let ([a0, a1, a2], [b0, b1, b2]) = (pair(PAIRS[0], u1, u2), pair(PAIRS[1], u3, u4));
    [
        _mm256_fmadd_ps(_mm256_set1_ps(1.0 / P), u0, _mm256_add_ps(a0, b0)),
        _mm256_add_ps(a1, b1),
        _mm256_add_ps(u5, _mm256_add_ps(a2, b2)),
    ]
}

/// `B^T d`.
#[target_feature(enable = "avx2,fma")]
#[inline]
pub(super) fn of_input([d0, d1, d2, d3, d4, d5]: [__m256; SIDE]) -> [__m256; SIDE] {
    let [a, b, a2, b2, p, s] = [A, B, A2, B2, P, S].map(|x| _mm256_set1_ps(x));
    // The even and the odd part of a pair of points.
    let even = |square| _mm256_fnmadd_ps(square, d2, d4);
    let odd = |square| _mm256_fnmadd_ps(square, d1, d3);
    let (even_a, odd_a, even_b, odd_b) = (even(b2), odd(b2), even(a2), odd(a2));
    [
        _mm256_fmadd_ps(p, d0, _mm256_fnmadd_ps(s, d2, d4)),
        _mm256_fmadd_ps(a, odd_a, even_a),
        _mm256_fnmadd_ps(a, odd_a, even_a),
        _mm256_fmadd_ps(b, odd_b, even_b),
        _mm256_fnmadd_ps(b, odd_b, even_b),
        _mm256_fmadd_ps(p, d1, _mm256_fnmadd_ps(s, d3, d5)),
    ]
}

/// `A^T m`.
#[target_feature(enable = "avx2,fma")]
#[inline]
pub(super) fn to_output([m0, m1, m2, m3, m4, m5]: [__m256; SIDE]) -> [__m256; TILE] {
    let [a, b, a2, b2, a3, b3] = [A, B, A2, B2, A2 * A, B2 * B].map(|x| _mm256_set1_ps(x));
    let (sum_a, difference_a) = (_mm256_add_ps(m1, m2), _mm256_sub_ps(m1, m2));
    let (sum_b, difference_b) = (_mm256_add_ps(m3, m4), _mm256_sub_ps(m3, m4));
    [
        _mm256_add_ps(m0, _mm256_add_ps(sum_a, sum_b)),
        _mm256_fmadd_ps(a, difference_a, _mm256_mul_ps(b, difference_b)),
        _mm256_fmadd_ps(a2, sum_a, _mm256_mul_ps(b2, sum_b)),
        _mm256_fmadd_ps(a3, difference_a, _mm256_fmadd_ps(b3, difference_b, m5)),
    ]
}

/// `A y`.
#[target_feature(enable = "avx2,fma")]
#[inline]
pub(super) fn of_gradient([y0, y1, y2, y3]: [__m256; TILE]) -> [__m256; SIDE] {
    let pair = |x: f32| {
        let [x1, x2, x3] = [x, x * x, x * x * x].map(|x| _mm256_set1_ps(x));
        let (even, odd) = (_mm256_fmadd_ps(x2, y2, y0), _mm256_fmadd_ps(x3, y3, _mm256_mul_ps(x1, y1)));
        [_mm256_add_ps(even, odd), _mm256_sub_ps(even, odd)]
    };
    // Not `map`: a function of the library is compiled without the instruction set, and calls the closure.
    let ([p1, p2], [p3, p4]) = (pair(A), pair(B));
    [y0, p1, p2, p3, p4, y3]
}
