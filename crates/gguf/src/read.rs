//! Reading a GGUF header: metadata and the tensor table, never the weights.

use crate::value::{Array, Kind, TensorType, Value};
use hermetic_diagnostics::{Code, Diagnose};
use std::collections::{BTreeMap, HashSet};
use std::io::Read;

/// What a header may hold at most. Each is several times what the largest published models need.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the whole header. The largest vocabularies with merges stay under 32 MiB.
    pub header_bytes: u64,
    pub metadata_entries: u64,
    pub tensors: u64,
    /// Bytes of one string; chat templates are the longest, tens of kilobytes.
    pub string_bytes: u64,
    /// Elements of one array; vocabularies reach a quarter of a million, merges half a million.
    pub array_elements: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 256 << 20,
            metadata_entries: 16_384,
            tensors: 262_144,
            string_bytes: 8 << 20,
            array_elements: 8 << 20,
        }
    }
}

/// Why a file is not a GGUF this build reads.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read the model file")]
    Io(#[source] std::io::Error),
    #[error("expected {wanted} more bytes for {what}, found the end of the file at byte {at}")]
    Truncated { what: &'static str, wanted: u64, at: u64 },
    #[error("expected a file that starts with `GGUF`, found {found:02x?}")]
    Magic { found: [u8; 4] },
    #[error("expected GGUF version 2 or 3 in little-endian order, found version {found}")]
    Version { found: u32 },
    #[error("expected at most {cap} {what}, found {found}")]
    TooMany { what: &'static str, cap: u64, found: u64 },
    #[error("expected a metadata type from 0 to 12 (no array inside an array), found {found} at byte {at}")]
    Type { found: u32, at: u64 },
    #[error("expected {what} to be UTF-8, found other bytes before byte {at}")]
    Text { what: &'static str, at: u64 },
    #[error("expected 0 or 1 for a boolean, found {found} at byte {at}")]
    Boolean { found: u8, at: u64 },
    #[error("expected the {what} `{name}` once, found it twice")]
    Duplicate { what: &'static str, name: String },
    #[error("expected the tensor `{name}` to have {expected}, found {found}")]
    Tensor { name: String, expected: &'static str, found: String },
    #[error("expected `general.alignment` to be a power of two of at most 65536, found {found}")]
    Alignment { found: u64 },
}

impl Diagnose for ReadError {
    fn code(&self) -> Code {
        Code::new("E0701")
    }
}

/// One row of the tensor table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    pub name: String,
    /// Innermost dimension first, as ggml counts; one to four of them.
    pub dimensions: Vec<u64>,
    pub kind: TensorType,
    /// From the start of the data section.
    pub offset: u64,
}

impl TensorInfo {
    pub fn elements(&self) -> u64 {
        self.dimensions.iter().product()
    }

    /// `None` when the element type is not known to this build.
    pub fn bytes(&self) -> Option<u64> {
        self.kind.bytes_of(self.elements())
    }
}

/// What a GGUF file says about itself before the weights begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    pub version: u32,
    pub metadata: BTreeMap<String, Value>,
    pub tensors: Vec<TensorInfo>,
    /// Where the weights begin.
    pub data_offset: u64,
}

impl Header {
    /// Reads a header and stops at its end. Buffer the reader: values are read a few bytes at a time.
    pub fn read(reader: &mut dyn Read, limits: &Limits) -> Result<Self, ReadError> {
        let mut input = Input { reader, limits, at: 0 };
        let magic: [u8; 4] = input.array("the magic")?;
        if &magic != b"GGUF" {
            return Err(ReadError::Magic { found: magic });
        }
        let version = input.u32("the version")?;
        if !matches!(version, 2 | 3) {
            return Err(ReadError::Version { found: version });
        }
        let tensors = input.count("tensors", limits.tensors)?;
        let entries = input.count("metadata entries", limits.metadata_entries)?;
        let metadata = input.metadata(entries)?;
        let alignment = alignment(&metadata)?;
        let tensors = input.tensors(tensors, alignment)?;
        let data_offset = input.at.next_multiple_of(alignment);
        Ok(Self { version, metadata, tensors, data_offset })
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key)?.as_str()
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.metadata.get(key)?.as_u64()
    }

    /// `general.architecture`: `llama`, `bert`, …
    pub fn architecture(&self) -> Option<&str> {
        self.text("general.architecture")
    }

    /// A number under the architecture's own prefix, such as `llama.context_length`.
    pub fn architecture_number(&self, key: &str) -> Option<u64> {
        self.number(&format!("{}.{key}", self.architecture()?))
    }

    /// Length the whole file must at least have; `None` when a tensor's type is not known to this build.
    pub fn file_bytes_min(&self) -> Option<u64> {
        let mut end = self.data_offset;
        for tensor in &self.tensors {
            end = end.max(self.data_offset.checked_add(tensor.offset)?.checked_add(tensor.bytes()?)?);
        }
        Some(end)
    }
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64, ReadError> {
    let Some(value) = metadata.get("general.alignment") else { return Ok(crate::write::ALIGNMENT) };
    let found = value.as_u64().unwrap_or(0);
    if found.is_power_of_two() && found <= 65_536 { Ok(found) } else { Err(ReadError::Alignment { found }) }
}

/// A reader that counts, and refuses to pass the cap on the whole header.
struct Input<'a> {
    reader: &'a mut dyn Read,
    limits: &'a Limits,
    at: u64,
}

/// Room made ahead of the bytes: a lying length costs at most this much memory.
const AHEAD: usize = 4096;

impl Input<'_> {
    fn fill(&mut self, buffer: &mut [u8], what: &'static str) -> Result<(), ReadError> {
        let wanted = buffer.len() as u64;
        let end = self.at.saturating_add(wanted);
        if end > self.limits.header_bytes {
            return Err(ReadError::TooMany {
                what: "bytes of header",
                cap: self.limits.header_bytes,
                found: end,
            });
        }
        self.reader.read_exact(buffer).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => ReadError::Truncated { what, wanted, at: self.at },
            _ => ReadError::Io(error),
        })?;
        self.at = end;
        Ok(())
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ReadError> {
        let mut buffer = [0; N];
        self.fill(&mut buffer, what)?;
        Ok(buffer)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, ReadError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, ReadError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    fn count(&mut self, what: &'static str, cap: u64) -> Result<u64, ReadError> {
        let found = self.u64(what)?;
        if found > cap { Err(ReadError::TooMany { what, cap, found }) } else { Ok(found) }
    }

    fn string(&mut self, what: &'static str) -> Result<String, ReadError> {
        let mut left = self.count("bytes in a string", self.limits.string_bytes)?;
        let mut bytes = Vec::new();
        let mut chunk = [0; AHEAD];
        while left > 0 {
            let take = usize::try_from(left).unwrap_or(AHEAD).min(AHEAD);
            let Some(part) = chunk.get_mut(..take) else { break };
            self.fill(part, what)?;
            bytes.extend_from_slice(part);
            left -= take as u64;
        }
        String::from_utf8(bytes).map_err(|_| ReadError::Text { what, at: self.at })
    }

    fn boolean(&mut self) -> Result<bool, ReadError> {
        match self.array::<1>("a boolean")? {
            [0] => Ok(false),
            [1] => Ok(true),
            [found] => Err(ReadError::Boolean { found, at: self.at }),
        }
    }

    fn kind(&mut self) -> Result<Kind, ReadError> {
        let found = self.u32("a type")?;
        Kind::from_number(found).ok_or(ReadError::Type { found, at: self.at })
    }

    fn value(&mut self) -> Result<Value, ReadError> {
        let what = "a metadata value";
        Ok(match self.kind()? {
            Kind::U8 => Value::U8(u8::from_le_bytes(self.array(what)?)),
            Kind::I8 => Value::I8(i8::from_le_bytes(self.array(what)?)),
            Kind::U16 => Value::U16(u16::from_le_bytes(self.array(what)?)),
            Kind::I16 => Value::I16(i16::from_le_bytes(self.array(what)?)),
            Kind::U32 => Value::U32(self.u32(what)?),
            Kind::I32 => Value::I32(i32::from_le_bytes(self.array(what)?)),
            Kind::F32 => Value::F32(f32::from_le_bytes(self.array(what)?)),
            Kind::Bool => Value::Bool(self.boolean()?),
            Kind::String => Value::String(self.string(what)?),
            Kind::Array => Value::Array(self.elements()?),
            Kind::U64 => Value::U64(self.u64(what)?),
            Kind::I64 => Value::I64(i64::from_le_bytes(self.array(what)?)),
            Kind::F64 => Value::F64(f64::from_le_bytes(self.array(what)?)),
        })
    }

    fn elements(&mut self) -> Result<Array, ReadError> {
        let kind = self.kind()?;
        let count = self.count("elements in an array", self.limits.array_elements)?;
        let what = "an array";
        Ok(match kind {
            Kind::U8 => Array::U8(self.repeat(count, |i| Ok(u8::from_le_bytes(i.array(what)?)))?),
            Kind::I8 => Array::I8(self.repeat(count, |i| Ok(i8::from_le_bytes(i.array(what)?)))?),
            Kind::U16 => Array::U16(self.repeat(count, |i| Ok(u16::from_le_bytes(i.array(what)?)))?),
            Kind::I16 => Array::I16(self.repeat(count, |i| Ok(i16::from_le_bytes(i.array(what)?)))?),
            Kind::U32 => Array::U32(self.repeat(count, |i| i.u32(what))?),
            Kind::I32 => Array::I32(self.repeat(count, |i| Ok(i32::from_le_bytes(i.array(what)?)))?),
            Kind::F32 => Array::F32(self.repeat(count, |i| Ok(f32::from_le_bytes(i.array(what)?)))?),
            Kind::Bool => Array::Bool(self.repeat(count, Self::boolean)?),
            Kind::String => Array::String(self.repeat(count, |i| i.string(what))?),
            Kind::U64 => Array::U64(self.repeat(count, |i| i.u64(what))?),
            Kind::I64 => Array::I64(self.repeat(count, |i| Ok(i64::from_le_bytes(i.array(what)?)))?),
            Kind::F64 => Array::F64(self.repeat(count, |i| Ok(f64::from_le_bytes(i.array(what)?)))?),
            Kind::Array => return Err(ReadError::Type { found: Kind::Array as u32, at: self.at }),
        })
    }

    fn repeat<T>(
        &mut self,
        count: u64,
        mut one: impl FnMut(&mut Self) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let mut all = Vec::with_capacity(usize::try_from(count).unwrap_or(AHEAD).min(AHEAD));
        for _ in 0..count {
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn metadata(&mut self, entries: u64) -> Result<BTreeMap<String, Value>, ReadError> {
        let mut metadata = BTreeMap::new();
        for _ in 0..entries {
            let key = self.string("a metadata key")?;
            let value = self.value()?;
            // Two readers that keep the first and the last would see two different models.
            if metadata.contains_key(&key) {
                return Err(ReadError::Duplicate { what: "metadata key", name: key });
            }
            metadata.insert(key, value);
        }
        Ok(metadata)
    }

    fn tensors(&mut self, count: u64, alignment: u64) -> Result<Vec<TensorInfo>, ReadError> {
        let mut names = HashSet::new();
        self.repeat(count, |input| {
            let tensor = input.tensor(alignment)?;
            if names.insert(tensor.name.clone()) {
                Ok(tensor)
            } else {
                Err(ReadError::Duplicate { what: "tensor", name: tensor.name })
            }
        })
    }

    fn tensor(&mut self, alignment: u64) -> Result<TensorInfo, ReadError> {
        let name = self.string("a tensor name")?;
        let wrong = |expected, found: String| ReadError::Tensor { name: name.clone(), expected, found };
        let rank = self.u32("a tensor's rank")?;
        if !(1..=4).contains(&rank) {
            return Err(wrong("one to four dimensions", rank.to_string()));
        }
        let dimensions = self.repeat(u64::from(rank), |input| input.u64("a dimension"))?;
        let elements = dimensions.iter().try_fold(1_u64, |product, n| product.checked_mul(*n));
        if elements.is_none_or(|n| n == 0 || n > 1 << 48) {
            return Err(wrong("1 to 2^48 elements", format!("dimensions {dimensions:?}")));
        }
        let kind = TensorType(self.u32("a tensor's type")?);
        let offset = self.u64("a tensor's offset")?;
        if offset % alignment != 0 || offset > 1 << 48 {
            return Err(wrong("an aligned offset", offset.to_string()));
        }
        Ok(TensorInfo { name, dimensions, kind, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::{TensorData, write_gguf};
    use proptest::prelude::*;

    fn small() -> Vec<u8> {
        let metadata = vec![
            ("general.architecture".to_owned(), Value::String("bert".into())),
            ("bert.context_length".to_owned(), Value::U32(512)),
            ("words".to_owned(), Value::Array(Array::String(vec!["a".into(), "ü".into()]))),
        ];
        let info = TensorData { name: "t".into(), dimensions: vec![2, 3], kind: TensorType::F32, bytes: 24 };
        let mut out = Vec::new();
        write_gguf(&mut out, &metadata, &[info], |_, out| out.write_all(&[7; 24])).unwrap();
        out
    }

    fn read(bytes: &[u8]) -> Result<Header, ReadError> {
        Header::read(&mut &*bytes, &Limits::default())
    }

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = small();
        let header = read(&bytes).unwrap();
        assert_eq!(header.architecture(), Some("bert"));
        assert_eq!(header.architecture_number("context_length"), Some(512));
        assert_eq!(header.tensors.first().and_then(TensorInfo::bytes), Some(24));
        assert_eq!(header.file_bytes_min(), Some(header.data_offset + 24));
        assert_eq!(bytes.get(usize::try_from(header.data_offset).unwrap()), Some(&7));
    }

    #[test]
    fn every_cut_of_a_header_is_refused_as_truncated() {
        let bytes = small();
        let table_end = bytes.len() - 24 - 31;
        for cut in 0..table_end.min(bytes.len()) {
            let error = read(bytes.get(..cut).unwrap()).unwrap_err();
            assert!(matches!(error, ReadError::Truncated { .. }), "{cut}: {error}");
        }
    }

    #[test]
    fn a_lying_count_is_refused_before_it_is_believed() {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(read(&bytes), Err(ReadError::TooMany { what: "tensors", .. })));
    }

    #[test]
    fn a_key_that_comes_twice_is_refused() {
        let twice = vec![("k".to_owned(), Value::U8(1)), ("k".to_owned(), Value::U8(2))];
        let mut out = Vec::new();
        write_gguf(&mut out, &twice, &[], |_, _| Ok(())).unwrap();
        assert!(matches!(read(&out), Err(ReadError::Duplicate { .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(tail: Vec<u8>) {
            let _ = read(&tail);
            let mut bytes = b"GGUF\x03\0\0\0".to_vec();
            bytes.extend_from_slice(&tail);
            let _ = read(&bytes);
        }

        #[test]
        fn a_changed_byte_ends_in_a_value_or_an_error(at in 0_usize..200, to: u8) {
            let mut bytes = small();
            let at = at % bytes.len();
            if let Some(byte) = bytes.get_mut(at) { *byte = to; }
            let _ = read(&bytes);
        }
    }
}
