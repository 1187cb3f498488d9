//! The gradient check that every operation goes through, and the arrays it works on.

use candle_core::{Device, Tensor, Var};
use ipnet_rng::Stream;

/// A row-major array whose numbers are exact in f32, so that operation and reference see the same input.
#[derive(Debug, Clone)]
pub struct Array {
    pub dims: Vec<usize>,
    pub data: Vec<f64>,
}

impl Array {
    /// Standard normal numbers, the same for the same `name`.
    pub fn normal(name: &str, dims: &[usize]) -> Self {
        let mut stream = Stream::named(11, name);
        let len = dims.iter().product();
        let data = (0..len).map(|_| f64::from(stream.normal() as f32)).collect();
        Self { dims: dims.to_vec(), data }
    }

    pub fn scaled(mut self, factor: f64, shift: f64) -> Self {
        self.data.iter_mut().for_each(|x| *x = f64::from((*x * factor + shift) as f32));
        self
    }

    pub fn f32s(&self) -> Vec<f32> {
        self.data.iter().map(|&x| x as f32).collect()
    }

    pub fn var(&self) -> Var {
        Var::from_vec(self.f32s(), self.dims.as_slice(), &Device::Cpu).unwrap()
    }
}

pub fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()
}

/// Largest difference between `found` and `expected` over the largest magnitude of `expected`.
pub fn relative_error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len(), "number of elements");
    let scale = expected.iter().fold(1e-30, |m: f64, x| m.max(x.abs()));
    let worst = found.iter().zip(expected).map(|(&f, &e)| (f64::from(f) - e).abs()).fold(0.0, nan_max);
    worst / scale
}

/// A maximum that a NaN wins, so that no comparison passes on one.
fn nan_max(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

/// Checks value and gradient of `op` against `reference`, both functions of the same inputs.
///
/// Value: `y_f32 = y_f64` within `tolerance` of the largest element. Gradient: with fixed random weights `c` and
/// `L(x) = sum_i c_i y_i(x)`, backpropagation's `dL/dx_j` in f32 equals the central difference
/// `(L(x + h e_j) - L(x - h e_j)) / 2h` of the f64 reference, whose own error is O(h^2) + O(1e-16 / h), h = 1e-5:
/// below 1e-9, far below f32 rounding.
pub fn check(
    what: &str,
    inputs: &[Array],
    tolerance: f64,
    op: impl Fn(&[Tensor]) -> Tensor,
    reference: impl Fn(&[Vec<f64>]) -> Vec<f64>,
) {
    let vars: Vec<Var> = inputs.iter().map(Array::var).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let y = op(&tensors);
    let mut points: Vec<Vec<f64>> = inputs.iter().map(|input| input.data.clone()).collect();
    let expected = reference(&points);
    let error = relative_error(&values(&y), &expected);
    assert!(error <= tolerance, "{what}: value differs by {error:.2e}");

    let weights = Array::normal(&format!("{what}/weights"), y.dims());
    let c = Tensor::from_vec(weights.f32s(), y.dims(), &Device::Cpu).unwrap();
    let loss = (y * c).unwrap().sum_all().unwrap();
    let grads = loss.backward().unwrap();
    let loss64 = |points: &[Vec<f64>]| -> f64 {
        reference(points).iter().zip(&weights.data).map(|(y, c)| y * c).sum()
    };
    const H: f64 = 1e-5;
    for (index, var) in vars.iter().enumerate() {
        let found = values(grads.get(var).unwrap_or_else(|| panic!("{what}: no gradient for input {index}")));
        let mut expected = Vec::with_capacity(found.len());
        for j in 0..found.len() {
            let at = points[index][j];
            points[index][j] = at + H;
            let above = loss64(&points);
            points[index][j] = at - H;
            let below = loss64(&points);
            points[index][j] = at;
            expected.push((above - below) / (2.0 * H));
        }
        let error = relative_error(&found, &expected);
        assert!(error <= tolerance, "{what}: gradient of input {index} differs by {error:.2e}");
    }
}
