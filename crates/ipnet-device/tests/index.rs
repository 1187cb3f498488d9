//! Index of the integration tests of `ipnet-device`.

mod fit;
mod heat;
mod macrospin;
mod sets;
