#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ipnet_fuzz::read(ipnet_events::Format::Dat, data));
