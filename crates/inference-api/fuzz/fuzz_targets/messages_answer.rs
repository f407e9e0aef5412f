//! `messages_answer` of the targets, for libFuzzer.
#![no_main]

use hermetic_inference_api_fuzz::messages_answer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| messages_answer(data));
