//! Label files of DVS128 Gesture: `class,startTime_usec,endTime_usec`, one row per clip.
//!
//! The rule for rows: each is cut on its own as `[start, end)`. Rows may overlap (in the official
//! `user22_led_labels.csv` class 9 ends after class 10 has begun); events in the overlap then belong to both clips.

use crate::Error;
use std::path::Path;

const HEADER: &str = "class,startTime_usec,endTime_usec";

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LabelRow {
    /// Class as in the file, from 1.
    pub class: usize,
    /// First microsecond of the clip.
    pub start_us: u64,
    /// First microsecond after the clip.
    pub end_us: u64,
    /// Line in the file, from 1.
    pub line: u64,
}

/// Reads a label file whose classes are `1..=classes`.
pub(super) fn read_labels(path: &Path, classes: usize) -> Result<Vec<LabelRow>, Error> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let fault = |line: u64, expected: String, found: &str| Error::Line {
        path: path.to_owned(),
        line,
        expected,
        found: format!("`{}`", found.chars().take(60).collect::<String>()),
    };
    let mut lines = (1..).zip(text.lines());
    match lines.next() {
        Some((_, header)) if header.trim_start_matches('\u{feff}').trim() == HEADER => {}
        first => return Err(fault(1, format!("`{HEADER}`"), first.map_or("", |(_, line)| line))),
    }
    let mut rows = Vec::new();
    for (line, row) in lines.filter(|(_, row)| !row.trim().is_empty()) {
        let fields: Vec<Option<u64>> = row.split(',').map(|field| field.trim().parse().ok()).collect();
        let &[Some(class), Some(start_us), Some(end_us)] = fields.as_slice() else {
            return Err(fault(line, format!("three whole numbers `{HEADER}`"), row));
        };
        if !(1..=classes as u64).contains(&class) {
            return Err(fault(line, format!("a class from 1 to {classes}"), row));
        }
        if start_us >= end_us {
            return Err(fault(line, "a start before the end".to_owned(), row));
        }
        rows.push(LabelRow { class: class as usize, start_us, end_us, line });
    }
    if rows.is_empty() {
        return Err(fault(2, "at least one row".to_owned(), ""));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<LabelRow>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.csv");
        std::fs::write(&path, text).unwrap();
        read_labels(&path, 11).map_err(|e| e.to_string().split("labels.csv: ").nth(1).unwrap().to_owned())
    }

    #[test]
    fn rows_are_read_with_either_line_end_and_may_overlap() {
        let rows = read("class,startTime_usec,endTime_usec\r\n9,10,30\r\n10,20,40\n\n").unwrap();
        assert_eq!(rows[0], LabelRow { class: 9, start_us: 10, end_us: 30, line: 2 });
        assert_eq!(rows[1], LabelRow { class: 10, start_us: 20, end_us: 40, line: 3 });
    }

    #[test]
    fn a_bad_row_is_named() {
        let with = |row: &str| read(&format!("{HEADER}\n1,0,5\n{row}\n")).unwrap_err();
        assert_eq!(
            with("2,x,9"),
            "line 3: expected three whole numbers `class,startTime_usec,endTime_usec`, found `2,x,9`"
        );
        assert_eq!(with("12,1,9"), "line 3: expected a class from 1 to 11, found `12,1,9`");
        assert_eq!(with("0,1,9"), "line 3: expected a class from 1 to 11, found `0,1,9`");
        assert_eq!(with("3,9,9"), "line 3: expected a start before the end, found `3,9,9`");
        assert!(with("3,9").starts_with("line 3: expected three whole numbers"));
        assert!(with("3,9,10,11").starts_with("line 3: expected three whole numbers"));
        assert_eq!(read("").unwrap_err(), format!("line 1: expected `{HEADER}`, found ``"));
        assert_eq!(read(HEADER).unwrap_err(), "line 2: expected at least one row, found ``");
    }
}
