//! What a network is, in a few lines of TOML:
//! ```toml
//! backbone = "plain"      # three 3x3 convolutions of 16, 32, 32 channels
//! memory = "ip"           # what remembers
//! placement = "sensor"    # where
//! firing = "expected"     # IP neurons: expected | sampled
//! ```
//! Design decision: the specification names one memory and one place for it; everything else is the backbone, so
//! that two rows of a table differ in the memory alone.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Shape of one sample: `[steps, channels, height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputShape {
    /// Time steps (frames).
    pub steps: usize,
    /// Channels of a frame (2 for both polarities, 1 for merged).
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// The part that all networks of a comparison share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backbone {
    /// Three stages of 3x3 convolution, batch normalisation, ReLU and 2x2 average pooling with 16, 32, 32
    /// channels, then a readout of one hidden layer of 64.
    #[default]
    Plain,
}

impl Backbone {
    /// Output channels of each stage.
    pub fn stage_channels(self) -> &'static [usize] {
        match self {
            Self::Plain => &[16, 32, 32],
        }
    }

    /// Width of the readout's hidden layer.
    pub fn hidden(self) -> usize {
        match self {
            Self::Plain => 64,
        }
    }
}

/// What carries information from one time step to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// Nothing: the control. Frames are classified alone and their logits averaged.
    #[default]
    None,
    /// Intrinsic-plasticity neurons: MTJs whose heat is the memory.
    Ip,
    /// Leaky integrate-and-fire neurons, hard reset.
    Lif,
    /// Exponential moving average with a trained decay per channel: the linear control for IP.
    Ema,
    /// Elman network (tanh).
    Rnn,
    /// Gated recurrent unit.
    Gru,
    /// Long short-term memory.
    Lstm,
}

impl Memory {
    /// Whether this memory maps the flattened features to a hidden vector, so that it only fits the head.
    pub fn is_recurrent(self) -> bool {
        matches!(self, Self::Rnn | Self::Gru | Self::Lstm)
    }
}

/// Where the memory stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Nowhere (only with no memory).
    #[default]
    None,
    /// On the frames, before the first convolution.
    Sensor,
    /// After the first stage.
    Stage1,
    /// After the second stage.
    Stage2,
    /// After the third stage.
    Stage3,
    /// On the flattened features, before the readout.
    Head,
    /// At the sensor, after every stage and before the readout.
    All,
}

impl Placement {
    /// The placement after stage `stage` (counted from 1), if there is one of that number.
    pub fn after_stage(stage: usize) -> Option<Self> {
        [Self::Stage1, Self::Stage2, Self::Stage3].get(stage.checked_sub(1)?).copied()
    }
}

/// How an IP neuron's switching probability becomes its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firing {
    /// The probability itself.
    #[default]
    Expected,
    /// 1 with that probability, else 0, drawn at every step.
    Sampled,
}

/// One network of the zoo, without its input shape and number of outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetSpec {
    /// The shared part.
    #[serde(default)]
    pub backbone: Backbone,
    /// What remembers.
    pub memory: Memory,
    /// Where it stands.
    #[serde(default)]
    pub placement: Placement,
    /// Firing of IP neurons.
    #[serde(default)]
    pub firing: Firing,
}

impl NetSpec {
    /// The plain backbone with `memory` at `placement`.
    pub fn plain(memory: Memory, placement: Placement) -> Self {
        Self { memory, placement, ..Self::default() }
    }

    /// Reads a specification.
    ///
    /// # Errors
    /// TOML errors with their line, and combinations that make no sense.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let spec: Self = toml::from_str(text).map_err(|error| Error::Spec {
            what: "TOML".into(),
            expected: "keys backbone, memory, placement, firing".into(),
            found: error.to_string().trim_end().to_owned(),
        })?;
        spec.validate()?;
        Ok(spec)
    }

    /// Refuses combinations that make no sense.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |expected: &str| {
            Err(Error::Spec {
                what: format!("memory = \"{}\"", self.memory),
                expected: expected.into(),
                found: format!("placement = \"{}\"", self.placement),
            })
        };
        match (self.memory, self.placement) {
            (Memory::None, Placement::None) => {}
            (Memory::None, _) => return refuse("placement = \"none\""),
            (_, Placement::None) => return refuse("a placement: sensor, stage1..stage3, head or all"),
            (memory, placement) if memory.is_recurrent() && placement != Placement::Head => {
                return refuse("placement = \"head\": a recurrent layer takes the flattened features");
            }
            _ => {}
        }
        if self.firing == Firing::Sampled && self.memory != Memory::Ip {
            return Err(Error::Spec {
                what: "firing = \"sampled\"".into(),
                expected: "memory = \"ip\"".into(),
                found: format!("memory = \"{}\"", self.memory),
            });
        }
        Ok(())
    }

    /// Whether the memory stands at `place`.
    pub(crate) fn remembers_at(&self, place: Placement) -> bool {
        self.memory != Memory::None && (self.placement == place || self.placement == Placement::All)
    }
}

/// Writes the name that serde gives a unit variant, so that tables and TOML agree.
macro_rules! display_as_in_toml {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.serialize(f)
            }
        }
    )*};
}
display_as_in_toml!(Backbone, Memory, Placement, Firing);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_round_trip() {
        let spec =
            NetSpec::from_toml("memory = \"ip\"\nplacement = \"sensor\"\nfiring = \"sampled\"").unwrap();
        assert_eq!(
            spec,
            NetSpec { firing: Firing::Sampled, ..NetSpec::plain(Memory::Ip, Placement::Sensor) }
        );
        assert_eq!(spec.memory.to_string(), "ip");
    }

    #[test]
    fn senseless_specifications_are_refused_with_a_reason() {
        for (text, reason) in [
            ("memory = \"lstm\"\nplacement = \"sensor\"", "flattened features"),
            ("memory = \"none\"\nplacement = \"head\"", "placement = \"none\""),
            ("memory = \"ip\"", "a placement"),
            ("memory = \"lif\"\nplacement = \"head\"\nfiring = \"sampled\"", "memory = \"ip\""),
            ("memory = \"ip\"\nplacement = \"sensor\"\nplce = 1", "unknown field `plce`"),
            ("memory = \"elephant\"", "elephant"),
        ] {
            let message = NetSpec::from_toml(text).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }
}
