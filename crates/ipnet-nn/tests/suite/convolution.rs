//! conv2d: `y[n, o, r, c] = b[o] + sum_{i, u, v} w[o, i, u, v] x[n, i, r s + u - p, c s + v - p]`.

use candle_core::Tensor;
use ipnet_nn::conv2d;
use proptest::prelude::*;

use crate::support::{Array, check, relative_error, values};

/// One convolution: sizes of x, w, stride, padding.
#[derive(Debug, Clone, Copy)]
struct Case {
    n: usize,
    c: usize,
    h: usize,
    w: usize,
    o: usize,
    kh: usize,
    kw: usize,
    stride: usize,
    padding: usize,
}

impl Case {
    fn h_out(&self) -> usize {
        (self.h + 2 * self.padding - self.kh) / self.stride + 1
    }

    fn w_out(&self) -> usize {
        (self.w + 2 * self.padding - self.kw) / self.stride + 1
    }

    fn inputs(&self, name: &str) -> [Array; 3] {
        [
            Array::normal(&format!("{name}/x"), &[self.n, self.c, self.h, self.w]),
            Array::normal(&format!("{name}/w"), &[self.o, self.c, self.kh, self.kw]),
            Array::normal(&format!("{name}/b"), &[self.o]),
        ]
    }

    /// Calls `f(index of y, index of x, index of w)` for every product of the sum.
    fn for_each_product(&self, mut f: impl FnMut(usize, usize, usize)) {
        for n in 0..self.n {
            for o in 0..self.o {
                for (r, c) in (0..self.h_out()).flat_map(|r| (0..self.w_out()).map(move |c| (r, c))) {
                    let y = ((n * self.o + o) * self.h_out() + r) * self.w_out() + c;
                    for i in 0..self.c {
                        for (u, v) in (0..self.kh).flat_map(|u| (0..self.kw).map(move |v| (u, v))) {
                            let (row, col) = (r * self.stride + u, c * self.stride + v);
                            let inside_h = (self.padding..self.h + self.padding).contains(&row);
                            let inside_w = (self.padding..self.w + self.padding).contains(&col);
                            if inside_h && inside_w {
                                let x = ((n * self.c + i) * self.h + row - self.padding) * self.w + col
                                    - self.padding;
                                f(y, x, ((o * self.c + i) * self.kh + u) * self.kw + v);
                            }
                        }
                    }
                }
            }
        }
    }

    fn forward(&self, x: &[f64], w: &[f64], b: Option<&[f64]>) -> Vec<f64> {
        let plane = self.h_out() * self.w_out();
        let mut y: Vec<f64> =
            (0..self.n * self.o * plane).map(|at| b.map_or(0.0, |b| b[at / plane % self.o])).collect();
        self.for_each_product(|yi, xi, wi| y[yi] += w[wi] * x[xi]);
        y
    }
}

#[test]
fn gradients_are_the_finite_differences() {
    let sizes = [
        // 3x3, stride 1, padding 1; 1x1; stride 2 on a non-square input; even kernel; padding beyond the kernel.
        Case { n: 2, c: 2, h: 5, w: 4, o: 3, kh: 3, kw: 3, stride: 1, padding: 1 },
        Case { n: 3, c: 3, h: 3, w: 2, o: 2, kh: 1, kw: 1, stride: 1, padding: 0 },
        Case { n: 2, c: 2, h: 7, w: 4, o: 2, kh: 3, kw: 3, stride: 2, padding: 1 },
        Case { n: 1, c: 1, h: 5, w: 6, o: 2, kh: 2, kw: 4, stride: 3, padding: 0 },
        Case { n: 1, c: 2, h: 2, w: 3, o: 1, kh: 3, kw: 3, stride: 2, padding: 3 },
    ];
    for case in sizes {
        let name = format!("{case:?}");
        let inputs = case.inputs(&name);
        check(
            &name,
            &inputs,
            1e-5,
            |t| conv2d(&t[0], &t[1], Some(&t[2]), case.stride, case.padding).unwrap(),
            |p| case.forward(&p[0], &p[1], Some(&p[2])),
        );
        check(
            &format!("{name} without bias"),
            &inputs[..2],
            1e-5,
            |t| conv2d(&t[0], &t[1], None, case.stride, case.padding).unwrap(),
            |p| case.forward(&p[0], &p[1], None),
        );
    }
}

