//! `ipnet events play`: a recording as moving pictures in the terminal, or as an animated GIF or a strip of pictures.
//!
//! Design decision: all three outputs are made of the same slices and the same palette, so what a test sees in a file is
//! what a person sees in the terminal. The moving ones show silence as it was; the strip has a place for few slices, so it
//! leaves out those without events and shows, of each of its equal parts of the others, the busiest.

mod picture;
mod terminal;

use super::{Input, report_shortfall};
use anyhow::{Context, ensure};
use clap::Args;
use ipnet_events::{EventReader, Events, PartialFile};
use picture::Counts;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Show a recording in the terminal (q ends), or write it as an animated GIF or a strip of pictures
#[derive(Args)]
pub struct Play {
    #[command(flatten)]
    input: Input,
    /// Time that a picture sums up, in microseconds
    #[arg(long, value_name = "US", default_value_t = 33_333)]
    slice_us: u64,
    /// How many times as fast as it was recorded
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    speed: f64,
    /// Write an animated GIF instead
    #[arg(long, value_name = "FILE")]
    gif: Option<PathBuf>,
    /// Write a PNG instead: the busiest slices of so many parts of the recording, side by side
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Pictures of the PNG, at most
    #[arg(long, value_name = "N", default_value_t = 8)]
    panels: u64,
    /// Pictures of the GIF; a longer recording is cut there
    #[arg(long, value_name = "N", default_value_t = 600)]
    max_slices: u64,
    /// Screen pixels per sensor pixel in the files; without it small sensors are enlarged
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    zoom: Option<u16>,
}

