//! All formats by name: which one a file is in, and its reader or writer.
//!
//! Design decision: a file's first bytes decide, and its extension only where a format has no mark of its own (text
//! and N-MNIST `.bin`). Nothing is guessed: a file of no known format is refused with what was seen.

use crate::aedat2::{Aedat2Reader, Aedat2Writer};
use crate::aedat4::Compression;
use crate::aedat31::{Aedat31Reader, Aedat31Writer};
use crate::csv_text::{CsvReader, CsvWriter};
use crate::dat::{DatReader, DatWriter};
use crate::evt2::{Evt2Reader, Evt2Writer};
use crate::evt3::{Evt3Reader, Evt3Writer};
use crate::nmnist_bin::{NMNIST_SENSOR, NmnistReader, NmnistWriter};
use crate::raw_header::RawHeader;
use crate::source::Source;
use crate::{
    Aedat4Reader, Aedat4Writer, Error, EventReader, EventWriter, Shortfall, aedat2, aedat4, aedat31,
};
use std::io::Read;
use std::path::Path;

/// A format of recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// AEDAT 2.0 of jAER.
    Aedat2,
    /// AEDAT 3.1 of cAER.
    Aedat31,
    /// AEDAT 4 of DV.
    Aedat4,
    /// DAT of Prophesee.
    Dat,
    /// EVT 2.0 of Prophesee.
    Evt2,
    /// EVT 3.0 of Prophesee.
    Evt3,
    /// Text.
    Csv,
    /// N-MNIST `.bin`.
    Bin,
    /// Plain HDF5.
    H5,
    /// DDD-17 and DDD-20.
    Ddd20,
}

/// How a recording is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// What to do where the file falls short of its format.
    pub shortfall: Shortfall,
    /// The sensor's size `(width, height)`, for formats that do not state it.
    pub sensor: Option<(u16, u16)>,
    /// The format, where it is not to be found out.
    pub format: Option<Format>,
    /// The stream of an AEDAT 4 recording with several streams of events.
    pub stream: Option<i32>,
}

