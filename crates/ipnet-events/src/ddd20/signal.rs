//! A signal of the car, by host time.

/// One signal of the car: pairs of host time and value, in order of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signal {
    /// Host Unix time \[us\].
    pub host_us: Vec<i64>,
    /// Values in the data set's own units (steering in degrees, speed in km/h, switches as 0 and 1).
    pub value: Vec<f64>,
}

impl Signal {
    /// The value at `host_us`: that of the last row up to then, or nothing before the first.
    pub fn at(&self, host_us: i64) -> Option<f64> {
        let after = self.host_us.partition_point(|&t| t <= host_us);
        after.checked_sub(1).map(|i| self.value[i])
    }
}
