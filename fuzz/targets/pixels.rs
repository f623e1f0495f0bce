#![no_main]

// The decoders' panics are caught where they are called, and cost one slice: only one that is not caught ends the target. Its message
// comes when this hook is taken out and the target is run on what it left.
libfuzzer_sys::fuzz_target!(init: std::panic::set_hook(Box::new(|_| ())), |bytes: &[u8]| tableside::fuzzing::pixels(bytes));
