//! Writing a GGUF version 3 file.

use crate::value::{Array, TensorType, Value};
use std::io::{self, Write};

/// Default of the format (`general.alignment`), kept by not writing the key.
pub(crate) const ALIGNMENT: u64 = 32;

/// A tensor that is about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorData {
    pub name: String,
    /// Innermost dimension first.
    pub dimensions: Vec<u64>,
    pub kind: TensorType,
    pub bytes: u64,
}

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("cannot write the GGUF file")]
    Io(#[from] io::Error),
    #[error("expected {expected} bytes for the tensor `{name}`, found {found}")]
    TensorBytes { name: String, expected: u64, found: u64 },
}

/// Writes header, table and weights. `fill` is asked for each tensor's bytes in table order. Returns the file's length.
pub fn write_gguf<W: Write>(
    out: &mut W,
    metadata: &[(String, Value)],
    tensors: &[TensorData],
    mut fill: impl FnMut(usize, &mut dyn Write) -> io::Result<()>,
) -> Result<u64, WriteError> {
    let mut out = Counting { inner: out, bytes: 0 };
    out.write_all(b"GGUF")?;
    out.write_all(&3_u32.to_le_bytes())?;
    out.write_all(&(tensors.len() as u64).to_le_bytes())?;
    out.write_all(&(metadata.len() as u64).to_le_bytes())?;
    for (key, value) in metadata {
        string(&mut out, key)?;
        out.write_all(&(value.kind() as u32).to_le_bytes())?;
        write_value(&mut out, value)?;
    }
    let mut offset = 0_u64;
    for tensor in tensors {
        string(&mut out, &tensor.name)?;
        out.write_all(&u32::try_from(tensor.dimensions.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        for dimension in &tensor.dimensions {
            out.write_all(&dimension.to_le_bytes())?;
        }
        out.write_all(&tensor.kind.0.to_le_bytes())?;
        out.write_all(&offset.to_le_bytes())?;
        offset = offset.saturating_add(tensor.bytes).next_multiple_of(ALIGNMENT);
    }
    for (index, tensor) in tensors.iter().enumerate() {
        pad(&mut out)?;
        let before = out.bytes;
        fill(index, &mut out)?;
        let found = out.bytes - before;
        if found != tensor.bytes {
            return Err(WriteError::TensorBytes { name: tensor.name.clone(), expected: tensor.bytes, found });
        }
    }
    pad(&mut out)?;
    out.flush()?;
    Ok(out.bytes)
}

struct Counting<'a, W> {
    inner: &'a mut W,
    bytes: u64,
}

impl<W: Write> Write for Counting<'_, W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.bytes = self.bytes.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn pad<W: Write>(out: &mut Counting<'_, W>) -> io::Result<()> {
    let missing = out.bytes.next_multiple_of(ALIGNMENT) - out.bytes;
    let zeros = [0; ALIGNMENT as usize];
    out.write_all(zeros.get(..usize::try_from(missing).unwrap_or(0)).unwrap_or(&[]))
}

fn string(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(text.as_bytes())
}

fn write_value(out: &mut impl Write, value: &Value) -> io::Result<()> {
    match value {
        Value::U8(v) => out.write_all(&v.to_le_bytes()),
        Value::I8(v) => out.write_all(&v.to_le_bytes()),
        Value::U16(v) => out.write_all(&v.to_le_bytes()),
        Value::I16(v) => out.write_all(&v.to_le_bytes()),
        Value::U32(v) => out.write_all(&v.to_le_bytes()),
        Value::I32(v) => out.write_all(&v.to_le_bytes()),
        Value::F32(v) => out.write_all(&v.to_le_bytes()),
        Value::Bool(v) => out.write_all(&[u8::from(*v)]),
        Value::String(v) => string(out, v),
        Value::Array(v) => write_array(out, v),
        Value::U64(v) => out.write_all(&v.to_le_bytes()),
        Value::I64(v) => out.write_all(&v.to_le_bytes()),
        Value::F64(v) => out.write_all(&v.to_le_bytes()),
    }
}

fn write_array(out: &mut impl Write, array: &Array) -> io::Result<()> {
    out.write_all(&(array.kind() as u32).to_le_bytes())?;
    out.write_all(&(array.len() as u64).to_le_bytes())?;
    match array {
        Array::U8(v) => out.write_all(v),
        Array::I8(v) => v.iter().try_for_each(|x| out.write_all(&x.to_le_bytes())),
        Array::U16(v) => v.iter().try_for_each(|x| out.write_all(&x.to_le_bytes())),
        Array::I16(v) => v.iter().try_for_each(|x| out.write_all(&x.to_le_bytes())),
        Array::U32(v) => v.iter().try_for_each(|x| out.write_all(&x.to_le_bytes())),
        Array::I32(v) => v.iter().try_for_each(|x| out.write_all(&x.to_le_bytes())),
        Array::F32(v) => v.iter().try_for_each(|x| out.write_all(&x.to_le_bytes())),
        Array::Bool(v) => v.iter().try_for_each(|x| out.write_all(&[u8::from(*x)])),
        Array::String(v) => v.iter().try_for_each(|x| string(out, x)),
        Array::U64(v) => v.iter().try_for_each(|x| out.write_all(&x.to_le_bytes())),
        Array::I64(v) => v.iter().try_for_each(|x| out.write_all(&x.to_le_bytes())),
        Array::F64(v) => v.iter().try_for_each(|x| out.write_all(&x.to_le_bytes())),
    }
}
