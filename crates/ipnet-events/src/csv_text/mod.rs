//! Text, one event a line: `t,x,y,p`, separated by commas, semicolons, tabs or spaces.
//!
//! A first line with names (`t` or `timestamp`, `x`, `y`, `p`, `polarity` or `on`) gives the order of the fields, else it
//! is t, x, y, p. A whole number as time is microseconds; a file whose first time has a decimal point is in seconds
//! (as in the Event Camera Dataset) and is rounded to microseconds. Polarity is 0, 1, -1, `true` or `false`. Lines that
//! start with `#` and empty lines are stepped over.

mod decoder;
mod encoder;

pub use decoder::CsvReader;
pub use encoder::CsvWriter;
