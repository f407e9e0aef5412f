//! W3C Trace Context: taken from the caller when it is well-formed, begun here when it is not, handed to the engine.

use hermetic_ids::TraceId;
use http::{HeaderMap, HeaderValue};

pub(crate) const TRACEPARENT: &str = "traceparent";

/// The trace a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) id: TraceId,
    flags: u8,
}

impl Trace {
    /// The caller's trace, or a new one made of `fresh`.
    pub(crate) fn of(headers: &HeaderMap, fresh: [u8; 16]) -> Self {
        let theirs = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(Self::parse);
        theirs.unwrap_or(Self { id: TraceId::from_bytes(fresh), flags: 0 })
    }

    /// `version "-" trace-id "-" parent-id "-" trace-flags` (§3.2). Versions above 00 may append fields; ff is invalid.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let version = hex_byte(version)?;
        let more = parts.next().is_some();
        let parent_ok =
            parent.len() == 16 && parent.bytes().all(is_lower_hex) && parent.bytes().any(|b| b != b'0');
        let id: TraceId = trace.parse().ok()?;
        let valid = version != 0xff && !(version == 0 && more) && parent_ok && *id.as_bytes() != [0; 16];
        valid.then_some(Self { id, flags: hex_byte(flags)? })
    }

    /// What the engine is sent: the same trace with this gateway as the parent.
    pub(crate) fn to_header(self, span: [u8; 8]) -> Option<HeaderValue> {
        let mut text = Vec::with_capacity(55);
        text.extend_from_slice(b"00");
        let fields: [&[u8]; 3] = [self.id.as_bytes(), &span, &[self.flags]];
        for field in fields {
            text.push(b'-');
            field.iter().for_each(|byte| text.extend_from_slice(&hex_pair(*byte)));
        }
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()
    }
}

fn hex_pair(byte: u8) -> [u8; 2] {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
    [digit(byte >> 4), digit(byte & 15)]
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

fn hex_byte(text: &str) -> Option<u8> {
    (text.len() == 2 && text.bytes().all(is_lower_hex)).then(|| u8::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn a_well_formed_trace_is_carried_on_under_a_new_parent() {
        let trace = Trace::of(&headers("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), [9; 16]);
        let header = trace.to_header([0x11; 8]).unwrap();
        assert_eq!(header, "00-0af7651916cd43dd8448eb211c80319c-1111111111111111-01");
    }

    #[test]
    fn a_malformed_trace_is_replaced() {
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert_eq!(Trace::of(&headers(bad), [9; 16]).id, TraceId::from_bytes([9; 16]), "{bad}");
        }
    }
}
