//! What a network is, in a few lines of TOML:
//! ```toml
//! backbone = "plain"      # plain | resnet18 | resnet32 | plif-net
//! width = 16              # channels of the backbone's first stage; default: the published layout's
//! memory = "ip"           # what remembers
//! placement = "sensor"    # where: sensor, stage1, stage2, ..., head, all
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

/// The part that all networks of a comparison share; the layouts stand in `backbone.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backbone {
    /// Three stages of 3x3 convolution, batch normalisation, ReLU and 2x2 average pooling, a hidden layer.
    #[default]
    Plain,
    /// ResNet-18 (He et al. 2016) with a 3x3 stem.
    Resnet18,
    /// The ResNet-32 of Hu et al. 2020 (steering from DDD-20).
    Resnet32,
    /// The five-block net of Fang et al. 2021 (PLIF) for DVS128 Gesture, without its neurons and dropout.
    PlifNet,
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
    /// Leaky integrate-and-fire neurons, fixed decay, hard reset.
    Lif,
    /// LIF neurons with a threshold that rises with their own spikes (Bellec et al. 2018).
    Alif,
    /// LIF neurons with a trained time constant per layer (Fang et al. 2021).
    Plif,
    /// Exponential moving average with a trained decay per channel: the linear control for IP.
    Ema,
    /// Elman network (tanh).
    Rnn,
    /// Gated recurrent unit.
    Gru,
    /// Long short-term memory.
    Lstm,
    /// Expressive leaky memory neurons (Spieler et al. 2023).
    Elm,
    /// Convolutional LSTM (Shi et al. 2015, without peepholes).
    ConvLstm,
    /// Three-dimensional convolutions in place of the stage's 3x3 ones (Tran et al. 2015).
    Conv3d,
    /// (2+1)D convolutions in place of the stage's 3x3 ones (Tran et al. 2018).
    #[serde(rename = "conv2plus1d")]
    Conv2plus1d,
}

/// What a memory works on, which says where it can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Works {
    /// Nothing: no memory.
    Nowhere,
    /// Each value for itself: anywhere.
    Values,
    /// The flattened features, which it maps to a hidden vector: the head.
    Vector,
    /// Feature maps: the sensor and after each stage.
    Maps,
    /// The 3x3 convolutions of a stage, which it replaces.
    Convolutions,
}

impl Memory {
    pub(crate) fn works(self) -> Works {
        match self {
            Self::None => Works::Nowhere,
            Self::Ip | Self::Lif | Self::Alif | Self::Plif | Self::Ema => Works::Values,
            Self::Rnn | Self::Gru | Self::Lstm | Self::Elm => Works::Vector,
            Self::ConvLstm => Works::Maps,
            Self::Conv3d | Self::Conv2plus1d => Works::Convolutions,
        }
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
    /// After the first stage (for `conv3d` and `conv2plus1d`: in it).
    Stage1,
    /// After the second stage.
    Stage2,
    /// After the third stage.
    Stage3,
    /// After the fourth stage, where the backbone has one.
    Stage4,
    /// After the fifth stage, where the backbone has one.
    Stage5,
    /// On the flattened (or globally pooled) features, before the readout.
    Head,
    /// Everywhere this memory can stand.
    All,
}

impl Placement {
    /// The placement after stage `stage` (counted from 1), if there is one of that number.
    pub fn after_stage(stage: usize) -> Option<Self> {
        [Self::Stage1, Self::Stage2, Self::Stage3, Self::Stage4, Self::Stage5]
            .get(stage.checked_sub(1)?)
            .copied()
    }

    /// The number of the stage it follows, if it follows one.
    fn stage(self) -> Option<usize> {
        (1..=5).find(|&stage| Self::after_stage(stage) == Some(self))
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetSpec {
    /// The shared part.
    #[serde(default)]
    pub backbone: Backbone,
    /// Channels of the backbone's first stage, which all others follow; none: the layout's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
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
            expected: "keys backbone, width, memory, placement, firing".into(),
            found: error.to_string().trim_end().to_owned(),
        })?;
        spec.validate()?;
        Ok(spec)
    }

