//! The header of AEDAT 4: compression, streams, and the place of the data table.

use super::MAGIC;
use super::flat::{Flaw, Table};
use crate::Error;
use crate::source::{Source, u32_le};

/// The header may be this large, at most.
const MAX_HEADER_BYTES: usize = 16 << 20;

/// How packets are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4 frames.
    Lz4,
    /// Zstandard frames.
    Zstd,
}

/// A stream that the header names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stream {
    pub id: i32,
    pub kind: String,
    pub width: Option<u16>,
    pub height: Option<u16>,
}

/// The header, checked.
pub(super) struct Header {
    pub compression: Compression,
    /// Offset of the data table, if the recording was completed.
    pub table_offset: Option<u64>,
    pub streams: Vec<Stream>,
}

/// Reads the header.
pub(super) fn read(source: &mut Source) -> Result<Header, Error> {
    let magic = source.peek(MAGIC.len())?;
    if !magic.starts_with(MAGIC) {
        let found = format!("'{}'", magic[..magic.len().min(MAGIC.len())].escape_ascii());
        return Err(source.fault(0, "'#!AER-DAT4.0'", found));
    }
    source.consume(MAGIC.len());
    let start = source.offset();
    let size = source.peek(4)?.first_chunk::<4>().map(|b| u32_le(b, 0) as usize);
    let Some(size) = size.filter(|&size| size <= MAX_HEADER_BYTES) else {
        let found = size.map_or("the end of the file".into(), |size| format!("{size}"));
        return Err(source.fault(start, format!("a header size up to {MAX_HEADER_BYTES}"), found));
    };
    source.fill(4 + size)?;
    let found = source.bytes().len();
    let Some(bytes) = source.bytes().get(..4 + size) else {
        return Err(source.fault(start, format!("{} bytes of header", 4 + size), format!("{found} bytes")));
    };
    let flaw = |flaw: Flaw| source.fault(start + flaw.at as u64, flaw.expected, flaw.found);
    let root = Table::root(bytes, "IOHE").map_err(flaw)?;
    let code = root.inline(0).map_err(flaw)?.map_or(0, i32::from_le_bytes);
    let compression = match code {
        0 => Compression::None,
        1 | 2 => Compression::Lz4,
        3 | 4 => Compression::Zstd,
        _ => return Err(source.fault(start, "a compression from 0 to 4", code.to_string())),
    };
    let table_offset = match root.i64(1, -1).map_err(flaw)? {
        -1 => None,
        at if at >= (start as usize + 4 + size) as i64 => Some(at as u64),
        at => return Err(source.fault(start, "a data table after the header, or -1", at.to_string())),
    };
    let (at, text) = root.vector(2, 1).map_err(flaw)?.unwrap_or((0, &[]));
    let text = std::str::from_utf8(text)
        .map_err(|e| source.fault(start + (at + e.valid_up_to()) as u64, "UTF-8 text", "another byte"))?;
    let streams = streams(text).map_err(|(offset, expected)| {
        source.fault(start + (at + offset) as u64, expected, "something else")
    })?;
    source.consume(4 + size);
    Ok(Header { compression, table_offset, streams })
}

/// The streams named in the header's XML, a tree of `<node name="..">` and `<attr key="..">value</attr>`.
fn streams(text: &str) -> Result<Vec<Stream>, (usize, &'static str)> {
    let mut streams: Vec<Stream> = Vec::new();
    let mut nodes: Vec<&str> = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find('<').map(|i| at + i) {
        let Some(close) = text[open..].find('>').map(|i| open + i) else {
            return Err((open, "a tag's end"));
        };
        let tag = &text[open + 1..close];
        at = close + 1;
        if tag.starts_with("node") && tag.ends_with('/') {
            continue;
        } else if tag.starts_with("node") {
            nodes.push(attribute(tag, "name").ok_or((open, "a node's name"))?);
            if let [.., "outInfo", id] = nodes.as_slice() {
                let id = id.parse().map_err(|_| (open, "a stream's number"))?;
                streams.push(Stream { id, ..Stream::default() });
            }
        } else if tag == "/node" {
            nodes.pop().ok_or((open, "a node to close"))?;
        } else if tag.starts_with("attr") && !tag.ends_with('/') {
            let key = attribute(tag, "key").ok_or((open, "an attribute's key"))?;
            let Some(end) = text[at..].find("</attr>").map(|i| at + i) else {
                return Err((open, "an attribute's end"));
            };
            let value = text[at..end].trim();
            at = end + "</attr>".len();
            let Some(stream) = streams.last_mut() else { continue };
            match (nodes.as_slice(), key) {
                ([.., "outInfo", _], "typeIdentifier") => stream.kind = value.into(),
                ([.., "outInfo", _, "info"], "sizeX") => stream.width = value.parse().ok(),
                ([.., "outInfo", _, "info"], "sizeY") => stream.height = value.parse().ok(),
                _ => {}
            }
        }
    }
    Ok(streams)
}

/// The value of `key="value"` in a tag.
fn attribute<'a>(tag: &'a str, key: &str) -> Option<&'a str> {
    let start = tag.find(&format!("{key}=\""))? + key.len() + 2;
    tag[start..].split('"').next()
}
