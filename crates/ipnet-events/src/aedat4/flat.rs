//! The little of flatbuffers that AEDAT 4 needs, with every offset checked.
//!
//! A size-prefixed buffer is `u32` size, then `u32` offset of the root table and a 4-byte name. A table starts with the
//! `i32` distance back to its vtable: `u16` size of the vtable, `u16` size of the table, then a `u16` offset in the table per
//! field (0: absent). A vector is `u32` length and its elements. Positions here count from the size prefix.

/// What is wrong with a buffer, and where in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub at: usize,
    pub expected: &'static str,
    pub found: String,
}

/// A table of a buffer.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: usize,
    vtable_bytes: usize,
    table_bytes: usize,
}

/// The `N` bytes at `at`.
fn read<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Flaw> {
    at.checked_add(N)
        .and_then(|end| bytes.get(at..end))
        .and_then(|b| b.first_chunk::<N>().copied())
        .ok_or_else(|| Flaw {
            at: at.min(bytes.len()),
            expected: "an offset inside the buffer",
            found: format!("{at} of {}", bytes.len()),
        })
}

fn read_u32(bytes: &[u8], at: usize) -> Result<usize, Flaw> {
    read(bytes, at).map(|b| u32::from_le_bytes(b) as usize)
}

impl<'a> Table<'a> {
    /// The root table of the size-prefixed buffer `bytes`, whose name must be `name`.
    pub fn root(bytes: &'a [u8], name: &'static str) -> Result<Self, Flaw> {
        let size = read_u32(bytes, 0)?;
        if size != bytes.len() - 4 {
            let found = format!("{size} with {} bytes after it", bytes.len() - 4);
            return Err(Flaw { at: 0, expected: "the size of the buffer", found });
        }
        let found: [u8; 4] = read(bytes, 8)?;
        if found != name.as_bytes() {
            let found = format!("'{}'", found.escape_ascii());
            return Err(Flaw { at: 8, expected: name, found });
        }
        let root = read_u32(bytes, 4)?;
        Self::at(bytes, 4 + root)
    }

    /// The table at `at`.
    fn at(bytes: &'a [u8], at: usize) -> Result<Self, Flaw> {
        let back = i64::from(i32::from_le_bytes(read(bytes, at)?));
        let Ok(vtable) = usize::try_from(at as i64 - back) else {
            let found = back.to_string();
            return Err(Flaw { at, expected: "a table's distance to its vtable", found });
        };
        let vtable_bytes = usize::from(u16::from_le_bytes(read(bytes, vtable)?));
        let table_bytes = usize::from(u16::from_le_bytes(read(bytes, vtable + 2)?));
        let whole = vtable_bytes >= 4
            && vtable_bytes % 2 == 0
            && table_bytes >= 4
            && vtable + vtable_bytes <= bytes.len()
            && at + table_bytes <= bytes.len();
        if !whole {
            let found = format!("vtable of {vtable_bytes} bytes, table of {table_bytes} bytes");
            return Err(Flaw { at, expected: "a table inside the buffer", found });
        }
        Ok(Self { bytes, at, vtable, vtable_bytes, table_bytes })
    }

    /// Position of field `slot` of `size` bytes, if the table has it.
    fn field(&self, slot: usize, size: usize) -> Result<Option<usize>, Flaw> {
        let entry = 4 + 2 * slot;
        if entry + 2 > self.vtable_bytes {
            return Ok(None);
        }
        let offset = usize::from(u16::from_le_bytes(read(self.bytes, self.vtable + entry)?));
        if offset == 0 {
            return Ok(None);
        }
        if offset < 4 || offset + size > self.table_bytes {
            let found = format!("{offset} of {}", self.table_bytes);
            return Err(Flaw { at: self.vtable + entry, expected: "a field inside its table", found });
        }
        Ok(Some(self.at + offset))
    }

    /// The `N` bytes of field `slot`, e.g. a number or a struct.
    pub fn inline<const N: usize>(&self, slot: usize) -> Result<Option<[u8; N]>, Flaw> {
        self.field(slot, N)?.map(|at| read(self.bytes, at)).transpose()
    }

    /// Field `slot`, an `i64`.
    pub fn i64(&self, slot: usize, default: i64) -> Result<i64, Flaw> {
        Ok(self.inline(slot)?.map_or(default, i64::from_le_bytes))
    }

    /// Position and bytes of the vector (or string) of field `slot`, whose elements have `element` bytes.
    pub fn vector(&self, slot: usize, element: usize) -> Result<Option<(usize, &'a [u8])>, Flaw> {
        let Some(at) = self.field(slot, 4)? else { return Ok(None) };
        let vector = at + read_u32(self.bytes, at)?;
        let count = read_u32(self.bytes, vector)?;
        let start = vector + 4;
        let elements = count
            .checked_mul(element)
            .and_then(|size| start.checked_add(size))
            .and_then(|end| self.bytes.get(start..end));
        match elements {
            Some(elements) => Ok(Some((start, elements))),
            None => Err(Flaw {
                at: vector,
                expected: "a vector inside the buffer",
                found: format!("{count} elements of {element} bytes"),
            }),
        }
    }

    /// The tables of the vector of field `slot`.
    pub fn tables(&self, slot: usize) -> Result<impl Iterator<Item = Result<Table<'a>, Flaw>>, Flaw> {
        let (start, offsets) = self.vector(slot, 4)?.unwrap_or((0, &[]));
        let bytes = self.bytes;
        Ok((0..offsets.len() / 4).map(move |i| {
            let at = start + 4 * i;
            Table::at(bytes, at + read_u32(bytes, at)?)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_damage_to_a_table_is_followed_out_of_the_buffer() {
        // EVTS with one field, a vector of two 2-byte elements.
        let good = [
            30, 0, 0, 0, 16, 0, 0, 0, b'E', b'V', b'T', b'S', 0, 0, 6, 0, 8, 0, 4, 0, 6, 0, 0, 0, 4, 0, 0, 0,
            2, 0, 0, 0, 7, 8,
        ];
        let walk = |bytes: &[u8]| -> Result<usize, Flaw> {
            let root = Table::root(bytes, "EVTS")?;
            Ok(root.vector(0, 1)?.map_or(0, |(_, v)| v.len()))
        };
        assert_eq!(walk(&good), Ok(2));
        let (mut refused, mut tried) = (0, 0);
        for at in 0..good.len() {
            for value in 0..=255 {
                let mut bad = good;
                bad[at] = value;
                tried += 1;
                refused += usize::from(walk(&bad).is_err());
            }
        }
        assert!(refused > tried / 2, "{refused} of {tried}");
    }
}