    /// Refuses combinations that make no sense.
    ///
    /// # Errors
    /// [`Error::Spec`] with the keys at fault and the reason.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |expected: String| {
            Err(Error::Spec {
                what: format!("memory = \"{}\"", self.memory),
                expected,
                found: format!("placement = \"{}\"", self.placement),
            })
        };
        let place = self.placement;
        let stages = self.backbone.stages();
        if let Some(stage) = place.stage().filter(|&stage| stage > stages) {
            return Err(Error::Spec {
                what: format!("placement = \"{place}\""),
                expected: format!("stage1 to stage{stages}, for backbone = \"{}\" ends there", self.backbone),
                found: format!("stage {stage}"),
            });
        }
        if place == Placement::None && self.memory != Memory::None {
            return refuse(format!(
                "a placement: sensor, stage1..stage{stages}, head or all, as far as it can stand there"
            ));
        }
        match (self.memory.works(), place) {
            (Works::Nowhere, Placement::None) => {}
            (Works::Nowhere, _) => return refuse("placement = \"none\"".into()),
            (Works::Vector, Placement::Head) => {}
            (Works::Vector, _) => {
                return refuse(
                    "placement = \"head\": a recurrent layer takes the flattened features, not maps".into(),
                );
            }
            (Works::Maps, Placement::Head) => {
                return refuse(format!(
                    "placement = \"sensor\", \"stage1\"..\"stage{stages}\" or \"all\": it works on maps, and the head has none"
                ));
            }
            (Works::Convolutions, Placement::Sensor | Placement::Head) => {
                return refuse(format!(
                    "placement = \"stage1\"..\"stage{stages}\" or \"all\": it takes the place of a stage's 3x3 \
                     convolutions, and there is none at that place"
                ));
            }
            _ => {}
        }
        if self.firing == Firing::Sampled && self.memory != Memory::Ip {
            return Err(Error::Spec {
                what: "firing = \"sampled\"".into(),
                expected: "memory = \"ip\": only its neurons fire by chance".into(),
                found: format!("memory = \"{}\"", self.memory),
            });
        }
        match self.width {
            Some(width) if !(1..=1024).contains(&width) => Err(Error::Spec {
                what: "width".into(),
                expected: "1 to 1024 channels in the first stage".into(),
                found: width.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether a memory layer stands at `place`, which is the sensor, a stage or the head.
    pub fn remembers_at(&self, place: Placement) -> bool {
        let fits = match self.memory.works() {
            Works::Values => true,
            Works::Vector => place == Placement::Head,
            Works::Maps => place != Placement::Head,
            Works::Nowhere | Works::Convolutions => false,
        };
        fits && (self.placement == place || self.placement == Placement::All)
    }

    /// Whether the convolutions of stage `stage` (from 1) see several frames.
    pub(crate) fn convolves_time_in(&self, stage: usize) -> bool {
        self.memory.works() == Works::Convolutions
            && (self.placement.stage() == Some(stage) || self.placement == Placement::All)
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
        let spec = NetSpec::from_toml(
            "backbone = \"plif-net\"\nwidth = 8\nmemory = \"conv2plus1d\"\nplacement = \"stage5\"",
        );
        let spec = spec.unwrap();
        assert_eq!(
            (spec.backbone, spec.width, spec.memory),
            (Backbone::PlifNet, Some(8), Memory::Conv2plus1d)
        );
        assert_eq!(NetSpec::from_toml(&toml::to_string(&spec).unwrap()).unwrap(), spec);
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
            ("memory = \"elm\"\nplacement = \"all\"", "placement = \"head\""),
            ("memory = \"conv-lstm\"\nplacement = \"head\"", "it works on maps"),
            ("memory = \"conv3d\"\nplacement = \"sensor\"", "3x3 convolutions"),
            ("memory = \"conv2plus1d\"\nplacement = \"head\"", "3x3 convolutions"),
            ("memory = \"ip\"\nplacement = \"stage4\"", "stage1 to stage3"),
            ("backbone = \"resnet32\"\nmemory = \"lif\"\nplacement = \"stage5\"", "stage1 to stage3"),
            ("memory = \"none\"\nwidth = 0", "1 to 1024"),
        ] {
            let message = NetSpec::from_toml(text).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }
}
