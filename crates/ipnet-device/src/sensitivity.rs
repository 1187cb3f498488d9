//! What a parameter that nobody measured is worth: each assumed parameter of a set moved by 10 %, and what its step law then does.
//!
//! This is the first half of a sensitivity analysis, up to the step law; what a trained network makes of it takes training runs.

use crate::set::Parameter;
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

/// A set with one assumed parameter moved, as a file that extends it.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Key of the parameter.
    pub key: &'static str,
    /// What its value was multiplied with.
    pub factor: f64,
    /// The set, as TOML.
    pub toml: String,
}

/// What [`DeviceSet::variants`] gives.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variants {
    /// The sets.
    pub sets: Vec<Variant>,
    /// Keys that are left out, and why.
    pub left_out: Vec<(&'static str, String)>,
}

impl DeviceSet {
    /// The sets in which one assumed parameter of this one is multiplied with `factor`, each extending `base` (a preset's name or a path, this
    /// set's own). Left out, with the reason, is what makes no device, what leaves the step law as it was, and what belongs to the formula
    /// that a measured table replaces; a parameter whose value is 0 is passed over.
    ///
    /// # Errors
    /// In words: why this set has no step law.
    pub fn variants(&self, base: &str, factor: f64) -> Result<Variants, String> {
        let law = self.reduce().map_err(|error| error.to_string())?.law;
        let mut variants = Variants::default();
        let assumed = self.parameters.iter().filter(|(_, p)| p.assumed_because.is_some() && p.value != 0.0);
        for (key, p) in assumed {
            if self.table.is_some() && (key.starts_with("switching.") || key.starts_with("magnet.")) {
                variants.left_out.push((*key, "a measured table stands in for the formula".into()));
                continue;
            }
            let toml = self.variant(base, key, p, factor);
            match Self::from_toml(key, &toml).and_then(|set| set.reduce()) {
                Ok(moved) if moved.law == law => {
                    variants.left_out.push((*key, "the step law is the same".into()));
                }
                Ok(_) => variants.sets.push(Variant { key, factor, toml }),
                Err(error) => variants.left_out.push((*key, error.to_string())),
            }
        }
        Ok(variants)
    }

    fn variant(&self, base: &str, key: &str, p: &Parameter, factor: f64) -> String {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        let spread = |name: &str, sigma: f64| match sigma > 0.0 {
            true => format!(", {name} = {sigma:e}"),
            false => String::new(),
        };
        format!(
            "name = {:?}\nextends = {base:?}\n\n[{section}]\n{name} = {{ value = {:e}, assumed = true, reason = {:?}{}{} }}\n",
            format!("{}, {key} x {factor}", self.name),
            factor * p.value,
            format!("{factor} times the value of {}, to see what hangs on it", self.name),
            spread("sigma_d2d", p.sigma_d2d),
            spread("sigma_c2c", p.sigma_c2c),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A variant differs from its base in the one value, keeps its spreads, and says that it is assumed.
    #[test]
    fn a_variant_moves_one_value() {
        let base = DeviceSet::load("default").unwrap();
        let variants = base.variants("default", 1.25).unwrap();
        assert!(variants.sets.len() >= 10, "{:?}", variants.left_out);
        for variant in &variants.sets {
            let set = DeviceSet::from_toml(variant.key, &variant.toml).unwrap();
            for (key, p) in &set.parameters {
                let was = &base.parameters[key];
                let factor = if *key == variant.key { 1.25 } else { 1.0 };
                assert!(
                    (p.value / was.value - factor).abs() < 1e-12 || p.value == was.value && factor == 1.0,
                    "{key}"
                );
                assert_eq!((p.sigma_d2d, p.sigma_c2c), (was.sigma_d2d, was.sigma_c2c), "{key}");
            }
            assert!(set.parameters[variant.key].assumed_because.is_some());
        }
        let refused = base.variants("default", 1e3).unwrap().left_out;
        assert!(
            refused.iter().any(|(key, reason)| *key == "thermal.ambient_k" && reason.contains("Curie")),
            "{refused:?}"
        );
    }
}
