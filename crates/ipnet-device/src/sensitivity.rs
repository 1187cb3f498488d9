//! What a parameter that nobody measured is worth: each assumed parameter of a set moved by 10 %, and what its step law then does.
//!
//! This is the first half of a sensitivity analysis, up to the step law; what a trained network makes of it takes training runs.

use crate::{Device, DeviceSet, StepLaw, reduce_device};

/// The step law at three points of use; probabilities at an amplitude that switches the nominal cold junction with 10 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behaviour {
    /// p of a cold junction.
    pub p_cold: f64,
    /// p after many slots at 70 % of the largest amplitude.
    pub p_warm: f64,
    /// Rise \[K\] after those slots.
    pub rise_k: f64,
    /// Slots in which the slowest pole falls to 1/e.
    pub memory_slots: f64,
}

/// An assumed parameter, and the behaviour when it is 10 % larger.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensitivity {
    /// Its key.
    pub key: &'static str,
    /// The law with the parameter at 110 %; `None` if that device has no step law.
    pub behaviour: Option<Behaviour>,
}

fn behaviour(law: &StepLaw, amplitude_v: f64) -> Behaviour {
    let mut heat_k = vec![0.0; law.poles.len()];
    let p_cold = law.probability(&heat_k, amplitude_v);
    (0..200).for_each(|_| law.relax(&mut heat_k, 0.7 * law.v_max_v, 0.0));
    let decay = law.poles.iter().map(|pole| pole.decay).fold(0.0, f64::max);
    Behaviour {
        p_cold,
        p_warm: law.probability(&heat_k, amplitude_v),
        rise_k: heat_k.iter().sum(),
        memory_slots: -1.0 / decay.ln(),
    }
}

impl DeviceSet {
    /// The nominal behaviour of this set, and that with each assumed parameter 10 % larger.
    ///
    /// The amplitude of the pulse stays that of the nominal device; a parameter whose value is 0 is left out.
    ///
    /// # Errors
    /// In words: why the nominal device has no step law.
    pub fn sensitivity(&self) -> Result<(Behaviour, Vec<Sensitivity>), String> {
        let device = self.device();
        let law = reduce_device(&device)?;
        let amplitude_v = crate::curves::amplitude_for(&device, 0.1);
        let assumed = self.parameters.iter().filter(|(_, p)| p.assumed_because.is_some() && p.value != 0.0);
        let moved = assumed.map(|(key, _)| {
            let device = Device::from_values(&|of| {
                self.value(of).map(|value| if of == *key { 1.1 * value } else { value })
            });
            let behaviour = reduce_device(&device).ok().map(|law| behaviour(&law, amplitude_v));
            Sensitivity { key, behaviour }
        });
        Ok((behaviour(&law, amplitude_v), moved.collect()))
    }
}
