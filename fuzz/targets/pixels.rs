#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tableside::fuzzing::pixels(bytes));
