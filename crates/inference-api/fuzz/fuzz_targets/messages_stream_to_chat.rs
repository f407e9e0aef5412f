//! `messages_stream_to_chat` of the targets, for libFuzzer.
#![no_main]

use hermetic_inference_api_fuzz::messages_stream_to_chat;

libfuzzer_sys::fuzz_target!(|data: &[u8]| messages_stream_to_chat(data));
