//! What is refused, and that the message says what was expected and what was found.

use candle_core::{DType, Device, Tensor};
use ipnet_nn::*;

fn zeros(dims: &[usize]) -> Tensor {
    Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap()
}

fn message<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => panic!("was not refused"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn convolutions_that_do_not_fit() {
    let (x, w) = (zeros(&[1, 2, 4, 4]), zeros(&[3, 2, 3, 3]));
    assert_eq!(
        message(conv2d(&x, &zeros(&[3, 4, 3, 3]), None, 1, 1)),
        "conv2d: expected w [O >= 1, 2, kh >= 1, kw >= 1], found [3, 4, 3, 3]"
    );
    assert_eq!(message(conv2d(&x, &w, None, 0, 1)), "conv2d: stride must be >= 1, found 0");
    assert_eq!(
        message(conv2d(&x, &zeros(&[3, 2, 5, 5]), None, 1, 0)),
        "conv2d: expected x of at least 5 x 5 after padding by 0, found [1, 2, 4, 4]"
    );
    assert!(message(conv2d(&zeros(&[0, 2, 4, 4]), &w, None, 1, 1)).contains("at least one element"));
    assert!(message(conv2d(&x, &w, Some(&zeros(&[4])), 1, 1)).contains("bias [3]"));
    assert!(message(conv2d(&zeros(&[2, 4, 4]), &w, None, 1, 1)).contains("x [N, C, H, W]"));
}

#[test]
fn other_types_of_tensor() {
    let x = Tensor::zeros((2, 2), DType::F64, &Device::Cpu).unwrap();
    assert_eq!(message(relu(&x)), "relu: expected f32 tensors, all on one device, found F64 on Cpu");
}

#[test]
fn options_out_of_range_and_empty_operands() {
    let x = zeros(&[2, 3, 4]);
    assert!(message(avg_pool2d(&x, 0)).contains("k must be >= 1"));
    assert!(message(max_pool2d(&x, 4)).contains("H >= 4, W >= 4"));
    assert!(message(adaptive_avg_pool2d(&x, 0, 1)).contains("at least 1 x 1"));
    assert!(message(dropout(&x, 1.0, DropoutAt { seed: 0, layer: 0, step: 0 })).contains("in [0, 1)"));
    assert!(message(batch_norm(&x, &zeros(&[3]), &zeros(&[3]), 0.0)).contains("eps must be > 0"));
    assert!(message(batch_norm(&x, &zeros(&[2]), &zeros(&[3]), 1e-5)).contains("gamma and beta [3]"));
    let joined = |channels, padding| {
        let (w, parameter) = (zeros(&[4, 3, 3, 3]), zeros(&[channels]));
        conv_norm_relu_pool(&zeros(&[2, 3, 3, 3]), &w, &parameter, &parameter, padding, 1e-5)
    };
    assert!(message(joined(3, 1)).contains("gamma and beta [4]"));
    assert!(message(joined(4, 0)).contains("2 x 2 after the convolution"));
    let short = batch_norm_eval(&x, &zeros(&[3]), &zeros(&[3]), &[0.0; 2], &[1.0; 3], 1e-5);
    assert!(message(short).contains("statistics of 3 channels"));
    assert!(message(linear(&x, &zeros(&[5, 3]), None)).contains("x [.., 3]"));
    assert!(message(mean_over_time(&zeros(&[0, 3]))).contains("at least one element"));
}

#[test]
fn targets_that_are_no_classes() {
    let logits = zeros(&[2, 3]);
    assert_eq!(
        message(cross_entropy(&logits, &[0, 3], 0.0)),
        "cross_entropy: expected targets below 3, found 3"
    );
    assert_eq!(message(cross_entropy(&logits, &[0], 0.0)), "cross_entropy: expected 2 targets, found 1");
    assert!(message(cross_entropy(&logits, &[0, 1], 1.0)).contains("label_smoothing"));
}

#[test]
fn sequences_that_do_not_fit() {
    let x = zeros(&[2, 3, 8]);
    assert!(message(lstm_scan(&x, &zeros(&[8, 3]), None)).contains("w_hh [8, 2]"));
    assert!(message(lstm_scan(&x, &zeros(&[8, 2]), Some(&zeros(&[2])))).contains("b_hh [8]"));
    assert!(message(gru_scan(&x, &zeros(&[8, 2]), None)).contains("xproj [T, B, 3 H]"));
    assert!(message(rnn_scan(&zeros(&[0, 3, 8]), &zeros(&[8, 8]), None)).contains("at least one element"));
    assert!(message(ema_scan(&x, &zeros(&[3]))).contains("decay [8]"));
    assert!(message(conv_time(&x, &zeros(&[4, 8, 2]), None)).contains("k odd"));
    let film = zeros(&[2, 1, 4, 5, 5]);
    assert!(message(conv3d(&film, &zeros(&[4, 4, 2, 3, 3]), None, 1, 1)).contains("kt odd"));
    assert!(message(conv_lstm_scan(&film, &zeros(&[4, 1, 2, 2]))).contains("k odd"));
    assert!(
        message(group_norm(&film, &zeros(&[1]), &zeros(&[1]), 2, 1e-5)).contains("groups must be a divisor")
    );
}
