//! `responses_request` of the targets, for libFuzzer.
#![no_main]

use hermetic_inference_api_fuzz::responses_request;

libfuzzer_sys::fuzz_target!(|data: &[u8]| responses_request(data));
