//! Where candle tensors are computed beside the CPU: a GPU, if this program and this machine have one.

use crate::Result;
use candle_core::Device;

/// GPU number 0 with a stream of its own, which is not the default stream. Each call gives another stream: work of two of them
/// overlaps.
///
/// # Errors
/// [`crate::Error::Unavailable`] that says what is missing: in this program, or, by the driver's own message, on this machine.
pub fn cuda_device() -> Result<Device> {
    #[cfg(feature = "candle-cuda")]
    {
        Device::new_cuda_with_stream(0)
            .map_err(|error| unavailable(format!("a GPU that can be used: {error}")))
    }
    #[cfg(not(feature = "candle-cuda"))]
    {
        const MISSING: &str = "this program was built without it (with it: `cargo build -p ipnet --features cuda`, which needs \
                               nvcc and the CUDA libraries)";
        Err(unavailable(MISSING.into()))
    }
}

fn unavailable(missing: String) -> crate::Error {
    crate::Error::Unavailable { backend: "cuda", missing }
}
