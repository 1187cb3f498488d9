//! The text header that Prophesee's formats share: lines that start with `%`, ended by `% end` or by the data.

use crate::Error;
use crate::source::Source;

const LINE_LIMIT: usize = 1 << 16;
/// Columns and rows that an event can name: EVT 2.0 and 3.0 have 11 bits for each, DAT has 14. A header that states more is
/// wrong, and whoever makes pictures would believe it.
const EVT_SIDE: u16 = 1 << 11;
const DAT_SIDE: u16 = 1 << 14;

/// What a header says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RawHeader {
    /// `2.0` or `3.0` of `% evt 3.0`, or of `% format EVT3;..`.
    pub evt: Option<String>,
    /// The number of `% Version 2`, which DAT files have.
    pub dat: Option<String>,
    width: Option<u16>,
    height: Option<u16>,
}

impl RawHeader {
    /// Sensor size `(width, height)`.
    pub fn sensor(&self) -> Option<(u16, u16)> {
        self.width.zip(self.height)
    }

    /// Reads the header, up to the first byte of the data.
    ///
    /// # Errors
    /// A size that is no number, 0, or beyond what the format's events can name.
    pub fn read(source: &mut Source) -> Result<Self, Error> {
        let mut header = Self::default();
        let mut size_offset = 0;
        loop {
            let offset = source.offset();
            let Some(line) = source.line(b'%', LINE_LIMIT)? else { break };
            let line = line.trim_start_matches('%').trim();
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            let side = |value: &str| -> Result<Option<u16>, Error> {
                match value.trim().parse() {
                    Ok(side) if side > 0 => Ok(Some(side)),
                    _ => Err(source.fault(offset, "a size from 1 to 65535", format!("'{value}'"))),
                }
            };
            let before = header.sensor();
            match key.to_ascii_lowercase().as_str() {
                "end" => break,
                "evt" => header.evt = Some(value.into()),
                "version" => header.dat = Some(value.into()),
                "width" => header.width = side(value)?,
                "height" => header.height = side(value)?,
                "geometry" => {
                    let (width, height) = value.split_once('x').unwrap_or((value, ""));
                    (header.width, header.height) = (side(width)?, side(height)?);
                }
                "format" => {
                    for part in value.split(';') {
                        match part.split_once('=') {
                            Some(("width", value)) => header.width = side(value)?,
                            Some(("height", value)) => header.height = side(value)?,
                            _ if part.starts_with("EVT") => {
                                header.evt = Some(format!("{}.0", part.trim_start_matches("EVT")));
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
            if header.sensor() != before {
                size_offset = offset;
            }
        }
        let most = if header.evt.is_some() { EVT_SIDE } else { DAT_SIDE };
        match header.sensor() {
            Some((width, height)) if width.max(height) > most => {
                let expected =
                    format!("a sensor of at most {most} x {most}, as the format's events can name");
                Err(source.fault(size_offset, expected, format!("{width} x {height}")))
            }
            _ => Ok(header),
        }
    }
}

/// The header of a RAW file in EVT version `version` of a sensor of size `(width, height)`.
pub(crate) fn evt_header(version: u32, (width, height): (u16, u16)) -> String {
    format!(
        "% evt {version}.0\n% format EVT{version};height={height};width={width}\n\
         % geometry {width}x{height}\n% end\n"
    )
}
