//! `make fuzz`: see `targets::core`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| callcenter_fuzz::targets::core(data));
