//! Big-endian fields, read with bounds.

use crate::error::FrameError;

#[derive(Debug)]
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], FrameError> {
        if self.0.len() < len {
            return Err(FrameError::Malformed("too short"));
        }
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub fn u8(&mut self) -> Result<u8, FrameError> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16, FrameError> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, FrameError> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, FrameError> {
        self.array().map(u64::from_be_bytes)
    }

    pub fn bool(&mut self) -> Result<bool, FrameError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FrameError::Malformed("neither yes nor no")),
        }
    }

    /// Bytes behind their length in two bytes.
    pub fn short(&mut self, max: usize) -> Result<&'a [u8], FrameError> {
        let len = usize::from(self.u16()?);
        if len > max {
            return Err(FrameError::Malformed("a field is too long"));
        }
        self.take(len)
    }

    pub fn string(&mut self, max: usize) -> Result<String, FrameError> {
        let bytes = self.short(max)?.to_vec();
        String::from_utf8(bytes).map_err(|_| FrameError::Malformed("text is not UTF-8"))
    }

    pub fn end(self) -> Result<(), FrameError> {
        if self.0.is_empty() { Ok(()) } else { Err(FrameError::Malformed("too long")) }
    }
}

/// Bytes behind their length in two bytes. Longer ones are never made: the options are checked.
pub(crate) fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u16).to_be_bytes());
    out.extend(bytes);
}
