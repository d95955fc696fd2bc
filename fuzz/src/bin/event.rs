//! `make fuzz`: see `targets::event`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| callcenter_fuzz::targets::event(data));
