//! The presets: TOML files of this crate, embedded.

const PRESETS: &[(&str, &str)] = &[
    ("default", include_str!("../../presets/default.toml")),
    ("superparamagnetic-50nm", include_str!("../../presets/superparamagnetic-50nm.toml")),
    ("stt-65nm", include_str!("../../presets/stt-65nm.toml")),
    ("sot-40nm", include_str!("../../presets/sot-40nm.toml")),
    ("vcma-50nm", include_str!("../../presets/vcma-50nm.toml")),
];

/// Names of the presets, `default` first.
pub fn preset_names() -> Vec<&'static str> {
    PRESETS.iter().map(|(name, _)| *name).collect()
}

pub(super) fn text(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(preset, _)| *preset == name).map(|(_, text)| *text)
}
