//! `responses_answer` of the targets, for libFuzzer.
#![no_main]

use hermetic_inference_api_fuzz::responses_answer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| responses_answer(data));