#[test]
fn an_untracked_input_gets_no_gradient_and_the_weight_still_does() {
    let case = Case { n: 1, c: 2, h: 4, w: 4, o: 2, kh: 3, kw: 3, stride: 1, padding: 1 };
    let [x, w, _] = case.inputs("untracked");
    let (x, w) = (x.var().as_detached_tensor(), w.var());
    let grads = conv2d(&x, &w, None, 1, 1).unwrap().sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&x).is_none());
    assert!(grads.get(&w).is_some());
}

#[test]
fn a_transposed_view_is_read_in_its_own_order() {
    let case = Case { n: 2, c: 3, h: 5, w: 4, o: 2, kh: 3, kw: 3, stride: 1, padding: 1 };
    let [x, w, _] = case.inputs("transposed");
    let direct = conv2d(&x.var(), &w.var(), None, 1, 1).unwrap();
    let swapped: Tensor = x.var().transpose(2, 3).unwrap().contiguous().unwrap();
    let back = conv2d(&swapped.transpose(2, 3).unwrap(), &w.var(), None, 1, 1).unwrap();
    assert_eq!(values(&direct), values(&back));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Value, and the adjoint sums `dx = sum dy w`, `dw = sum dy x`, `db = sum dy`, all in f64.
    #[test]
    fn any_shape_matches_the_f64_sums(
        n in 1..4_usize, c in 1..10_usize, h in 1..40_usize, w in 1..40_usize, o in 1..20_usize,
        kh in 1..6_usize, kw in 1..6_usize, stride in 1..4_usize, padding in 0..3_usize, three in any::<bool>(),
    ) {
        let (kh, kw, stride, padding) = if three { (3, 3, 1, padding.min(2)) } else { (kh, kw, stride, padding) };
        prop_assume!(h + 2 * padding >= kh && w + 2 * padding >= kw);
        matches_the_f64_sums(Case { n, c, h, w, o, kh, kw, stride, padding });
    }
}

fn matches_the_f64_sums(case: Case) {
    let [x, w, b] = case.inputs("adjoint");
    let (xv, wv, bv) = (x.var(), w.var(), b.var());
    let y = conv2d(&xv, &wv, Some(&bv), case.stride, case.padding).unwrap();
    let expected = case.forward(&x.data, &w.data, Some(&b.data));
    assert!(relative_error(&values(&y), &expected) < 1e-5, "{case:?}");
    let dy = Array::normal("adjoint/dy", y.dims());
    let c = Tensor::from_vec(dy.f32s(), y.dims(), y.device()).unwrap();
    let grads = (y * c).unwrap().sum_all().unwrap().backward().unwrap();
    let (mut dx, mut dw) = (vec![0.0; x.data.len()], vec![0.0; w.data.len()]);
    case.for_each_product(|yi, xi, wi| {
        dx[xi] += dy.data[yi] * w.data[wi];
        dw[wi] += dy.data[yi] * x.data[xi];
    });
    let plane = case.h_out() * case.w_out();
    let mut db = vec![0.0; case.o];
    for (at, dy) in dy.data.iter().enumerate() {
        db[at / plane % case.o] += dy;
    }
    for (name, var, expected) in [("x", &xv, dx), ("w", &wv, dw), ("b", &bv, db)] {
        // f32 sums of random signs over up to 4 * 40 * 40 terms: relative to the largest element, 2e-5.
        let error = relative_error(&values(grads.get(var).unwrap()), &expected);
        assert!(error < 2e-5, "{case:?}: d{name} differs by {error:.2e}");
    }
}
