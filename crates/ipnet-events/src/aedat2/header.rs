//! The text header of AEDAT 2.0: which chip, and so which layout of the address.

use super::{END_LINE, MAGIC};
use crate::Error;
use crate::source::Source;

/// Preferences in XML make lines of many kilobytes.
const LINE_LIMIT: usize = 1 << 20;

/// The layout of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chip {
    Dvs128,
    Davis { width: u16, height: u16 },
}

const DAVIS: [(&str, Chip, &str); 4] = [
    ("davis208", Chip::Davis { width: 208, height: 192 }, "eu.seebetter.ini.chips.davis.DAVIS208"),
    ("davis240", Chip::Davis { width: 240, height: 180 }, "eu.seebetter.ini.chips.davis.DAVIS240C"),
    ("davis346", Chip::Davis { width: 346, height: 260 }, "eu.seebetter.ini.chips.davis.Davis346B"),
    ("davis640", Chip::Davis { width: 640, height: 480 }, "eu.seebetter.ini.chips.davis.DAVIS640"),
];
const DVS128: &str = "ch.unizh.ini.jaer.chip.retina.DVS128";

impl Chip {
    /// Sensor size `(width, height)`.
    pub fn size(self) -> (u16, u16) {
        match self {
            Self::Dvs128 => (128, 128),
            Self::Davis { width, height } => (width, height),
        }
    }

    /// The chip with a sensor of `size`, and its name in headers.
    pub fn of_size(size: (u16, u16)) -> Option<(Self, &'static str)> {
        if size == (128, 128) {
            return Some((Self::Dvs128, DVS128));
        }
        DAVIS.iter().find(|(_, chip, _)| chip.size() == size).map(|&(_, chip, name)| (chip, name))
    }
}

/// Reads the header.
pub(super) fn read(source: &mut Source) -> Result<Chip, Error> {
    let version = source.line(b'#', LINE_LIMIT)?.unwrap_or_default();
    if !version.as_bytes().starts_with(MAGIC) {
        return Err(source.fault(0, "'#!AER-DAT2.0'", format!("'{}'", version.escape_default())));
    }
    let mut chip = Chip::Dvs128;
    loop {
        let offset = source.offset();
        let Some(line) = source.line(b'#', LINE_LIMIT)? else { return Ok(chip) };
        if line.trim_end() == END_LINE {
            return Ok(chip);
        }
        if let Some(name) = line.strip_prefix("# AEChip: ") {
            let lower = name.to_ascii_lowercase();
            let davis = DAVIS.iter().find(|(key, ..)| lower.contains(key)).map(|&(_, chip, _)| chip);
            chip = match davis {
                Some(chip) => chip,
                None if lower.contains("dvs128") => Chip::Dvs128,
                None => return Err(source.fault(offset, "a DVS128 or a DAVIS", format!("'{name}'"))),
            };
        }
    }
}
