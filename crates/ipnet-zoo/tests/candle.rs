//! The recurrent layers and the loss against candle-nn's own, from equal weights.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_nn::rnn::{GRUConfig, LSTMConfig, RNN, gru, lstm};
use ipnet_rng::Stream;
use std::collections::HashMap;

const STEPS: usize = 5;
const BATCH: usize = 3;
const INPUTS: usize = 7;
const HIDDEN: usize = 4;

fn draw(name: &str, shape: &[usize]) -> Tensor {
    let mut stream = Stream::named(11, name);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| (0.5 * stream.normal()) as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Weights of a cell with `gates` gates under candle-nn's names.
fn weights(gates: usize) -> HashMap<String, Tensor> {
    let shapes = [
        ("weight_ih_l0", vec![gates * HIDDEN, INPUTS]),
        ("weight_hh_l0", vec![gates * HIDDEN, HIDDEN]),
        ("bias_ih_l0", vec![gates * HIDDEN]),
        ("bias_hh_l0", vec![gates * HIDDEN]),
    ];
    shapes.into_iter().map(|(name, shape)| (name.to_owned(), draw(name, &shape))).collect()
}

/// `x [T, B, I]` projected to all gates, as the zoo does it.
fn project(x: &Tensor, weights: &HashMap<String, Tensor>) -> Tensor {
    let flat = x.reshape((STEPS * BATCH, INPUTS)).unwrap();
    let gates = ipnet_nn::linear(&flat, &weights["weight_ih_l0"], Some(&weights["bias_ih_l0"])).unwrap();
    gates.reshape((STEPS, BATCH, gates.dim(1).unwrap())).unwrap()
}

fn assert_close(ours: &Tensor, theirs: &Tensor) {
    assert_eq!(ours.dims(), theirs.dims());
    let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (a, b) in values(ours).iter().zip(values(theirs)) {
        assert!((a - b).abs() < 1e-5, "{a} and {b}");
    }
}

#[test]
fn lstm_and_gru_agree_with_candle_nn() {
    let x = draw("x", &[STEPS, BATCH, INPUTS]);
    let batch_first = x.transpose(0, 1).unwrap().contiguous().unwrap();

    let w = weights(4);
    let builder = VarBuilder::from_tensors(w.clone(), DType::F32, &Device::Cpu);
    let cell = lstm(INPUTS, HIDDEN, LSTMConfig::default(), builder).unwrap();
    let states = cell.seq(&batch_first).unwrap();
    let theirs = Tensor::stack(&states.iter().map(|state| state.h().clone()).collect::<Vec<_>>(), 0).unwrap();
    let ours = ipnet_nn::lstm_scan(&project(&x, &w), &w["weight_hh_l0"], Some(&w["bias_hh_l0"])).unwrap();
    assert_close(&ours, &theirs);

    let w = weights(3);
    let builder = VarBuilder::from_tensors(w.clone(), DType::F32, &Device::Cpu);
    let cell = gru(INPUTS, HIDDEN, GRUConfig::default(), builder).unwrap();
    let states = cell.seq(&batch_first).unwrap();
    let theirs = Tensor::stack(&states.iter().map(|state| state.h().clone()).collect::<Vec<_>>(), 0).unwrap();
    let ours = ipnet_nn::gru_scan(&project(&x, &w), &w["weight_hh_l0"], Some(&w["bias_hh_l0"])).unwrap();
    assert_close(&ours, &theirs);
}

#[test]
fn cross_entropy_agrees_with_candle_nn() {
    let logits = draw("logits", &[6, 5]);
    let targets = [0_u32, 4, 2, 2, 1, 3];
    let theirs =
        candle_nn::loss::cross_entropy(&logits, &Tensor::new(&targets, &Device::Cpu).unwrap()).unwrap();
    assert_close(&ipnet_nn::cross_entropy(&logits, &targets, 0.0).unwrap(), &theirs);
}
