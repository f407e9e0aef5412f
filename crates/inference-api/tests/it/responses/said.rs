//! Events as a client reads them.

use bytes::Bytes;
use hermetic_inference_api::EventScanner;
use serde_json::Value;

pub(crate) struct Told {
    pub(crate) data: String,
    pub(crate) value: Value,
}

/// Takes a stream apart. Every event must have the name its data has, and the number that is due.
pub(crate) fn events(stream: &[u8]) -> Vec<Told> {
    let mut scanner = EventScanner::new(1 << 24);
    scanner.push(Bytes::copy_from_slice(stream));
    let mut told: Vec<Told> = Vec::new();
    while let Some(event) = scanner.next_event().unwrap() {
        let data = String::from_utf8(event.data().unwrap().into_owned()).unwrap();
        let value: Value = serde_json::from_str(&data).unwrap_or_else(|error| panic!("{data}: {error}"));
        let name = format!("event: {}\n", value["type"].as_str().unwrap());
        assert!(event.raw.starts_with(name.as_bytes()), "{data}");
        assert_eq!(value["sequence_number"], told.len(), "{data}");
        told.push(Told { data, value });
    }
    assert_eq!(scanner.finish(), None);
    told
}
