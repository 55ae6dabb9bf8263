#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skua_fuzz::acl::rules(data));
