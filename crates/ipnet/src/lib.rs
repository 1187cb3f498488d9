//! The facade: one dependency that gives every layer of IPNet under its own name.

pub use ipnet_bench as bench;
pub use ipnet_device as device;
pub use ipnet_events as events;
pub use ipnet_kernel as kernel;
pub use ipnet_nn as nn;
pub use ipnet_rng as rng;
pub use ipnet_zoo as zoo;
