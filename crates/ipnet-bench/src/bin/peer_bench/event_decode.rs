//! `event_decode`: one whole recording from the page cache into arrays.
//!
//! With `malloc` `warm` into arrays that are kept, else into fresh ones. Before READY, count, span and the sums of every
//! column are compared with the array that the recording was made from.

use crate::{Prepared, Refused, kit_events};
use ipnet_events::{Error, Events, Format, OpenOptions, open};
use serde_json::{Value, json};
use std::hint::black_box;

/// Reads the recording of the kit's `params` and checks it.
///
/// # Errors
/// Parameters that are not understood, a recording that cannot be read, or events that are not those it was made from.
pub fn prepare(params: &Value) -> Result<Prepared, Refused> {
    let name = params["format"].as_str().ok_or("no parameter format")?;
    let count = params["events"].as_u64().ok_or("no parameter events")?;
    let warm = params["malloc"] == "warm";
    let (format, extension) = match name {
        "aedat4_lz4" | "aedat4_zstd" | "aedat4_none" => (Format::Aedat4, "aedat4"),
        "aedat31" => (Format::Aedat31, "aedat"),
        "aedat2" => (Format::Aedat2, "aedat"),
        "h5" | "h5_gzip" => (Format::H5, "h5"),
        "dat" => (Format::Dat, "dat"),
        "evt2" => (Format::Evt2, "raw"),
        "evt3" => (Format::Evt3, "raw"),
        "nmnist" => (Format::Bin, "bin"),
        _ => return Err(format!("no reader for {name}").into()),
    };
    let path = kit_events::folder()?.join(format!("{name}_{count}.{extension}"));
    let options = OpenOptions { sensor: Some((128, 128)), format: Some(format), ..OpenOptions::default() };
    let read = move |events: &mut Events| -> Result<(), Error> {
        let (_, mut reader) = open(&path, &options)?;
        if warm {
            events.clear();
            reader.read_into(events, usize::MAX)?;
        } else {
            *events = Events::default();
            *events = reader.read_to_end()?;
        }
        Ok(())
    };
    let mut events = Events::default();
    read(&mut events)?;
    let (found, expected) = (sums(&events, format), sums(&kit_events::load(count)?, Format::Csv));
    if found != expected {
        let columns = "count, span and sums of t, x, y, ON";
        return Err(format!("{columns}: expected {expected:?}, found {found:?}").into());
    }
    let call = move || {
        if let Err(error) = read(&mut events) {
            eprintln!("{error}");
            std::process::exit(2);
        }
        black_box(&events);
    };
    Ok(Prepared { info: json!({"check": "ok"}), call: Box::new(call) })
}

/// Count, span and the sums of every column, times from the first, as the kit writes them.
fn sums(events: &Events, format: Format) -> [u64; 6] {
    let (first, last) = (events.t.first().copied().unwrap_or(0), events.t.last().copied().unwrap_or(0));
    let mut sums = [events.len() as u64, last - first, 0, 0, 0, 0];
    for i in 0..events.len() {
        let (x, y, on) = (events.x[i], events.y[i], events.polarity[i]);
        // The kit's AEDAT 2.0 writer puts x, y and p into the address as they are; the format means the lower right
        // corner and a clear bit for ON.
        let (x, y, on) = if format == Format::Aedat2 { (127 - x, 127 - y, !on) } else { (x, y, on) };
        let fields = [events.t[i] - first, u64::from(x), u64::from(y), u64::from(on)];
        sums[2..].iter_mut().zip(fields).for_each(|(sum, field)| *sum += field);
    }
    sums
}
