//! `request_facts` of the targets, for libFuzzer.
#![no_main]

use hermetic_inference_api_fuzz::request_facts;

libfuzzer_sys::fuzz_target!(|data: &[u8]| request_facts(data));
