//! `chat_stream_to_responses` of the targets, for libFuzzer.
#![no_main]

use hermetic_inference_api_fuzz::chat_stream_to_responses;

libfuzzer_sys::fuzz_target!(|data: &[u8]| chat_stream_to_responses(data));
