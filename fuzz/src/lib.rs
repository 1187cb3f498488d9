//! What every fuzz target does: read the bytes as one format, strictly and leniently, and check the account.
//!
//! `just fuzz aedat31`; the heads of real files and small written files make good corpora (`fuzz/seed IPNET DIR` makes them
//! from a folder of recordings).

use ipnet_events::{Events, Format, OpenOptions, Shortfall};

/// Reads `data` as `format`.
///
/// # Panics
/// If a read succeeds whose ledger does not account for every byte, or hands out other events than it counts.
pub fn read(format: Format, data: &[u8]) {
    for shortfall in [Shortfall::Refuse, Shortfall::Allow] {
        let options = OpenOptions { shortfall, sensor: Some((346, 260)), ..OpenOptions::default() };
        let input = Box::new(std::io::Cursor::new(data.to_vec()));
        let Ok(mut reader) = format.reader(input, "fuzz", &options) else { continue };
        let (mut chunk, mut events, mut last) = (Events::default(), 0, 0);
        loop {
            match reader.next_chunk(&mut chunk) {
                Ok(true) => {
                    events += chunk.len() as u64;
                    for &t in &chunk.t {
                        assert!(t >= last, "times step back");
                        last = t;
                    }
                }
                Ok(false) => {
                    assert_eq!(reader.ledger().events, events);
                    assert_eq!(reader.ledger().bytes, data.len() as u64, "{:?}", reader.ledger());
                    break;
                }
                Err(_) => break,
            }
        }
    }
}
