//! The header of a safetensors file: names, element types, shapes and where the bytes lie.

use std::collections::BTreeMap;
use std::io::Read;

/// Cap of the format itself on its JSON header.
const HEADER_BYTES_MAX: u64 = 100_000_000;
const TENSORS_MAX: usize = 65_536;

/// Why weights are not a safetensors file this build reads.
#[derive(Debug, thiserror::Error)]
pub enum SafetensorsError {
    #[error("cannot read the weights")]
    Io(#[source] std::io::Error),
    #[error("expected a safetensors header of 2 to {HEADER_BYTES_MAX} bytes, found {found}")]
    HeaderBytes { found: u64 },
    #[error("expected the safetensors header to be JSON")]
    Json(#[source] serde_json::Error),
    #[error("expected at most {TENSORS_MAX} tensors, found {found}")]
    TooMany { found: usize },
    #[error(
        "expected the bytes of tensor `{name}` to fit its type and shape ({expected} bytes), found {found}"
    )]
    Extent { name: String, expected: u64, found: String },
}

#[derive(serde::Deserialize)]
struct Row {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// One tensor of the file.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    pub(crate) dtype: String,
    pub(crate) shape: Vec<u64>,
    /// From the start of the file.
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

pub(crate) fn read_header(reader: &mut impl Read) -> Result<BTreeMap<String, Tensor>, SafetensorsError> {
    let mut length = [0; 8];
    reader.read_exact(&mut length).map_err(SafetensorsError::Io)?;
    let length = u64::from_le_bytes(length);
    if !(2..=HEADER_BYTES_MAX).contains(&length) {
        return Err(SafetensorsError::HeaderBytes { found: length });
    }
    let mut json = Vec::new();
    reader.take(length).read_to_end(&mut json).map_err(SafetensorsError::Io)?;
    if json.len() as u64 != length {
        return Err(SafetensorsError::HeaderBytes { found: json.len() as u64 });
    }
    let mut rows: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&json).map_err(SafetensorsError::Json)?;
    rows.remove("__metadata__");
    if rows.len() > TENSORS_MAX {
        return Err(SafetensorsError::TooMany { found: rows.len() });
    }
    let start = length + 8;
    rows.into_iter().map(|(name, row)| tensor(start, &name, row).map(|tensor| (name, tensor))).collect()
}

fn tensor(start: u64, name: &str, row: serde_json::Value) -> Result<Tensor, SafetensorsError> {
    let row: Row = serde_json::from_value(row).map_err(SafetensorsError::Json)?;
    let [from, to] = row.data_offsets;
    let width: u64 = match row.dtype.as_str() {
        "F64" | "I64" | "U64" => 8,
        "F32" | "I32" | "U32" => 4,
        "F16" | "BF16" | "I16" | "U16" => 2,
        _ => 1,
    };
    let expected = row.shape.iter().try_fold(width, |product, n| product.checked_mul(*n)).unwrap_or(u64::MAX);
    let fits = to.checked_sub(from) == Some(expected);
    match (fits, start.checked_add(from)) {
        (true, Some(offset)) => Ok(Tensor { dtype: row.dtype, shape: row.shape, offset, bytes: expected }),
        _ => {
            Err(SafetensorsError::Extent { name: name.to_owned(), expected, found: format!("{from}..{to}") })
        }
    }
}
