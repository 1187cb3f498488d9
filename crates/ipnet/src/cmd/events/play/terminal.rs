//! Pictures in the terminal: two pixels to a character, the upper one in its colour and the lower one in that of its ground.

use super::picture::{Counts, colour};
use super::{Play, Slice, report_shortfall};
use anyhow::{Context, bail};
use keyboard::Keyboard;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The second screen of the terminal, without a cursor; gives the first back, whatever happens.
struct Screen;

impl Screen {
    fn open() -> anyhow::Result<Self> {
        show("\x1b[?1049h\x1b[?25l")?;
        Ok(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nothing can be done about a failure here.
        let _ = show("\x1b[0m\x1b[?25h\x1b[?1049l");
    }
}

fn show(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("the terminal")
}

/// Shows the recording until its end, or until q, Esc or ctrl-c.
pub fn play(args: &Play) -> anyhow::Result<()> {
    if !std::io::stdout().is_terminal() {
        bail!("standard output is no terminal: write a file with --gif FILE or --png FILE");
    }
    let mut slices = args.slices()?;
    let mut counts = Counts::new(slices.sensor);
    let keyboard = Keyboard::open()?;
    let screen = Screen::open()?;
    let mut due = Instant::now();
    let mut text = String::new();
    while let Some(slice) = slices.next(&mut counts)? {
        draw(&mut text, &counts, &slice, args, keyboard.screen_size());
        show(&text)?;
        due += Duration::try_from_secs_f64(args.shown_s()).unwrap_or(Duration::from_secs(3600));
        // A terminal that cannot keep up is shown fewer pictures a second, not a burst of late ones.
        due = due.max(Instant::now());
        if keyboard.ended_before(due) {
            break;
        }
    }
    drop(screen);
    drop(keyboard);
    report_shortfall(&args.input.path, slices.reader.ledger());
    Ok(())
}

/// Writes one picture and the line below it into `text`.
fn draw(text: &mut String, counts: &Counts, slice: &Slice, args: &Play, (columns, rows): (usize, usize)) {
    let ([width, height], pixels) = counts.fitted(columns, 2 * rows.saturating_sub(1));
    text.clear();
    text.push_str("\x1b[H");
    for top in (0..height).step_by(2) {
        let mut last = None;
        for x in 0..width {
            let upper = pixels[top * width + x];
            let lower = if top + 1 < height { pixels[(top + 1) * width + x] } else { 0 };
            if last != Some((upper, lower)) {
                let ([r, g, b], [s, h, c]) = (colour(upper), colour(lower));
                let _ = write!(text, "\x1b[38;2;{r};{g};{b};48;2;{s};{h};{c}m");
                last = Some((upper, lower));
            }
            text.push('\u{2580}');
        }
        text.push_str("\x1b[0m\x1b[K\r\n");
    }
    let rate = slice.events as f64 / (args.slice_us as f64 * 1e-6);
    let line =
        format!("{:9.3} s  {rate:>9.0} events/s  {}x  q ends", slice.start_us as f64 * 1e-6, args.speed);
    text.extend(line.chars().take(columns.saturating_sub(1)));
    text.push_str("\x1b[J");
}

/// Single keys and the size of the terminal, by the calls of a Unix system.
#[cfg(unix)]
mod keyboard {
    use std::mem::MaybeUninit;
    use std::time::Instant;

    /// Standard input without line editing, if it is a terminal; as it was again at the end.
    pub struct Keyboard {
        before: Option<libc::termios>,
    }

    impl Keyboard {
        pub fn open() -> anyhow::Result<Self> {
            let mut mode = MaybeUninit::uninit();
            // SAFETY: `tcgetattr` writes the whole structure if it gives 0, and nothing is read of it otherwise.
            let mode: Option<libc::termios> =
                unsafe { (libc::tcgetattr(0, mode.as_mut_ptr()) == 0).then(|| mode.assume_init()) };
            if let Some(mut raw) = mode {
                // ctrl-c comes as a key too, so that the screen is given back.
                raw.c_lflag &= !(libc::ICANON | libc::ECHO | libc::ISIG);
                // SAFETY: `raw` is a whole mode of this terminal.
                unsafe { libc::tcsetattr(0, libc::TCSANOW, &raw) };
            }
            Ok(Self { before: mode })
        }

        /// Waits until `due` and says whether a key has ended the play.
        pub fn ended_before(&self, due: Instant) -> bool {
            loop {
                let left = due.saturating_duration_since(Instant::now());
                let left_ms = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
                if self.before.is_none() {
                    std::thread::sleep(left);
                    return false;
                }
                let mut input = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
                // SAFETY: one structure, which lives through the call.
                if unsafe { libc::poll(&mut input, 1, left_ms) } <= 0 {
                    return false;
                }
                let mut key = 0u8;
                // SAFETY: room for the one byte that is asked for.
                let read = unsafe { libc::read(0, (&raw mut key).cast(), 1) };
                if read <= 0 || matches!(key, b'q' | b'Q' | 0x1b | 0x03) {
                    return true;
                }
            }
        }

        /// Columns and rows of the terminal.
        pub fn screen_size(&self) -> (usize, usize) {
            let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
            // SAFETY: TIOCGWINSZ writes one `winsize`.
            let found = unsafe { libc::ioctl(1, libc::TIOCGWINSZ, &mut size) } == 0;
            if found && size.ws_col > 0 && size.ws_row > 1 {
                (usize::from(size.ws_col), usize::from(size.ws_row))
            } else {
                (80, 24)
            }
        }
    }

    impl Drop for Keyboard {
        fn drop(&mut self) {
            if let Some(before) = &self.before {
                // SAFETY: the mode that `tcgetattr` gave.
                unsafe { libc::tcsetattr(0, libc::TCSANOW, before) };
            }
        }
    }
}

#[cfg(not(unix))]
mod keyboard {
    /// Elsewhere the play ends with the recording.
    pub struct Keyboard;

    impl Keyboard {
        pub fn open() -> anyhow::Result<Self> {
            Ok(Self)
        }

        pub fn ended_before(&self, due: std::time::Instant) -> bool {
            std::thread::sleep(due.saturating_duration_since(std::time::Instant::now()));
            false
        }

        pub fn screen_size(&self) -> (usize, usize) {
            (80, 24)
        }
    }
}