/// Opens the recording at `path` and says its format.
///
/// # Errors
/// A file of no known format, a damaged header, or a format that this build leaves out.
pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<(Format, Box<dyn EventReader>), Error> {
    let path = path.as_ref();
    let format = match options.format {
        Some(format) => format,
        None => Format::detect(path)?,
    };
    let shortfall = options.shortfall;
    let reader: Box<dyn EventReader> = match format {
        Format::Aedat4 => match options.stream {
            Some(stream) => Box::new(Aedat4Reader::open_stream(path, stream, shortfall)?),
            None => Box::new(Aedat4Reader::open(path, shortfall)?),
        },
        #[cfg(feature = "hdf5")]
        Format::H5 => Box::new(crate::h5::H5Reader::open(path, shortfall)?),
        #[cfg(feature = "hdf5")]
        Format::Ddd20 => Box::new(crate::ddd20::Ddd20Reader::open(path, shortfall)?),
        #[cfg(not(feature = "hdf5"))]
        Format::H5 | Format::Ddd20 => return Err(without_hdf5(path)),
        Format::Aedat2 => Box::new(Aedat2Reader::open(path, shortfall)?),
        Format::Aedat31 => Box::new(Aedat31Reader::open(path, shortfall)?),
        Format::Dat => Box::new(DatReader::open(path, shortfall)?),
        Format::Evt2 => Box::new(Evt2Reader::open(path, shortfall)?),
        Format::Evt3 => Box::new(Evt3Reader::open(path, shortfall)?),
        Format::Csv => Box::new(CsvReader::open(path, options.sensor, shortfall)?),
        Format::Bin => {
            Box::new(NmnistReader::open(path, options.sensor.unwrap_or(NMNIST_SENSOR), shortfall)?)
        }
    };
    Ok((format, reader))
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 10] = [
        Self::Aedat2,
        Self::Aedat31,
        Self::Aedat4,
        Self::Dat,
        Self::Evt2,
        Self::Evt3,
        Self::Csv,
        Self::Bin,
        Self::H5,
        Self::Ddd20,
    ];

    /// The name by which the program knows the format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aedat2 => "aedat2",
            Self::Aedat31 => "aedat31",
            Self::Aedat4 => "aedat4",
            Self::Dat => "dat",
            Self::Evt2 => "evt2",
            Self::Evt3 => "evt3",
            Self::Csv => "csv",
            Self::Bin => "bin",
            Self::H5 => "h5",
            Self::Ddd20 => "ddd20",
        }
    }

    /// The format of a file to be written, by its name's extension, where that decides.
    pub fn by_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "aedat" => Some(Self::Aedat31),
            "aedat4" => Some(Self::Aedat4),
            "dat" => Some(Self::Dat),
            "raw" => Some(Self::Evt3),
            "csv" | "txt" => Some(Self::Csv),
            "bin" => Some(Self::Bin),
            "h5" | "hdf5" => Some(Self::H5),
            _ => None,
        }
    }

    /// The format of the file at `path`, by its first bytes.
    pub fn detect(path: &Path) -> Result<Self, Error> {
        let mut source = Source::open(path)?;
        let head = source.peek(16)?;
        let marks: [(&[u8], Self); 3] =
            [(aedat2::MAGIC, Self::Aedat2), (aedat31::MAGIC, Self::Aedat31), (aedat4::MAGIC, Self::Aedat4)];
        if let Some((_, format)) = marks.iter().find(|(mark, _)| head.starts_with(mark)) {
            return Ok(*format);
        }
        if head.starts_with(b"\x89HDF\r\n\x1a\n") {
            return detect_hdf5(path);
        }
        if head.starts_with(b"%") {
            let header = RawHeader::read(&mut source)?;
            return match (header.evt.as_deref(), header.dat) {
                (Some(evt), _) if evt.starts_with('2') => Ok(Self::Evt2),
                (Some(evt), _) if evt.starts_with('3') => Ok(Self::Evt3),
                (None, Some(_)) => Ok(Self::Dat),
                (evt, _) => {
                    let found = evt.map_or("neither".into(), |evt| format!("'% evt {evt}'"));
                    Err(source.fault(0, "a header with '% evt 2.0', '% evt 3.0' or '% Version'", found))
                }
            };
        }
        match Self::by_extension(path) {
            Some(format @ (Self::Csv | Self::Bin)) => Ok(format),
            _ => {
                let found = format!("'{}'", head[..head.len().min(16)].escape_ascii());
                let expected =
                    "an event recording (AEDAT, EVT, DAT or HDF5 by its first bytes, .csv, .txt or .bin)";
                Err(source.fault(0, expected, found))
            }
        }
    }

    /// A reader of `input`, for formats that are read from front to back; `name` stands for its path in errors.
    ///
    /// # Errors
    /// A damaged header, or HDF5, which is not read from front to back.
    pub fn reader(
        self,
        input: Box<dyn Read + Send>,
        name: impl AsRef<Path>,
        options: &OpenOptions,
    ) -> Result<Box<dyn EventReader>, Error> {
        let (name, shortfall) = (name.as_ref(), options.shortfall);
        Ok(match self {
            Self::Aedat2 => Box::new(Aedat2Reader::new(input, name, shortfall)?),
            Self::Aedat31 => Box::new(Aedat31Reader::new(input, name, shortfall)?),
            Self::Aedat4 => Box::new(Aedat4Reader::new(input, name, shortfall)?),
            Self::Dat => Box::new(DatReader::new(input, name, shortfall)?),
            Self::Evt2 => Box::new(Evt2Reader::new(input, name, shortfall)?),
            Self::Evt3 => Box::new(Evt3Reader::new(input, name, shortfall)?),
            Self::Csv => Box::new(CsvReader::new(input, name, options.sensor, shortfall)),
            Self::Bin => {
                let sensor = options.sensor.unwrap_or(NMNIST_SENSOR);
                Box::new(NmnistReader::new(input, name, sensor, shortfall))
            }
            Self::H5 | Self::Ddd20 => return Err(without_hdf5(name)),
        })
    }

    /// Starts a recording of a sensor of size `(width, height)` at `path`; AEDAT 4 is packed with LZ4.
    ///
    /// # Errors
    /// A sensor that the format does not hold, a file that cannot be made, or a format that this build leaves out.
    pub fn create(self, path: impl AsRef<Path>, sensor: (u16, u16)) -> Result<Box<dyn EventWriter>, Error> {
        let path = path.as_ref();
        Ok(match self {
            Self::Aedat2 => Box::new(Aedat2Writer::create(path, sensor)?),
            Self::Aedat31 => Box::new(Aedat31Writer::create(path, sensor)?),
            Self::Aedat4 => Box::new(Aedat4Writer::create(path, sensor, Compression::Lz4)?),
            Self::Dat => Box::new(DatWriter::create(path, sensor)?),
            Self::Evt2 => Box::new(Evt2Writer::create(path, sensor)?),
            Self::Evt3 => Box::new(Evt3Writer::create(path, sensor)?),
            Self::Csv => Box::new(CsvWriter::create(path, sensor)?),
            Self::Bin => Box::new(NmnistWriter::create(path, sensor)?),
            #[cfg(feature = "hdf5")]
            Self::H5 => Box::new(crate::h5::H5Writer::create(path, sensor)?),
            #[cfg(feature = "hdf5")]
            Self::Ddd20 => {
                if sensor != crate::ddd20::DDD20_SENSOR {
                    return Err(Error::Argument {
                        what: "sensor size".into(),
                        expected: "346 x 260, the DAVIS346 of DDD-20".into(),
                        found: format!("{} x {}", sensor.0, sensor.1),
                    });
                }
                Box::new(crate::ddd20::Ddd20Writer::create(path, crate::ddd20::DEFAULT_HOST_START_US)?)
            }
            #[cfg(not(feature = "hdf5"))]
            Self::H5 | Self::Ddd20 => return Err(without_hdf5(path)),
        })
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|f| f.name() == name).ok_or_else(|| format!("expected one of {}", known()))
    }
}

#[cfg(feature = "hdf5")]
fn detect_hdf5(path: &Path) -> Result<Format, Error> {
    let file = crate::hdf5_file::open(path)?;
    if file.link_exists("dvs") {
        return Ok(Format::Ddd20);
    }
    if file.link_exists("events") {
        return Ok(Format::H5);
    }
    let names = file.member_names().unwrap_or_default().join(", ");
    Err(crate::hdf5_file::fault(path, "/", "a group 'events' or 'dvs'", format!("'{names}'")))
}

#[cfg(not(feature = "hdf5"))]
fn detect_hdf5(path: &Path) -> Result<Format, Error> {
    Err(without_hdf5(path))
}

fn without_hdf5(path: &Path) -> Error {
    Error::Feature { path: path.to_path_buf(), format: "HDF5", feature: "hdf5" }
}
