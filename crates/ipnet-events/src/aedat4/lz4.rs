//! LZ4 frames, unpacked where they are to go.
//!
//! Magic `04 22 4d 18`; FLG (bits 6, 7 version 1; 5 blocks independent; 4 checksum per block; 3 content size; 2 checksum of
//! the content; 0 dictionary), BD (bits 4 to 6 largest block), the content's size if FLG says so, one byte of checksum;
//! then blocks: `u32` size (bit 31: not compressed), bytes, checksum if FLG says so; size 0 ends, with the content's checksum.
//! Source: LZ4 frame format description, version 1.6.
//!
//! Design decision: `lz4_flex` reads frames through buffers of its own, which it copies and clears for each. Packets are
//! small, so that took as long as unpacking; its blocks can be unpacked straight into a packet's place.

use super::flat::Flaw;
use lz4_flex::block::{decompress_into, decompress_into_with_dict};
use twox_hash::XxHash32;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// How far back a block may reach into those before it.
const WINDOW: usize = 64 << 10;

/// What is left of a frame to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("its end in the middle")?;
        self.0 = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<u64, String> {
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(self.take(N)?);
        Ok(u64::from_le_bytes(bytes))
    }

    /// Reads a checksum and compares it with that of `bytes`.
    fn check(&mut self, bytes: &[u8]) -> Result<(), String> {
        let stated = self.number::<4>()?;
        if stated == u64::from(XxHash32::oneshot(0, bytes)) { Ok(()) } else { Err("a wrong checksum".into()) }
    }
}

/// Unpacks the frame `packed` into the start of `out`, which grows as needed to little more than `limit`, and says how
/// many bytes it holds.
pub(super) fn unpack(packed: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<usize, Flaw> {
    let mut len = 0;
    unpack_blocks(packed, out, limit, &mut len).map_err(|found| Flaw {
        at: len,
        expected: "a whole compressed frame of up to 32 MiB",
        found,
    })?;
    Ok(len)
}

fn unpack_blocks(packed: &[u8], out: &mut Vec<u8>, limit: usize, len: &mut usize) -> Result<(), String> {
    let mut input = Input(packed);
    if input.take(4)? != MAGIC {
        return Err("another magic number".into());
    }
    let descriptor = input.0;
    let [flags, size] = [input.number::<1>()?, input.number::<1>()?];
    let flag = |bit: u32| flags >> bit & 1 == 1;
    if flags >> 6 != 1 || flag(1) || flag(0) || size & 0x8f != 0 || !(4..=7).contains(&(size >> 4)) {
        return Err(format!("flags {flags:#x} and {size:#x}"));
    }
    let content = if flag(3) { Some(input.number::<8>()?) } else { None };
    let described = &descriptor[..descriptor.len() - input.0.len()];
    if input.number::<1>()? != u64::from(XxHash32::oneshot(0, described) >> 8 & 0xff) {
        return Err("a wrong checksum of its head".into());
    }
    let largest = 1usize << (8 + 2 * (size >> 4));
    loop {
        let size = input.number::<4>()? as usize;
        if size == 0 {
            break;
        }
        let (stored, size) = (size >> 31 == 1, size & 0x7fff_ffff);
        if size > largest {
            return Err(format!("a block of {size} bytes"));
        }
        let block = input.take(size)?;
        if flag(4) {
            input.check(block)?;
        }
        if *len > limit {
            return Err("more".into());
        }
        if out.len() < *len + largest {
            // `len` is at most `limit`.
            let room = (2 * out.len()).clamp(*len + largest, limit + largest);
            out.reserve_exact(room - out.len());
            out.resize(room, 0);
        }
        let (before, room) = out.split_at_mut(*len);
        let room = &mut room[..largest];
        *len += if stored {
            room[..size].copy_from_slice(block);
            size
        } else {
            let linked = !flag(5) && !before.is_empty();
            let window = &before[before.len().saturating_sub(WINDOW)..];
            let unpacked = if linked {
                decompress_into_with_dict(block, room, window)
            } else {
                decompress_into(block, room)
            };
            unpacked.map_err(|e| e.to_string())?
        };
    }
    if flag(2) {
        input.check(&out[..*len])?;
    }
    if *len > limit {
        return Err("more".into());
    }
    match content {
        Some(content) if content != *len as u64 => Err(format!("{len} bytes of {content}")),
        _ if !input.0.is_empty() => Err(format!("{} bytes after it", input.0.len())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write;

    /// Frames with every option come out as they went in, and damage to any byte is noticed where there is a checksum.
    #[test]
    fn frames_with_every_option() {
        let bytes: Vec<u8> = (0..300_000u32).map(|i| ((i / 900) ^ (i % 37)) as u8).collect();
        let mut out = Vec::new();
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            for sums in [false, true] {
                let info = FrameInfo::new()
                    .block_mode(mode)
                    .block_size(BlockSize::Max64KB)
                    .block_checksums(sums)
                    .content_checksum(sums)
                    .content_size(sums.then_some(bytes.len() as u64));
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(&bytes).unwrap();
                let frame = encoder.finish().unwrap();
                let len = unpack(&frame, &mut out, 1 << 20).unwrap();
                assert!(out[..len] == bytes);
                assert!(unpack(&frame, &mut out, 299_999).is_err());
                for cut in (0..frame.len()).step_by(61) {
                    assert!(unpack(&frame[..cut], &mut out, 1 << 20).is_err(), "cut at {cut}");
                    let mut bad = frame.clone();
                    bad[cut] ^= 16;
                    let result = unpack(&bad, &mut out, 1 << 20);
                    assert!(result.is_err() || !sums, "byte {cut}");
                    assert!(out.len() < 2 << 20);
                }
            }
        }
    }
}
