//! `responses_stream_to_chat` of the targets, for libFuzzer.
#![no_main]

use hermetic_inference_api_fuzz::responses_stream_to_chat;

libfuzzer_sys::fuzz_target!(|data: &[u8]| responses_stream_to_chat(data));
