//! Packets unpacked: LZ4 frames, Zstandard frames or plain bytes, with a bound on what comes out.
//!
//! Design decision: an unpacker is kept from packet to packet, because making one costs as much memory traffic as a small
//! packet. A frame must be whole and the packet's only content, so that nothing cut off or added goes unseen.

use super::MAX_UNPACKED_BYTES;
use super::flat::Flaw;
use super::header::Compression;
use super::lz4;
use std::io::Read;

/// Unpacks one packet after the other.
#[derive(Default)]
pub(super) struct Unpacker {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    /// Never made shorter, so that it need not be filled again.
    unpacked: Vec<u8>,
    len: usize,
}

impl Unpacker {
    /// The last packet, unpacked.
    pub fn unpacked(&self) -> &[u8] {
        &self.unpacked[..self.len]
    }

    /// Unpacks `packed`, at most [`MAX_UNPACKED_BYTES`]; what is in it afterwards is not defined.
    pub fn unpack(&mut self, compression: Compression, packed: &mut Vec<u8>) -> Result<(), Flaw> {
        self.len = 0;
        self.len = match compression {
            Compression::None => {
                // The caller reads no packet beyond the bound.
                std::mem::swap(&mut self.unpacked, packed);
                self.unpacked.len()
            }
            Compression::Lz4 => lz4::unpack(packed, &mut self.unpacked, MAX_UNPACKED_BYTES)?,
            Compression::Zstd => {
                self.unpack_zstd(packed)?;
                self.unpacked.len()
            }
        };
        Ok(())
    }

    fn unpack_zstd(&mut self, packed: &[u8]) -> Result<(), Flaw> {
        let unpacked = &mut self.unpacked;
        unpacked.clear();
        // A frame that states its size is unpacked where it is to go, without a window of its own.
        if let Ok(Some(size)) = zstd::zstd_safe::get_frame_content_size(packed) {
            let size = usize::try_from(size).ok().filter(|&size| size <= MAX_UNPACKED_BYTES);
            unpacked.reserve(size.ok_or_else(|| too_large(0))?);
            let decoder = match self.zstd.take() {
                Some(decoder) => Ok(decoder),
                None => zstd::bulk::Decompressor::new(),
            };
            if let Ok(mut decoder) = decoder
                && decoder.decompress_to_buffer(packed, unpacked).is_ok()
            {
                self.zstd = Some(decoder);
                return Ok(());
            }
        }
        unpack_up_to(Compression::Zstd, packed, unpacked, MAX_UNPACKED_BYTES + 1)?;
        if unpacked.len() > MAX_UNPACKED_BYTES { Err(too_large(MAX_UNPACKED_BYTES)) } else { Ok(()) }
    }
}

/// Unpacks the first `limit` bytes of `packed`, or all if there are fewer.
pub(super) fn unpack_up_to(
    compression: Compression,
    packed: &[u8],
    unpacked: &mut Vec<u8>,
    limit: usize,
) -> Result<(), Flaw> {
    unpacked.clear();
    let take = limit as u64;
    let result = match compression {
        Compression::None => {
            unpacked.extend_from_slice(&packed[..packed.len().min(limit)]);
            Ok(unpacked.len())
        }
        Compression::Lz4 => lz4_flex::frame::FrameDecoder::new(packed).take(take).read_to_end(unpacked),
        Compression::Zstd => {
            zstd::stream::read::Decoder::with_buffer(packed).and_then(|d| d.take(take).read_to_end(unpacked))
        }
    };
    result.map(|_| ()).map_err(|e| not_whole(unpacked.len(), e.to_string()))
}

fn not_whole(at: usize, found: String) -> Flaw {
    Flaw { at, expected: "a whole compressed frame", found }
}

fn too_large(at: usize) -> Flaw {
    Flaw { at, expected: "a packet of up to 32 MiB unpacked", found: "more".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn packed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        match compression {
            Compression::None => bytes.to_vec(),
            Compression::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Zstd => zstd::bulk::compress(bytes, 3).unwrap(),
        }
    }

    /// One unpacker through good and bad packets: after any fault the next packet comes out right.
    #[test]
    fn a_fault_does_not_reach_the_next_packet() {
        let bytes: Vec<u8> = (0..200_000u32).map(|i| ((i / 7) ^ (i % 5)) as u8).collect();
        for compression in [Compression::Lz4, Compression::Zstd] {
            let mut unpacker = Unpacker::default();
            let good = packed(compression, &bytes);
            let mut refused = 0;
            for cut in (0..good.len()).step_by(good.len() / 97).chain(good.len() - 9..good.len()) {
                refused += u32::from(unpacker.unpack(compression, &mut good[..cut].to_vec()).is_err());
                unpacker.unpack(compression, &mut good.clone()).unwrap();
                assert!(unpacker.unpacked() == bytes, "{compression:?} cut to {cut}");
            }
            // Only nothing at all may unpack, to nothing.
            assert!(refused >= 105, "{compression:?}: {refused} cuts refused");
            let mut longer = [good.clone(), vec![1, 2, 3]].concat();
            assert!(unpacker.unpack(compression, &mut longer).is_err(), "{compression:?}: more after it");
            unpacker.unpack(compression, &mut good.clone()).unwrap();
            assert!(unpacker.unpacked() == bytes);
        }
    }

    #[test]
    fn a_packet_that_grows_beyond_the_bound_is_refused() {
        let bytes = vec![0; MAX_UNPACKED_BYTES + 1];
        for compression in [Compression::Lz4, Compression::Zstd] {
            let mut bomb = packed(compression, &bytes);
            assert!(bomb.len() < bytes.len() / 100);
            let mut unpacker = Unpacker::default();
            let flaw = unpacker.unpack(compression, &mut bomb).unwrap_err();
            assert!(flaw.expected.contains("up to 32 MiB"), "{flaw:?}");
            assert!(unpacker.unpacked.capacity() <= MAX_UNPACKED_BYTES + (5 << 20));
        }
    }
}
