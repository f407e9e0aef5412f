//! `events` of the targets, for libFuzzer.
#![no_main]

use hermetic_inference_api_fuzz::events;

libfuzzer_sys::fuzz_target!(|data: &[u8]| events(data));