pub fn run(args: Play) -> anyhow::Result<ExitCode> {
    ensure!(args.slice_us > 0, "expected --slice-us of at least 1");
    ensure!(args.speed.is_finite() && args.speed > 0.0, "expected --speed above 0");
    for path in [&args.gif, &args.png].into_iter().flatten() {
        args.input.keep_from(path)?;
    }
    if args.gif.is_none() && args.png.is_none() {
        terminal::play(&args)?;
    }
    if let Some(path) = &args.gif {
        write_gif(&args, path)?;
    }
    if let Some(path) = &args.png {
        write_png(&args, path)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Play {
    fn slices(&self) -> anyhow::Result<Slices> {
        let (_, reader) = self.input.open()?;
        let sensor = self.input.pictured_sensor(reader.as_ref())?;
        Ok(Slices { reader, sensor, slice_us: self.slice_us, chunk: Events::default(), at: 0, next: None })
    }

    fn zoom(&self, sensor: (u16, u16)) -> usize {
        let zoom = self.zoom.unwrap_or_else(|| (256 / sensor.0.max(sensor.1)).max(1));
        usize::from(zoom)
    }

    /// How long a slice is shown \[s\].
    fn shown_s(&self) -> f64 {
        self.slice_us as f64 * 1e-6 / self.speed
    }
}

/// A recording slice by slice, those without events too, in constant memory.
struct Slices {
    reader: Box<dyn EventReader>,
    sensor: (u16, u16),
    slice_us: u64,
    chunk: Events,
    at: usize,
    /// Start of the next slice, and of the first \[us\].
    next: Option<(u64, u64)>,
}

/// What a slice holds.
struct Slice {
    /// Time from the recording's first event to the slice \[us\].
    start_us: u64,
    events: u64,
}

impl Slices {
    /// Puts the next slice's events into `counts`; nothing at the end.
    fn next(&mut self, counts: &mut Counts) -> anyhow::Result<Option<Slice>> {
        counts.clear();
        let mut events = 0;
        loop {
            if self.at == self.chunk.len() {
                self.at = 0;
                if !self.reader.next_chunk(&mut self.chunk)? {
                    let last = self.next.filter(|_| events > 0);
                    return Ok(last.map(|(start, first)| Slice { start_us: start - first, events }));
                }
            }
            let (start, first) = *self.next.get_or_insert((self.chunk.t[self.at], self.chunk.t[self.at]));
            let end = start.saturating_add(self.slice_us);
            let upto = self.at + self.chunk.t[self.at..].partition_point(|&t| t < end);
            for i in self.at..upto {
                counts.add(self.chunk.x[i], self.chunk.y[i], self.chunk.polarity[i]);
            }
            events += (upto - self.at) as u64;
            self.at = upto;
            if upto < self.chunk.len() {
                self.next = Some((end, first));
                return Ok(Some(Slice { start_us: start - first, events }));
            }
        }
    }

    /// Steps over slices without events, however many.
    fn skip_silence(&mut self) -> anyhow::Result<()> {
        if self.at == self.chunk.len() {
            self.at = 0;
            self.reader.next_chunk(&mut self.chunk)?;
        }
        if let (Some((start, first)), Some(&t)) = (self.next, self.chunk.t.get(self.at)) {
            let silent = t.saturating_sub(start) / self.slice_us;
            self.next = Some((start + silent * self.slice_us, first));
        }
        Ok(())
    }

    /// Reads all that is left and gives the number of slices with events.
    fn count(mut self) -> anyhow::Result<u64> {
        let (mut first, mut last, mut count) = (None, None, 0);
        while self.reader.next_chunk(&mut self.chunk)? {
            for &t in &self.chunk.t {
                let here = Some((t - *first.get_or_insert(t)) / self.slice_us);
                count += u64::from(here != last);
                last = here;
            }
        }
        Ok(count)
    }
}

fn write_gif(args: &Play, path: &Path) -> anyhow::Result<()> {
    let name = || path.display().to_string();
    let mut slices = args.slices()?;
    let mut counts = Counts::new(slices.sensor);
    let zoom = args.zoom(slices.sensor);
    let [width, height] =
        [slices.sensor.0, slices.sensor.1].map(|side| u16::try_from(usize::from(side) * zoom));
    let (width, height) = (width?, height?);
    picture::check_size([width, height].map(usize::from))?;
    let mut file = PartialFile::create(path)?;
    let mut encoder =
        gif::Encoder::new(file.stream(), width, height, &picture::palette()).with_context(name)?;
    encoder.set_repeat(gif::Repeat::Infinite).with_context(name)?;
    // Viewers show delays under 2 hundredths of a second as 10: a picture of several slices is shown for longer.
    let together = (0.02 / args.shown_s()).ceil().clamp(1.0, 1e6) as u64;
    slices.slice_us = slices.slice_us.saturating_mul(together);
    let delay = (args.shown_s() * together as f64 * 100.0).round().clamp(2.0, 65_535.0) as u16;
    let mut written = 0;
    while written < args.max_slices && slices.next(&mut counts)?.is_some() {
        let pixels = picture::enlarge(&counts.indices(), usize::from(slices.sensor.0), zoom);
        let mut frame = gif::Frame::from_indexed_pixels(width, height, pixels, None);
        frame.delay = delay;
        encoder.write_frame(&frame).with_context(name)?;
        written += 1;
    }
    ensure!(written > 0, "{}: expected events to show, found none", args.input.path.display());
    encoder.into_inner().with_context(name)?;
    file.finish()?;
    report_shortfall(&args.input.path, slices.reader.ledger());
    eprintln!("{}: {written} pictures of {} us", path.display(), slices.slice_us);
    Ok(())
}

fn write_png(args: &Play, path: &Path) -> anyhow::Result<()> {
    let name = || path.display().to_string();
    let total = args.slices()?.count()?;
    ensure!(total > 0, "{}: expected events to show, found none", args.input.path.display());
    let panels = args.panels.clamp(1, 256).min(total.max(1));
    let mut slices = args.slices()?;
    let mut counts = Counts::new(slices.sensor);
    let mut sheet = picture::Sheet::new(slices.sensor, args.zoom(slices.sensor), panels as usize)?;
    let mut shown: Vec<Option<Slice>> = (0..panels).map(|_| None).collect();
    for index in 0..total {
        slices.skip_silence()?;
        let Some(slice) = slices.next(&mut counts)? else { break };
        let panel = (index * panels / total) as usize;
        if shown[panel].as_ref().is_none_or(|best| slice.events > best.events) {
            sheet.put(panel, &counts.indices());
            shown[panel] = Some(slice);
        }
    }
    let [width, height] = sheet.size().map(u32::try_from);
    let mut file = PartialFile::create(path)?;
    let mut encoder = png::Encoder::new(file.stream(), width?, height?);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(picture::palette());
    let mut writer = encoder.write_header().with_context(name)?;
    writer.write_image_data(sheet.pixels()).with_context(name)?;
    writer.finish().with_context(name)?;
    file.finish()?;
    report_shortfall(&args.input.path, slices.reader.ledger());
    let starts: Vec<_> =
        shown.iter().flatten().map(|slice| format!("{:.3}", slice.start_us as f64 * 1e-6)).collect();
    eprintln!(
        "{}: {panels} of the {total} slices of {} us that hold events, from {} s on",
        path.display(),
        args.slice_us,
        starts.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        play: Play,
    }

    #[test]
    fn the_strip_has_no_empty_picture_however_long_the_silence() {
        let folder = tempfile::tempdir().unwrap();
        let (csv, png) = (folder.path().join("gap.csv"), folder.path().join("gap.png"));
        // Two pixels at the start, one event and then three 31 years later.
        let late = 1_000_000_000_000_000_u64;
        let times = [0, 10, late, late + 100_000, late + 100_001, late + 100_002];
        let rows: String = times.iter().map(|t| format!("{t},{},0,1\n", t % 4)).collect();
        std::fs::write(&csv, format!("t,x,y,p\n{rows}")).unwrap();
        let args = ["play", csv.to_str().unwrap(), "--sensor", "4x4", "--panels", "2", "--zoom", "1"];
        let play = Program::parse_from(args).play;
        assert_eq!(play.slices().unwrap().count().unwrap(), 3);
        write_png(&play, &png).unwrap();
        let mut decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&png).unwrap()));
        decoder.set_transformations(png::Transformations::IDENTITY);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let top = &pixels[..info.width as usize];
        // The pictures stand with a gap of 4 between them: events 0 and 10 in the first, the three last in the second.
        assert_eq!(top.iter().map(|&p| p != 0).collect::<Vec<_>>()[..4], [true, false, true, false]);
        assert_eq!(top[8..].iter().map(|&p| p != 0).collect::<Vec<_>>(), [true, true, true, false]);
    }

    #[test]
    fn pictures_beyond_the_bounds_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("a.csv");
        std::fs::write(&csv, "t,x,y,p\n0,0,0,1\n").unwrap();
        for (sensor, zoom, expected) in [
            (
                "60000x60000",
                "16",
                "a sensor of at most 16777216 pixels to make pictures of, found 60000 x 60000",
            ),
            ("4095x4095", "16", "a picture of at most 134217728 pixels, found 65520 x 65520"),
        ] {
            for kind in ["--gif", "--png"] {
                let file = folder.path().join("a.picture");
                let args = [
                    "play",
                    csv.to_str().unwrap(),
                    "--sensor",
                    sensor,
                    "--zoom",
                    zoom,
                    kind,
                    file.to_str().unwrap(),
                ];
                let error = run(Program::parse_from(args).play).unwrap_err().to_string();
                assert!(error.contains(expected), "{kind}: {error}");
                assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a partial file is left");
            }
        }
    }
}
