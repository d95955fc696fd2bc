//! `make fuzz`: see `targets::journal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| callcenter_fuzz::targets::journal(data));
