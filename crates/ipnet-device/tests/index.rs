//! Index of the integration tests of `ipnet-device`.

mod heat;
mod macrospin;
mod sets;
